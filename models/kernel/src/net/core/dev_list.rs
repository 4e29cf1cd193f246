//! Packets of one poll enter the stack together.
//!
//! Kernel: net/core/dev.c (`netif_receive_skb_list_internal`, `__netif_receive_skb_list_core`)

use std::mem::{discriminant, take};

use super::rps::get_rps_cpu;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::SkbId;

/// Receives packets, except those that other CPUs are to receive; the list is empty afterwards.
pub fn netif_receive_skb_list_internal(cx: &mut Cx, list: &mut Vec<SkbId>) {
    cx.within(Func::NetifReceiveSkbListInternal, None, |cx| {
        if cx.k.core.rps_needed {
            list.retain(|skb| match get_rps_cpu(cx, *skb) {
                Some(cpu) => {
                    cx.walk(Door::EnqueueToBacklog { skb: *skb, cpu: cpu.0 as u16 });
                    false
                }
                None => true,
            });
        }
        if !list.is_empty() {
            cx.within(Func::NetifReceiveSkbListCore, None, |cx| __netif_receive_skb_list_core(cx, list));
        }
    });
}

/// Each packet goes to the taps and to its device's `rx_handler`; what is left goes to its protocol, with those before it that
/// the same device received for the same protocol.
fn __netif_receive_skb_list_core(cx: &mut Cx, list: &mut Vec<SkbId>) {
    let mut sublist = take(&mut cx.k.cpus[cx.cpu.index()].gro.spare[1]);
    let mut kind = None;
    for skb in list.drain(..) {
        let dev = cx.skbs[skb].dev;
        cx.k.cpus[cx.cpu.index()].stat.processed += 1;
        let door = cx.enter_door(Door::NetifReceiveSkbCore { skb });
        match door {
            Door::IpRcv { skb } | Door::ArpRcv { skb } => {
                let next = Some((discriminant(&door), dev));
                if std::mem::replace(&mut kind, next) != next {
                    deliver(cx, &mut sublist);
                }
                sublist.push(skb);
            }
            door => cx.walk(door),
        }
    }
    deliver(cx, &mut sublist);
    cx.k.cpus[cx.cpu.index()].gro.spare[1] = sublist;
}

/// Gives packets of one device to their protocol (`__netif_receive_skb_list_ptype`).
fn deliver(cx: &mut Cx, sublist: &mut Vec<SkbId>) {
    let Some(first) = sublist.first() else { return };
    match super::gro::offload(cx, *first) {
        Some(offload) => (offload.list_rcv)(cx, sublist),
        None => sublist.drain(..).for_each(|skb| cx.walk(Door::ArpRcv { skb })),
    }
}
