//! IP options of received packets.
//!
//! Kernel: net/ipv4/ip_options.c
//! Not modelled: routes and times that routers record (a packet keeps its options as they are), security labels.

/// End of the options.
const IPOPT_END: u8 = 0;
/// No operation.
const IPOPT_NOOP: u8 = 1;
/// Record route.
const IPOPT_RR: u8 = 7;
/// Timestamps.
const IPOPT_TIMESTAMP: u8 = 68;
/// Loose source route.
const IPOPT_LSRR: u8 = 131;
/// Strict source route.
const IPOPT_SSRR: u8 = 137;
/// Router alert.
const IPOPT_RA: u8 = 148;

/// What a packet's options ask for (`struct ip_options`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpOptions {
    /// A source route.
    pub srr: bool,
    /// A recorded route.
    rr: bool,
    /// Timestamps.
    ts: bool,
}

/// Checks options (`__ip_options_compile`).
///
/// # Errors
///
/// Where the first malformed one is wrong: an offset from the beginning of the options.
pub fn ip_options_compile(options: &[u8]) -> Result<IpOptions, usize> {
    let (mut found, mut at) = (IpOptions::default(), 0);
    while let Some(kind) = options.get(at) {
        match *kind {
            IPOPT_END => break,
            IPOPT_NOOP => {
                at += 1;
                continue;
            }
            _ => {}
        }
        let left = &options[at..];
        let len = left.get(1).map(|len| usize::from(*len)).filter(|len| (2..=left.len()).contains(len));
        let option = &left[..len.ok_or(at)?];
        compile_one(&mut found, option).map_err(|wrong| at + wrong)?;
        at += option.len();
    }
    Ok(found)
}

/// Checks an option of at least two bytes.
fn compile_one(found: &mut IpOptions, option: &[u8]) -> Result<(), usize> {
    let pointer = option.get(2).map_or(0, |pointer| usize::from(*pointer));
    // Bytes that an entry takes behind the pointer's.
    let (seen, least, first, entry) = match option[0] {
        IPOPT_SSRR | IPOPT_LSRR => (Some(&mut found.srr), 3, 4, 0),
        IPOPT_RR => (Some(&mut found.rr), 3, 4, 3),
        IPOPT_TIMESTAMP => {
            let entry = match option.get(3).map_or(0, |flags| flags & 15) {
                0 => 3,
                1 | 3 => 7,
                _ => 0,
            };
            (Some(&mut found.ts), 4, 5, entry)
        }
        IPOPT_RA => (None, 4, 0, 0),
        _ => return Ok(()),
    };
    if option[0] == IPOPT_RR || option[0] == IPOPT_TIMESTAMP {
        // These are looked at for a second one first.
        if seen.as_ref().is_some_and(|seen| **seen) {
            return Err(0);
        }
    }
    if option.len() < least {
        return Err(1);
    }
    if pointer < first || entry > 0 && pointer <= option.len() && pointer + entry > option.len() {
        return Err(2);
    }
    let Some(seen) = seen else { return Ok(()) };
    if std::mem::replace(seen, true) {
        return Err(0);
    }
    // No room for a timestamp: routers that had none are counted, up to 15.
    let full = option[0] == IPOPT_TIMESTAMP && pointer > option.len();
    if full && option[3] & 15 != 3 && option[3] >> 4 == 15 { Err(3) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_options_are_found_where_they_are_wrong() {
        let cases: [(&[u8], Result<IpOptions, usize>); 16] = [
            (&[1, 1, 1, 0], Ok(IpOptions::default())),
            (&[0, 7, 1, 1], Ok(IpOptions::default())),
            (&[7, 7, 4, 0, 0, 0, 0, 0], Ok(IpOptions { rr: true, ..IpOptions::default() })),
            // It is full.
            (&[7, 7, 8, 0, 0, 0, 0, 0], Ok(IpOptions { rr: true, ..IpOptions::default() })),
            (&[131, 7, 4, 0, 0, 0, 0, 0], Ok(IpOptions { srr: true, ..IpOptions::default() })),
            (&[68, 8, 5, 0, 0, 0, 0, 0], Ok(IpOptions { ts: true, ..IpOptions::default() })),
            (&[148, 4, 0, 0], Ok(IpOptions::default())),
            (&[130, 4, 0, 0], Ok(IpOptions::default())),
            (&[1, 7, 9, 0], Err(1)),
            (&[1, 1, 1, 7], Err(3)),
            (&[7, 1, 4, 0], Err(0)),
            (&[7, 7, 3, 0, 0, 0, 0, 0], Err(2)),
            (&[7, 7, 5, 0, 0, 0, 0, 0], Err(2)),
            (&[7, 3, 4, 7, 3, 4, 0, 0], Err(3)),
            (&[68, 4, 5, 0xf0], Err(3)),
            (&[131, 3, 4, 137, 3, 4, 0, 0], Err(3)),
        ];
        for (options, expected) in cases {
            assert_eq!(ip_options_compile(options), expected, "{options:?}");
        }
    }
}
