//! Interrupts: which there are, which CPU gets each, and how many each CPU took.
//!
//! Kernel: include/linux/irqdesc.h, kernel/irq/manage.c, kernel/irq/matrix.c

use std::collections::BTreeMap;

use super::cpumask::CpuMask;
use crate::ids::CpuId;
use crate::netlink::Errno;

/// The first number of a message-signalled interrupt on x86, behind those of the IO-APIC.
const FIRST_MSI: u32 = 24;

/// The numbers of the four lines of a PCI bus behind a PIIX3, by slots.
const LINES: [u32; 4] = [10, 10, 11, 11];
/// The first number of the IO-APIC beyond those of old devices.
const FIRST_SHARED: u32 = 16;

/// An interrupt (`struct irq_desc`).
#[derive(Clone, Debug)]
pub struct IrqDesc {
    /// Who raises it, such as `PCI-MSI`.
    pub chip: &'static str,
    /// Its number there.
    pub hwirq: u32,
    /// Who handles it; `None`: nobody does.
    pub action: Option<String>,
    /// The CPUs that may get it (`smp_affinity`).
    pub affinity: CpuMask,
    /// The one that does (`effective_affinity`).
    pub effective: CpuId,
    /// How many each CPU took.
    pub counts: Vec<u64>,
}

impl IrqDesc {
    /// How the chip tells the end of an interrupt.
    pub fn flow(&self) -> &'static str {
        if self.chip == "IO-APIC" { "fasteoi" } else { "edge" }
    }
}

/// The interrupts of a machine, by their numbers.
#[derive(Debug, Default)]
pub struct Irqs {
    descs: BTreeMap<u32, IrqDesc>,
}

impl Irqs {
    /// A new message-signalled interrupt, which nobody handles yet (`pci_alloc_irq_vectors`).
    pub fn alloc_msi(&mut self, hwirq: u32, cpus: usize) -> u32 {
        let irq = self.descs.last_key_value().map_or(FIRST_MSI, |(last, _)| last + 1);
        self.alloc(irq, "PCI-MSI", hwirq, cpus);
        irq
    }

    /// The interrupt of the line of the PCI bus that a card in a slot has, or of another if that is taken.
    pub fn alloc_line(&mut self, slot: u32, cpus: usize) -> u32 {
        let line = LINES[slot as usize % LINES.len()];
        let irq = [line].into_iter().chain(FIRST_SHARED..FIRST_MSI).find(|irq| !self.descs.contains_key(irq));
        let irq = irq.unwrap_or(line);
        self.alloc(irq, "IO-APIC", irq, cpus);
        irq
    }

    fn alloc(&mut self, irq: u32, chip: &'static str, hwirq: u32, cpus: usize) {
        let affinity = CpuMask::first(cpus);
        let (action, effective, counts) = (None, CpuId(0), vec![0; cpus]);
        self.descs.insert(irq, IrqDesc { chip, hwirq, action, affinity, effective, counts });
    }

    /// Somebody handles an interrupt from now on (`request_irq`).
    pub fn request(&mut self, irq: u32, name: String) {
        let Some(desc) = self.descs.get(&irq) else { return };
        let effective = self.choose(irq, desc.affinity);
        if let Some(desc) = self.descs.get_mut(&irq) {
            (desc.action, desc.effective) = (Some(name), effective);
        }
    }

    /// Nobody does any more (`free_irq`).
    pub fn free(&mut self, irq: u32) {
        if let Some(desc) = self.descs.get_mut(&irq) {
            desc.action = None;
        }
    }

    /// The interrupt is gone (`pci_free_irq_vectors`).
    pub fn release(&mut self, irq: u32) {
        self.descs.remove(&irq);
    }

    /// The CPU with the fewest interrupts of those that may get it, the first of equals (`irq_matrix_alloc`).
    fn choose(&self, irq: u32, affinity: CpuMask) -> CpuId {
        let has = |cpu: CpuId| {
            let others = self.descs.iter().filter(|(number, _)| **number != irq);
            others.filter(|(_, desc)| desc.action.is_some() && desc.effective == cpu).count()
        };
        affinity.iter().min_by_key(|cpu| has(*cpu)).unwrap_or(CpuId(0))
    }

    /// Says which CPUs may get an interrupt (`irq_set_affinity`).
    ///
    /// # Errors
    ///
    /// `EINVAL` for none.
    pub fn set_affinity(&mut self, irq: u32, affinity: CpuMask) -> Result<(), Errno> {
        if affinity.is_empty() {
            return Err(Errno::EINVAL);
        }
        let chosen = self.choose(irq, affinity);
        if let Some(desc) = self.descs.get_mut(&irq) {
            desc.affinity = affinity;
            if !affinity.contains(desc.effective) {
                desc.effective = chosen;
            }
        }
        Ok(())
    }

    /// An interrupt.
    #[inline]
    pub fn get(&self, irq: u32) -> Option<&IrqDesc> {
        self.descs.get(&irq)
    }

    /// A CPU takes an interrupt.
    #[inline]
    pub fn count(&mut self, irq: u32, cpu: CpuId) {
        if let Some(desc) = self.descs.get_mut(&irq) {
            desc.counts[cpu.index()] += 1;
        }
    }

    /// All interrupts, by their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &IrqDesc)> {
        self.descs.iter().map(|(irq, desc)| (*irq, desc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_are_spread_over_the_cpus_that_may_get_them() {
        let mut irqs = Irqs::default();
        let numbers: Vec<u32> = (0..3).map(|vector| irqs.alloc_msi(vector, 2)).collect();
        assert_eq!(numbers, [24, 25, 26]);
        numbers.iter().for_each(|irq| irqs.request(*irq, "eth0".to_owned()));
        let effective = |irqs: &Irqs| {
            numbers.iter().map(|irq| irqs.get(*irq).expect("it is there").effective.0).collect::<Vec<_>>()
        };
        assert_eq!(effective(&irqs), [0, 1, 0]);
        irqs.set_affinity(24, CpuMask(2)).expect("a CPU");
        assert_eq!(effective(&irqs), [1, 1, 0]);
        irqs.set_affinity(24, CpuMask(3)).expect("two CPUs");
        assert_eq!(effective(&irqs), [1, 1, 0], "it stays where it may");
        assert_eq!(irqs.set_affinity(24, CpuMask(0)), Err(Errno::EINVAL));
    }
}
