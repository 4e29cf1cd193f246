//! A command as the words of its line say it.

use glassnet_kernel::tables::xt::{Counters, Rule, TableName};

/// What is to be done. Numbers of rules count from 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `-A CHAIN`.
    Append(String),
    /// `-I CHAIN [N]`.
    Insert(String, usize),
    /// `-D CHAIN RULE`.
    Delete(String),
    /// `-D CHAIN N`.
    DeleteAt(String, usize),
    /// `-R CHAIN N`.
    Replace(String, usize),
    /// `-C CHAIN`.
    Check(String),
    /// `-P CHAIN POLICY`.
    Policy(String, String),
    /// `-N CHAIN`.
    New(String),
    /// `-X [CHAIN]`.
    DeleteChain(Option<String>),
    /// `-F [CHAIN]`.
    Flush(Option<String>),
    /// `-Z [CHAIN]`.
    Zero(Option<String>),
    /// `-Z CHAIN N`.
    ZeroAt(String, usize),
    /// `-E OLD NEW`.
    Rename(String, String),
    /// `-L [CHAIN [N]]`.
    List(Option<String>, usize),
    /// `-S [CHAIN [N]]`.
    ListRules(Option<String>, usize),
    /// A line `:CHAIN POLICY [COUNTERS]` of a dump: the policy is that of a built-in chain.
    Declare(String, Option<(String, Option<Counters>)>),
}

/// What a command that prints sets to 0 afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zero {
    /// No counters.
    #[default]
    Nothing,
    /// Those of the chains that it printed.
    Chains,
    /// Those of the rule that it printed.
    Rule,
}

/// A command with its options.
#[derive(Clone, Debug)]
pub struct Command {
    /// What is to be done.
    pub op: Op,
    /// `-t`.
    pub table: TableName,
    /// The rules that it is about, one for each pair of addresses.
    pub rules: Vec<Rule>,
    /// `-c`: counters of the rules or the policy.
    pub counters: Option<Counters>,
    /// `-Z` stood beside `-L` or `-S`.
    pub zero: Zero,
    /// `-v`.
    pub verbose: bool,
    /// `-n`.
    pub numeric: bool,
    /// `-x`.
    pub exact: bool,
    /// `--line-numbers`.
    pub line_numbers: bool,
}

impl Command {
    /// A command without rules and options.
    pub fn new(op: Op, table: TableName) -> Command {
        Command {
            op,
            table,
            rules: Vec::new(),
            counters: None,
            zero: Zero::Nothing,
            verbose: false,
            numeric: false,
            exact: false,
            line_numbers: false,
        }
    }
}
