//! Every filter of `tests/tcpdump/filters.list` picks the packets that tcpdump 4.99.3 picked.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use glassnet_userland::pcap::{self, CaptureFile};
use glassnet_userland::tcpdump::filter::{Environment, Filter, Packet};
use glassnet_userland::tcpdump::print::LinkType;

fn captures(folder: &Path) -> Vec<(String, CaptureFile)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("the recordings").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "pcap"));
    files.sort();
    let read = |file: PathBuf| {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, pcap::read(&fs::read(&file).expect("a file")).expect("a capture"))
    };
    files.into_iter().map(read).collect()
}

fn compile(text: &str, link: u32) -> Result<Filter, String> {
    let link = LinkType::from_number(link).expect("a link type");
    Filter::compile(
        text,
        &Environment { link, resolve: &|_| Vec::new(), netmask: Ipv4Addr::UNSPECIFIED, live: false },
    )
}

/// The times of the packets that pass, as the recording writes them.
fn picked(filter: &Filter, name: &str, capture: &CaptureFile) -> Option<String> {
    let passes = |packet: &&glassnet_userland::tcpdump::print::Captured| {
        filter.matches(Packet { data: &packet.data, length: packet.length, outgoing: false, tag: None })
    };
    let times: Vec<String> = capture
        .packets
        .iter()
        .filter(passes)
        .map(|packet| {
            format!(" {:04}.{:06}", packet.time / 1_000_000_000 % 10_000, packet.time / 1000 % 1_000_000)
        })
        .collect();
    (!times.is_empty()).then(|| format!("{name}{}\n", times.concat()))
}

fn answer(text: &str, captures: &[(String, CaptureFile)]) -> String {
    if let Err(error) = compile(text, 1) {
        return format!("tcpdump: {error}\n");
    }
    let picked =
        |(name, capture): &(String, CaptureFile)| picked(&compile(text, capture.link).ok()?, name, capture);
    captures.iter().filter_map(picked).collect()
}

#[test]
fn filters_pick_what_tcpdump_picked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tcpdump");
    let captures = captures(&folder);
    let recording = fs::read_to_string(folder.join("filters.txt")).expect("a recording");
    let mut wrong = String::new();
    for section in recording.split("$ ").filter(|section| section.contains('\n')) {
        let (filter, expected) = section.split_once('\n').expect("a filter");
        let ours = answer(filter, &captures);
        if ours != expected {
            wrong += &format!("{filter}\n real:\n{expected} model:\n{ours}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn deep_nesting_is_a_syntax_error() {
    for text in ["(".repeat(100_000), "not ".repeat(100_000), "-".repeat(100_000), "ip[".repeat(100_000)] {
        assert!(compile(&text, 1).is_err());
    }
}
