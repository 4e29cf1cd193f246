//! Who reaches whom: asks every pair of places of a lesson with a packet, after the lesson has run.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | [`matrix`]: the packets, and what became of them |
//! | `places.rs` | who sends, and what is asked |
//! | `text.rs`, `json.rs` | what is printed |
//!
//! Packets are those of [`trace`](crate::trace), sent one after the other into the same world. While they are on their way no program
//! runs: kernels answer echo requests and take connections by themselves.

mod json;
mod places;
mod text;

use std::net::Ipv4Addr;

use glassnet_cluster::kube_proxy::explain::EndpointIs;
use glassnet_kernel::World;
use glassnet_kernel::ids::CpuId;
use glassnet_kernel::net::ipv4::route_get::rtm_getroute;
use glassnet_kernel::tables::route_types::RouteQuery;

use crate::trace::{Answer, Asker, Ending, Protocol, Question};

pub use json::json;
pub use places::{Asked, Place};
pub use text::text;

/// What is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// By which packet.
    pub probe: Protocol,
    /// To which port; ICMP has none.
    pub port: u16,
    /// Services too: each of their ports by a packet of its protocol.
    pub services: bool,
}

/// What became of a packet from one place to another.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The source address that the sender chose; `None`: it has no route.
    pub sent_from: Option<Ipv4Addr>,
    /// The source address that the receiver saw; `None`: it saw none.
    pub seen_from: Option<Ipv4Addr>,
    /// How it ended.
    pub ending: Ending,
    /// The packet reached its receiver, and what that answered came back.
    pub reached: bool,
    /// How it ended, in a sentence.
    pub why: String,
    /// What was answered, as tcpdump prints it.
    pub answers: Vec<String>,
    /// The endpoint that a service led to.
    pub endpoint: Option<EndpointIs>,
}

impl Cell {
    /// The receiver saw another address than the sender's.
    pub fn is_translated(&self) -> bool {
        self.seen_from.is_some() && self.seen_from != self.sent_from
    }
}

/// All pairs.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// What was asked.
    pub settings: Settings,
    /// Who sends: the rows.
    pub from: Vec<Place>,
    /// What is asked: the columns.
    pub to: Vec<Asked>,
    /// What became of it, row by row.
    pub cells: Vec<Vec<Cell>>,
    /// How many network policies have no effect, because the cluster has no agent that enforces them.
    pub unenforced: usize,
}

impl Matrix {
    /// Everybody reaches everybody.
    pub fn is_whole(&self) -> bool {
        self.cells.iter().flatten().all(|cell| cell.reached)
    }
}

/// Source ports of the packets, so that no two are of one connection.
const PORTS: std::ops::Range<u16> = 40_000..60_000;

/// Asks every pair of a world whose lesson has run.
///
/// # Errors
///
/// There is nobody to ask, or the world does not settle.
pub fn matrix(world: &mut World, settings: Settings) -> Result<Matrix, String> {
    let mut asker = Asker::new(world);
    let (from, to) = places::places(&mut asker, &settings);
    if from.is_empty() {
        return Err("no machine has an address when the lesson has run".to_owned());
    }
    let mut ports = PORTS.cycle();
    let mut cells = Vec::new();
    for place in &from {
        let mut row = Vec::new();
        for asked in &to {
            row.push(cell(&mut asker, place, asked, ports.next().unwrap_or(PORTS.start))?);
        }
        cells.push(row);
    }
    let unenforced = asker.objects().map_or(0, |objects| objects.history.unenforced_policies());
    Ok(Matrix { settings, from, to, cells, unenforced })
}

fn cell(asker: &mut Asker, place: &Place, asked: &Asked, sport: u16) -> Result<Cell, String> {
    let query = RouteQuery { dst: asked.address, ..RouteQuery::default() };
    let routed = asker.world().enter(place.room.0, CpuId(0), |cx| rtm_getroute(cx, place.room.1, &query));
    let src = match routed.map(|answer| answer.prefsrc) {
        Ok(Some(src)) => src,
        Ok(None) => return Ok(unsent("no source address for this destination")),
        Err(error) => return Ok(unsent(&format!("not sent: {}", error.errno.strerror()))),
    };
    let question = Question {
        src,
        dst: asked.address,
        protocol: asked.protocol,
        sport,
        dport: asked.port,
        from: Some(place.host.clone()),
        input: None,
    };
    Ok(read(src, asker.ask(&question, None)?))
}

fn unsent(why: &str) -> Cell {
    Cell {
        sent_from: None,
        seen_from: None,
        ending: Ending::Refused,
        reached: false,
        why: why.to_owned(),
        answers: Vec::new(),
        endpoint: None,
    }
}

fn read(src: Ipv4Addr, answer: Answer) -> Cell {
    let lost = answer.answers.iter().find_map(|reply| reply.lost.as_ref());
    let delivered = answer.verdict.ending == Ending::Delivered;
    let arrived = delivered || answer.is_refused_by_receiver();
    let seen = answer.phases.last().filter(|_| arrived).map(|phase| phase.src.as_str());
    let why = match lost {
        Some(lost) if delivered => format!("its answer is {lost}"),
        _ => answer.verdict.text,
    };
    Cell {
        sent_from: Some(src),
        seen_from: seen.and_then(|seen| seen.split(':').next()?.parse().ok()),
        ending: answer.verdict.ending,
        reached: delivered && lost.is_none(),
        why,
        answers: answer.answers.iter().map(|reply| reply.summary.clone()).collect(),
        endpoint: answer.object.and_then(|object| object.endpoint),
    }
}
