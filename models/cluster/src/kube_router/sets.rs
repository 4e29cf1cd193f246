//! Sets of addresses, as `ipset save` prints them and `ipset restore` reads them.

use std::collections::BTreeMap;

/// Sets by name.
#[derive(Debug, Default)]
pub struct Sets(BTreeMap<String, Set>);

#[derive(Debug)]
struct Set {
    /// Its type and options, as `create` takes them.
    options: String,
    /// Its entries, as `add` takes them.
    entries: Vec<String>,
}

impl Sets {
    /// What `ipset save` printed.
    pub fn saved(text: &str) -> Sets {
        let mut sets = Sets::default();
        for line in text.lines() {
            let mut words = line.splitn(3, ' ');
            let (Some(command), Some(name)) = (words.next(), words.next()) else { continue };
            let rest = words.next().unwrap_or_default().to_owned();
            match (command, sets.0.get_mut(name)) {
                ("create", _) => {
                    _ = sets.0.insert(name.to_owned(), Set { options: rest, entries: Vec::new() })
                }
                ("add", Some(set)) => set.entries.push(rest),
                _ => {}
            }
        }
        sets
    }

    /// Replaces the entries of a set. Its type counts if there is none of its name.
    pub fn refresh(&mut self, name: &str, kind: &str, entries: Vec<String>) {
        let options = format!("{kind} timeout 0");
        self.0.entry(name.to_owned()).or_insert(Set { options, entries: Vec::new() }).entries = entries;
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The input of `ipset restore -exist`: all sets of the node, also those of others.
    pub fn restore(&self) -> String {
        let mut text = String::new();
        for (name, set) in &self.0 {
            text += &format!("create {name} {}\nflush {name}\n", set.options);
            text.extend(set.entries.iter().map(|entry| format!("add {name} {entry}\n")));
        }
        text
    }
}
