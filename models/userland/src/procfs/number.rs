//! Numbers written to the kernel's files.
//!
//! Kernel: kernel/sysctl.c (`proc_dointvec` and its kin), lib/kstrtox.c

use glassnet_kernel::netlink::Errno;

use crate::numbers::whole;

/// The first numbers of a text, up to `count`, as `proc_dointvec`: separated by white space; decimal, octal after `0`,
/// hexadecimal after `0x`. The rest is ignored.
///
/// # Errors
///
/// `EINVAL` if there is no number at the start, if something else than white space follows one, or if it does not
/// fit in 64 bits.
pub fn vector(text: &str, count: usize) -> Result<Vec<i64>, Errno> {
    let mut numbers = Vec::new();
    for word in text.split([' ', '\t', '\n', '\0']).filter(|word| !word.is_empty()).take(count) {
        numbers.push(signed(word)?);
    }
    if numbers.is_empty() { Err(Errno::EINVAL) } else { Ok(numbers) }
}

fn signed(word: &str) -> Result<i64, Errno> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    let value = i64::try_from(unsigned(digits)?).map_err(|_| Errno::EINVAL)?;
    Ok(if negative { -value } else { value })
}

fn unsigned(digits: &str) -> Result<u64, Errno> {
    whole(digits).ok_or(Errno::EINVAL)
}

/// A text that is one number, with at most one newline (`kstrtoul` with base 0).
///
/// # Errors
///
/// `EINVAL` for anything else.
pub fn kstrtoul(text: &str) -> Result<u64, Errno> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    unsigned(text.strip_prefix('+').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_the_kernel_reads_them() {
        for (text, expected) in [
            ("1\n", Ok(vec![1])),
            ("  7 8", Ok(vec![7, 8])),
            ("0x10", Ok(vec![16])),
            ("010", Ok(vec![8])),
            ("-1", Ok(vec![-1])),
            ("0", Ok(vec![0])),
            ("", Err(Errno::EINVAL)),
            ("\n", Err(Errno::EINVAL)),
            ("on", Err(Errno::EINVAL)),
            ("1x", Err(Errno::EINVAL)),
            ("1 x", Err(Errno::EINVAL)),
            ("99999999999999999999999", Err(Errno::EINVAL)),
        ] {
            assert_eq!(vector(text, 2), expected, "{text:?}");
        }
    }
}
