//! Start of the packet: machine and namespace, and the input device of a received one.

use std::net::Ipv4Addr;

use glassnet_kernel::World;
use glassnet_kernel::ids::{CpuId, DevId, MachineId, NetnsId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::ipv4::devinet::dump_addrs;
use glassnet_kernel::net::ipv4::route_get::rtm_getroute;
use glassnet_kernel::tables::route_types::RouteQuery;
use glassnet_wire::Mac;

use super::question::{Host, Question};

/// Start of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The machine.
    pub machine: MachineId,
    /// The namespace.
    pub netns: NetnsId,
    /// The input device; `None`: sent by a program.
    pub input: Option<DevId>,
}

/// A namespace of a machine.
pub type Room = (MachineId, NetnsId);

/// Determines the start of the question's packet.
///
/// # Errors
///
/// A sentence about the invalid or missing argument.
pub fn start(world: &mut World, question: &Question) -> Result<Start, String> {
    let owners = owners(world, question.src);
    let from = question.from.as_ref().map(|host| find(world, host)).transpose()?;
    let room = match (from, &owners[..]) {
        (Some(room), _) => room,
        (None, [(room, _)]) => *room,
        (None, []) => room_for_strangers(world, question)?,
        (None, _) => {
            let rooms: Vec<String> = owners.iter().map(|(room, _)| name(world, *room)).collect();
            let (src, rooms) = (question.src, rooms.join(" and of "));
            return Err(format!("-s: {src} is an address of {rooms}: say which one sends with --from"));
        }
    };
    let (machine, netns) = room;
    let is_own = owners.iter().any(|(owner, _)| *owner == room);
    let input = match &question.input {
        Some(device) => Some(named(world, room, device)?),
        None if is_own => None,
        None => Some(towards(world, room, question.src)?),
    };
    Ok(Start { machine, netns, input })
}

/// The device of this name, if packets can be received on it.
fn named(world: &World, room: Room, device: &str) -> Result<DevId, String> {
    let kernel = world.kernel(room.0);
    let names = || {
        let known = kernel.netns.get(room.1);
        let names = known.into_iter().flat_map(|netns| netns.devs.values());
        names.map(|dev| kernel.devs[*dev].name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let Some(dev) = kernel.dev_by_name(room.1, device) else {
        return Err(format!("--in: {} has no device `{device}`: it has {}", name(world, room), names()));
    };
    match kernel.devs[dev].is_up() {
        true => Ok(dev),
        false => Err(format!("--in: {device} of {} is down", name(world, room))),
    }
}

/// All namespaces of a world.
fn rooms(world: &World) -> Vec<Room> {
    let of = |kernel: &glassnet_kernel::Kernel| {
        let id = kernel.id;
        kernel.netns.iter().map(move |netns| (id, netns.id)).collect::<Vec<_>>()
    };
    world.machines.iter().flat_map(of).collect()
}

/// Namespaces with this address, and the device.
pub fn owners(world: &World, address: Ipv4Addr) -> Vec<(Room, DevId)> {
    let mut owners = Vec::new();
    for room in rooms(world) {
        let kernel = world.kernel(room.0);
        let Some(netns) = kernel.netns.get(room.1) else { continue };
        let has = |dev: &&DevId| {
            let device = kernel.inet.get(**dev);
            device.is_some_and(|device| device.addrs.iter().any(|ifa| ifa.local == address))
        };
        if let Some(dev) = netns.devs.values().find(has) {
            owners.push((room, *dev));
        }
    }
    owners
}

/// Nobody has the source address: the packet is received by the only machine, or by the one that has the destination.
fn room_for_strangers(world: &World, question: &Question) -> Result<Room, String> {
    if let [kernel] = &world.machines[..] {
        return Ok((kernel.id, INIT_NET));
    }
    match &owners(world, question.dst)[..] {
        [((machine, _), _)] => Ok((*machine, INIT_NET)),
        _ => Err(format!(
            "-s: no machine has the address {}: say with --from where the packet comes in",
            question.src
        )),
    }
}

/// Output device of the namespace's route to an address.
fn towards(world: &mut World, room: Room, address: Ipv4Addr) -> Result<DevId, String> {
    let query = RouteQuery { dst: address, ..RouteQuery::default() };
    let answer = world.enter(room.0, CpuId(0), |cx| rtm_getroute(cx, room.1, &query));
    let device = answer.ok().and_then(|answer| answer.oif);
    let loopback = world.kernel(room.0).netns.get(room.1).map(|netns| netns.loopback);
    device.filter(|dev| Some(*dev) != loopback).ok_or_else(|| {
        let room = name(world, room);
        format!(
            "-s: {room} has no route towards {address}: say with --in which device the packet comes in by"
        )
    })
}

/// The addresses of a namespace, without those of loopback.
pub fn addresses_of(world: &World, room: Room) -> Vec<Ipv4Addr> {
    let kernel = world.kernel(room.0);
    let all = dump_addrs(kernel, room.1, world.now()).into_iter();
    all.filter(|address| !kernel.devs[address.dev].is_loopback()).map(|address| address.local).collect()
}

/// The namespace of `--from`.
pub fn find(world: &World, host: &Host) -> Result<Room, String> {
    let Some(machine) = world.machine(&host.machine) else {
        let machines: Vec<&str> = world.machines.iter().map(|kernel| &*kernel.hostname).collect();
        let machines = machines.join(", ");
        return Err(format!("--from: there is no machine `{}`: there is {machines}", host.machine));
    };
    let Some(netns) = &host.netns else { return Ok((machine, INIT_NET)) };
    let names = &world.kernel(machine).netns_names;
    match names.get(netns) {
        Some(id) => Ok((machine, *id)),
        None if names.is_empty() => Err(format!("--from: {} has no named namespaces", host.machine)),
        None => {
            let names: Vec<&str> = names.keys().map(String::as_str).collect();
            let names = names.join(", ");
            Err(format!("--from: {} has no namespace `{netns}`: it has {names}", host.machine))
        }
    }
}

/// A namespace in the format of `--from`.
fn name(world: &World, (machine, netns): Room) -> String {
    let kernel = world.kernel(machine);
    let named = kernel.netns_names.iter().find(|(_, id)| **id == netns).map(|(name, _)| name);
    match named {
        Some(name) => format!("{}/{name}", kernel.hostname),
        None => kernel.hostname.clone(),
    }
}

/// Destination and source MAC address of a frame received on a device.
pub fn addresses(world: &World, start: &Start, input: DevId, question: &Question) -> (Mac, Mac) {
    let kernel = world.kernel(start.machine);
    let device = &kernel.devs[input];
    let of_owner = |address| {
        let owners = owners(world, address);
        owners.first().map(|((machine, _), dev)| world.kernel(*machine).devs[*dev].addr)
    };
    // On a bridge port: to the station with the address, or to the bridge as its router.
    let dest = match device.master() {
        Some(bridge) => of_owner(question.dst).unwrap_or(kernel.devs[bridge].addr),
        None => device.addr,
    };
    let [a, b, c, d] = question.src.octets();
    (dest, of_owner(question.src).unwrap_or(Mac([2, 0, a, b, c, d])))
}
