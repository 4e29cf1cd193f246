//! A parsed command.

use glassnet_kernel::tables::xt::{Counters, Rule, TableName};

/// Operation. Rule numbers start at 1.
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
    /// A line `:CHAIN POLICY [COUNTERS]` of a dump, with the policy of a built-in chain.
    Declare(String, Option<(String, Option<Counters>)>),
}

/// What `-Z` zeroes after `-L` or `-S`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zero {
    /// No `-Z`.
    #[default]
    Nothing,
    /// Counters of the printed chains.
    Chains,
    /// Counters of the printed rule.
    Rule,
}

/// An operation with its options.
#[derive(Clone, Debug)]
pub struct Command {
    /// Operation.
    pub op: Op,
    /// `-t`.
    pub table: TableName,
    /// Rules, one for each pair of addresses.
    pub rules: Vec<Rule>,
    /// `-c`: counters of the rules or the policy.
    pub counters: Option<Counters>,
    /// `-Z` with `-L` or `-S`.
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
