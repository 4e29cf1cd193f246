//! `list` and `save`.

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::tables::ipset::types::{Ext, Key, SetError, SetType};
use glassnet_kernel::tables::ipset::{IpSet, IpSets, Listed, Storage};
use glassnet_sim::Nanos;

use super::{Command, Fail, Mode, Session, elem, kernel_text, optional_name};
use crate::process::Process;

/// Prints sets, or writes them to the file of `-file`.
pub async fn run(
    process: &mut Process,
    session: &mut Session,
    command: Command,
    words: &[String],
) -> Result<(), Fail> {
    let text = text(process, session, command, words)?;
    let Some(file) = session.file.clone() else {
        process.print(text);
        return Ok(());
    };
    let path = process.path(&file);
    match process.files.clone().write(&path, text.as_bytes()).await {
        Ok(()) => Ok(()),
        Err(error) => {
            let reason = crate::process::strerror(&error);
            Err(Fail::Other(format!("Cannot open {file} for writing: {reason}")))
        }
    }
}

/// The output of a command.
pub fn text(
    process: &Process,
    session: &mut Session,
    command: Command,
    words: &[String],
) -> Result<String, Fail> {
    let name = optional_name(words)?;
    // The first command of a `restore` sets the mode for all.
    let mode = *session.mode.get_or_insert(if command == Command::Save { Mode::Save } else { Mode::Plain });
    let netns = process.netns;
    process.syscall(|cx| {
        let sets = &cx.k.netns[netns].ipsets;
        let list = Lister { sets, now: cx.now, session, mode };
        match &name {
            Some(name) => match sets.get(name) {
                Some(set) => Ok(list.all(std::iter::once(set))),
                None => Err(Fail::Other(kernel_text(Command::List, SetError::NoSuchSet))),
            },
            None => Ok(list.all(sets.iter())),
        }
    })
}

struct Lister<'a> {
    sets: &'a IpSets,
    now: Nanos,
    session: &'a Session,
    mode: Mode,
}

impl Lister<'_> {
    fn all<'s>(&self, sets: impl Iterator<Item = &'s IpSet>) -> String {
        let listed: Vec<String> = sets.map(|set| self.one(set)).collect();
        match self.mode {
            // An empty line separates sets that are printed in full.
            Mode::Plain if !self.session.name => listed.join("\n"),
            Mode::Plain | Mode::Save => listed.concat(),
            Mode::Xml => format!("<ipsets>\n{}</ipsets>\n", listed.concat()),
        }
    }

    fn one(&self, set: &IpSet) -> String {
        match self.mode {
            Mode::Save => self.save(set),
            Mode::Plain if self.session.name => format!("{}\n", set.name),
            Mode::Xml if self.session.name => format!("<ipset name=\"{}\"/>\n", set.name),
            Mode::Plain => self.plain(set),
            Mode::Xml => self.xml(set),
        }
    }

    fn save(&self, set: &IpSet) -> String {
        let mut text = format!("create {} {} {}\n", set.name, set.set_type.name(), header(set));
        for element in self.elements(set) {
            let _ = writeln!(text, "add {} {}", set.name, self.line(set, &element));
        }
        text
    }

    fn plain(&self, set: &IpSet) -> String {
        let mut text = format!(
            "Name: {}\nType: {}\nRevision: {}\nHeader: {}\nSize in memory: {}\nReferences: {}\n\
             Number of entries: {}\n",
            set.name,
            set.set_type.name(),
            set.revision,
            header(set),
            set.memory(),
            set.references,
            set.count(self.now)
        );
        if !self.session.terse {
            text.push_str("Members:\n");
            for element in self.elements(set) {
                let _ = writeln!(text, "{}", self.line(set, &element));
            }
        }
        text
    }

    fn xml(&self, set: &IpSet) -> String {
        let fields = fields(set).into_iter().map(|(name, value)| tag(name, &value));
        let mut text = format!(
            "<ipset name=\"{}\">\n<type>{}</type>\n<revision>{}</revision>\n<header>{}\n\
             <memsize>{}</memsize>\n<references>{}</references>\n<numentries>{}</numentries>\n</header>\n",
            set.name,
            set.set_type.name(),
            set.revision,
            fields.collect::<String>(),
            set.memory(),
            set.references,
            set.count(self.now)
        );
        if !self.session.terse {
            text.push_str("<members>\n");
            for element in self.elements(set) {
                let options = self.options(set, &element).into_iter();
                let options: String = options.map(|(name, value)| tag(name, &value)).collect();
                let shown = elem::show(set, &element);
                let _ = writeln!(text, "<member><elem>{shown}</elem>{options}</member>");
            }
            text.push_str("</members>\n");
        }
        text + "</ipset>\n"
    }

    fn elements(&self, set: &IpSet) -> Vec<Listed> {
        let mut elements = self.sets.elements(set, self.now);
        if self.session.sorted && set.set_type != SetType::ListSet {
            let order = |key: &Key| (key.ip, key.proto, key.port, key.ip2, u8::MAX - key.cidr);
            elements.sort_by_key(|element| order(&element.key));
        }
        elements
    }

    fn line(&self, set: &IpSet, element: &Listed) -> String {
        let mut text = elem::show(set, element);
        for (name, value) in self.options(set, element) {
            let _ = match value.is_empty() {
                true => write!(text, " {name}"),
                false => write!(text, " {name} {value}"),
            };
        }
        text
    }

    /// Options of an element in order; an empty value is a flag.
    fn options(&self, set: &IpSet, element: &Listed) -> Vec<(&'static str, String)> {
        let mut options = Vec::new();
        let none = Ext::default();
        let ext = element.ext.as_ref().unwrap_or(&none);
        if set.ext.timeout.is_some() {
            options.push(("timeout", ext.timeout(self.now).to_string()));
        }
        if element.nomatch {
            options.push(("nomatch", String::new()));
        }
        if element.iface.as_ref().is_some_and(|iface| iface.wildcard) {
            options.push(("wildcard", String::new()));
        }
        if set.ext.counters {
            options.push(("packets", ext.packets.to_string()));
            options.push(("bytes", ext.bytes.to_string()));
        }
        if let Some(comment) = &ext.comment {
            options.push(("comment", format!("\"{comment}\"")));
        }
        let info = ext.skbinfo;
        match (info.mark, info.mask) {
            (0, 0) => {}
            (mark, u32::MAX) => options.push(("skbmark", format!("{mark:#x}"))),
            (mark, mask) => options.push(("skbmark", format!("{mark:#x}/{mask:#x}"))),
        }
        if info.prio != 0 {
            options.push(("skbprio", format!("{:x}:{:x}", info.prio >> 16, info.prio & 0xffff)));
        }
        if info.queue != 0 {
            options.push(("skbqueue", info.queue.to_string()));
        }
        options
    }
}

fn tag(name: &str, value: &str) -> String {
    match value.is_empty() {
        true => format!("<{name}/>"),
        false => format!("<{name}>{value}</{name}>"),
    }
}

/// Options of `create` in order; an empty value is a flag.
fn fields(set: &IpSet) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    match &set.storage {
        Storage::Hash(hash) => {
            fields.push(("family", "inet".to_owned()));
            fields.push(("hashsize", hash.size().to_string()));
            fields.push(("maxelem", hash.maxelem.to_string()));
            if hash.netmask != 32 {
                fields.push(("netmask", hash.netmask.to_string()));
            }
        }
        Storage::Bitmap(bitmap) if set.set_type == SetType::BitmapPort => {
            fields.push(("range", format!("{}-{}", bitmap.first, bitmap.last)));
        }
        Storage::Bitmap(bitmap) => {
            let (first, last) = (Ipv4Addr::from(bitmap.first), Ipv4Addr::from(bitmap.last));
            fields.push(("range", format!("{first}-{last}")));
            if bitmap.netmask != 32 {
                fields.push(("netmask", bitmap.netmask.to_string()));
            }
        }
        Storage::List(list) => fields.push(("size", list.size.to_string())),
    }
    if let Some(timeout) = set.ext.timeout {
        fields.push(("timeout", timeout.to_string()));
    }
    let flags = [("counters", set.ext.counters), ("comment", set.ext.comment), ("skbinfo", set.ext.skbinfo)];
    fields.extend(flags.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, String::new())));
    if let Storage::Hash(hash) = &set.storage {
        fields.push(("bucketsize", hash.bucketsize.to_string()));
        fields.push(("initval", format!("0x{:08x}", hash.initval)));
    }
    fields
}

fn header(set: &IpSet) -> String {
    let words = fields(set).into_iter().map(|(name, value)| match value.is_empty() {
        true => name.to_owned(),
        false => format!("{name} {value}"),
    });
    words.collect::<Vec<_>>().join(" ")
}
