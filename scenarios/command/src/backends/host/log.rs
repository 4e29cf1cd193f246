//! The kernel's log, where nothing but the lesson writes to it: as User Mode Linux.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::lesson::Topology;

use super::probe;
use super::topology::hidden_names;

const DEVICE: &str = "/dev/kmsg";

/// The log is the lesson's alone.
pub(super) fn is_own() -> bool {
    probe::place() == "uml"
}

/// A reader of what is written from now on.
pub(super) struct KernelLog {
    /// None: others write to the log, and it is left alone.
    file: Option<File>,
    /// Names of the topology's devices, which are no part of the lesson.
    hidden: BTreeSet<String>,
}

impl KernelLog {
    /// Opens it.
    pub fn open(topology: &Topology) -> Result<Self, BackendError> {
        let hidden = hidden_names(topology);
        if !is_own() {
            return Ok(Self { file: None, hidden });
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(nix::libc::O_NONBLOCK).open(DEVICE);
        let at_end = file.and_then(|mut file| file.seek(SeekFrom::End(0)).map(|_| file));
        let file = at_end.map_err(BackendError::failed("cannot open the kernel's log"))?;
        Ok(Self { file: Some(file), hidden })
    }

    /// What was written since the last call: level and text of each line.
    ///
    /// # Errors
    ///
    /// A record is not understood, or was overwritten before it was read.
    pub fn take(&mut self) -> Result<Vec<String>, BackendError> {
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        // A read gives one record.
        let (mut lines, mut record) = (Vec::new(), [0; 8192]);
        loop {
            let length = match file.read(&mut record) {
                Ok(length) => length,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(lines),
                Err(e) => return Err(BackendError::failed("cannot read the kernel's log")(e)),
            };
            let text = String::from_utf8_lossy(&record[..length]);
            let understood = line(&text).ok_or_else(|| BackendError::NotUnderstood {
                what: "a record of the kernel's log".to_owned(),
                line: text.lines().next().unwrap_or_default().to_owned(),
            })?;
            let is_hidden =
                |line: &String| line.split([' ', ':', '(', ')']).any(|word| self.hidden.contains(word));
            lines.extend(understood.filter(|line| !is_hidden(line)));
        }
    }
}

/// `6,1186,1000123456,-;device v0 entered promiscuous mode`, and lines of a dictionary, which begin with a blank: level and
/// text. `Some(None)`: a program wrote it, not the kernel. None: not understood.
fn line(record: &str) -> Option<Option<String>> {
    let (head, text) = record.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    let (facility, level) = (priority >> 3, priority & 7);
    let text = text.lines().next()?;
    Some((facility == 0).then(|| format!("{level} {text}")))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_record_is_its_level_and_its_first_line() {
        let record = "6,1186,1000123456,-;device v0 entered promiscuous mode\n SUBSYSTEM=net\n DEVICE=n5\n";
        assert_eq!(line(record), Some(Some("6 device v0 entered promiscuous mode".to_owned())));
        assert_eq!(line("12,7,1,-;of a program\n"), Some(None));
        assert_eq!(line("nonsense"), None);
        assert_eq!(line("x,1;text\n"), None);
    }
}
