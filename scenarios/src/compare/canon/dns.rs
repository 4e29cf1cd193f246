//! What chance decides in messages of DNS.

/// Bytes of a message before its questions.
const HEADER: usize = 12;
/// The record of EDNS (RFC 6891), and its option that holds a cookie (RFC 7873).
const OPT: u16 = 41;
const COOKIE: u16 = 10;

/// Zeroes the cookies of a message; false: it is none.
pub(super) fn zero_cookies(message: &mut [u8]) -> bool {
    let count = |at: usize| u16_at(message, at).map(usize::from);
    let counts = [4, 6, 8, 10].map(count);
    let [Some(questions), Some(answers), Some(authorities), Some(additional)] = counts else { return false };
    let mut at = HEADER;
    for _ in 0..questions {
        let Some(behind) = behind_name(message, at) else { return false };
        at = behind + 4;
    }
    for _ in 0..answers + authorities + additional {
        let Some(behind) = behind_name(message, at) else { return false };
        let (Some(kind), Some(length)) = (u16_at(message, behind), u16_at(message, behind + 8)) else {
            return false;
        };
        let data = behind + 10;
        at = data + usize::from(length);
        if kind == OPT
            && let Some(options) = message.get_mut(data..at)
        {
            zero_cookies_of(options);
        }
    }
    at == message.len()
}

/// Zeroes the cookies among the options of EDNS.
fn zero_cookies_of(mut options: &mut [u8]) {
    while let (Some(code), Some(length)) = (u16_at(options, 0), u16_at(options, 2)) {
        let end = (4 + usize::from(length)).min(options.len());
        if code == COOKIE {
            options[4..end].fill(0);
        }
        options = &mut options[end..];
    }
}

/// Where a name ends: behind its last label, or behind what points to another name.
fn behind_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 != 0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_become_zero() {
        let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1];
        message.extend(b"\x02db\x01x\x00\x00\x01\x00\x01");
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0, 0, 1]);
        message.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 18, 0, 3, 0, 2, 7, 7, 0, 10, 0, 8]);
        message.extend([9; 8]);
        let mut zeroed = message.clone();
        assert!(zero_cookies(&mut zeroed));
        let end = message.len() - 8;
        assert_eq!((&zeroed[..end], &zeroed[end..]), (&message[..end], &[0; 8][..]));
        for cut in 0..message.len() {
            assert!(!zero_cookies(&mut message[..cut].to_vec()), "{cut}");
        }
    }
}
