//! `/proc/interrupts` and `/proc/irq/**`.
//!
//! Kernel: kernel/irq/proc.c, arch/x86/kernel/irq.c

use std::fmt::Write;

use glassnet_kernel::Cx;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::cpumask::CpuMask;
use glassnet_kernel::tables::irq::IrqDesc;

use super::{DirEntry, File, Node, Tree, View};

/// The files.
pub const FILES: &[File] = &[File::new("interrupts", interrupts)];

/// `/proc/irq`.
pub const TREE: Tree =
    Tree { path: "proc/irq", is_there: |_| true, list, unlisted: |_, _| None, read, write };

/// Width of a number, or of the letters of an interrupt that has none.
const WIDTH: usize = 3;

/// Interrupts of network cards and of one CPU to another; others are not modelled.
fn interrupts(view: &View) -> String {
    let mut text = " ".repeat(WIDTH + 8);
    for cpu in 0..view.kernel.cpus.len() {
        let _ = write!(text, "CPU{cpu:<8}");
    }
    text.push('\n');
    for (irq, desc) in view.kernel.irqs.iter() {
        if desc.action.is_none() && desc.counts.iter().all(|count| *count == 0) {
            continue;
        }
        let _ = write!(text, "{irq:>WIDTH$}: ");
        desc.counts.iter().for_each(|count| _ = write!(text, "{count:>10} "));
        let _ = write!(text, " {:>8} {:>WIDTH$}-{:<8}", desc.chip, desc.hwirq, desc.flow());
        text += &desc.action.as_ref().map_or(String::new(), |name| format!("  {name}"));
        text.push('\n');
    }
    let _ = write!(text, "{:>WIDTH$}: ", "CAL");
    view.kernel.cpus.iter().for_each(|cpu| _ = write!(text, "{:>10} ", cpu.stat.call_interrupts));
    text + "  Function call interrupts\n"
}

/// Reads CPUs of a machine that has so many.
type Parse = fn(&str, usize) -> Result<CpuMask, Errno>;

/// A file of an interrupt's directory.
struct IrqFile {
    name: &'static str,
    mode: u16,
    show: fn(&IrqDesc, usize) -> String,
    parse: Option<Parse>,
}

const IRQ_FILES: &[IrqFile] = &[
    IrqFile {
        name: "effective_affinity",
        mode: 0o444,
        show: |desc, cpus| effective(desc).hex(cpus),
        parse: None,
    },
    IrqFile {
        name: "effective_affinity_list",
        mode: 0o444,
        show: |desc, _| effective(desc).list(),
        parse: None,
    },
    IrqFile {
        name: "smp_affinity",
        mode: 0o644,
        show: |desc, cpus| desc.affinity.hex(cpus),
        parse: Some(CpuMask::parse),
    },
    IrqFile {
        name: "smp_affinity_list",
        mode: 0o644,
        show: |desc, _| desc.affinity.list(),
        parse: Some(CpuMask::parse_list),
    },
];

fn effective(desc: &IrqDesc) -> CpuMask {
    CpuMask(1 << desc.effective.0)
}

/// The interrupt of a path, and what follows it.
fn find<'v, 'p>(view: &View<'v>, parts: &'p [&'p str]) -> Option<(u32, &'v IrqDesc, &'p [&'p str])> {
    let (number, rest) = parts.split_first()?;
    let irq = number.parse().ok().filter(|irq: &u32| irq.to_string() == **number)?;
    Some((irq, view.kernel.irqs.get(irq)?, rest))
}

fn list(view: &View, parts: &[&str]) -> Result<Vec<DirEntry>, Errno> {
    match (parts, find(view, parts)) {
        ([], _) => {
            let numbers = view.kernel.irqs.iter().map(|(irq, _)| (irq.to_string(), Node::Dir));
            Ok(numbers.chain([("default_smp_affinity".to_owned(), Node::RO)]).collect())
        }
        (["default_smp_affinity"], _) => Err(Errno::ENOTDIR),
        (_, Some((_, desc, []))) => {
            let files = IRQ_FILES.iter().map(|file| (file.name.to_owned(), Node::File { mode: file.mode }));
            let action = desc.action.iter().map(|name| (name.clone(), Node::Dir));
            Ok(files.chain(action).collect())
        }
        (_, Some((_, _, [name]))) if IRQ_FILES.iter().any(|file| file.name == *name) => Err(Errno::ENOTDIR),
        (_, Some((_, desc, [name]))) if desc.action.as_deref() == Some(*name) => Ok(Vec::new()),
        _ => Err(Errno::ENOENT),
    }
}

fn read(view: &View, parts: &[&str]) -> Result<String, Errno> {
    let cpus = view.kernel.cpus.len();
    if parts == ["default_smp_affinity"] {
        return Ok(CpuMask::first(cpus).hex(cpus) + "\n");
    }
    match find(view, parts) {
        Some((_, desc, [name])) => {
            let file = IRQ_FILES.iter().find(|file| file.name == *name).ok_or(Errno::ENOENT)?;
            Ok((file.show)(desc, cpus) + "\n")
        }
        _ if list(view, parts).is_ok() => Err(Errno::EISDIR),
        _ => Err(Errno::ENOENT),
    }
}

fn write(cx: &mut Cx, netns: NetnsId, parts: &[&str], text: &str) -> Result<(), Errno> {
    let view = View { kernel: cx.k, netns, now: cx.now };
    let cpus = view.kernel.cpus.len();
    let Some((irq, _, [name])) = find(&view, parts) else { return Err(Errno::EACCES) };
    let file = IRQ_FILES.iter().find(|file| file.name == *name).ok_or(Errno::EACCES)?;
    let affinity = file.parse.ok_or(Errno::EACCES)?(text, cpus)?;
    cx.k.irqs.set_affinity(irq, affinity)
}
