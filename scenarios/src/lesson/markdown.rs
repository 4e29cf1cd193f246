//! Markdown lessons: front matter, `console` fences and `cable` fences.

use std::collections::BTreeMap;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::cluster::RawCluster;
use super::error::Reader;
use super::topology::{Checker, RawTopology, Topology};
use super::{Block, CableChange, FrontMatter, LessonError, Prompt, cable};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFrontMatter {
    title: String,
    topology: RawTopology,
    cluster: Option<Spanned<RawCluster>>,
    #[serde(default)]
    measures: BTreeMap<String, Spanned<String>>,
}

pub(super) fn parse(reader: &Reader) -> Result<(FrontMatter, Vec<Block>), LessonError> {
    let (yaml, body) = split_front_matter(reader)?;
    let raw: RawFrontMatter = read_yaml(reader, yaml.clone())?;
    let checker = Checker { reader, base: yaml.start };
    let mut topology = checker.topology(raw.topology)?;
    topology.cluster = raw.cluster.map(|cluster| checker.cluster(cluster, &topology)).transpose()?;
    let measures = checker.measures(raw.measures, &topology)?;
    let blocks = blocks(reader, body, &topology)?;
    Ok((FrontMatter { title: raw.title, topology, measures }, blocks))
}

const TOPOLOGY: &str =
    r#"a topology is like `{ nodes: { a: {}, b: {} }, links: [{ endpoints: ["a:eth0", "b:eth0"] }] }`"#;

/// Parses YAML at a range of the text.
pub(super) fn read_yaml<'de, T: Deserialize<'de>>(
    reader: &Reader<'de>,
    range: Range<usize>,
) -> Result<T, LessonError> {
    let yaml = &reader.source[range.clone()];
    serde_saphyr::from_str(yaml).map_err(|error| {
        let plain = error.without_snippet();
        let offset = plain.location().and_then(|at| at.span().byte_offset()).unwrap_or(0) as usize;
        let start = range.start + offset.min(yaml.len());
        let message = plain.to_string();
        let message = match message.split(" at line ").next().unwrap_or(&message) {
            "expected mapping start" => "names with values are expected here (`name: …`)",
            "expected sequence start" => "a list is expected here (`[…]`, or lines that begin with `-`)",
            other => other,
        };
        let word = word_at(reader.source, start);
        let top = yaml[..start - range.start].lines().rfind(|line| line.starts_with(char::is_alphabetic));
        if top.is_some_and(|line| line.starts_with("topology")) {
            reader.error_with_help(word, message, "here", TOPOLOGY)
        } else {
            reader.error(word, message, "here")
        }
    })
}

/// The word that starts at an offset, for underlining.
fn word_at(text: &str, start: usize) -> Range<usize> {
    let rest = &text[start..];
    let length = rest.find(|c: char| c.is_whitespace() || ":,{}[]".contains(c)).unwrap_or(rest.len());
    start..start + length.max(rest.chars().next().map_or(0, char::len_utf8))
}

/// The ranges of the front matter and of the rest.
pub(super) fn split_front_matter(reader: &Reader) -> Result<(Range<usize>, Range<usize>), LessonError> {
    let text = reader.source;
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or("");
    if first.trim_end() != "---" {
        return Err(reader.error_with_help(
            reader.first_line(),
            "the lesson has no front matter",
            "expected `---` here",
            "a lesson begins with YAML between two `---` lines that gives `title` and `topology`",
        ));
    }
    let start = first.len();
    let mut end = start;
    for line in lines {
        if line.trim_end() == "---" {
            return Ok((start..end, end + line.len()..text.len()));
        }
        end += line.len();
    }
    Err(reader.error(reader.first_line(), "the front matter is never closed", "no second `---` line follows"))
}

/// A fence being parsed: what it is, its range and the ranges of its lines.
struct Fence {
    kind: Kind,
    range: Range<usize>,
    lines: Vec<Range<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Console,
    Cable,
}

impl Fence {
    /// Adds text. A line with a carriage return at its end comes in pieces.
    fn add(&mut self, source: &str, range: Range<usize>) {
        let mut start = range.start;
        for piece in source[range].split_inclusive('\n') {
            let end = start + piece.len();
            match self.lines.last_mut().filter(|last| !source[(*last).clone()].ends_with('\n')) {
                Some(last) => last.end = end,
                None => self.lines.push(start..end),
            }
            start = end;
        }
    }
}

fn blocks(reader: &Reader, body: Range<usize>, topology: &Topology) -> Result<Vec<Block>, LessonError> {
    let text = &reader.source[body.clone()];
    let mut blocks = Vec::new();
    let mut fence: Option<Fence> = None;
    let mut changes: Vec<CableChange> = Vec::new();
    let mut unseen = None;
    for (event, range) in Parser::new_ext(text, Options::empty()).into_offset_iter() {
        let range = body.start + range.start..body.start + range.end;
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                check_closed(reader, &range)?;
                let kind = match info.split_whitespace().next() {
                    Some("console") => Some(Kind::Console),
                    Some("cable") => Some(Kind::Cable),
                    _ => None,
                };
                fence = kind.map(|kind| Fence { kind, range, lines: Vec::new() });
            }
            Event::Text(_) => {
                if let Some(fence) = &mut fence {
                    fence.add(reader.source, range);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                let Some(fence) = fence.take() else { continue };
                if fence.kind == Kind::Cable {
                    for line in fence.lines {
                        changes.extend(cable::parse(reader, line, topology)?);
                    }
                    unseen = Some(fence.range);
                    continue;
                }
                let mut block = block(reader, &fence, topology)?;
                if let Some(prompt) = block.prompts.first_mut() {
                    (prompt.before, unseen) = (std::mem::take(&mut changes), None);
                }
                blocks.push(block);
            }
            _ => {}
        }
    }
    match unseen {
        None => Ok(blocks),
        Some(range) => Err(reader.error_with_help(
            range,
            "no prompt follows this change of a cable",
            "it happens before the next prompt",
            "end the lesson with a `console` block",
        )),
    }
}

/// An unclosed fence extends to the end of the lesson.
fn check_closed(reader: &Reader, range: &Range<usize>) -> Result<(), LessonError> {
    let text = &reader.source[range.clone()];
    let opening = text.lines().next().unwrap_or("");
    let mark: String = opening.chars().take_while(|c| *c == '`' || *c == '~').collect();
    let last = text.trim_end().lines().next_back().unwrap_or("").trim();
    let is_closing = last.starts_with(&mark) && last.chars().all(|c| mark.starts_with(c));
    if is_closing && text.trim_end().lines().count() > 1 {
        return Ok(());
    }
    Err(reader.error_with_help(
        range.start..range.start + opening.len(),
        "this code fence is never closed",
        "opened here",
        format!("end it with a line `{mark}`"),
    ))
}

fn block(reader: &Reader, fence: &Fence, topology: &Topology) -> Result<Block, LessonError> {
    let mut prompts: Vec<Prompt> = Vec::new();
    let mut in_command = false;
    for range in &fence.lines {
        let (offset, line) = (range.start, &reader.source[range.clone()]);
        let text = line.trim_end_matches(['\n', '\r']);
        if let Some((machine, command)) = prompt_of(text) {
            check_machine(reader, machine, offset, topology)?;
            let start = offset + text.len() - command.len();
            prompts.push(Prompt {
                machine: machine.to_string(),
                command: command.to_string(),
                line: reader.line_of(offset),
                expected: String::new(),
                command_span: start..offset + text.len(),
                expected_span: offset + line.len()..offset + line.len(),
                before: Vec::new(),
            });
            in_command = true;
            continue;
        }
        let Some(prompt) = prompts.last_mut() else {
            return Err(reader.error_with_help(
                offset..offset + text.len(),
                "a `console` block begins with a prompt",
                "not a prompt",
                format!(
                    "such as `{}# ip addr`",
                    topology.nodes.keys().next().map_or("node1", String::as_str)
                ),
            ));
        };
        in_command = in_command && continues(prompt, text);
        if in_command {
            prompt.command.push('\n');
            prompt.command.push_str(text.strip_prefix("> ").unwrap_or(text));
            prompt.command_span.end = offset + text.len();
            prompt.expected_span = offset + line.len()..offset + line.len();
        } else {
            prompt.expected.push_str(text);
            prompt.expected.push('\n');
            prompt.expected_span.end = offset + line.len();
        }
    }
    prompts.retain(|prompt| !prompt.command.trim().is_empty());
    Ok(Block { line: reader.line_of(fence.range.start), prompts })
}

/// The line continues the command: it shows bash's second prompt, or the line before it ends in a backslash.
fn continues(prompt: &Prompt, text: &str) -> bool {
    text.starts_with("> ") || text == ">" || prompt.command.ends_with('\\')
}

/// A name that a prompt can have.
pub(super) fn is_machine(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Splits `node1# ip addr` into machine and command.
fn prompt_of(line: &str) -> Option<(&str, &str)> {
    let (machine, command) = line.split_once('#')?;
    let is_name = is_machine(machine);
    match command.strip_prefix(' ') {
        Some(command) if is_name => Some((machine, command)),
        None if is_name && command.is_empty() => Some((machine, command)),
        _ => None,
    }
}

fn check_machine(
    reader: &Reader,
    machine: &str,
    offset: usize,
    topology: &Topology,
) -> Result<(), LessonError> {
    if topology.nodes.contains_key(machine) {
        return Ok(());
    }
    let known: Vec<&str> = topology.nodes.keys().map(String::as_str).collect();
    Err(reader.error_with_help(
        offset..offset + machine.len(),
        format!("there is no machine `{machine}`"),
        "not in the topology",
        format!("the topology has {}", known.join(", ")),
    ))
}
