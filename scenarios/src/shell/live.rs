//! Prepares a command line so that programs write to the terminal while they run.
//!
//! bashkit hands a command's output on when the command ends, and a background job's when the job ends. A
//! terminal shows it at once. So each program whose output goes to the terminal gets `>>/dev/tty 2>>/dev/tty`
//! in front, which bashkit routes byte by byte; later redirections win, so the meaning stays. The commands of a
//! background job also get a mark in their environment, by which `kill` finds them.
//!
//! Where the output is captured (`$(…)`, a function, a group with redirections) the text is left as it is: the
//! output is the same, only late.

use bashkit::parser::{Command, CommandList, CompoundCommand, ListOperator, Parser, SimpleCommand, WordPart};

/// The environment variable that marks the commands of a background job.
pub(super) const JOB: &str = "GLASSNET_JOB";
const STDOUT: &str = ">>/dev/tty ";
const STDERR: &str = "2>>/dev/tty ";

/// Prepares `text`; `jobs` counts the background jobs of the machine.
pub(super) fn prepare(text: &str, jobs: &mut u32, is_program: impl Fn(&str) -> bool) -> String {
    let Ok(script) = Parser::new(text).parse() else { return text.to_string() };
    let mut walk = Walk { jobs, is_program: &is_program, insertions: Vec::new() };
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

/// Removes what [`prepare`] added, for text that is shown (`jobs`).
pub(super) fn plain(text: &str) -> String {
    let mut plain = text.replace(STDERR, "").replace(STDOUT, "");
    while let Some(start) = plain.find(&format!("{JOB}=")) {
        let end = plain[start..].find(' ').map_or(plain.len(), |length| start + length + 1);
        plain.replace_range(start..end, "");
    }
    plain
}

/// The mark in the text of a job, as `jobs` lists it.
pub(super) fn job_of(text: &str) -> Option<u32> {
    let start = text.find(&format!("{JOB}="))? + JOB.len() + 1;
    let digits: String = text[start..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Whether a command line is complete, or bash would ask for more of it with its second prompt.
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

#[derive(Clone, Copy)]
struct Stage {
    /// Standard output is the terminal.
    stdout: bool,
    job: Option<u32>,
}

struct Walk<'a> {
    jobs: &'a mut u32,
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
            let is_job = next == Some(ListOperator::Background)
                && matches!(command, Command::Simple(_) | Command::Pipeline(_));
            if is_job {
                *self.jobs += 1;
            }
            let job = if is_job { Some(*self.jobs) } else { stage.job };
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
        if let Some(job) = stage.job {
            inserted.push_str(&format!("{JOB}={job} "));
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
        // `T` stands for both redirections, `E` for the one of standard error.
        let cases = [
            ("ip a", "T ip a"),
            ("echo x; ip a && ip l", "echo x; T ip a && T ip l"),
            ("ping x | grep y", "E ping x | grep y"),
            ("ping x 2>&1 | ip", "E ping x 2>&1 | T ip"),
            ("ping x >f &", "T GLASSNET_JOB=1 ping x >f &"),
            ("ping a & ping b & wait", "T GLASSNET_JOB=1 ping a & T GLASSNET_JOB=2 ping b & wait"),
            ("for i in 1 2; do ip $i; done", "for i in 1 2; do T ip $i; done"),
            ("{ ip a; } >f; (ip b)", "{ ip a; } >f; (T ip b)"),
            ("x=$(ip a); $c ip", "x=$(ip a); $c ip"),
            ("f() { ip a; }; f", "f() { ip a; }; f"),
            ("if ip a; then ip b; fi", "if T ip a; then T ip b; fi"),
            ("if then ip", "if then ip"),
            ("echo 'é ip'; ip 'é' # ip", "echo 'é ip'; T ip 'é' # ip"),
        ];
        for (text, expected) in cases {
            let expected = expected.replace("T ", &format!("{STDOUT}{STDERR}")).replace("E ", STDERR);
            let prepared = prepare(text, &mut 0, |name| matches!(name, "ip" | "ping"));
            assert_eq!(prepared, expected);
            assert_eq!(plain(&prepared), text);
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
    fn jobs_are_found_by_their_mark() {
        assert_eq!(job_of("[1]+ 7 Running  >>/dev/tty 2>>/dev/tty GLASSNET_JOB=12 ping x &"), Some(12));
        assert_eq!(job_of("[1]+ 7 Running  { x; } &"), None);
    }
}
