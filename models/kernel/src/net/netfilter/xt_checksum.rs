//! Target `CHECKSUM`.
//!
//! Kernel: net/netfilter/xt_CHECKSUM.c

use crate::Cx;
use crate::extension::{Limits, Par, TargetVerdict, XtTarget};
use crate::module::Module;
use crate::tables::xt::{TableName, Variant};

/// `CHECKSUM --checksum-fill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum;

impl XtTarget for Checksum {
    const NAME: &'static str = "CHECKSUM";

    /// Nothing is left to do: packets of the model have their checksums, which under Linux may be left to the device.
    fn target(&mut self, _: &mut Cx, _: &mut Par) -> TargetVerdict {
        TargetVerdict::Continue
    }

    fn limits(_: Variant) -> Limits {
        Limits::table(TableName::Mangle)
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { targets: &[Checksum::NAME], ..Module::named("xt_CHECKSUM") }];
