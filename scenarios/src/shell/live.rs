//! Rewrites a command line so that programs write to the terminal while they run.
//!
//! bashkit returns a command's output when the command ends, and a background job's when the job ends. So each program
//! that writes to the terminal gets `>>/dev/tty 2>>/dev/tty` in front, which bashkit writes at once. Later
//! redirections take precedence, so the meaning does not change; without any, a mark in the environment tells the
//! program that it writes to the terminal. Commands of a background job also get a mark, by which `kill` finds them:
//! the process id of the job before (`$!`), with a letter for the kind of job.
//!
//! Where the output is captured (`$(…)`, a function, a group with redirections) the text is left as it is: the
//! output is the same, only late.

use bashkit::parser::{
    Command, CommandList, CompoundCommand, ListOperator, Parser, Redirect, RedirectKind, SimpleCommand,
    WordPart,
};

/// The environment variable that marks the commands of a background job.
pub(super) const JOB: &str = "GLASSNET_JOB";
/// The environment variable that marks programs whose standard output is the terminal.
pub(super) const TERMINAL: &str = "GLASSNET_TERMINAL";
const STDOUT: &str = ">>/dev/tty ";
const STDERR: &str = "2>>/dev/tty ";

/// Mark of a background job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// A loop or group, which continues when one of its programs is killed.
    pub is_compound: bool,
    /// The process id of the job before it, 0 for none.
    pub after: u32,
}

impl Job {
    /// Parses the mark in a program's environment.
    pub(super) fn parse(mark: &str) -> Option<Job> {
        let after = mark.get(1..)?;
        let after = if after.is_empty() { 0 } else { after.parse().ok()? };
        Some(Job { is_compound: mark.starts_with('c'), after })
    }
}

/// Rewrites `text`.
pub(super) fn prepare(text: &str, is_program: impl Fn(&str) -> bool) -> String {
    let Ok(script) = Parser::new(text).parse() else { return text.to_string() };
    let mut walk = Walk { is_program: &is_program, insertions: Vec::new() };
    walk.all(&script.commands, Stage { stdout: true, job: None });
    let mut prepared = text.to_string();
    walk.insertions.sort();
    for (at, inserted) in walk.insertions.into_iter().rev() {
        if prepared.is_char_boundary(at) {
            prepared.insert_str(at, &inserted);
        }
    }
    prepared
}

/// A command line is complete; otherwise bash would print its second prompt.
pub fn is_complete(text: &str) -> bool {
    if text.ends_with('\\') && !text.ends_with("\\\\") {
        return false;
    }
    if let Some((_, rest)) = text.split_once("<<") {
        let word =
            rest.trim_start_matches(['-', ' ']).split([' ', '\n', ';', '|', '>', ')']).next().unwrap_or("");
        let word = word.trim_matches(['\'', '"']);
        let is_here_document =
            !rest.starts_with('<') && word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if is_here_document && !rest.lines().skip(1).any(|line| line.trim_start_matches('\t') == word) {
            return false;
        }
    }
    match Parser::new(text).parse() {
        Ok(_) => true,
        Err(error) => !["unexpected end of file", "unterminated", "unexpected EOF", "unclosed"]
            .iter()
            .any(|sign| error.to_string().contains(sign)),
    }
}

/// It redirects standard output.
fn takes_stdout(redirect: &Redirect) -> bool {
    use RedirectKind::{DupInput, HereDoc, HereDocStrip, HereString, Input, OutputBoth, ReadWrite};
    match redirect.kind {
        OutputBoth => true,
        Input | HereDoc | HereDocStrip | HereString | DupInput | ReadWrite => redirect.fd == Some(1),
        _ => redirect.fd.unwrap_or(1) == 1,
    }
}

#[derive(Clone, Copy)]
struct Stage {
    /// Standard output is the terminal.
    stdout: bool,
    /// The kind of background job: `s` for one command or pipeline, `c` for any other.
    job: Option<char>,
}

struct Walk<'a> {
    is_program: &'a dyn Fn(&str) -> bool,
    insertions: Vec<(usize, String)>,
}

impl Walk<'_> {
    fn all(&mut self, commands: &[Command], stage: Stage) {
        for command in commands {
            self.command(command, stage);
        }
    }

    fn command(&mut self, command: &Command, stage: Stage) {
        match command {
            Command::Simple(simple) => self.simple(simple, stage),
            Command::Pipeline(pipeline) => {
                let last = pipeline.commands.len().saturating_sub(1);
                for (at, command) in pipeline.commands.iter().enumerate() {
                    self.command(command, Stage { stdout: stage.stdout && at == last, ..stage });
                }
            }
            Command::List(list) => self.list(list, stage),
            Command::Compound(compound, redirects) if redirects.is_empty() => self.compound(compound, stage),
            Command::Compound(..) | Command::Function(_) => {}
        }
    }

    fn list(&mut self, list: &CommandList, stage: Stage) {
        let operators = list.rest.iter().map(|(operator, _)| Some(*operator)).chain([None]);
        let commands = std::iter::once(&*list.first).chain(list.rest.iter().map(|(_, command)| command));
        for (command, next) in commands.zip(operators) {
            let is_simple = matches!(command, Command::Simple(_) | Command::Pipeline(_));
            let job = match next {
                Some(ListOperator::Background) => Some(if is_simple { 's' } else { 'c' }),
                _ => stage.job,
            };
            self.command(command, Stage { job, ..stage });
        }
    }

    fn simple(&mut self, simple: &SimpleCommand, stage: Stage) {
        let [WordPart::Literal(name)] = simple.name.parts.as_slice() else { return };
        if !(self.is_program)(name) {
            return;
        }
        let mut inserted = String::new();
        if stage.stdout {
            inserted.push_str(STDOUT);
        }
        inserted.push_str(STDERR);
        if stage.stdout && !simple.redirects.iter().any(takes_stdout) {
            inserted.push_str(&format!("{TERMINAL}=1 "));
        }
        if let Some(job) = stage.job {
            inserted.push_str(&format!("{JOB}={job}$! "));
        }
        self.insertions.push((simple.span.start.offset, inserted));
    }

    fn compound(&mut self, compound: &CompoundCommand, stage: Stage) {
        match compound {
            CompoundCommand::If(command) => {
                self.all(&command.condition, stage);
                self.all(&command.then_branch, stage);
                for (condition, branch) in &command.elif_branches {
                    self.all(condition, stage);
                    self.all(branch, stage);
                }
                self.all(command.else_branch.as_deref().unwrap_or(&[]), stage);
            }
            CompoundCommand::For(command) => self.all(&command.body, stage),
            CompoundCommand::ArithmeticFor(command) => self.all(&command.body, stage),
            CompoundCommand::While(command) => {
                self.all(&command.condition, stage);
                self.all(&command.body, stage);
            }
            CompoundCommand::Until(command) => {
                self.all(&command.condition, stage);
                self.all(&command.body, stage);
            }
            CompoundCommand::Case(command) => {
                command.cases.iter().for_each(|case| self.all(&case.commands, stage));
            }
            CompoundCommand::Subshell(commands) | CompoundCommand::BraceGroup(commands) => {
                self.all(commands, stage);
            }
            CompoundCommand::Time(command) => {
                command.command.iter().for_each(|command| self.command(command, stage));
            }
            CompoundCommand::Select(_)
            | CompoundCommand::Arithmetic(_)
            | CompoundCommand::Conditional(_)
            | CompoundCommand::Coproc(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_on_the_terminal_are_routed_there() {
        // `R`: both redirections, `T`: both with the mark, `E`: standard error only.
        let cases = [
            ("ip a", "T ip a"),
            ("echo x; ip a && ip l", "echo x; T ip a && T ip l"),
            ("ping x | grep y", "E ping x | grep y"),
            ("ping x 2>&1 | ip", "E ping x 2>&1 | T ip"),
            ("ping x >f &", "R GLASSNET_JOB=s$! ping x >f &"),
            ("ip 2>f <g", "T ip 2>f <g"),
            ("ip &>f", "R ip &>f"),
            ("ping a & ping b & wait", "T GLASSNET_JOB=s$! ping a & T GLASSNET_JOB=s$! ping b & wait"),
            ("while :; do ip; done & ip", "while :; do T GLASSNET_JOB=c$! ip; done & T ip"),
            ("for i in 1 2; do ip $i; done", "for i in 1 2; do T ip $i; done"),
            ("{ ip a; } >f; (ip b)", "{ ip a; } >f; (T ip b)"),
            ("x=$(ip a); $c ip", "x=$(ip a); $c ip"),
            ("f() { ip a; }; f", "f() { ip a; }; f"),
            ("if ip a; then ip b; fi", "if T ip a; then T ip b; fi"),
            ("if then ip", "if then ip"),
            ("echo 'é ip'; ip 'é' # ip", "echo 'é ip'; T ip 'é' # ip"),
        ];
        for (text, expected) in cases {
            let both = format!("{STDOUT}{STDERR}");
            let expected = expected
                .replace("T ", &format!("R {TERMINAL}=1 "))
                .replace("R ", &both)
                .replace("E ", STDERR);
            assert_eq!(prepare(text, |name| matches!(name, "ip" | "ping")), expected);
        }
    }

    #[test]
    fn incomplete_lines_ask_for_more() {
        let cases = [
            ("ip a", true),
            ("", true),
            ("for i in 1; do", false),
            ("for i in 1; do\necho\ndone", true),
            ("echo 'a", false),
            ("echo $(ip", false),
            ("cat <<E", false),
            ("cat <<'E' | x\na\nE", true),
            ("cat <<<x", true),
            ("a \\", false),
            ("a |", false),
            ("if then", true),
            ("echo $((1<<2))", true),
            ("echo $((1+2)); cat <<E", false),
        ];
        for (text, complete) in cases {
            assert_eq!(is_complete(text), complete, "{text:?}: {:?}", Parser::new(text).parse().err());
        }
    }

    #[test]
    fn marks() {
        let mark = |is_compound, after| Some(Job { is_compound, after });
        for (text, expected) in
            [("s", mark(false, 0)), ("s7", mark(false, 7)), ("c12", mark(true, 12)), ("sx", None)]
        {
            assert_eq!(Job::parse(text), expected);
        }
    }
}
