//! Random accounting objects.

use super::CaseDraw;

impl CaseDraw {
    /// Text for `nfacct restore`: one to three objects, some with a quota that packets of the case reach.
    pub(super) fn make_accounts(&mut self) -> Vec<String> {
        self.accounts = 1 + self.below(3);
        (0..self.accounts)
            .map(|at| {
                let (pkts, bytes) = (self.below(3), self.below(200));
                let quota = match self.below(4) {
                    0 => format!(", quota = {}, mode = packet", self.below(5)),
                    1 => format!(", quota = {}, mode = byte", self.below(300)),
                    _ => String::new(),
                };
                format!("{{ pkts = {pkts}, bytes = {bytes}{quota} }} = acct{at};")
            })
            .collect()
    }
}
