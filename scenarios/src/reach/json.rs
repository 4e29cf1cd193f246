//! The matrix as JSON, an object a line.
//!
//! | type | fields |
//! |---|---|
//! | `cell` | `from` and `to` (names as `glassnet trace` takes them), `address`, `port` (not of ICMP), `probe` (`ICMP`, `TCP`, `UDP`), `sent_from` (the sender's address; null: it has no route), `seen_from` (the source address that the receiver saw; null: it saw none), `reached` (it reached its receiver, and what that answered came back), `translated`, `ending` (as in `glassnet trace --json`), `verdict` (a line), `answers` (as tcpdump prints them), `endpoint`, `pod`, `node` (which a service led to) |
//! | `sum` | `cells`, `reached`, `translated`, `unenforced_policies` (network policies that nobody enforces; if there are some) |

use serde::Serialize;

use super::{Cell, Matrix};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Cell {
        from: &'a str,
        to: &'a str,
        address: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        probe: String,
        sent_from: Option<String>,
        seen_from: Option<String>,
        reached: bool,
        translated: bool,
        ending: &'static str,
        verdict: &'a str,
        answers: &'a [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        endpoint: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pod: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<&'a str>,
    },
    Sum {
        cells: usize,
        reached: usize,
        translated: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        unenforced_policies: Option<usize>,
    },
}

/// A line for each cell, row by row, and the sum.
pub fn json(matrix: &Matrix) -> String {
    let mut out = String::new();
    let mut line = |line: &Line| {
        out.push_str(&serde_json::to_string(line).expect("plain data"));
        out.push('\n');
    };
    for (place, cells) in matrix.from.iter().zip(&matrix.cells) {
        for (to, cell) in matrix.to.iter().zip(cells) {
            let endpoint = cell.endpoint.as_ref();
            let pod = endpoint.and_then(|endpoint| endpoint.pod.as_ref());
            line(&Line::Cell {
                from: &place.name,
                to: &to.name,
                address: to.address.to_string(),
                port: Some(to.port).filter(|port| *port != 0),
                probe: to.protocol.to_string(),
                sent_from: cell.sent_from.map(|address| address.to_string()),
                seen_from: cell.seen_from.map(|address| address.to_string()),
                reached: cell.reached,
                translated: cell.is_translated(),
                ending: cell.ending.name(),
                verdict: &cell.why,
                answers: &cell.answers,
                endpoint: endpoint.map(|endpoint| endpoint.address.as_str()),
                pod: pod.map(|(namespace, name)| format!("{namespace}/{name}")),
                node: endpoint.and_then(|endpoint| endpoint.node.as_deref()),
            });
        }
    }
    let count = |is: fn(&&Cell) -> bool| matrix.cells.iter().flatten().filter(is).count();
    line(&Line::Sum {
        cells: count(|_| true),
        reached: count(|cell| cell.reached),
        translated: count(|cell| cell.is_translated()),
        unenforced_policies: Some(matrix.unenforced).filter(|count| *count > 0),
    });
    out
}
