//! The topology of a lesson, and its cluster, with other values than it gives. A path names one; it is put into the front matter, which is
//! then read like any other, so whatever a topology has can be varied and is checked.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::cluster::RawCluster;
use super::error::Reader;
use super::markdown::{read_yaml, split_front_matter};
use super::topology::{Checker, RawTopology, Topology};
use super::{Lesson, LessonError, is_yaml};

/// Where a value stands in the front matter: the keys from the outermost on, for each place that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(Vec<Vec<Key>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    /// Of a map.
    Name(String),
    /// Of a list, from 0.
    Number(usize),
}

/// The forms of a path.
const FORMS: &str = "nodes.MACHINE.cpus, nodes.MACHINE.nics.CARD.KEY, nics.CARD.KEY (on every machine that has the card), \
    links.MACHINE:CARD.KEY (the cable that ends there), switches.SWITCH.KEY, cluster.KEY, \
    cluster.flannel.KEY";

impl Places {
    /// Finds what a path names.
    ///
    /// # Errors
    ///
    /// It has none of the known forms, or names a machine, card, cable or switch that is not there.
    pub fn find(path: &str, topology: &Topology) -> Result<Places, String> {
        let Some((kind, rest)) = path.split_once('.') else { return Err(unknown(path)) };
        let named = |text: &str| Key::Name(text.to_owned());
        let mut part = "topology";
        let keys = match kind {
            "nodes" => {
                let machines = topology.nodes.keys().map(String::as_str);
                let (machine, rest) = named_first(rest, "machine", machines)?;
                let node = [named("nodes"), named(machine)];
                match rest.strip_prefix("nics.") {
                    Some(rest) => {
                        let cards = topology.nodes[machine].nics.keys().map(String::as_str);
                        let (card, key) = named_first(rest, "card", cards)?;
                        vec![[&node[..], &[named("nics"), named(card), named(key)]].concat()]
                    }
                    None => vec![[&node[..], &[named(rest)]].concat()],
                }
            }
            "nics" => {
                let cards = topology.nodes.values().flat_map(|node| node.nics.keys()).map(String::as_str);
                let (card, key) = named_first(rest, "card", cards)?;
                let has = topology.nodes.iter().filter(|(_, node)| node.nics.contains_key(card));
                has.map(|(machine, _)| ["nodes", machine, "nics", card, key].map(named).to_vec()).collect()
            }
            "links" => {
                let ends = topology.links.iter().enumerate();
                let ends = ends.flat_map(|(at, link)| link.endpoints.each_ref().map(|end| (at, end)));
                let ends: Vec<(usize, String)> =
                    ends.map(|(at, end)| (at, format!("{}:{}", end.node, end.port))).collect();
                let (end, key) =
                    named_first(rest, "end of a cable", ends.iter().map(|(_, end)| end.as_str()))?;
                let at = ends.iter().filter(|(_, name)| name == end).map(|(at, _)| *at);
                at.map(|at| vec![named("links"), Key::Number(at), named(key)]).collect()
            }
            "switches" => {
                let (switch, key) =
                    named_first(rest, "switch", topology.switches.keys().map(String::as_str))?;
                vec![["switches", switch, key].map(named).to_vec()]
            }
            "cluster" if topology.cluster.is_none() => return Err("the lesson has no cluster".to_owned()),
            "cluster" => {
                part = "cluster";
                match rest.strip_prefix("flannel.") {
                    Some(key) => vec![vec![named("flannel"), named(key)]],
                    None => vec![vec![named(rest)]],
                }
            }
            _ => return Err(unknown(path)),
        };
        let is_key = |keys: &Vec<Key>| match keys.last() {
            Some(Key::Name(key)) => {
                !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            }
            _ => false,
        };
        if !keys.iter().all(is_key) {
            return Err(unknown(path));
        }
        Ok(Places(keys.into_iter().map(|keys| [vec![named(part)], keys].concat()).collect()))
    }
}

fn unknown(path: &str) -> String {
    format!("`{path}` is no place in a topology; there are {FORMS}")
}

/// Splits `NAME.REST` where the name is known; names may have dots in them.
fn named_first<'a, 'n>(
    text: &'a str,
    what: &str,
    known: impl Iterator<Item = &'n str>,
) -> Result<(&'a str, &'a str), String> {
    let mut known: Vec<&str> = known.collect();
    let rest = |name: &str| text.strip_prefix(name)?.strip_prefix('.');
    let found = known.iter().filter_map(|name| Some((*name, rest(name)?))).max_by_key(|(name, _)| name.len());
    known.sort_unstable();
    known.dedup();
    match found {
        Some((name, rest)) => Ok((&text[..name.len()], rest)),
        None if known.is_empty() => Err(format!("there is no {what} in the topology")),
        None => {
            let word = text.split('.').next().unwrap_or(text);
            Err(format!("there is no {what} `{word}`: the topology has {}", known.join(", ")))
        }
    }
}

/// A topology and a cluster as they are written, to be read with other values.
#[derive(Clone, Debug)]
pub struct Template {
    path: PathBuf,
    front: Value,
}

/// What a front matter or a plan has besides is not varied.
#[derive(Deserialize)]
struct Front<T, C> {
    topology: T,
    cluster: Option<C>,
}

impl Template {
    /// The topology of a lesson.
    ///
    /// # Errors
    ///
    /// As [`Lesson::parse`].
    pub fn of(lesson: &Lesson) -> Result<Template, LessonError> {
        let reader = Reader::new(&lesson.path, &lesson.source);
        let range = match is_yaml(&lesson.path) {
            true => 0..lesson.source.len(),
            false => split_front_matter(&reader)?.0,
        };
        let read: Front<Value, Value> = read_yaml(&reader, range)?;
        let mut front = Map::from_iter([("topology".to_owned(), read.topology)]);
        front.extend(read.cluster.map(|cluster| ("cluster".to_owned(), cluster)));
        Ok(Template { path: lesson.path.clone(), front: front.into() })
    }

    /// Reads it with these values.
    ///
    /// # Errors
    ///
    /// There is no such key, or it does not take the value.
    pub fn with<'a>(
        &self,
        values: impl Iterator<Item = (&'a Places, &'a str)>,
    ) -> Result<Topology, LessonError> {
        let mut front = self.front.clone();
        for (places, value) in values {
            places.0.iter().for_each(|place| set(&mut front, place, value));
        }
        let text = front.to_string();
        let reader = Reader::new(&self.path, &text);
        let raw: Front<RawTopology, Spanned<RawCluster>> = read_yaml(&reader, 0..text.len())?;
        let checker = Checker { reader: &reader, base: 0 };
        let mut topology = checker.topology(raw.topology)?;
        topology.cluster = raw.cluster.map(|cluster| checker.cluster(cluster, &topology)).transpose()?;
        Ok(topology)
    }
}

/// Puts a value at a place. What is left out in the text, such as the description of a card that a cable names, is made.
fn set(mut at: &mut Value, place: &[Key], value: &str) {
    for key in place {
        at = match key {
            Key::Number(number) => &mut at[*number],
            Key::Name(name) => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                &mut at[name.as_str()]
            }
        };
    }
    // What a cluster takes are words, also version 1.20.
    let is_word = place.first() == Some(&Key::Name("cluster".to_owned()));
    let number = serde_json::from_str(value).ok().filter(Value::is_number).filter(|_| !is_word);
    *at = number.unwrap_or_else(|| value.into());
}
