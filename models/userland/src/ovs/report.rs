//! What `ofproto/trace` tells of a packet, as a tree (`struct oftrace_node`, ofproto/ofproto-dpif-trace.c).

/// What a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A bridge takes the packet.
    Bridge,
    /// A flow is found.
    Table,
    /// Actions of a group.
    Bucket,
    /// An action.
    Action,
    /// What becomes of it.
    Detail,
    /// Why it is not done.
    Warn,
    /// Why the packet is not taken.
    Error,
}

impl Line {
    /// Nothing stands below such a line.
    fn is_terminal(self) -> bool {
        !matches!(self, Line::Bridge | Line::Table)
    }
}

#[derive(Debug)]
struct Node {
    line: Line,
    text: String,
    below: Vec<Node>,
}

/// A tree that grows: where it does is the last list.
#[derive(Debug)]
pub struct Report {
    open: Vec<Vec<Node>>,
}

impl Default for Report {
    fn default() -> Report {
        Report { open: vec![Vec::new()] }
    }
}

impl Report {
    /// A line.
    pub fn say(&mut self, line: Line, text: impl Into<String>) {
        if let Some(list) = self.open.last_mut() {
            list.push(Node { line, text: text.into(), below: Vec::new() });
        }
    }

    /// A line with what follows below it, up to [`Report::leave`].
    pub fn enter(&mut self, line: Line, text: impl Into<String>) {
        self.say(line, text);
        self.open.push(Vec::new());
    }

    /// Ends what stands below the last line that was entered.
    pub fn leave(&mut self) {
        let Some(below) = self.open.pop() else { return };
        if let Some(node) = self.open.last_mut().and_then(|list| list.last_mut()) {
            node.below = below;
        }
    }

    /// All lines.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(list) = self.open.first() {
            print(list, 0, &mut text);
        }
        text
    }
}

/// What is not the last of its list stands farther to the right, and what is below it still more.
fn print(list: &[Node], level: usize, text: &mut String) {
    for (at, node) in list.iter().enumerate() {
        let deeper = usize::from(at + 1 < list.len() || node.line.is_terminal());
        let margin = " ".repeat(4 * (level + deeper));
        if node.line == Line::Bridge {
            text.push('\n');
        }
        *text += &margin;
        *text += &match node.line {
            Line::Bridge => format!("{}\n{margin}{}\n", node.text, "-".repeat(node.text.len())),
            Line::Table | Line::Bucket | Line::Action => format!("{}\n", node.text),
            Line::Detail => format!(" -> {}\n", node.text),
            Line::Warn => format!(" >> {}\n", node.text),
            Line::Error => format!(" >>>> {} <<<<\n", node.text),
        };
        print(&node.below, level + 2 * deeper, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_last_stands_farther_right() {
        let mut report = Report::default();
        report.enter(Line::Bridge, "bridge(\"br0\")");
        report.enter(Line::Table, " 0. priority 0");
        report.say(Line::Action, "output:2");
        report.enter(Line::Bridge, "bridge(\"br1\")");
        report.enter(Line::Table, " 0. No match.");
        report.leave();
        report.leave();
        report.say(Line::Action, "LOCAL");
        report.say(Line::Detail, "output to kernel tunnel");
        let lines = [
            "",
            "bridge(\"br0\")",
            "-------------",
            " 0. priority 0",
            "    output:2",
            "",
            "    bridge(\"br1\")",
            "    -------------",
            "         0. No match.",
            "    LOCAL",
            "     -> output to kernel tunnel",
            "",
        ];
        report.leave();
        report.leave();
        assert_eq!(report.text(), lines.join("\n"));
    }
}
