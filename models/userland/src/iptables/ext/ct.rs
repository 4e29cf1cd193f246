//! `-j CT` and `-j NOTRACK` (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_ct::{Ct, CtZone, Notrack};
use glassnet_kernel::tables::xt::Target;

use super::words::{parameter, truncated};
use super::{Context, Draw, DrawnTarget, Given, Opt, Place, Style, TargetExt, XtError, x6};

/// `CT`.
pub const CT: TargetExt =
    TargetExt { name: "CT", options: OPTIONS, parse, show, arbitrary: None, drawn: (6, drawn) };
/// `NOTRACK`.
pub const NOTRACK: TargetExt = TargetExt {
    name: "NOTRACK",
    options: &[],
    parse: |_, _| Ok(Target::new(Notrack)),
    show: show_notrack,
    arbitrary: None,
    drawn: (1, drawn_notrack),
};

const OPTIONS: &[Opt] = &[
    Opt::flag("notrack"),
    Opt::value("helper"),
    Opt::value("timeout"),
    Opt::value("ctevents"),
    Opt::value("expevents"),
    Opt::value("zone-orig"),
    Opt::value("zone-reply"),
    Opt::value("zone"),
];

/// Names of events; the bit is the index.
const CT_EVENTS: [&str; 10] =
    ["new", "related", "destroy", "reply", "assured", "protoinfo", "helper", "mark", "natseqinfo", "secmark"];
const EXP_EVENTS: [&str; 1] = ["new"];

fn parse(given: &[Given], _: &Context) -> Result<Target, XtError> {
    let mut ct = Ct::default();
    let mut zone = None;
    let (mut original, mut reply) = (false, false);
    for option in given {
        match option.name {
            "notrack" => ct.notrack = true,
            "helper" => ct.helper = helper(option.value())?,
            "ctevents" => ct.ctevents = events(option.value(), &CT_EVENTS)?,
            "expevents" => ct.expevents = events(option.value(), &EXP_EVENTS)?,
            "zone" | "zone-orig" | "zone-reply" => {
                original |= option.name == "zone-orig";
                reply |= option.name == "zone-reply";
                zone = Some(zone_id(option.value())?);
            }
            other => return Err(XtError::Other(format!("not modelled yet: CT --{other}"))),
        }
    }
    if !original && !reply {
        (original, reply) = (true, true);
    }
    // Zone 0 is the default, so it is dropped.
    ct.zone = zone.filter(|id| *id != Some(0)).map(|id| CtZone { id, original, reply });
    Ok(Target::new(ct))
}

/// Helpers of Linux 6.1 that are not modelled, and those of other ports, which `modprobe` gives a helper.
const NOT_MODELLED: [&str; 13] = [
    "amanda",
    "H.245",
    "irc",
    "netbios-ns",
    "pptp",
    "Q.931",
    "RAS",
    "sane",
    "sip",
    "snmp",
    "snmp_trap",
    "tftp",
    "h323",
];
/// Longest name, bytes; the rest is cut off.
const HELPER_LEN: usize = 15;

fn helper(name: &str) -> Result<String, XtError> {
    if NOT_MODELLED.contains(&name) {
        return Err(XtError::NotModelled(format!("CT --helper {name}")));
    }
    Ok(truncated(name, HELPER_LEN))
}

fn zone_id(text: &str) -> Result<Option<u16>, XtError> {
    if text == "mark" {
        return Ok(None);
    }
    match x6::strtoui(text, 0, 0xffff) {
        Some(id) => Ok(Some(id as u16)),
        None => parameter(format!("Cannot parse {text} as a zone ID")),
    }
}

fn events(text: &str, names: &[&str]) -> Result<u16, XtError> {
    let mut mask = 0;
    for word in text.split(',') {
        match names.iter().position(|name| *name == word) {
            Some(bit) => mask |= 1 << bit,
            None => return parameter(format!("Unknown event type \"{word}\"")),
        }
    }
    Ok(mask)
}

fn show_events(mask: u16, names: &[&str], out: &mut String) {
    let set = names.iter().enumerate().filter(|(bit, _)| mask & 1 << bit != 0);
    out.push_str(&set.map(|(_, name)| *name).collect::<Vec<_>>().join(","));
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Some(ct) = target.get::<Ct>() else { return };
    let dashes = if style == Style::Save { "--" } else { "" };
    if style != Style::Save {
        out.push_str(" CT");
    }
    if ct.notrack {
        let _ = write!(out, " {dashes}notrack");
    }
    if !ct.helper.is_empty() {
        let _ = write!(out, " {dashes}helper {}", ct.helper);
    }
    if ct.ctevents != 0 {
        let _ = write!(out, " {dashes}ctevents ");
        show_events(ct.ctevents, &CT_EVENTS, out);
    }
    if ct.expevents != 0 {
        let _ = write!(out, " {dashes}expevents ");
        show_events(ct.expevents, &EXP_EVENTS, out);
    }
    if let Some(zone) = ct.zone {
        let name = match (zone.original, zone.reply) {
            (true, false) => "zone-orig",
            (false, true) => "zone-reply",
            _ => "zone",
        };
        let id = zone.id.map_or("mark".to_owned(), |id| id.to_string());
        let _ = write!(out, " {dashes}{name} {id}");
    }
}

fn show_notrack(_: &Target, style: Style, out: &mut String) {
    if style != Style::Save {
        out.push_str(" NOTRACK");
    }
}

fn drawn(draw: &mut Draw, place: Place) -> DrawnTarget {
    if place.table != "raw" {
        return DrawnTarget::NONE;
    }
    let what = [
        "--notrack",
        "--zone 1",
        "--zone 2",
        "--zone-orig 1",
        "--zone-reply 1",
        "--zone mark",
        "--ctevents new,destroy",
    ];
    DrawnTarget::plain(format!("-j CT {}", draw.pick(&what)))
}

fn drawn_notrack(_: &mut Draw, place: Place) -> DrawnTarget {
    if place.table != "raw" {
        return DrawnTarget::NONE;
    }
    DrawnTarget::plain("-j NOTRACK")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::Hosts;
    use glassnet_kernel::tables::xt::{TableName, Variant};

    fn read(words: &[(&'static str, &str)]) -> Result<(String, String), XtError> {
        let given: Vec<Given> = words
            .iter()
            .map(|(name, value)| {
                let values = if value.is_empty() { vec![] } else { vec![(*value).to_owned()] };
                Given { name, invert: false, values }
            })
            .collect();
        let hosts = Hosts::default();
        let context = Context {
            proto: (0, false),
            table: TableName::Raw,
            variant: Variant::Nft,
            hosts: &hosts,
            sets: &[],
        };
        let target = parse(&given, &context)?;
        let (mut save, mut list) = (String::new(), String::new());
        show(&target, Style::Save, &mut save);
        show(&target, Style::List { numeric: true, proto: 0 }, &mut list);
        Ok((save, list))
    }

    /// Recorded from iptables 1.8.9.
    #[test]
    fn it_prints_as_the_real_tool() {
        let all = "new,related,destroy,reply,assured,protoinfo,helper,mark,natseqinfo,secmark";
        let all_saved = format!(" --ctevents {all}");
        type Options<'a> = &'a [(&'static str, &'a str)];
        let cases: [(Options, &str, &str); 12] = [
            (&[], "", " CT"),
            (&[("notrack", "")], " --notrack", " CT notrack"),
            (&[("zone", "5")], " --zone 5", " CT zone 5"),
            (&[("zone", "0")], "", " CT"),
            (&[("zone-orig", "mark")], " --zone-orig mark", " CT zone-orig mark"),
            (&[("zone-reply", "0x10")], " --zone-reply 16", " CT zone-reply 16"),
            (&[("zone-orig", "5"), ("zone-reply", "6")], " --zone 6", " CT zone 6"),
            (&[("zone", "5"), ("zone-reply", "6")], " --zone-reply 6", " CT zone-reply 6"),
            (
                &[("notrack", ""), ("ctevents", "new")],
                " --notrack --ctevents new",
                " CT notrack ctevents new",
            ),
            (&[("expevents", "new")], " --expevents new", " CT expevents new"),
            (
                &[("zone", "4"), ("expevents", "new"), ("helper", "ftp")],
                " --helper ftp --expevents new --zone 4",
                " CT helper ftp expevents new zone 4",
            ),
            (&[("notrack", ""), ("helper", "ftp")], " --notrack --helper ftp", " CT notrack helper ftp"),
        ];
        for (given, save, list) in cases {
            assert_eq!(read(given).unwrap(), (save.to_owned(), list.to_owned()));
        }
        assert_eq!(read(&[("ctevents", all)]).unwrap().0, all_saved);
    }

    #[test]
    fn it_refuses_with_the_real_texts() {
        let text = |given: &[(&'static str, &str)]| match read(given) {
            Err(
                XtError::Parameter(text)
                | XtError::Final(text)
                | XtError::Other(text)
                | XtError::NotModelled(text),
            ) => text,
            Ok(shown) => panic!("{shown:?}"),
        };
        assert_eq!(text(&[("zone", "70000")]), "Cannot parse 70000 as a zone ID");
        assert_eq!(text(&[("zone-reply", "foo")]), "Cannot parse foo as a zone ID");
        assert_eq!(text(&[("ctevents", "label")]), "Unknown event type \"label\"");
        assert_eq!(text(&[("ctevents", "new,,destroy")]), "Unknown event type \"\"");
        assert_eq!(text(&[("helper", "tftp")]), "CT --helper tftp");
    }
}
