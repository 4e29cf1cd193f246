//! The kernel: one program in the user's cache, named after what it was built from.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use glassnet_scenarios::error::BackendError;

use crate::backends::{cache, is_there, last_lines};

const SCRIPT: &str = include_str!("build.sh");
const CONFIG: &str = include_str!("kernel.config");

/// Debian's package of the sources, and where it puts them.
const SOURCES: &str = "/usr/src/linux-source-6.1.tar.xz";

/// What a build needs, and the Debian package that has it.
const NEEDS: [(&str, &str); 8] = [
    (SOURCES, "linux-source-6.1"),
    ("bash", "bash"),
    ("bc", "bc"),
    ("bison", "bison"),
    ("flex", "flex"),
    ("gcc", "gcc"),
    ("make", "make"),
    ("xz", "xz-utils"),
];

/// The kernel; [`BackendError::Missing`] if it is not built.
pub(super) fn find() -> Result<PathBuf, BackendError> {
    let missing = "kernel: no User Mode Linux yet; `glassnet referee build` builds it".to_owned();
    place().filter(|path| path.is_file()).ok_or(BackendError::Missing(vec![missing]))
}

/// Where it is or would be: a change of what it is built from makes another one.
fn place() -> Option<PathBuf> {
    let mut hasher = DefaultHasher::new();
    (SCRIPT, CONFIG).hash(&mut hasher);
    Some(cache()?.join(format!("uml-6.1-{:016x}", hasher.finish())).join("linux"))
}

/// Builds the kernel from the sources of Debian's package, unless it is there; returns where it is.
///
/// # Errors
///
/// [`BackendError::Missing`] with the packages to install; [`BackendError::Command`] if the build fails.
pub fn build() -> Result<PathBuf, BackendError> {
    let no_home = || {
        BackendError::Missing(vec!["a folder for caches: neither XDG_CACHE_HOME nor HOME is set".to_owned()])
    };
    let output = place().ok_or_else(no_home)?;
    if output.is_file() {
        return Ok(output);
    }
    check()?;
    let failed = || BackendError::failed("cannot build User Mode Linux");
    let folder = output.parent().ok_or_else(no_home)?;
    fs::create_dir_all(folder).map_err(failed())?;
    // Beside its place, so that a finished kernel is moved there at once; gone at the end, with 1.5 GB of sources.
    let work = tempfile::tempdir_in(folder).map_err(failed())?;
    let file = |name: &str, text: &str| -> io::Result<PathBuf> {
        let path = work.path().join(name);
        fs::write(&path, text)?;
        Ok(path)
    };
    let script = file("build.sh", SCRIPT).map_err(failed())?;
    let fragment = file("kernel.config", CONFIG).map_err(failed())?;
    let (tree, built) = (work.path().join("tree"), work.path().join("linux"));
    fs::create_dir(&tree).map_err(failed())?;
    let mut command = Command::new("bash");
    command.arg(script).args([Path::new(SOURCES), &fragment, &built]).current_dir(&tree);
    let out = command.output().map_err(failed())?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        return Err(BackendError::Command { command: "build.sh".to_owned(), output: last_lines(&said, 30) });
    }
    fs::rename(&built, &output).map_err(failed())?;
    Ok(output)
}

/// Names all that is missing at once.
fn check() -> Result<(), BackendError> {
    let missing: Vec<_> =
        NEEDS.iter().filter(|(what, _)| !is_there(what)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(BackendError::Missing(vec![format!("packages: apt-get install {}", missing.join(" "))]))
}
