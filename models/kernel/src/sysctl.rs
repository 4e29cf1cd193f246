//! The shape of a file below `/proc/sys`, and of a directory of them.
//!
//! A room that has settings lists them as `pub static SYSCTLS`; its module's row names the
//! list. Programs and `/proc` only read these rows.
//!
//! Kernel: include/linux/sysctl.h (`struct ctl_table`), kernel/sysctl.c (`proc_dointvec_minmax`)

use crate::ids::NetnsId;
use crate::kernel::INIT_NET;
use crate::netlink::Errno;
use crate::tables::sysctl::{ConfOf, Setting};
use crate::{Cx, Kernel};

/// `INT_MIN` and `INT_MAX`.
pub const INT: (i64, i64) = (i32::MIN as i64, i32::MAX as i64);

/// From where and of whom a file is seen.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// The namespace.
    pub netns: NetnsId,
    /// Whose it is.
    pub of: ConfOf,
}

/// Which namespaces show a file, and may write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All.
    Everywhere,
    /// All show it; only the machine's first one writes it.
    WrittenInInit,
    /// Only the machine's first one.
    InInit,
}

/// Reads a value.
pub type Get = fn(&Kernel, At, &Sysctl) -> i64;
/// Writes a value, which is within the row's range.
pub type Set = fn(&mut Cx, At, &Sysctl, i64) -> Result<(), Errno>;

/// Reads and writes a file that holds a word.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// Reads it.
    pub get: fn(&Kernel, At) -> String,
    /// Writes it.
    pub set: fn(&mut Cx, At, &str) -> Result<(), Errno>,
}

/// A file below `/proc/sys` that holds one number, or a word (`struct ctl_table`).
#[derive(Clone, Copy, Debug)]
pub struct Sysctl {
    /// Its name.
    pub name: &'static str,
    /// Its permission bits.
    pub mode: u16,
    /// Where it is shown.
    pub shown: Shown,
    /// The least and the greatest value; others are EINVAL.
    pub range: (i64, i64),
    /// Reads it.
    pub get: Get,
    /// Writes it.
    pub set: Set,
    /// The number that the namespace keeps for it, if it is a plain one.
    pub setting: Option<&'static Setting>,
    /// It holds a word, no number.
    pub word: Option<Word>,
}

impl Sysctl {
    /// A plain number of the namespace, an `int`.
    pub const fn net(setting: &'static Setting) -> Sysctl {
        Sysctl { setting: Some(setting), ..Sysctl::new(setting.name, get_net, set_net) }
    }

    /// A number that is kept elsewhere, an `int`.
    pub const fn new(name: &'static str, get: Get, set: Set) -> Sysctl {
        Sysctl {
            name,
            mode: 0o644,
            shown: Shown::Everywhere,
            range: INT,
            get,
            set,
            setting: None,
            word: None,
        }
    }

    /// A word.
    pub const fn word(name: &'static str, word: Word) -> Sysctl {
        Sysctl { word: Some(word), ..Sysctl::new(name, |_, _, _| 0, keep) }
    }

    /// Shown with this value and not followed by the model: another is refused.
    pub const fn not_followed(name: &'static str, get: Get) -> Sysctl {
        Sysctl::new(name, get, keep)
    }

    /// With this least and greatest value.
    pub const fn range(self, min: i64, max: i64) -> Sysctl {
        Sysctl { range: (min, max), ..self }
    }

    /// Written by this function.
    pub const fn set(self, set: Set) -> Sysctl {
        Sysctl { set, ..self }
    }

    /// With these permission bits.
    pub const fn mode(self, mode: u16) -> Sysctl {
        Sysctl { mode, ..self }
    }

    /// Shown there.
    pub const fn shown(self, shown: Shown) -> Sysctl {
        Sysctl { shown, ..self }
    }

    /// The permission bits as a namespace sees them; `None` where the file is not there.
    pub fn mode_in(&self, netns: NetnsId) -> Option<u16> {
        match self.shown {
            Shown::InInit if netns != INIT_NET => None,
            Shown::WrittenInInit if netns != INIT_NET => Some(self.mode & 0o444),
            _ => Some(self.mode),
        }
    }

    /// Writes a value (`proc_dointvec_minmax`).
    ///
    /// # Errors
    ///
    /// `EACCES` where the file is only read, `EINVAL` out of its range, `EOPNOTSUPP` where the model does not follow.
    pub fn write(&self, cx: &mut Cx, at: At, value: i64) -> Result<(), Errno> {
        if self.mode_in(at.netns).is_none_or(|mode| mode & 0o200 == 0) {
            return Err(Errno::EACCES);
        }
        if value < self.range.0 || value > self.range.1 {
            return Err(Errno::EINVAL);
        }
        (self.set)(cx, at, self, value)
    }
}

fn get_net(k: &Kernel, at: At, row: &Sysctl) -> i64 {
    row.setting.map_or(0, |setting| k.netns[at.netns].sysctls.get(setting))
}

/// Stores a plain number of the namespace.
///
/// # Errors
///
/// None; the type is that of [`Set`].
pub fn set_net(cx: &mut Cx, at: At, row: &Sysctl, value: i64) -> Result<(), Errno> {
    if let Some(setting) = row.setting {
        cx.k.netns[at.netns].sysctls.set(setting, value);
    }
    Ok(())
}

/// Refuses every value but the present one.
///
/// # Errors
///
/// `EOPNOTSUPP` for another.
pub fn keep(cx: &mut Cx, at: At, row: &Sysctl, value: i64) -> Result<(), Errno> {
    if value == (row.get)(cx.k, at, row) { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
}

/// A directory of files (`register_net_sysctl`).
#[derive(Debug)]
pub struct SysctlTable {
    /// Its path below `/proc/sys/`; a last part `*` stands for `all`, `default` and the names of devices.
    pub dir: &'static str,
    /// For whom it is there.
    pub is_there: fn(&Kernel, At) -> bool,
    /// Its files.
    pub rows: &'static [Sysctl],
}

impl SysctlTable {
    /// A directory that is always there.
    pub const fn new(dir: &'static str, rows: &'static [Sysctl]) -> SysctlTable {
        SysctlTable { dir, is_there: |_, _| true, rows }
    }

    /// The file of this name.
    pub fn row(&self, name: &str) -> Option<&'static Sysctl> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// A directory that is there for some.
    pub const fn only(self, is_there: fn(&Kernel, At) -> bool) -> SysctlTable {
        SysctlTable { is_there, ..self }
    }
}
