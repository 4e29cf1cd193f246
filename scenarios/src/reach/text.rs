//! The matrix as text.

use anstyle::{AnsiColor, Color, Style};

use super::{Asked, Cell, Matrix, Place};
use crate::trace::{Ending, Protocol};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const SAME: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green)));
const OTHER: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));
const NOT: Style = Style::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Red)));

/// The matrix as a table with ANSI colours, with the reasons below it.
pub fn text(matrix: &Matrix) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(format!("{BOLD}{}{BOLD:#}", matrix.title()));
    line("A cell is the source address that the receiver saw.".to_owned());
    if matrix.unenforced > 0 {
        let nobody = "no agent of this cluster enforces them (`policy: kube-router` is one)";
        line(format!("Network policies without effect: {}; {nobody}.", matrix.unenforced));
    }
    line(String::new());
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    let rows: Vec<Vec<String>> = matrix.words(&mut reasons);
    let heads = matrix.from.iter().map(|place| place.name.chars().count()).max().unwrap_or(0);
    let width = |column: usize| {
        let asked = &matrix.to[column];
        let head = asked.name.chars().count().max(asked.target().chars().count());
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(head)
    };
    let widths: Vec<usize> = (0..matrix.to.len()).map(width).collect();
    let head = |text: &dyn Fn(&Asked) -> String| {
        let columns = matrix.to.iter().zip(&widths).map(|(asked, width)| format!("{:width$}", text(asked)));
        columns.collect::<Vec<_>>().join("  ")
    };
    line(format!("{:heads$}  {BOLD}{}{BOLD:#}", "", head(&|asked| asked.name.clone()).trim_end()));
    line(format!("{:heads$}  {DIM}{}{DIM:#}", "", head(&Asked::target).trim_end()));
    for ((place, cells), words) in matrix.from.iter().zip(&matrix.cells).zip(&rows) {
        let mut row = format!("{BOLD}{:heads$}{BOLD:#}", place.name);
        for ((cell, word), width) in cells.iter().zip(words).zip(&widths) {
            let style = cell.style();
            let padding = " ".repeat(width - word.chars().count());
            row += &format!("  {style}{word}{style:#}{padding}");
        }
        line(row);
    }
    if !reasons.is_empty() || matrix.cells.iter().flatten().any(Cell::is_translated) {
        line(String::new());
    }
    if matrix.cells.iter().flatten().any(Cell::is_translated) {
        line(format!("{OTHER}*{OTHER:#} translated: the sender had another address"));
    }
    for (number, (why, pairs)) in reasons.iter().enumerate() {
        line(format!("{NOT}{}{NOT:#} {why}", number + 1));
        line(format!("  {DIM}{}{DIM:#}", some(pairs)));
    }
    out
}

/// The first pairs, and how many others there are.
fn some(pairs: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = pairs[..pairs.len().min(SHOWN)].join(", ");
    match pairs.len().saturating_sub(SHOWN) {
        0 => shown,
        others => format!("{shown}, and {others} more"),
    }
}

impl Asked {
    /// The address, with the port if there is one.
    pub fn target(&self) -> String {
        match self.port {
            0 => self.address.to_string(),
            port => format!("{}:{port}", self.address),
        }
    }
}

impl Cell {
    fn style(&self) -> Style {
        match self.reached {
            false => NOT,
            true if self.is_translated() => OTHER,
            true => SAME,
        }
    }
}

impl Matrix {
    /// By what is asked.
    pub fn title(&self) -> String {
        let port = self.settings.port;
        let probe = match self.settings.probe {
            Protocol::Icmp => "an ICMP echo request".to_owned(),
            Protocol::Tcp => format!("a TCP SYN to port {port}"),
            Protocol::Udp => format!("a UDP datagram to port {port}"),
        };
        match self.settings.services {
            true => format!("Who reaches whom: {probe}, and to services a packet of their protocol"),
            false => format!("Who reaches whom: {probe}"),
        }
    }

    /// The cells in a few words. Each reason why a place is not reached gets a number; beside it are the pairs.
    pub fn words(&self, reasons: &mut Vec<(String, Vec<String>)>) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for (place, cells) in self.from.iter().zip(&self.cells) {
            rows.push(cells.iter().zip(&self.to).map(|(cell, to)| word(place, to, cell, reasons)).collect());
        }
        rows
    }
}

fn word(place: &Place, to: &Asked, cell: &Cell, reasons: &mut Vec<(String, Vec<String>)>) -> String {
    if cell.reached {
        let seen = cell.seen_from.map_or("?".to_owned(), |seen| seen.to_string());
        let star = if cell.is_translated() { "*" } else { "" };
        let pod = cell.endpoint.as_ref().and_then(|endpoint| endpoint.pod.as_ref());
        let at = pod.filter(|_| to.is_service).map_or(String::new(), |(_, pod)| format!("{pod}: "));
        return format!("{at}{seen}{star}");
    }
    let pair = format!("{} to {}", place.name, to.name);
    let number = match reasons.iter().position(|(why, _)| *why == cell.why) {
        Some(known) => known,
        None => {
            reasons.push((cell.why.clone(), Vec::new()));
            reasons.len() - 1
        }
    };
    reasons[number].1.push(pair);
    let what = if cell.ending == Ending::Refused { "refused" } else { "no" };
    format!("{what} {}", number + 1)
}
