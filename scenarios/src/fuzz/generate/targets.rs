//! Random targets.

use super::Draw;
use super::rules::Place;

/// What a rule does: the protocol that it needs, and its words.
type Target = (Option<&'static str>, String);

fn plain(words: impl std::fmt::Display) -> Target {
    (None, format!("-j {words}"))
}

impl Draw {
    /// A target that may stand there; `callable` are the own chains that it may call.
    pub(super) fn target(&mut self, place: Place, callable: &[usize]) -> Target {
        if !callable.is_empty() && self.one_in(3) {
            let own = self.pick(callable);
            return (None, format!("{} own{own}", self.pick(&["-j", "-j", "-g"])));
        }
        match (place.table, place.chain, self.below(8)) {
            ("nat", "PREROUTING" | "OUTPUT", 0..=4) => self.dnat(place),
            ("nat", "POSTROUTING" | "INPUT", 0..=4) => self.snat(place),
            ("nat", _, 5) => plain(self.pick(&["ACCEPT", "RETURN"])),
            ("raw", _, 0..=2) => self.raw(),
            ("mangle", _, 0..=4) => self.mangle(place),
            ("filter", "INPUT" | "FORWARD" | "OUTPUT", 0 | 1) => self.reject(),
            (_, _, 6) => self.side_effect(place),
            (_, _, 7) => plain(if self.one_in(3) { "RETURN" } else { "ACCEPT" }),
            ("nat", ..) | (_, _, 5) => (None, String::new()),
            ("filter", _, 3) => plain("DROP"),
            _ => plain(self.pick(&["ACCEPT", "ACCEPT", "ACCEPT", "DROP", "RETURN", "RETURN"])),
        }
    }

    /// What may stand in every table, after which the packet goes on.
    fn side_effect(&mut self, place: Place) -> Target {
        plain(match self.below(8) {
            0 => format!("LOG --log-prefix \"x{} \"", self.below(9)),
            1 => format!("NFLOG --nflog-group {} --nflog-prefix n{}", self.below(3), self.below(9)),
            2 => format!("AUDIT --type {}", self.pick(&["accept", "drop", "reject"])),
            3 => self.mark_target(),
            4 if place.is_in(&["FORWARD", "OUTPUT", "POSTROUTING"]) => "CLASSIFY --set-class 1:2".to_owned(),
            // In raw it marks the template of an earlier CT, which the model does not keep for the next packet.
            5 if place.table != "raw" => self.connmark_target(),
            _ => match self.set_target(place) {
                Some(words) => words,
                None => self.mark_target(),
            },
        })
    }

    fn raw(&mut self) -> Target {
        let what = [
            "NOTRACK",
            "CT --notrack",
            "CT --zone 1",
            "CT --zone 2",
            "CT --zone-orig 1",
            "CT --zone-reply 1",
            "CT --zone mark",
            "CT --ctevents new,destroy",
            "TRACE",
        ];
        plain(self.pick(&what))
    }

    fn dnat(&mut self, _: Place) -> Target {
        let proto = self.pick(&["tcp", "udp"]);
        let (host, port) = (self.host(), self.port());
        let to = |to: String| format!("-j DNAT --to-destination {to}");
        match self.below(10) {
            0 => (Some(proto), to(format!("{host}:{port}"))),
            1 => (Some(proto), to(format!(":{port}"))),
            2 => (Some(proto), format!("-j REDIRECT --to-ports {port}")),
            3 => (None, "-j REDIRECT".to_owned()),
            4 => (None, format!("-j NETMAP --to 10.0.{}.0/{}", self.below(3), self.pick(&[24, 28]))),
            5 => (
                None,
                to(format!("10.0.1.2-10.0.1.{}{}", self.pick(&[3, 5]), self.pick(&["", " --persistent"]))),
            ),
            6 => (Some(proto), to(format!("10.0.1.2-10.0.1.4:{port} --persistent"))),
            7 => (Some(proto), to(format!("{host}:2000-2002{}", self.pick(&["", " --random"])))),
            _ => (None, to(host.to_string())),
        }
    }

    /// No rule asks for one port of those that these ranges draw from.
    fn snat(&mut self, place: Place) -> Target {
        let proto = self.pick(&["tcp", "udp"]);
        let random = self.pick(&["", "", " --random", " --random-fully"]);
        let ports = format!("2000-{}", 2000 + self.below(3));
        match self.below(9) {
            0 => (Some(proto), format!("-j SNAT --to-source 10.0.1.100:{ports}{random}")),
            1 => (Some(proto), format!("-j SNAT --to-source :{ports}{random}")),
            2 => (
                None,
                format!("-j SNAT --to-source 10.0.1.100-10.0.1.103{}", self.pick(&["", " --persistent"])),
            ),
            3 | 4 if place.chain == "POSTROUTING" => plain("MASQUERADE"),
            5 if place.chain == "POSTROUTING" => {
                (Some(proto), format!("-j MASQUERADE --to-ports 3000-3001{random}"))
            }
            6 => (None, format!("-j NETMAP --to 10.0.{}.0/{}", self.below(3), self.pick(&[24, 28]))),
            _ => (None, format!("-j SNAT --to-source 10.0.1.{}", self.pick(&[1, 100]))),
        }
    }

    fn mark_target(&mut self) -> String {
        match self.below(6) {
            0 | 1 => format!("MARK --set-mark {}", self.mark()),
            2 => format!("MARK --set-xmark {}", self.mark()),
            _ => format!("MARK --{}-mark {}", self.pick(&["or", "and", "xor"]), self.below(4)),
        }
    }

    fn connmark_target(&mut self) -> String {
        match self.below(8) {
            0 | 1 => format!("CONNMARK --set-mark {}", self.mark()),
            2 => format!("CONNMARK --{}-mark {}", self.pick(&["or", "and", "xor"]), self.below(4)),
            3 => "CONNMARK --set-xmark 0x1/0x3 --left-shift-mark 1".to_owned(),
            4 => "CONNMARK --save-mark --nfmask 0x3 --ctmask 0xff".to_owned(),
            5 => "CONNMARK --restore-mark --nfmask 0xff --ctmask 0x3".to_owned(),
            6 => "CONNMARK --save-mark".to_owned(),
            _ => "CONNMARK --restore-mark".to_owned(),
        }
    }

    fn mangle(&mut self, place: Place) -> Target {
        let leaves = place.is_in(&["FORWARD", "OUTPUT", "POSTROUTING"]);
        match self.below(11) {
            0..=2 => plain(self.mark_target()),
            3 | 4 => plain(self.connmark_target()),
            5 => plain(self.pick(&["TTL --ttl-set 10", "TTL --ttl-dec 1", "TTL --ttl-inc 2"])),
            6 => plain(self.pick(&["TOS --set-tos 0x10", "TOS --set-tos 0x08/0x18", "TOS --and-tos 0xf0"])),
            7 => plain(self.pick(&["DSCP --set-dscp 0x04", "DSCP --set-dscp-class EF"])),
            8 | 9 => {
                let how = if leaves { "--clamp-mss-to-pmtu" } else { "--set-mss 1200" };
                let how = self.pick(&["--set-mss 1000", how]);
                (Some("tcp"), format!("-m tcp --tcp-flags SYN,RST SYN -j TCPMSS {how}"))
            }
            _ => self.side_effect(place),
        }
    }

    fn reject(&mut self) -> Target {
        let types = [
            "icmp-net-unreachable",
            "icmp-host-unreachable",
            "icmp-port-unreachable",
            "icmp-proto-unreachable",
            "icmp-net-prohibited",
            "icmp-host-prohibited",
            "icmp-admin-prohibited",
        ];
        match self.below(3) {
            0 => (Some("tcp"), "-j REJECT --reject-with tcp-reset".to_owned()),
            1 => plain("REJECT"),
            _ => plain(format!("REJECT --reject-with {}", self.pick(&types))),
        }
    }
}
