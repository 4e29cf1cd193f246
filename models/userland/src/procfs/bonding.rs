//! `/proc/net/bonding`: a file a bond.
//!
//! Kernel: drivers/net/bonding/bond_procfs.c

use std::fmt::Write;

use glassnet_kernel::Kernel;
use glassnet_kernel::drivers::bonding::bond_options::option;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::bond_3ad::{PORT_PRIORITY, Port};
use glassnet_kernel::tables::bonding::{BondLink, Bonding, Mode, Opt, Slave};
use glassnet_kernel::tables::netdev::NetDevice;

use super::{DirEntry, Node, Tree, View};
use crate::identity::RELEASE;

/// The directory, which is there while the module is loaded.
pub const TREE: Tree = Tree {
    path: "proc/net/bonding",
    is_there: |view| view.devs().any(|dev| dev.bond().is_some()),
    list,
    unlisted: |_, _| None,
    read,
    // Root may open them, but writes fail.
    write: |_, _, _, _| Err(Errno::EIO),
};

fn bond<'w>(view: &View<'w>, name: &str) -> Option<(&'w NetDevice, &'w Bonding)> {
    let dev = view.dev(name)?;
    Some((dev, dev.bond()?))
}

fn list(view: &View, parts: &[&str]) -> Result<Vec<DirEntry>, Errno> {
    match parts {
        [] => Ok(view
            .devs()
            .filter(|dev| dev.bond().is_some())
            .map(|dev| (dev.name.clone(), Node::RO))
            .collect()),
        [name] if bond(view, name).is_some() => Err(Errno::ENOTDIR),
        _ => Err(Errno::ENOENT),
    }
}

fn read(view: &View, parts: &[&str]) -> Result<String, Errno> {
    match parts {
        [] => Err(Errno::EISDIR),
        [name] => bond(view, name).map(|(dev, bond)| text(view.kernel, dev, bond)).ok_or(Errno::ENOENT),
        _ => Err(Errno::ENOENT),
    }
}

/// The word for the state of a link (`bond_slave_link_status`).
pub fn link_status(link: BondLink) -> &'static str {
    match link {
        BondLink::Up => "up",
        BondLink::Fail => "going down",
        BondLink::Down => "down",
        BondLink::Back => "going back",
    }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::RoundRobin => "load balancing (round-robin)",
        Mode::ActiveBackup => "fault-tolerance (active-backup)",
        Mode::Xor => "load balancing (xor)",
        Mode::Broadcast => "fault-tolerance (broadcast)",
        Mode::Ieee8023ad => "IEEE 802.3ad Dynamic link aggregation",
        Mode::Tlb => "transmit load balancing",
    }
}

fn choice(bond: &Bonding, opt: Opt) -> &'static str {
    option(opt).choices.get(bond.opt(opt) as usize).copied().unwrap_or_default()
}

fn text(k: &Kernel, dev: &NetDevice, bond: &Bonding) -> String {
    let mut text = format!("Ethernet Channel Bonding Driver: v{}\n\n", RELEASE);
    let _ = write!(text, "Bonding Mode: {}", mode_name(bond.mode()));
    if bond.mode() == Mode::ActiveBackup && bond.opt(Opt::FailOverMac) != 0 {
        let _ = write!(text, " (fail_over_mac {})", choice(bond, Opt::FailOverMac));
    }
    text.push('\n');
    if bond.uses_xmit_hash() {
        let policy = (choice(bond, Opt::XmitHashPolicy), bond.opt(Opt::XmitHashPolicy));
        let _ = writeln!(text, "Transmit Hash Policy: {} ({})", policy.0, policy.1);
    }
    if bond.uses_primary() {
        let names = || bond.slaves.iter().map(|slave| k.devs[slave.dev].name.as_str());
        let primary = bond.primary.as_deref().and_then(|primary| names().find(|name| *name == primary));
        let _ = match primary {
            Some(primary) => {
                writeln!(
                    text,
                    "Primary Slave: {primary} (primary_reselect {})",
                    choice(bond, Opt::PrimaryReselect)
                )
            }
            None => writeln!(text, "Primary Slave: None"),
        };
        let active = bond.curr_active_slave.map_or("None", |active| k.devs[active].name.as_str());
        let _ = writeln!(text, "Currently Active Slave: {active}");
    }
    let _ = writeln!(text, "MII Status: {}", if dev.carrier { "up" } else { "down" });
    let numbers = [
        ("MII Polling Interval", Opt::Miimon),
        ("Up Delay", Opt::Updelay),
        ("Down Delay", Opt::Downdelay),
        ("Peer Notification Delay", Opt::PeerNotifyDelay),
    ];
    for (name, opt) in numbers {
        let _ = writeln!(text, "{name} (ms): {}", option(opt).get(bond));
    }
    of_arp(&mut text, bond);
    of_8023ad(&mut text, dev, bond);
    bond.slaves.iter().for_each(|slave| of_slave(&mut text, k, bond, slave));
    text.truncate(text.trim_end_matches('\n').len());
    text + "\n"
}

fn of_arp(text: &mut String, bond: &Bonding) {
    if bond.opt(Opt::ArpInterval) == 0 {
        return;
    }
    let _ = writeln!(text, "ARP Polling Interval (ms): {}", bond.opt(Opt::ArpInterval));
    let _ = writeln!(text, "ARP Missed Max: {}", bond.opt(Opt::ArpMissedMax));
    let targets: Vec<String> = bond.arp_targets.iter().map(|target| format!(" {target}")).collect();
    let _ = writeln!(text, "ARP IP target/s (n.n.n.n form):{}", targets.join(","));
    let _ = writeln!(text, "NS IPv6 target/s (xx::xx form):");
}

fn of_8023ad(text: &mut String, dev: &NetDevice, bond: &Bonding) {
    if bond.mode() != Mode::Ieee8023ad {
        return;
    }
    let _ = writeln!(text, "\n802.3ad info");
    let _ = writeln!(text, "LACP active: {}", choice(bond, Opt::LacpActive));
    let _ = writeln!(text, "LACP rate: {}", choice(bond, Opt::LacpRate));
    let _ = writeln!(text, "Min links: {}", bond.opt(Opt::MinLinks));
    let _ = writeln!(text, "Aggregator selection policy (ad_select): {}", choice(bond, Opt::AdSelect));
    let _ = writeln!(text, "System priority: {}", bond.ad.sys_priority);
    let _ = writeln!(text, "System MAC address: {}", bond.ad.sys_mac_addr);
    let Some(agg) = bond.active_aggregator() else {
        let _ = writeln!(text, "bond {} has no active aggregator", dev.name);
        return;
    };
    let _ = writeln!(text, "Active Aggregator Info:");
    let _ = writeln!(text, "\tAggregator ID: {}", agg.aggregator_identifier);
    let _ = writeln!(text, "\tNumber of ports: {}", bond.active_ports(agg));
    let _ = writeln!(text, "\tActor Key: {}", agg.actor_oper_aggregator_key);
    let _ = writeln!(text, "\tPartner Key: {}", agg.partner_oper_aggregator_key);
    let _ = writeln!(text, "\tPartner Mac Address: {}", agg.partner_system);
}

fn of_slave(text: &mut String, k: &Kernel, bond: &Bonding, slave: &Slave) {
    let _ = writeln!(text, "\nSlave Interface: {}", k.devs[slave.dev].name);
    let _ = writeln!(text, "MII Status: {}", link_status(slave.link));
    let _ = match slave.speed {
        Some(speed) => writeln!(text, "Speed: {speed} Mbps"),
        None => writeln!(text, "Speed: Unknown"),
    };
    let duplex = match (slave.speed, slave.full_duplex) {
        (None, _) => "Unknown",
        (_, true) => "full",
        (_, false) => "half",
    };
    let _ = writeln!(text, "Duplex: {duplex}");
    let _ = writeln!(text, "Link Failure Count: {}", slave.link_failure_count);
    let _ = writeln!(text, "Permanent HW addr: {}", slave.perm_hwaddr);
    let _ = writeln!(text, "Slave queue ID: 0");
    if bond.mode() == Mode::Ieee8023ad {
        of_port(text, bond, &slave.ad.port);
    }
}

fn of_port(text: &mut String, bond: &Bonding, port: &Port) {
    let Some(agg) = bond.aggregator_of(port) else {
        let _ = writeln!(text, "Aggregator ID: N/A");
        return;
    };
    let partner = &port.partner_oper;
    let _ = writeln!(text, "Aggregator ID: {}", agg.aggregator_identifier);
    let _ = writeln!(text, "Actor Churn State: {}", port.churn_actor.0.name());
    let _ = writeln!(text, "Partner Churn State: {}", port.churn_partner.0.name());
    let _ = writeln!(text, "Actor Churned Count: {}", port.churn_actor_count);
    let _ = writeln!(text, "Partner Churned Count: {}", port.churn_partner_count);
    let _ = writeln!(text, "details actor lacp pdu:");
    let _ = writeln!(text, "    system priority: {}", port.actor_system_priority);
    let _ = writeln!(text, "    system mac address: {}", port.actor_system);
    let _ = writeln!(text, "    port key: {}", port.actor_oper_port_key);
    let _ = writeln!(text, "    port priority: {PORT_PRIORITY}");
    let _ = writeln!(text, "    port number: {}", port.actor_port_number);
    let _ = writeln!(text, "    port state: {}", port.actor_oper_port_state);
    let _ = writeln!(text, "details partner lacp pdu:");
    let _ = writeln!(text, "    system priority: {}", partner.system_priority);
    let _ = writeln!(text, "    system mac address: {}", partner.system);
    let _ = writeln!(text, "    oper key: {}", partner.key);
    let _ = writeln!(text, "    port priority: {}", partner.port_priority);
    let _ = writeln!(text, "    port number: {}", partner.port_number);
    let _ = writeln!(text, "    port state: {}", partner.port_state);
}
