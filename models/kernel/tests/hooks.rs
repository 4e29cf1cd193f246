//! Hooks take any number of functions, and each function of a hook sees the packet.

use glassnet_kernel::hook::{HookOps, Verdict};
use glassnet_kernel::ids::{CpuId, MachineId, SkbId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::netfilter::core::nf_hook;
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::netfilter::{Hook, HookState, Pf, Site};
use glassnet_kernel::{Cx, World};

/// Says in the kernel's log that it was asked.
fn tell(cx: &mut Cx, _: SkbId, _: &HookState, private: u32) -> Verdict {
    cx.printk(6, private.to_string());
    Verdict::Accept
}

fn refuse(cx: &mut Cx, skb: SkbId, state: &HookState, private: u32) -> Verdict {
    tell(cx, skb, state, private);
    Verdict::Drop(DropReason::NetfilterDrop)
}

/// Who was asked about a packet for this machine, and how many packets were dropped.
fn asked(all: &[HookOps]) -> (Vec<u32>, u64) {
    let (machine, cpu) = (MachineId(0), CpuId(0));
    let mut world = World::new(1);
    world.add_machine("m", 1);
    world.enter(machine, cpu, |cx| {
        for ops in all {
            cx.k.netns[INIT_NET].hooks.register(&mut cx.k.nf_hooks_needed, *ops);
        }
        let skb = cx.skbs.alloc_skb(100, cx.k.netns[INIT_NET].loopback);
        let door = nf_hook(cx, Site::IpLocalDeliver, skb);
        cx.walk(door);
    });
    let kernel = world.kernel(machine);
    let numbers = kernel.log.lines().map(|line| line.text.parse().expect("a number"));
    (numbers.collect(), kernel.drops.get(&DropReason::NetfilterDrop).copied().unwrap_or(0))
}

fn ops(number: u32, priority: i32) -> HookOps {
    HookOps {
        name: "tell",
        pf: Pf::Ipv4,
        hook: Hook::LocalIn,
        priority,
        function: tell,
        private: number,
        depends_on_flow_only: false,
    }
}

#[test]
fn forty_functions_see_a_packet_in_the_order_of_their_priorities() {
    // 27 and 40 have no common divisor: every priority comes once.
    let all: Vec<HookOps> = (0..40).map(|n| ops(n * 27 % 40, (n * 27 % 40) as i32 - 20)).collect();
    assert_eq!(asked(&all), ((0..40).collect(), 0));
}

#[test]
fn nobody_is_asked_after_the_function_that_drops() {
    let mut all: Vec<HookOps> = (0..40).map(|n| ops(n, n as i32)).collect();
    all[30] = HookOps { name: "refuse", function: refuse, ..all[30] };
    assert_eq!(asked(&all), ((0..=30).collect(), 1));
}
