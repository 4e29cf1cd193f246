//! The shape of what `tc` knows of a kind of queueing discipline (`struct qdisc_util`), and the list of all.

use glassnet_kernel::qdisc::QdiscData;

use super::{q_fifo, q_fq, q_fq_codel, q_htb, q_ingress, q_netem, q_prio, q_tbf};
use crate::iproute2::args::{Args, Done, Stop};
use crate::iproute2::out::Out;

/// Settings that were read.
pub type Options = Option<Box<dyn QdiscData>>;

/// How things are printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// `-d`.
    pub details: bool,
    /// `-r`.
    pub raw: bool,
    /// `-iec`.
    pub iec: bool,
}

/// A kind. What is `None` it does not have.
pub struct Kind {
    /// Its name.
    pub id: &'static str,
    /// Reads the words behind its name.
    pub parse: fn(&mut Args, &'static str) -> Done<Options>,
    /// Prints its settings.
    pub print: fn(&mut Out, &dyn QdiscData, &'static str, Shown),
    /// Prints its own counters.
    pub print_xstats: Option<fn(&mut Out, &dyn QdiscData)>,
    /// Reads the words behind its name in `tc class`.
    pub parse_class: Option<fn(&mut Args) -> Done<Options>>,
}

impl Kind {
    /// The base of a row.
    pub const fn new(
        id: &'static str,
        parse: fn(&mut Args, &'static str) -> Done<Options>,
        print: fn(&mut Out, &dyn QdiscData, &'static str, Shown),
    ) -> Kind {
        Kind { id, parse, print, print_xstats: None, parse_class: None }
    }
}

/// All kinds.
static KINDS: &[&Kind] = &[
    &q_fifo::PFIFO,
    &q_fifo::BFIFO,
    &q_fifo::PFIFO_HEAD_DROP,
    &q_fq::FQ,
    &q_fq_codel::FQ_CODEL,
    &q_htb::HTB,
    &q_ingress::INGRESS,
    &q_ingress::CLSACT,
    &q_netem::NETEM,
    &q_prio::PRIO,
    &q_prio::PFIFO_FAST,
    &q_tbf::TBF,
];

/// Kinds that the real `tc` knows and the model does not.
const NOT_MODELLED: &str = "atm cake cbq cbs choke codel drr dsmark etf ets fq_pie gred hfsc hhf mqprio multiq \
     pie plug qfq red rr sfb sfq skbprio taprio teql";

/// A kind by its name.
///
/// # Errors
///
/// "not modelled yet" for kinds that only the real `tc` knows.
pub fn get_qdisc_kind(id: &str) -> Done<Option<&'static Kind>> {
    if NOT_MODELLED.split_whitespace().any(|known| known == id) {
        return Err(Stop::error(2, format!("not modelled yet: tc qdisc … {id}\n")));
    }
    Ok(KINDS.iter().find(|kind| kind.id == id).copied())
}
