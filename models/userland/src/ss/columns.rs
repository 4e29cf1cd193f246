//! The columns of `ss`: each as wide as its widest field.

/// Alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// Header, alignment, and separator before it.
const COLUMNS: [(&str, Align, &str); 9] = [
    ("Netid", Align::Left, ""),
    ("State", Align::Left, " "),
    ("Recv-Q", Align::Left, " "),
    ("Send-Q", Align::Left, " "),
    ("Local Address:", Align::Right, " "),
    ("Port", Align::Left, ""),
    ("Peer Address:", Align::Right, " "),
    ("Port", Align::Left, ""),
    ("Process", Align::Left, ""),
];

/// The fields of a line, in the order of the columns.
pub type Row = [String; 9];

/// Formats lines, with the header unless `-H`; hidden columns are left out.
pub fn render(rows: &[Row], shown: [bool; 9], heading: bool) -> String {
    let mut all: Vec<Row> = Vec::new();
    if heading {
        all.push(COLUMNS.map(|column| column.0.to_owned()));
    }
    all.extend_from_slice(rows);
    let width = |at: usize| all.iter().map(|row| row[at].len()).max().unwrap_or(0);
    let widths: [usize; 9] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &all {
        let mut first = true;
        for (at, (_, align, delimiter)) in COLUMNS.iter().enumerate().filter(|(at, _)| shown[*at]) {
            if !first {
                text += delimiter;
            }
            first = false;
            let (field, width) = (&row[at], widths[at]);
            text += &match align {
                Align::Left => format!("{field:<width$}"),
                Align::Right => format!("{field:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from iproute2 6.1.
    #[test]
    fn lines_as_ss_lays_them_out() {
        let row: Row =
            ["tcp", "LISTEN", "0     ", "1     ", "0.0.0.0:", "80", "0.0.0.0:", "*", ""].map(str::to_owned);
        let mut shown = [true; 9];
        shown[0] = false;
        assert_eq!(
            render(&[row], shown, true),
            "State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n\
             LISTEN 0      1            0.0.0.0:80        0.0.0.0:*          \n"
        );
    }
}
