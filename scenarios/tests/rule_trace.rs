//! Packets on which `-j TRACE` lies, against what the real tools told of them: see `rule_trace/record.sh`.

use std::path::Path;

use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::run::run;
use glassnet_scenarios::view::{self, Fate, Met, Story, Tried};

const ROUTER: &str = include_str!("rule_trace/router.cmd");
const RULES: &str = include_str!("rule_trace/rules.txt");
const PACKETS: &str = include_str!("rule_trace/packets.cmd");

/// The recorded commands as a lesson, with the command `behind` behind each packet.
fn lesson(variant: &str, behind: Option<&str>) -> Lesson {
    let mut text =
        "---\ntitle: Rules that are traced\ntopology: { nodes: { router: {} } }\n---\n```console\n"
            .to_owned();
    let mut prompt = |command: &str| text += &format!("router# {command}\n");
    ROUTER.lines().for_each(&mut prompt);
    prompt(&format!(
        "iptables-{variant}-restore <<'END'\n> {}\n> END",
        RULES.trim_end().replace('\n', "\n> ")
    ));
    for packet in PACKETS.lines() {
        prompt(packet);
        behind.into_iter().for_each(&mut prompt);
    }
    Lesson::parse(Path::new("trace.md"), text + "```\n").expect("a lesson")
}

/// What was recorded, for each packet.
fn recorded(text: &str) -> Vec<Vec<&str>> {
    let told: Vec<Vec<&str>> = text.split("$ ").skip(1).map(|part| part.lines().skip(1).collect()).collect();
    assert_eq!(told.len(), PACKETS.lines().count());
    told
}

/// What each packet met in tables, by the order of [`PACKETS`].
fn met(story: &Story) -> Vec<Vec<Met>> {
    let first = story.typed.len() - PACKETS.lines().count();
    let of_prompt = |prompt: usize| {
        let exchange = story.exchanges.iter().find(|exchange| exchange.prompt == prompt).expect("a packet");
        let own = exchange.steps.iter().filter(|at| Some(&story.owner(**at)) == exchange.packets.first());
        own.filter_map(|at| story.met(*at)).collect()
    };
    (first + 1..=story.typed.len()).map(of_prompt).collect()
}

/// Matches and ends of chains in the order in which the packet came to them.
fn told(met: &[Met]) -> impl Iterator<Item = (&Met, &Tried)> {
    let each = met.iter().flat_map(|met| met.tried.iter().map(move |tried| (met, tried)));
    each.filter(|(_, tried)| !matches!(tried.fate, Fate::NoMatch { .. }))
}

#[test]
fn the_log_of_legacy_tables_is_the_recorded_one() {
    let lesson = lesson("legacy", Some("dmesg -c -t"));
    let outcomes = run(&lesson, SEED, |_, _| ()).expect("the lesson runs to its end");
    let printed = lesson.prompts().zip(&outcomes).filter(|(prompt, _)| prompt.command.starts_with("dmesg"));
    for ((command, wanted), (_, outcome)) in
        PACKETS.lines().zip(recorded(include_str!("rule_trace/legacy.txt"))).zip(printed)
    {
        let lines: Vec<&str> = outcome.output.lines().map(str::trim_end).collect();
        assert_eq!(lines, wanted, "{command}");
    }
}

#[test]
fn a_walk_through_legacy_tables_numbers_rules_as_the_log_does() {
    let lesson = lesson("legacy", None);
    let observed = view::observe(&lesson, SEED, |_| ()).expect("the lesson runs to its end");
    let world = observed.world();
    let wanted = recorded(include_str!("rule_trace/legacy.txt"));
    for (met, wanted) in met(&observed.story(&world)).iter().zip(wanted) {
        // `TRACE: filter:FORWARD:rule:3 IN=…`; a rule without conditions that decides is `policy` or `return` there.
        let place = |line: &&str| {
            let mut words = line.split([':', ' ']).skip(2);
            let mut next = || words.next().unwrap_or("").to_owned();
            let (table, chain, _) = (next(), next(), next());
            format!("{table}:{chain}:{}", next())
        };
        let wanted: Vec<String> = wanted.iter().map(place).collect();
        let place = |(met, tried): (&Met, &Tried)| format!("{}:{}:{}", met.table, tried.chain, tried.number);
        // The log begins behind the rule that says TRACE.
        let places: Vec<String> = told(met).skip(1).map(place).collect();
        assert_eq!(places, wanted);
    }
}

#[test]
fn a_walk_through_nft_tables_says_what_the_monitors_said() {
    let lesson = lesson("nft", None);
    let observed = view::observe(&lesson, SEED, |_| ()).expect("the lesson runs to its end");
    let world = observed.world();
    let wanted = recorded(include_str!("rule_trace/nft.txt"));
    for (met, wanted) in met(&observed.story(&world)).iter().zip(wanted) {
        let (monitor, trace) = wanted.split_at(wanted.len() / 2);
        let wanted: Vec<String> =
            monitor.iter().zip(trace).map(|(monitor, trace)| event(monitor, trace)).collect();
        let line = |(met, tried): (&Met, &Tried)| {
            let place = format!("{}:{}", met.table, tried.chain);
            match &tried.fate {
                Fate::Match { verdict } => Some(format!("{place}:rule {} (verdict {verdict})", tried.rule)),
                Fate::Policy { verdict } => Some(format!("{place}:policy {verdict}")),
                // nf_tables does not tell of the end of a user chain.
                _ => None,
            }
        };
        let lines: Vec<String> = told(met).filter_map(line).collect();
        assert_eq!(lines, wanted);
    }
}

/// A rule or a policy as ` TRACE: 2 * filter:FORWARD:rule:0x9:JUMP:A  -4 -t filter -A FORWARD -p icmp -j A` of
/// xtables-monitor and `trace id * ip filter FORWARD rule … (verdict jump A)` of nft tell it together.
fn event(monitor: &str, trace: &str) -> String {
    let words: Vec<&str> = trace.split(' ').collect();
    let (table, chain) = (words[4], words[5]);
    assert!(monitor.contains(&format!(" {table}:{chain}:{}:", words[6])), "{monitor}\n{trace}");
    match words[6] {
        "policy" => format!("{table}:{chain}:policy {}", words[7]),
        _ => {
            let rule = monitor.find(" -A ").map_or("", |at| &monitor[at + 1..]);
            let (_, verdict) = trace.rsplit_once(" (verdict ").expect("a verdict");
            format!("{table}:{chain}:rule {rule} (verdict {verdict}")
        }
    }
}
