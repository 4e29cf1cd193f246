//! Plain YAML scenarios: `topology` and `steps`, as generators write them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::cluster::RawCluster;
use super::error::Reader;
use super::markdown::read_yaml;
use super::topology::{Checker, RawTopology};
use super::{Block, FrontMatter, LessonError, Prompt, cable};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    title: Option<String>,
    topology: RawTopology,
    cluster: Option<Spanned<RawCluster>>,
    #[serde(default)]
    measures: BTreeMap<String, Spanned<String>>,
    steps: Vec<RawStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    /// What hands do to a cable before.
    cable: Option<Spanned<String>>,
    /// The machine.
    on: Spanned<String>,
    /// The shell text.
    run: Spanned<String>,
    /// What it prints; anything if it is left out.
    prints: Option<String>,
}

pub(super) fn parse(reader: &Reader) -> Result<(FrontMatter, Vec<Block>), LessonError> {
    let raw: RawScenario = read_yaml(reader, 0..reader.source.len())?;
    let checker = Checker { reader, base: 0 };
    let mut topology = checker.topology(raw.topology)?;
    topology.cluster = raw.cluster.map(|cluster| checker.cluster(cluster, &topology)).transpose()?;
    let measures = checker.measures(raw.measures, &topology)?;
    let mut blocks = Vec::new();
    for step in raw.steps {
        if !topology.nodes.contains_key(&step.on.value) {
            return Err(reader.error(
                checker.span(&step.on),
                format!("there is no machine `{}`", step.on.value),
                "not in the topology",
            ));
        }
        let command_span = checker.span(&step.run);
        let line = reader.line_of(command_span.start);
        let mut expected = step.prints.unwrap_or_else(|| "…".to_string());
        if !expected.is_empty() && !expected.ends_with('\n') {
            expected.push('\n');
        }
        let expected_span = command_span.end..command_span.end;
        let command = step.run.value.trim_end().to_string();
        let mut before = Vec::new();
        if let Some(change) = &step.cable {
            let span = checker.span(change);
            // Without its quotes.
            let at = reader.source[span.clone()].find(&change.value).map(|at| span.start + at);
            let text = at.map_or(span, |at| at..at + change.value.len());
            before.extend(cable::parse(reader, text, &topology)?);
        }
        let prompt =
            Prompt { machine: step.on.value, command, line, expected, command_span, expected_span, before };
        blocks.push(Block { line, prompts: vec![prompt] });
    }
    let title = raw.title.unwrap_or_else(|| reader.path.display().to_string());
    Ok((FrontMatter { title, topology, measures }, blocks))
}
