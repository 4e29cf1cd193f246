//! What only `protocol bgp` has.

use super::parser::{Parsed, Parser};
use super::{BgpConfig, Graceful, Kind, ProtoConfig, Token};

/// The port of BGP.
pub const BGP_PORT: u16 = 179;

/// Statements of BIRD that are not modelled, by their first word.
const OTHERS: &[&str] = &[
    "advertise",
    "authentication",
    "bfd",
    "confederation",
    "disable",
    "dynamic",
    "free",
    "keys",
    "llgr",
    "password",
    "require",
    "setkey",
];

impl BgpConfig {
    pub(super) fn new() -> BgpConfig {
        BgpConfig {
            local: None,
            local_as: 0,
            local_port: BGP_PORT,
            neighbor: None,
            neighbor_as: None,
            neighbor_kind: None,
            neighbor_port: BGP_PORT,
            iface: None,
            multihop: None,
            strict_bind: false,
            check_link: None,
            ttl_security: false,
            passive: false,
            rr_client: false,
            rr_cluster_id: None,
            rs_client: false,
            med_metric: false,
            deterministic_med: false,
            default_med: 0,
            default_local_pref: 100,
            path_metric: true,
            igp_metric: true,
            prefer_older: false,
            interpret_communities: true,
            allow_local_as: 0,
            allow_local_pref: false,
            allow_med: false,
            enforce_first_as: false,
            enable_as4: true,
            enable_refresh: true,
            enable_extended_messages: false,
            capabilities: true,
            graceful: Graceful::Aware,
            graceful_time: 120,
            long_lived: true,
            hold_time: 240,
            startup_hold_time: None,
            keepalive_time: None,
            connect_delay_time: 5,
            connect_retry_time: 120,
            error_wait: (60, 300),
            error_forget_time: 300,
            disable_after_error: false,
            disable_after_cease: false,
        }
    }

    /// The neighbour is in the same AS.
    pub fn is_internal(&self) -> bool {
        self.neighbor_kind.unwrap_or(self.neighbor_as == Some(self.local_as))
    }

    /// The neighbour is on a link of this machine.
    pub fn is_direct(&self) -> bool {
        match self.multihop {
            Some(hops) => hops == 0,
            None => !self.is_internal(),
        }
    }
}

impl Parser {
    /// What must be true of a session as a whole.
    pub(super) fn check_bgp(&mut self, proto: &mut ProtoConfig) -> Parsed {
        let Kind::Bgp(bgp) = &proto.kind else { return Ok(()) };
        if bgp.local_as == 0 {
            return self.error("Local AS number must be set");
        }
        if bgp.neighbor.is_none() {
            return self.error("Neighbor must be configured");
        }
        if bgp.neighbor_as.is_none() && bgp.neighbor_kind.is_none() {
            return self.error("Remote AS number (or peer type) must be set");
        }
        if bgp.neighbor_kind == Some(false) && bgp.neighbor_as == Some(bgp.local_as) {
            return self.error("Neighbor AS number is the same as local AS number");
        }
        if bgp.rr_client && !bgp.is_internal() {
            return self.error("Only internal neighbor can be RR client");
        }
        if bgp.rs_client && bgp.is_internal() {
            return self.error("Only external neighbor can be RS client");
        }
        if bgp.enforce_first_as && bgp.is_internal() {
            return self.error("Enforce first AS check is requires EBGP sessions");
        }
        if !bgp.is_direct() && bgp.check_link == Some(true) {
            return self.error("Multihop BGP cannot depend on link state");
        }
        let (internal, direct) = (bgp.is_internal(), bgp.is_direct());
        let Some(channel) = &proto.channel else { return Ok(()) };
        if !internal && channel.import.is_none() {
            return self.error("EBGP requires explicit import policy");
        }
        if !internal && channel.export.is_none() {
            return self.error("EBGP requires explicit export policy");
        }
        if !direct && channel.gateway_recursive == Some(false) {
            return self.error("Multihop BGP cannot use direct gateway mode");
        }
        Ok(())
    }

    /// A time in seconds within a range.
    fn seconds(&mut self, what: &str, zero: bool, least: u32) -> Parsed<u32> {
        let seconds = self.number()?;
        if (seconds == 0 && zero) || (least..=65_535).contains(&seconds) {
            return Ok(seconds);
        }
        let or_zero = if zero { " or zero" } else { "" };
        let text = format!("{what} must be in range {least}-65535{or_zero}");
        // The semicolon is part of the statement.
        self.error_ahead(&text)
    }

    pub(super) fn bgp_item(&mut self, bgp: &mut BgpConfig) -> Parsed {
        if self.bgp_times(bgp)? || self.bgp_flags(bgp)? {
            return Ok(());
        }
        if self.word("local") {
            self.bgp_local(bgp)
        } else if self.word("neighbor") {
            self.bgp_neighbor(bgp)
        } else if self.word("interface") {
            bgp.iface = Some(self.text()?);
            Ok(())
        } else if self.word("direct") {
            bgp.multihop = Some(0);
            Ok(())
        } else if self.word("multihop") {
            bgp.multihop = Some(64);
            if !self.is_sign(";") {
                let hops = self.number()?;
                if !(1..=255).contains(&hops) {
                    return self.error_ahead("Multihop must be in range 1-255");
                }
                bgp.multihop = Some(hops as u8);
            }
            Ok(())
        } else if self.words(&["source", "address"]) {
            bgp.local = Some(self.address()?);
            Ok(())
        } else if self.words(&["rr", "client"]) {
            bgp.rr_client = true;
            Ok(())
        } else if self.words(&["rr", "cluster", "id"]) {
            bgp.rr_cluster_id = Some(self.id()?);
            Ok(())
        } else if self.words(&["rs", "client"]) {
            bgp.rs_client = true;
            Ok(())
        } else if self.words(&["ttl", "security"]) {
            bgp.ttl_security = self.boolean()?;
            Ok(())
        } else if self.words(&["allow", "local", "as"]) {
            bgp.allow_local_as = if self.is_sign(";") { u32::MAX } else { self.number()? };
            Ok(())
        } else if self.words(&["default", "bgp_med"]) {
            bgp.default_med = self.number()?;
            Ok(())
        } else if self.words(&["default", "bgp_local_pref"]) {
            bgp.default_local_pref = self.number()?;
            Ok(())
        } else if self.is_word("ttl")
            || matches!(self.peek(), Token::Word(word) if OTHERS.contains(&word.as_str()))
        {
            let Token::Word(word) = self.peek().clone() else { return Ok(()) };
            self.not_modelled(&word)
        } else {
            self.unexpected("")
        }
    }

    /// Statements that are times; false: it is none.
    fn bgp_times(&mut self, bgp: &mut BgpConfig) -> Parsed<bool> {
        if self.words(&["hold", "time"]) {
            bgp.hold_time = self.seconds("Hold time", true, 3)?;
        } else if self.words(&["startup", "hold", "time"]) {
            bgp.startup_hold_time = Some(self.number()?);
        } else if self.words(&["keepalive", "time"]) {
            bgp.keepalive_time = Some(self.seconds("Keepalive time", false, 1)?);
        } else if self.words(&["connect", "delay", "time"]) {
            bgp.connect_delay_time = self.number()?;
        } else if self.words(&["connect", "retry", "time"]) {
            bgp.connect_retry_time = self.number()?;
        } else if self.words(&["error", "wait", "time"]) {
            let first = self.number()?;
            self.need_sign(",")?;
            bgp.error_wait = (first, self.number()?);
        } else if self.words(&["error", "forget", "time"]) {
            bgp.error_forget_time = self.number()?;
        } else if self.words(&["graceful", "restart", "time"]) {
            // There are twelve bits for it in the message.
            bgp.graceful_time = (self.number()? & 0xfff) as u16;
        } else if self.words(&["graceful", "restart"]) {
            bgp.graceful = if self.word("aware") {
                Graceful::Aware
            } else if self.boolean()? {
                Graceful::On
            } else {
                Graceful::Off
            };
        } else if self.words(&["long", "lived", "graceful", "restart"]) {
            if self.word("aware") {
                bgp.long_lived = true;
            } else if self.boolean()? {
                return self.error("not modelled yet: long lived graceful restart on");
            } else {
                bgp.long_lived = false;
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Statements that are true or not; false: it is none.
    fn bgp_flags(&mut self, bgp: &mut BgpConfig) -> Parsed<bool> {
        let link = self.words(&["check", "link"]);
        if link {
            bgp.check_link = Some(self.boolean()?);
            return Ok(true);
        }
        let flags: [(&[&str], &mut bool); 17] = [
            (&["passive"], &mut bgp.passive),
            (&["strict", "bind"], &mut bgp.strict_bind),
            (&["med", "metric"], &mut bgp.med_metric),
            (&["deterministic", "med"], &mut bgp.deterministic_med),
            (&["path", "metric"], &mut bgp.path_metric),
            (&["igp", "metric"], &mut bgp.igp_metric),
            (&["prefer", "older"], &mut bgp.prefer_older),
            (&["interpret", "communities"], &mut bgp.interpret_communities),
            (&["allow", "bgp_local_pref"], &mut bgp.allow_local_pref),
            (&["allow", "bgp_med"], &mut bgp.allow_med),
            (&["enforce", "first", "as"], &mut bgp.enforce_first_as),
            (&["enable", "as4"], &mut bgp.enable_as4),
            (&["enable", "route", "refresh"], &mut bgp.enable_refresh),
            (&["enable", "extended", "messages"], &mut bgp.enable_extended_messages),
            (&["capabilities"], &mut bgp.capabilities),
            (&["disable", "after", "error"], &mut bgp.disable_after_error),
            (&["disable", "after", "cease"], &mut bgp.disable_after_cease),
        ];
        for (words, flag) in flags {
            if self.words(words) {
                *flag = self.boolean()?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `local [ADDRESS] [port N] [as N]`.
    fn bgp_local(&mut self, bgp: &mut BgpConfig) -> Parsed {
        if matches!(self.peek(), Token::Word(word) if word == "role") {
            return self.not_modelled("local role");
        }
        if !self.is_word("as") && !self.is_word("port") {
            bgp.local = Some(self.address()?);
        }
        loop {
            if self.word("port") {
                bgp.local_port = self.port()?;
            } else if self.word("as") {
                bgp.local_as = self.number()?;
            } else if self.is_sign(";") {
                return Ok(());
            } else {
                return self.unexpected("PORT or ';' or AS");
            }
        }
    }

    /// `neighbor [ADDRESS] [port N] [as N | internal | external]`.
    fn bgp_neighbor(&mut self, bgp: &mut BgpConfig) -> Parsed {
        if self.is_word("range") {
            return self.not_modelled("neighbor range");
        }
        if matches!(self.peek(), Token::Ip6(text) if text.to_ascii_lowercase().starts_with("fe80")) {
            return self.not_modelled("IPv6");
        }
        if !self.is_word("as")
            && !self.is_word("port")
            && !self.is_word("internal")
            && !self.is_word("external")
        {
            bgp.neighbor = Some(self.address()?);
            if self.sign("%") {
                bgp.iface = Some(match self.take() {
                    Token::Text(name) | Token::Word(name) => name,
                    _ => return self.error("Interface name expected"),
                });
            }
        }
        loop {
            if self.word("port") {
                bgp.neighbor_port = self.port()?;
            } else if self.word("as") {
                bgp.neighbor_as = Some(self.number()?);
                bgp.neighbor_kind = None;
            } else if self.word("internal") {
                bgp.neighbor_kind = Some(true);
            } else if self.word("external") {
                bgp.neighbor_kind = Some(false);
            } else if self.is_sign(";") {
                return Ok(());
            } else {
                return self.unexpected("");
            }
        }
    }

    fn port(&mut self) -> Parsed<u16> {
        let port = self.number()?;
        match u16::try_from(port) {
            Ok(port) if port > 0 => Ok(port),
            _ => self.error("Port must be in range 1-65535"),
        }
    }
}
