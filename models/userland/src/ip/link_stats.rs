//! The counters of a device: `ip -s link`.

use glassnet_kernel::Kernel;
use glassnet_kernel::net::core::dev::dev_get_stats;
use glassnet_kernel::tables::netdev::{DevStats, NetDevice};

use super::Options;
use super::out::Out;

/// Two rows of a table: header and values.
struct Rows {
    title: &'static str,
    names: Vec<&'static str>,
    /// `None` below a title that fills the first column.
    values: Vec<Option<u64>>,
}

fn rows(title: &'static str, columns: &[(&'static str, u64)]) -> Rows {
    Rows {
        title,
        names: columns.iter().map(|column| column.0).collect(),
        values: columns.iter().map(|column| (!column.0.is_empty()).then_some(column.1)).collect(),
    }
}

/// Prints the counters, without the final line end.
pub(super) fn print_stats(out: &mut Out, kernel: &Kernel, dev: &NetDevice, opts: &Options) {
    let stats = dev_get_stats(kernel, dev);
    if out.is_json() {
        return json(out, dev, &stats, opts.stats > 1);
    }
    let tables = tables(dev, &stats, opts.stats > 1);
    let mut widths = [10, 7, 6, 7, 7, 7, 10];
    let text: Vec<Vec<String>> = tables
        .iter()
        .map(|table| {
            table
                .values
                .iter()
                .map(|value| value.map_or(String::new(), |value| number(value, opts)))
                .collect()
        })
        .collect();
    for (at, value) in text.iter().flat_map(|row| row.iter().enumerate()) {
        widths[at] = widths[at].max(value.len());
    }
    for (at, (table, values)) in tables.iter().zip(&text).enumerate() {
        if at > 0 {
            out.nl();
        }
        let title = table.title;
        out.text(format_args!("    {title}"));
        for (column, name) in table.names.iter().enumerate() {
            let width = if column == 0 { widths[0] - title.len() } else { widths[column] + 1 };
            out.text(format_args!("{name:>width$}"));
        }
        // No column for compressed packets, as no device has them.
        if table.names[0] == "bytes" {
            out.text(format_args!("{:>1$}", "", widths[6] + 1));
        }
        out.nl();
        out.text("    ");
        for (value, width) in values.iter().zip(widths) {
            out.text(format_args!("{value:>width$} "));
        }
    }
}

fn tables(dev: &NetDevice, stats: &DevStats, errors: bool) -> Vec<Rows> {
    let mut tables = vec![rows(
        "RX:",
        &[
            ("bytes", stats.rx_bytes),
            ("packets", stats.rx_packets),
            ("errors", stats.rx_errors),
            ("dropped", stats.rx_dropped),
            ("missed", stats.rx_missed_errors),
            ("mcast", stats.multicast),
        ],
    )];
    if errors {
        let mut columns = vec![
            ("", 0),
            ("length", 0),
            ("crc", stats.rx_crc_errors),
            ("frame", stats.rx_frame_errors),
            ("fifo", stats.rx_fifo_errors),
            ("overrun", 0),
        ];
        if stats.rx_nohandler > 0 {
            columns.push(("nohandler", stats.rx_nohandler));
        }
        tables.push(rows("RX errors:", &columns));
    }
    tables.push(rows(
        "TX:",
        &[
            ("bytes", stats.tx_bytes),
            ("packets", stats.tx_packets),
            ("errors", stats.tx_errors),
            ("dropped", stats.tx_dropped),
            ("carrier", stats.tx_carrier_errors),
            ("collsns", stats.collisions),
        ],
    ));
    if errors {
        let transitions = u64::from(dev.carrier_up_count + dev.carrier_down_count);
        let columns =
            [("", 0), ("aborted", 0), ("fifo", 0), ("window", 0), ("heartbt", 0), ("transns", transitions)];
        tables.push(rows("TX errors:", &columns));
    }
    tables
}

fn json(out: &mut Out, dev: &NetDevice, stats: &DevStats, errors: bool) {
    out.open(Some("stats64"));
    out.open(Some("rx"));
    for (key, value) in [
        ("bytes", stats.rx_bytes),
        ("packets", stats.rx_packets),
        ("errors", stats.rx_errors),
        ("dropped", stats.rx_dropped),
        ("over_errors", 0),
        ("multicast", stats.multicast),
    ] {
        out.json(key, value);
    }
    if errors {
        for (key, value) in [
            ("length_errors", 0),
            ("crc_errors", stats.rx_crc_errors),
            ("frame_errors", stats.rx_frame_errors),
            ("fifo_errors", stats.rx_fifo_errors),
        ] {
            out.json(key, value);
        }
        out.json("missed_errors", stats.rx_missed_errors);
        if stats.rx_nohandler > 0 {
            out.json("nohandler", stats.rx_nohandler);
        }
    }
    out.close();
    out.open(Some("tx"));
    for (key, value) in [
        ("bytes", stats.tx_bytes),
        ("packets", stats.tx_packets),
        ("errors", stats.tx_errors),
        ("dropped", stats.tx_dropped),
        ("carrier_errors", stats.tx_carrier_errors),
        ("collisions", stats.collisions),
    ] {
        out.json(key, value);
    }
    if errors {
        for key in ["aborted_errors", "fifo_errors", "window_errors", "heartbeat_errors"] {
            out.json(key, 0);
        }
        out.json("carrier_changes", dev.carrier_up_count + dev.carrier_down_count);
    }
    out.close();
    out.close();
}

/// A count; with `-h` three digits and a unit.
fn number(count: u64, opts: &Options) -> String {
    let base = if opts.iec { 1024 } else { 1000 };
    if !opts.human || count < base {
        return count.to_string();
    }
    let (mut unit, mut letters) = (base, "kMGTPE".chars().peekable());
    let mut letter = letters.next().unwrap_or('k');
    while count / base >= unit && letters.peek().is_some() {
        unit *= base;
        letter = letters.next().unwrap_or(letter);
    }
    let precision = match count / unit {
        0..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    let suffix = if opts.iec { "i" } else { "" };
    format!("{:.precision$}{letter}{suffix}", count as f64 / unit as f64)
}
