//! Columns of text, as Go's `text/tabwriter` sets them.

/// Sets text whose cells end with tabs: a column is as wide as its widest cell in neighbouring lines and `padding`, and at least
/// `least` wide. What stands behind the last tab of a line is in no column.
pub(super) fn align(text: &str, least: usize, padding: usize) -> String {
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|line| vec![0; line.len() - 1]).collect();
    let columns = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut at = 0;
        while at < lines.len() {
            let block = lines[at..].iter().take_while(|line| line.len() > column + 1).count();
            let cells = lines[at..at + block].iter().map(|line| line[column].chars().count() + padding);
            let width = cells.max().unwrap_or(0).max(least);
            widths[at..at + block].iter_mut().for_each(|line| line[column] = width);
            at += block.max(1);
        }
    }
    let mut out = String::new();
    for (line, widths) in lines.iter().zip(&widths) {
        for (at, cell) in line.iter().enumerate() {
            match widths.get(at) {
                Some(width) => out.push_str(&format!("{cell:width$}")),
                None => out.push_str(cell),
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        assert_eq!(align("NAME\tAGE\na-long-name\t5s\n", 6, 3), "NAME          AGE\na-long-name   5s\n");
        assert_eq!(align("A\tB\n", 6, 3), "A     B\n");
    }

    #[test]
    fn lines_without_a_cell_end_a_column() {
        assert_eq!(
            align("Name:\tweb\nEvents:\nLong name:\tx\n", 0, 2),
            "Name:  web\nEvents:\nLong name:  x\n"
        );
    }
}
