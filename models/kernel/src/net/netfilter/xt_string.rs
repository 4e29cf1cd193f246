//! `-m string`.
//!
//! Kernel: net/netfilter/xt_string.c, and `skb_find_text` of net/core/skbuff.c as it is since Linux 6.2: the whole pattern
//! lies before `--to`

use crate::Cx;
use crate::extension::{Par, Place, Refused, XtMatch};
use crate::module::Module;
use crate::netlink::Errno;
use crate::tables::xt::Rule;

/// `string` (`struct xt_string_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringMatch {
    /// `!`.
    pub invert: bool,
    /// `--algo`, at most 15 bytes: `bm`, `kmp` or `fsm`, else the kernel refuses.
    pub algo: String,
    /// `--from`, bytes.
    pub from: u16,
    /// `--to`, bytes.
    pub to: u16,
    /// `--icase`.
    pub icase: bool,
    /// `--string` or `--hex-string`, at most 128 bytes.
    pub pattern: Vec<u8>,
}

impl XtMatch for StringMatch {
    const NAME: &'static str = "string";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        string_mt(cx, par, self)
    }

    fn check(&self, _: Place, _: &Rule) -> Result<(), Refused> {
        match self.algo.as_str() {
            _ if self.from > self.to || self.pattern.is_empty() => Err(Refused::silent(Errno::EINVAL)),
            "bm" | "kmp" => Ok(()),
            _ => Err(Refused::silent(Errno::ENOENT)),
        }
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[StringMatch::NAME], ..Module::named("xt_string") }];

/// The pattern occurs in the packet, counted from the IP header.
pub fn string_mt(cx: &mut Cx, par: &mut Par, with: &StringMatch) -> bool {
    found(cx.skbs.data(par.skb), with) != with.invert
}

fn found(bytes: &[u8], with: &StringMatch) -> bool {
    let to = usize::from(with.to).min(bytes.len());
    let Some(bytes) = bytes.get(usize::from(with.from)..to.max(usize::from(with.from))) else { return false };
    bytes.windows(with.pattern.len().max(1)).any(|window| match with.icase {
        true => window.eq_ignore_ascii_case(&with.pattern),
        false => window == with.pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_between_from_and_to_and_in_any_case_if_asked() {
        let with = |from, to, icase, pattern: &str| StringMatch {
            invert: false,
            algo: "bm".to_owned(),
            from,
            to,
            icase,
            pattern: pattern.into(),
        };
        let bytes = b"....GET /index";
        assert!(found(bytes, &with(0, u16::MAX, false, "GET")));
        assert!(!found(bytes, &with(5, u16::MAX, false, "GET")));
        assert!(!found(bytes, &with(0, 6, false, "GET")));
        assert!(found(bytes, &with(4, 7, true, "get")));
        assert!(!found(bytes, &with(100, 200, false, "GET")));
    }
}
