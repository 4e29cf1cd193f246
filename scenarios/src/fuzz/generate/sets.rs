//! Random sets.

use super::CaseDraw;

/// A set type: name, parts of its elements, and options of `create`.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    parts: &'static [Part],
    create: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Host,
    Net,
    /// `PROTO:PORT`.
    Service,
    Port,
    Device,
}

const KINDS: [Kind; 9] = [
    Kind { name: "hash:ip", parts: &[Part::Host], create: "" },
    Kind { name: "hash:net", parts: &[Part::Net], create: "" },
    Kind { name: "hash:ip,port", parts: &[Part::Host, Part::Service], create: "" },
    Kind { name: "hash:ip,port,ip", parts: &[Part::Host, Part::Service, Part::Host], create: "" },
    Kind { name: "hash:ip,port,net", parts: &[Part::Host, Part::Service, Part::Net], create: "" },
    Kind { name: "hash:net,port", parts: &[Part::Net, Part::Service], create: "" },
    Kind { name: "hash:net,iface", parts: &[Part::Net, Part::Device], create: "" },
    Kind { name: "bitmap:port", parts: &[Part::Port], create: " range 0-9000" },
    Kind { name: "bitmap:ip", parts: &[Part::Host], create: " range 10.0.0.0/16" },
];
/// A list of the other sets.
const LIST: Kind = Kind { name: "list:set", parts: &[], create: " size 8" };
/// Maximum number of sets before a list.
const MOST: usize = 3;

impl CaseDraw {
    /// Text for `ipset restore`: one to three sets, and sometimes a list of them.
    pub(super) fn make_sets(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for at in 0..=self.below(MOST) {
            let kind = self.pick(&KINDS);
            let extra = self.extensions();
            lines.push(format!("create set{at} {}{}{extra}", kind.name, kind.create));
            for _ in 0..self.below(4) {
                let parts: Vec<String> = kind.parts.iter().map(|part| self.part(*part)).collect();
                let element = parts.join(",");
                let more = self.element_extensions(kind, &extra);
                lines.push(format!("add set{at} {element}{more} -exist"));
            }
            self.sets.push(kind.parts.len());
        }
        if self.one_in(3) {
            let at = self.sets.len();
            let extra = self.extensions();
            lines.push(format!("create set{at} {}{}{extra}", LIST.name, LIST.create));
            for member in 0..at {
                if !self.one_in(4) {
                    lines.push(format!("add set{at} set{member}"));
                }
            }
            self.sets.push(LIST.parts.len());
        }
        lines
    }

    /// Extensions of a set.
    fn extensions(&mut self) -> String {
        let mut words = String::new();
        for word in [" counters", " skbinfo", " comment", " timeout 600", " timeout 0"] {
            if self.one_in(4) && !(words.contains("timeout") && word.contains("timeout")) {
                words.push_str(word);
            }
        }
        words
    }

    fn element_extensions(&mut self, kind: Kind, set: &str) -> String {
        let mut words = String::new();
        if kind.parts.contains(&Part::Net) && self.one_in(4) {
            words.push_str(" nomatch");
        }
        if set.contains("skbinfo") && self.one_in(2) {
            words.push_str(self.pick(&[" skbmark 0x2/0x3", " skbmark 0x1", " skbprio 1:10"]));
        }
        if set.contains("counters") && self.one_in(3) {
            words.push_str(" packets 2 bytes 100");
        }
        if set.contains("timeout") && self.one_in(3) {
            words.push_str(self.pick(&[" timeout 0", " timeout 3000"]));
        }
        words
    }

    fn part(&mut self, part: Part) -> String {
        match part {
            Part::Host => self.host().to_string(),
            Part::Net => match self.below(4) {
                0 => "10.0.0.0/16".to_owned(),
                1 => self.host().to_string(),
                _ => format!("10.0.{}.0/24", self.below(3)),
            },
            Part::Service => match self.below(5) {
                0 => "icmp:echo-request".to_owned(),
                1 | 2 => format!("udp:{}", self.port()),
                _ => format!("tcp:{}", self.port()),
            },
            Part::Port => self.port().to_string(),
            Part::Device => self.pick(&["c0", "s0", "br0"]).to_owned(),
        }
    }
}
