//! What a sweep leaves behind beside its record: a table, CSV, a chart.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use glassnet_scenarios::output::write_whole;
use glassnet_scenarios::sweep::{Head, Rows};

use super::chart;
use crate::cli::Status;

#[derive(clap::Args)]
pub(super) struct Outputs {
    /// Write the table as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw each measure over the last numbers that are varied, a line for each combination of the others
    #[arg(long, value_name = "SVG")]
    chart: Option<PathBuf>,
}

impl Outputs {
    /// Looks for what would be an error after hours: files that cannot be made, what cannot be drawn.
    pub(super) fn check(&self, head: &Head, record: Option<&Path>) -> Result<(), String> {
        let files: Vec<&Path> =
            [self.csv.as_deref(), self.chart.as_deref(), record].into_iter().flatten().collect();
        for (at, file) in files.iter().enumerate() {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            if file.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
                return Err(format!("{} cannot be written: there is no such directory", file.display()));
            }
            if files[..at].contains(file) && file.is_file() | !file.exists() {
                return Err(format!("{} would be written twice", file.display()));
            }
        }
        if self.chart.is_some() { chart::lines(head).map(|_| ()) } else { Ok(()) }
    }

    /// Writes the files.
    pub(super) fn write(&self, head: &Head, rows: &Rows) -> io::Result<Status> {
        if let Some(path) = &self.csv {
            write_whole(path, csv(head, rows).as_bytes())?;
        }
        if let Some(path) = &self.chart {
            let svg = chart::draw(head, rows).map_err(io::Error::other)?;
            write_whole(path, svg.as_bytes())?;
        }
        Ok(Status::Expected)
    }
}

/// Names of the columns.
fn columns(head: &Head) -> Vec<String> {
    let axes = head.set.axes.iter().map(|(name, _)| name.clone());
    axes.chain(head.measures.iter().map(|(name, _)| name.clone())).collect()
}

/// The cells of each row.
fn cells<'a>(head: &'a Head, rows: &'a Rows) -> impl Iterator<Item = Vec<String>> + 'a {
    rows.iter().map(|(point, measured)| {
        let values = head.set.point(*point).into_iter().map(str::to_owned);
        values.chain(measured.iter().map(ToString::to_string)).collect()
    })
}

/// Prints the points, a line each.
pub(super) fn table(head: &Head, rows: &Rows) -> io::Result<()> {
    let columns = columns(head);
    let mut widths: Vec<usize> = columns.iter().map(|name| name.chars().count()).collect();
    for row in cells(head, rows) {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    for row in std::iter::once(columns).chain(cells(head, rows)) {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        writeln!(out, "{}", cells.join("  "))?;
    }
    out.flush()
}

/// The table as CSV (RFC 4180, with line feeds).
fn csv(head: &Head, rows: &Rows) -> String {
    let cell = |cell: &String| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.clone(),
    };
    let lines = std::iter::once(columns(head)).chain(cells(head, rows));
    lines.map(|row| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\n").collect()
}
