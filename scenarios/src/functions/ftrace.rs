//! The text of the kernel's `function_graph` tracer, as a recording.
//!
//! ```text
//!    28.262026 |   0)    ping-179    |  ...1. |               |  ip_output() {
//!    28.262033 |   0)    ping-179    |  ...1. |   1.230 us    |    nf_hook_slow();
//! ```
//!
//! Linux: kernel/trace/trace_functions_graph.c

use std::collections::{BTreeMap, BTreeSet};

use glassnet_kernel::class::Class;
use glassnet_kernel::door::Func;

use super::{Call, Context, Prompt, Recording, Run};
use crate::error::BackendError;
use crate::plan::Plan;

/// What is written among the events when a prompt begins, with the prompt's number behind it.
pub const MARK: &str = "glassnet prompt ";

/// How many traced functions may be within each other; the tracer does not see those that are deeper
/// (`FTRACE_RETFUNC_DEPTH`).
const DEEPEST: usize = 50;

/// What a run may be of, by the function that it begins in. These are traced for that only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Border {
    /// Something new begins: a system call, the last use of a socket, a timer, a work of a kernel's thread.
    Begins,
    /// The same, but [its own](is_own) functions are set aside.
    Aside,
}

/// All borders.
const BORDERS: [(&str, Border); 32] = [
    ("__x64_sys_accept", Border::Begins),
    ("__x64_sys_accept4", Border::Begins),
    ("__x64_sys_connect", Border::Begins),
    ("__x64_sys_ioctl", Border::Begins),
    ("__x64_sys_read", Border::Begins),
    ("__x64_sys_readv", Border::Begins),
    ("__x64_sys_recvfrom", Border::Begins),
    ("__x64_sys_recvmmsg", Border::Begins),
    ("__x64_sys_recvmsg", Border::Begins),
    ("__x64_sys_sendmmsg", Border::Begins),
    ("__x64_sys_sendmsg", Border::Begins),
    ("__x64_sys_sendto", Border::Begins),
    ("__x64_sys_setsockopt", Border::Begins),
    ("__x64_sys_shutdown", Border::Begins),
    ("__x64_sys_write", Border::Begins),
    ("__x64_sys_writev", Border::Begins),
    ("__sock_release", Border::Begins),
    ("call_timer_fn", Border::Begins),
    ("process_one_work", Border::Begins),
    // Messages of netlink, and of local sockets, are in packet buffers.
    ("kobject_uevent_env", Border::Aside),
    ("netlink_broadcast", Border::Aside),
    ("netlink_sendmsg", Border::Aside),
    ("netlink_recvmsg", Border::Aside),
    ("netlink_release", Border::Aside),
    ("unix_accept", Border::Aside),
    ("unix_dgram_recvmsg", Border::Aside),
    ("unix_dgram_sendmsg", Border::Aside),
    ("unix_release", Border::Aside),
    ("unix_stream_connect", Border::Aside),
    ("unix_stream_recvmsg", Border::Aside),
    ("unix_stream_sendmsg", Border::Aside),
    // Sockets of every kind whose last use was long ago are freed, netlink's too.
    ("rcu_do_batch", Border::Aside),
];

fn border(name: &str) -> Option<Border> {
    BORDERS.iter().find(|(of, _)| *of == name).map(|(_, border)| *border)
}

/// A function that the kernel can trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Its line in `available_filter_functions`, from 1: writing that is much faster than writing the name.
    pub index: usize,
    /// Its name in the table of functions.
    pub name: &'static str,
}

/// Those of the kernel's `available_filter_functions` that are in the table of functions, or are [borders](Border).
pub fn traced(available: &str) -> Vec<Traced> {
    let rows = Func::ALL.iter().map(|func| (func.name(), func.row().file));
    let wanted: BTreeMap<_, _> = rows.chain(BORDERS.map(|(name, _)| (name, ""))).collect();
    let mut found: BTreeMap<&str, Vec<(usize, bool)>> = BTreeMap::new();
    for (at, line) in available.lines().enumerate() {
        let (name, module) = line.split_once(" [").map_or((line, ""), |(name, module)| (name, module));
        let Some((name, file)) = wanted.get_key_value(plain(name)) else { continue };
        let is_of_file = file.strip_suffix(".c").is_some_and(|file| {
            file.rsplit('/').next().is_some_and(|stem| module.trim_end_matches(']') == stem)
        });
        found.entry(name).or_default().push((at + 1, is_of_file));
    }
    let mut traced = Vec::new();
    for (name, mut places) in found {
        // Static functions of several modules may have one name.
        if places.len() > 1 && places.iter().any(|(_, is_of_file)| *is_of_file) {
            places.retain(|(_, is_of_file)| *is_of_file);
        }
        traced.extend(places.into_iter().map(|(index, _)| Traced { index, name }));
    }
    traced
}

/// Whether what is [aside](Border::Aside) calls this for itself: to take and free buffers, or to look up an address that it is
/// told of.
fn is_own(name: &str) -> bool {
    let own = |func: &Func| func.row().class == Class::Skb || *func == Func::FibTableLookup;
    Func::ALL.iter().any(|func| func.name() == name && own(func))
}

/// The names in the table of functions, sorted.
pub fn names(traced: &[Traced]) -> Vec<String> {
    let names = traced.iter().map(|function| function.name).filter(|name| border(name).is_none());
    let names: BTreeSet<_> = names.collect();
    names.into_iter().map(str::to_owned).collect()
}

/// A name without what the compiler adds to that of a copy of a function, such as `.constprop.0`.
fn plain(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// The recording of a plan that ran; `trace` is what the tracer printed, with a [mark](MARK) before each prompt.
///
/// # Errors
///
/// [`BackendError::NotUnderstood`] for a line that is not one of the tracer's, or if events were lost.
pub fn from_trace(
    plan: &Plan,
    kernel: &str,
    traced: &[Traced],
    trace: &str,
) -> Result<Recording, BackendError> {
    let prompts = plan.blocks.iter().flat_map(|block| &block.prompts).map(|prompt| Prompt {
        line: prompt.line,
        machine: prompt.machine.clone(),
        command: prompt.command.clone(),
        runs: Vec::new(),
    });
    let mut reader = Reader { prompts: prompts.collect(), now: None, open: BTreeMap::new(), deepest: 0 };
    for line in trace.lines() {
        let error = |what: &str| BackendError::NotUnderstood { what: what.to_owned(), line: line.to_owned() };
        reader.line(line).ok_or_else(|| error("the function tracer's text"))?;
        if reader.deepest + 1 >= DEEPEST {
            return Err(error("a function so deep that the tracer does not see others within it"));
        }
    }
    Ok(Recording {
        lesson: plan.lesson.clone(),
        kernel: kernel.to_owned(),
        traced: names(traced),
        prompts: reader.prompts,
    })
}

/// A run that is not over.
struct Open {
    context: Context,
    /// How deep its first function is, as the tracer prints it.
    base: usize,
    /// The depths of the functions of this run that are entered and not left, as the tracer prints them.
    depths: Vec<usize>,
    /// Its own functions are set aside.
    aside: bool,
    /// Of which prompt, and which of its runs; none: nothing was seen in it yet.
    at: Option<(usize, usize)>,
}

struct Reader {
    prompts: Vec<Prompt>,
    /// The current prompt.
    now: Option<usize>,
    /// Runs of each thread, the innermost last. An idle CPU is a thread of its own.
    open: BTreeMap<(u32, usize), Vec<Open>>,
    /// In how many traced functions the deepest was.
    deepest: usize,
}

impl Reader {
    /// None: the line is not understood.
    fn line(&mut self, line: &str) -> Option<()> {
        let is_switch = line.starts_with(" ---") || line.contains(" => ");
        if line.is_empty() || line.starts_with('#') || is_switch {
            return Some(());
        }
        let mut columns = line.splitn(5, '|');
        let (_time, task, flags) = (columns.next()?, columns.next()?, columns.next()?);
        let (_duration, text) = (columns.next()?, columns.next()?);
        let depth = (text.len() - text.trim_start().len()).checked_sub(2)? / 2;
        let text = text.trim();
        if let Some(comment) = text.strip_prefix("/*") {
            let comment = comment.trim_end_matches("*/").trim();
            if let Some(number) = comment.strip_prefix(MARK) {
                self.now = Some(number.trim().parse().ok()?);
            }
            return Some(());
        }
        let (cpu, task) = task.trim().split_once(')')?;
        let (cpu, pid) = (cpu.parse().ok()?, task.rsplit_once('-')?.1.trim().parse::<u32>().ok()?);
        let thread = (pid, if pid == 0 { cpu } else { 0 });
        if text.starts_with('}') {
            self.leave(thread, depth);
            return Some(());
        }
        let context = match flags.trim_start().chars().nth(2)? {
            'h' | 'H' => Context::HardIrq,
            's' => Context::SoftIrq,
            '.' => Context::Task,
            _ => return None,
        };
        let entered = text.strip_suffix(" {").or_else(|| text.strip_suffix(';'))?.strip_suffix("()")?;
        let name = entered.split_once(" [").map_or(entered, |(name, _)| name);
        self.enter(thread, cpu, context, depth, plain(name));
        if text.ends_with(';') {
            self.leave(thread, depth);
        }
        Some(())
    }

    fn leave(&mut self, thread: (u32, usize), depth: usize) {
        let Some(open) = self.open.get_mut(&thread) else { return };
        while let Some(run) = open.last_mut() {
            run.depths.retain(|entered| *entered < depth);
            if run.base < depth {
                break;
            }
            open.pop();
        }
    }

    fn enter(&mut self, thread: (u32, usize), cpu: usize, context: Context, depth: usize, name: &str) {
        self.deepest = self.deepest.max(depth);
        self.leave(thread, depth);
        let open = self.open.entry(thread).or_default();
        let border = border(name);
        if border.is_some() || open.last().is_none_or(|run| run.context != context) {
            let aside = border == Some(Border::Aside);
            open.push(Open { context, base: depth, depths: Vec::new(), aside, at: None });
        }
        let Some(run) = open.last_mut().filter(|_| border.is_none()) else { return };
        let Some(now) = self.now else { return };
        if run.aside && run.depths.is_empty() && is_own(name) {
            return;
        }
        // A system call may have waited since an earlier prompt.
        let (prompt, number) = *run.at.get_or_insert_with(|| {
            let runs = &mut self.prompts[now].runs;
            runs.push(Run { context, cpu, calls: Vec::new() });
            (now, runs.len() - 1)
        });
        let call = Call { depth: run.depths.len(), name: name.to_owned() };
        self.prompts[prompt].runs[number].calls.push(call);
        run.depths.push(depth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{PlannedBlock, PlannedPrompt};

    const TRACE: &str = "\
# tracer: function_graph
   28.262000 |   0)    <...>-1      |  ...1. |               |  /* glassnet prompt 0 */
   28.262001 |   1)    ping-x-179   |  ...1. |               |  __x64_sys_sendto() {
   28.262002 |   1)    ping-x-179   |  ...1. |   1.000 us    |    skb_clone();
   28.262026 |   1)    ping-x-179   |  ...1. |               |    ip_output() {
 ------------------------------------------
 0)    <idle>-0    =>    ping-170   
 ------------------------------------------

   28.262027 |   0)    <idle>-0     |  d.h2. |   1.230 us    |  e1000_intr_msix_rx [e1000e]();
   28.262028 |   1)    ping-x-179   |  D.h2. |               |      e1000_intr_msix_tx [e1000e]() {
   28.262029 |   1)    ping-x-179   |  D.h2. |   1.230 us    |        consume_skb();
   28.262030 |   1)    ping-x-179   |  D.h1. |   1.230 us    |      } /* e1000_intr_msix_tx [e1000e] */
   28.262033 |   1)    ping-x-179   |  ...1. |   1.230 us    |      nf_hook_slow.constprop.0();
   28.262034 |   1)    ping-x-179   |  ...1. |   1.230 us    |    }
   28.262035 |   1)    ping-x-179   |  ..s1. |   1.230 us    |    net_tx_action();
   28.262036 |   1)    ping-x-179   |  ...1. |   1.230 us    |  }
   28.262037 |   1)    ping-x-179   |  ...1. |               |  netlink_sendmsg() {
   28.262038 |   1)    ping-x-179   |  ...1. |   1.230 us    |    consume_skb();
   28.262038 |   1)    ping-x-179   |  ...1. |   1.230 us    |    arp_solicit() {
   28.262038 |   1)    ping-x-179   |  ...1. |   1.230 us    |      consume_skb();
   28.262038 |   1)    ping-x-179   |  ...1. |   1.230 us    |    }
   28.262039 |   1)    ping-x-179   |  ...1. |   1.230 us    |  }
";

    fn plan() -> Plan {
        let prompt = PlannedPrompt {
            line: 7,
            machine: "a".into(),
            command: "ping".into(),
            ..PlannedPrompt::default()
        };
        let blocks = vec![PlannedBlock { line: 6, prompts: vec![prompt] }];
        Plan { lesson: "x.md".into(), blocks, ..Plan::default() }
    }

    #[test]
    fn interrupts_and_softirqs_are_runs_of_their_own_and_netlinks_own_buffers_are_left_out() {
        let traced = [Traced { index: 1, name: "ip_output" }, Traced { index: 2, name: "netlink_sendmsg" }];
        let recording = from_trace(&plan(), "linux", &traced, TRACE).unwrap();
        let expected = "lesson x.md\nkernel linux\ntraced ip_output\nprompt 7 a \"ping\"\n\
            task 1\n skb_clone\n ip_output\n  nf_hook_slow\n\
            hardirq 0\n e1000_intr_msix_rx\nhardirq 1\n e1000_intr_msix_tx\n  consume_skb\n\
            softirq 1\n net_tx_action\ntask 1\n arp_solicit\n  consume_skb\n";
        assert_eq!(recording.to_string(), expected);
    }

    #[test]
    fn lost_events_and_other_words_are_errors() {
        for line in ["CPU:1 [LOST 34 EVENTS]", "hello", "  1 | 0) x-1 | ..... | | ip_rcv("] {
            let error = from_trace(&plan(), "linux", &[], line).unwrap_err();
            assert!(matches!(error, BackendError::NotUnderstood { .. }), "{line}: {error}");
        }
    }

    #[test]
    fn a_function_that_others_could_be_hidden_in_is_an_error() {
        let line = format!("1 | 0) x-1 | ..... | | {:99}ip_rcv();", "");
        let marked = format!("1 | 0) x-1 | ..... | |   /* {MARK}0 */\n{line}\n");
        let error = from_trace(&plan(), "linux", &[], &marked).unwrap_err().to_string();
        assert!(error.contains("deep"), "{error}");
    }

    #[test]
    fn a_name_of_several_modules_is_that_of_the_rows_file() {
        let available = "ip_rcv\nhelp [nf_conntrack_tftp]\nhelp [nf_conntrack_ftp]\nother\n\
                         __netif_receive_skb_core.constprop.0";
        let traced = traced(available);
        let found: Vec<_> = traced.iter().map(|function| (function.index, function.name)).collect();
        assert_eq!(found, [(5, "__netif_receive_skb_core"), (3, "help"), (1, "ip_rcv")]);
    }
}
