//! Capture files: a pcapng file per device, for Wireshark.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glassnet_kernel::World;
use glassnet_kernel::note::UdpTunnel;
use glassnet_kernel::tables::skb::PacketType;
use glassnet_kernel::trace::Frame;
use glassnet_userland::pcap::{Capture, Way};
use glassnet_userland::tcpdump::print::{Captured, LinkType};
use glassnet_wire::geneve::GENEVE_PORT;
use glassnet_wire::vxlan::VXLAN_PORT;

use super::names::Namespaces;
use super::udp_tunnel;
use crate::output::write_whole;

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Path.
    pub path: PathBuf,
    /// Number of frames.
    pub frames: usize,
}

/// Writes the frames that each device of an observed world sent and received to `directory`, which is created if
/// needed: a file `MACHINE.NETNS.DEVICE.pcapng` each, whole or not at all.
///
/// # Errors
///
/// The directory or a file could not be written; those before it are left.
pub fn write_captures(world: &World, names: &Namespaces, directory: &Path) -> io::Result<Vec<Written>> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(failed)?;
    let mut written = Vec::new();
    let decode_as = decode_as(world);
    for ((name, device), frames) in by_device(world, names) {
        let is_raw = frames.first().is_some_and(|frame| frame.arphrd.header_len() == 0);
        let link = if is_raw { LinkType::Raw } else { LinkType::Ethernet };
        let mut capture = Capture::new(&[(&device, link)], decode_as.as_deref());
        for frame in &frames {
            capture.packet(0, &captured(frame), way(frame));
        }
        let path = directory.join(format!("{name}.pcapng"));
        write_whole(&path, &capture.finish())?;
        written.push(Written { path, frames: frames.len() });
    }
    Ok(written)
}

/// How Wireshark, which knows only the assigned ports, reads tunnels on others; `None`: there is nothing to say.
fn decode_as(world: &World) -> Option<String> {
    let others = udp_tunnel::ports(&world.trace).into_iter().filter_map(|(port, kind)| {
        let (assigned, name, dissector) = match kind {
            UdpTunnel::Vxlan => (VXLAN_PORT, "VXLAN", "vxlan"),
            UdpTunnel::Geneve => (GENEVE_PORT, "Geneve", "geneve"),
            UdpTunnel::Fou(_) | UdpTunnel::Gue => return None,
        };
        (port != assigned).then(|| (name, format!("-d udp.port=={port},{dissector}")))
    });
    let (names, options): (BTreeSet<&str>, Vec<String>) = others.unzip();
    let names = Vec::from_iter(names).join(" and ");
    let verb = if names.contains(' ') { "are" } else { "is" };
    (!options.is_empty()).then(|| format!("{names} {verb} read by `tshark {}`", options.join(" ")))
}

fn captured(frame: &Frame) -> Captured {
    Captured { time: frame.at.0, length: frame.bytes.len(), data: frame.bytes.clone() }
}

fn way(frame: &Frame) -> Way {
    match frame.pkt_type {
        PacketType::Host | PacketType::Loopback => Way::InUnicast,
        PacketType::Broadcast => Way::InBroadcast,
        PacketType::Multicast => Way::InMulticast,
        PacketType::OtherHost => Way::InPromiscuous,
        PacketType::Outgoing => Way::Out,
    }
}

/// The frames of each device by file name and device name, in the order of names.
fn by_device<'w>(world: &'w World, names: &Namespaces) -> BTreeMap<(String, String), Vec<&'w Frame>> {
    let mut devices: BTreeMap<(String, String), Vec<&Frame>> = BTreeMap::new();
    for frame in &world.trace.frames {
        let kernel = world.kernel(frame.machine);
        let Some(label) = kernel.labels.get(frame.dev as usize) else { continue };
        let netns = names.name(frame.machine, label.netns);
        let parts = [&kernel.hostname, &netns, &label.name].map(|part| file_name(part));
        let name = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        devices.entry((name, label.name.clone())).or_default().push(frame);
    }
    devices
}

/// A name without path separators.
fn file_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_@".contains(c);
    name.chars().map(|c| if plain(c) { c } else { '_' }).collect()
}
