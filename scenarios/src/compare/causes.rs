//! One cause is told once: differences that show one thing at several places are put together.
//!
//! | what | is one difference if |
//! |---|---|
//! | frames | the packets of both sides are the same, on whatever device and in whatever direction |
//! | tables | they first show after the same block: what was different before, by the same, is no news |
//! | journeys | they belong to the same block |
//! | all others | never: each prompt is told |

use std::collections::{BTreeMap, BTreeSet};

use super::diff::{Difference, Kind};

/// Differences with one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What is told.
    pub first: Difference,
    /// The others of its kind: each with its line and place.
    pub again: Vec<(usize, String)>,
}

/// Puts differences of one lesson together, which are in the order of their lines.
pub fn causes(differences: Vec<Difference>) -> Vec<Cause> {
    let mut all = Causes::default();
    for difference in differences {
        match difference.kind {
            Kind::Frames => all.frames(difference),
            Kind::Table => all.table(difference),
            Kind::Journey => all.journey(difference),
            Kind::Prompts | Kind::Status | Kind::Output | Kind::Log => all.new_one(difference),
        }
    }
    all.told
}

#[derive(Default)]
struct Causes {
    told: Vec<Cause>,
    /// Packets of both sides, to where they are told.
    packets: BTreeMap<[Vec<String>; 2], usize>,
    /// By line: where tables and journeys are told.
    blocks: BTreeMap<(Kind, usize), usize>,
    /// What tables differed in, and by how much.
    leaves: BTreeSet<(String, String)>,
}

impl Causes {
    fn new_one(&mut self, first: Difference) {
        self.told.push(Cause { first, again: Vec::new() });
    }

    /// Puts it to another one, or tells it.
    fn put(&mut self, at: Option<usize>, difference: Difference) -> usize {
        match at.and_then(|at| self.told.get_mut(at)) {
            Some(cause) => cause.again.push((difference.line, difference.place)),
            None => self.new_one(difference),
        }
        at.unwrap_or(self.told.len() - 1)
    }

    fn frames(&mut self, difference: Difference) {
        let packets = |lines: &[String]| lines.iter().map(|line| packet(line).to_owned()).collect();
        let key = [packets(&difference.real), packets(&difference.model)];
        let at = self.put(self.packets.get(&key).copied(), difference);
        self.packets.insert(key, at);
    }

    fn table(&mut self, mut difference: Difference) {
        let lines =
            std::mem::take(&mut difference.real).into_iter().zip(std::mem::take(&mut difference.model));
        for (real, model) in lines {
            if self.leaves.insert((difference.place.clone(), by(&real, &model))) {
                difference.real.push(real);
                difference.model.push(model);
            }
        }
        if difference.real.is_empty() {
            return;
        }
        let key = (Kind::Table, difference.line);
        match self.blocks.get(&key).and_then(|at| self.told.get_mut(*at)) {
            Some(cause) => {
                let more = |lines: &[String]| -> Vec<_> {
                    lines.iter().map(|line| format!("{}: {line}", difference.place)).collect()
                };
                cause.first.real.extend(more(&difference.real));
                cause.first.model.extend(more(&difference.model));
            }
            None => {
                for lines in [&mut difference.real, &mut difference.model] {
                    lines.iter_mut().for_each(|line| *line = format!("{}: {line}", difference.place));
                }
                difference.place = String::new();
                self.blocks.insert(key, self.told.len());
                self.new_one(difference);
            }
        }
    }

    fn journey(&mut self, difference: Difference) {
        let key = (Kind::Journey, difference.line);
        match self.blocks.get(&key).and_then(|at| self.told.get_mut(*at)) {
            Some(cause) => {
                cause.first.real.extend(difference.real);
                cause.first.model.extend(difference.model);
            }
            None => {
                self.blocks.insert(key, self.told.len());
                self.new_one(difference);
            }
        }
    }
}

/// The packet in a frame's line: without direction and addresses of the link.
fn packet(line: &str) -> &str {
    line.split_once(", length ")
        .and_then(|(_, rest)| rest.split_once(": "))
        .map_or(line, |(_, packet)| packet)
}

/// What a leaf of a table differs in: the two values, or of two counters their difference, which stays when both go on.
fn by(real: &str, model: &str) -> String {
    let number =
        |line: &str| Some((line.rsplit_once(' ')?.0.to_owned(), line.rsplit_once(' ')?.1.parse().ok()?));
    match (number(real), number(model)) {
        (Some((path, real)), Some((same, model))) if path == same => {
            let (real, model): (i128, i128) = (real, model);
            format!("{path} {}", model - real)
        }
        _ => format!("{real}\n{model}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(kind: Kind, line: usize, place: &str, real: &[&str], model: &[&str]) -> Difference {
        let text = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let (real, model) = (text(real), text(model));
        Difference { kind, line, prompt: String::new(), place: place.to_owned(), real, model, after: None }
    }

    #[test]
    fn a_packet_on_its_way_is_one_difference() {
        let arp = |direction: &str, tell: &str| {
            format!(
                "{direction} 62:e1:cb:78:a3:97 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Request who-has 10.1.1.2 tell {tell}"
            )
        };
        let seen = |line, place: &str, direction: &str| {
            let (real, model) = (arp(direction, "192.0.2.10"), arp(direction, "10.1.1.1"));
            difference(Kind::Frames, line, place, &[&real], &[&model])
        };
        let told = causes(vec![seen(3, "a eth0", "out"), seen(3, "b eth0", "in"), seen(9, "b eth0", "in")]);
        assert_eq!(told.len(), 1);
        let again = [(3, "b eth0".to_owned()), (9, "b eth0".to_owned())];
        assert_eq!(told[0].again, again);
    }

    #[test]
    fn a_table_that_stays_different_by_the_same_is_told_once() {
        let seen = |line, place: &str, real: &[&str], model: &[&str]| {
            difference(Kind::Table, line, place, real, model)
        };
        let told = causes(vec![
            seen(3, "a: cat /proc/net/snmp", &["Ip.OutDiscards: 2"], &["Ip.OutDiscards: 0"]),
            seen(3, "b: ip -j neigh", &["[0]: x"], &["[0]: (nothing)"]),
            seen(7, "a: cat /proc/net/snmp", &["Ip.OutDiscards: 3"], &["Ip.OutDiscards: 1"]),
            seen(7, "b: ip -j neigh", &["[0]: x"], &["[0]: (nothing)"]),
            seen(9, "a: cat /proc/net/snmp", &["Ip.OutDiscards: 9"], &["Ip.OutDiscards: 1"]),
        ]);
        let lines: Vec<_> = told.iter().map(|cause| (cause.first.line, cause.first.real.len())).collect();
        assert_eq!(lines, [(3, 2), (9, 1)]);
        assert_eq!(told[0].first.real[1], "b: ip -j neigh: [0]: x");
    }

    #[test]
    fn the_journeys_of_a_block_are_one_and_prompts_are_not() {
        let journey = |real: &str| difference(Kind::Journey, 5, "", &[real], &[real]);
        let output = |line| difference(Kind::Output, line, "", &["a"], &["b"]);
        let told = causes(vec![output(4), journey("1"), journey("2"), output(5)]);
        assert_eq!(told.iter().map(|cause| cause.first.real.len()).collect::<Vec<_>>(), [1, 2, 1]);
    }
}
