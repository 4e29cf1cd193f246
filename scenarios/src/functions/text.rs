//! Recordings as text, a function a line, so that a change of one is readable.
//!
//! ```text
//! lesson ping.md
//! kernel linux 6.1.0-56-amd64 (qemu)
//! traced __dev_queue_xmit
//! traced ip_rcv
//! prompt 12 node1 "ping -c 1 10.0.0.2"
//! softirq 0
//!  net_rx_action
//!   __napi_poll
//! ```

use std::fmt::{self, Display};

use super::{Call, Context, Prompt, Recording, Run};

/// A line of a recording that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the recording is not understood: {text}")]
pub struct BadRecording {
    /// Which, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

impl Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "lesson {}\nkernel {}", self.lesson, self.kernel)?;
        for name in &self.traced {
            writeln!(f, "traced {name}")?;
        }
        for prompt in &self.prompts {
            let command = serde_json::Value::from(prompt.command.as_str());
            writeln!(f, "prompt {} {} {command}", prompt.line, prompt.machine)?;
            for run in &prompt.runs {
                writeln!(f, "{} {}", run.context.name(), run.cpu)?;
                for call in &run.calls {
                    writeln!(f, "{:indent$}{}", "", call.name, indent = call.depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

impl Recording {
    /// Reads the text form.
    ///
    /// # Errors
    ///
    /// [`BadRecording`] for the first line that is not understood.
    pub fn parse(text: &str) -> Result<Self, BadRecording> {
        let mut recording = Self::default();
        for (at, line) in text.lines().enumerate() {
            recording.add_line(line).ok_or_else(|| BadRecording { line: at + 1, text: line.to_owned() })?;
        }
        Ok(recording)
    }

    fn add_line(&mut self, line: &str) -> Option<()> {
        let name = line.trim_start_matches(' ');
        let indent = line.len() - name.len();
        if let Some(depth) = indent.checked_sub(1) {
            let run = self.prompts.last_mut()?.runs.last_mut()?;
            let fits = run.calls.last().map_or(depth == 0, |last| depth <= last.depth + 1);
            run.calls.push(Call { depth, name: name.to_owned() });
            return (fits && !name.is_empty()).then_some(());
        }
        let (word, rest) = line.split_once(' ')?;
        match word {
            "lesson" => rest.clone_into(&mut self.lesson),
            "kernel" => rest.clone_into(&mut self.kernel),
            "traced" => self.traced.push(rest.to_owned()),
            "prompt" => {
                let mut words = rest.splitn(3, ' ');
                let (line, machine) = (words.next()?.parse().ok()?, words.next()?.to_owned());
                let command = serde_json::from_str(words.next()?).ok()?;
                self.prompts.push(Prompt { line, machine, command, runs: Vec::new() });
            }
            _ => {
                let (context, _) = Context::ALL.into_iter().find(|(_, name)| *name == word)?;
                let run = Run { context, cpu: rest.parse().ok()?, calls: Vec::new() };
                self.prompts.last_mut()?.runs.push(run);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "lesson a.md\nkernel linux 6.1 (qemu)\ntraced ip_rcv\nprompt 3 node1 \"echo \\\"x\\\"\\ny\"\n\
                        softirq 1\n net_rx_action\n  __napi_poll\n   ip_rcv\n  net_rps_send_ipi\ntask 0\n raw_sendmsg\n";

    #[test]
    fn what_is_written_is_read() {
        let recording = Recording::parse(TEXT).unwrap();
        assert_eq!(recording.prompts[0].command, "echo \"x\"\ny");
        let depths: Vec<_> = recording.prompts[0].runs[0].calls.iter().map(|call| call.depth).collect();
        assert_eq!(depths, [0, 1, 2, 1]);
        assert_eq!(recording.to_string(), TEXT);
    }

    #[test]
    fn a_line_that_fits_nowhere_is_named() {
        let wrong = |text: &str| Recording::parse(text).unwrap_err();
        assert_eq!(wrong("lesson x\nhello").line, 2);
        assert_eq!(wrong("softirq 1").line, 1);
        assert_eq!(wrong("prompt 1 a \"x\"\n ip_rcv").line, 2);
        assert_eq!(wrong("prompt 1 a \"x\"\ntask 0\n a\n   b").line, 4);
        assert_eq!(wrong("prompt one a \"x\"").line, 1);
    }
}
