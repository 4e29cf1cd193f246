//! The kernel: Debian's package of Linux 6.1, unpacked in the user's cache.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use glassnet_scenarios::error::BackendError;

use crate::backends::{cache, is_there};

/// A kernel and its modules.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    /// Where the package is unpacked.
    pub root: PathBuf,
    /// `6.1.0-56-amd64`.
    pub release: String,
}

impl Kernel {
    /// The kernel's image.
    pub fn image(&self) -> PathBuf {
        self.root.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// The folder with its modules, whose name is the release.
    pub fn modules(&self) -> PathBuf {
        self.root.join("lib/modules").join(&self.release)
    }
}

/// What fetching needs, and the Debian package that has it.
const NEEDS: [(&str, &str); 3] = [("apt-get", "apt"), ("dpkg", "dpkg"), ("depmod", "kmod")];

/// How the packages of the model's version are called.
const PACKAGES: &str = "^linux-image-6\\.1\\.[0-9.]+-[0-9]+-amd64-unsigned$";

/// The kernel; [`BackendError::Missing`] if it is not there.
pub(super) fn find() -> Result<Kernel, BackendError> {
    let missing = || {
        let what = "kernel: no Debian kernel yet; `glassnet referee build qemu` fetches it";
        BackendError::Missing(vec![what.to_owned()])
    };
    let root = place().ok_or_else(missing)?;
    let mut releases: Vec<_> = fs::read_dir(root.join("lib/modules"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    releases.sort();
    let kernel = releases.pop().map(|release| Kernel { root, release });
    kernel.filter(|kernel| kernel.image().is_file()).ok_or_else(missing)
}

fn place() -> Option<PathBuf> {
    Some(cache()?.join("qemu-6.1"))
}

/// Fetches the kernel, unless it is there; returns where its image is.
///
/// # Errors
///
/// [`BackendError::Missing`] with what is to be installed; [`BackendError::Command`] if a program fails.
pub fn fetch() -> Result<PathBuf, BackendError> {
    if let Ok(kernel) = find() {
        return Ok(kernel.image());
    }
    let no_home = || {
        BackendError::Missing(vec!["a folder for caches: neither XDG_CACHE_HOME nor HOME is set".to_owned()])
    };
    let place = place().ok_or_else(no_home)?;
    let missing: Vec<_> =
        NEEDS.iter().filter(|(what, _)| !is_there(what)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        return Err(BackendError::Missing(vec![format!("packages: apt-get install {}", missing.join(" "))]));
    }
    let failed = || BackendError::failed("cannot fetch the Debian kernel");
    let folder = place.parent().ok_or_else(no_home)?;
    fs::create_dir_all(folder).map_err(failed())?;
    // Beside its place, so that a whole kernel is moved there at once.
    let work = tempfile::tempdir_in(folder).map_err(failed())?;
    let package = newest()?;
    run(work.path(), "apt-get", &["download", &package])?;
    let is_package = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "deb");
    let files = fs::read_dir(work.path()).map_err(failed())?.flatten().map(|entry| entry.path());
    let file =
        files.into_iter().find(is_package).ok_or_else(|| failed()(io::Error::other("no package came")))?;
    run(work.path(), "dpkg", &["-x", &file.to_string_lossy(), "root"])?;
    let root = work.path().join("root");
    let modules = fs::read_dir(root.join("lib/modules")).map_err(failed())?.flatten().next();
    let release =
        modules.ok_or_else(|| failed()(io::Error::other("the package has no modules")))?.file_name();
    run(&root, "depmod", &["-b", ".", &release.to_string_lossy()])?;
    // A fetch that was interrupted may have left one that is not whole.
    let _ = fs::remove_dir_all(&place);
    fs::rename(&root, &place).map_err(failed())?;
    Ok(find()?.image())
}

/// The newest package of the model's version.
fn newest() -> Result<String, BackendError> {
    let names = run(Path::new("/"), "apt-cache", &["search", "--names-only", PACKAGES])?;
    let number = |name: &str| {
        let (_, version) = name.split_once("-6.1.")?;
        let numbers = version.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
        Some(numbers.collect::<Vec<_>>())
    };
    names
        .lines()
        .filter_map(|line| line.split(' ').next())
        .max_by_key(|name| number(name))
        .map(str::to_owned)
        .ok_or_else(|| {
            let what =
                "package: no linux-image-6.1.*-amd64-unsigned; it is in Debian 12 (try apt-get update)";
            BackendError::Missing(vec![what.to_owned()])
        })
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<String, BackendError> {
    let failed = BackendError::failed(format!("cannot run {program}"));
    let out = Command::new(program).args(arguments).current_dir(folder).output().map_err(failed)?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    let output = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).trim().to_owned();
    Err(BackendError::Command { command: format!("{program} {}", arguments.join(" ")), output })
}
