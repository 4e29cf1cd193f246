//! Files that users name for output.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Symbolic links that are followed, as Linux does (MAXSYMLINKS).
const MOST_LINKS: usize = 40;

/// Writes a file whole or not at all: a new file takes the place of a regular one, with its mode and owner. Symbolic links
/// are followed; devices and pipes are written through, and so is a file in a directory that allows no new file.
///
/// # Errors
///
/// Those of the file system, with the path; a regular file is unchanged then, and nothing is left beside it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = behind_links(path)?;
    match fs::metadata(&target) {
        Ok(there) if !there.is_file() => through(&target, bytes),
        Ok(there) => match replace(&target, bytes, Some(&there)) {
            Err(error) if has_no_room_beside(&error) => through(&target, bytes),
            done => done,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(&target, bytes, None),
        Err(error) => Err(error),
    }
}

/// The path at the end of symbolic links, which need not exist.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(there) if there.is_symlink() => {
                let target = fs::read_link(&path)?;
                path = path.parent().unwrap_or(Path::new("")).join(target);
            }
            _ => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// The directory or the mount does not let a new file take the old one's place.
fn has_no_room_beside(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    matches!(error.kind(), PermissionDenied | ResourceBusy | CrossesDevices | ReadOnlyFilesystem)
}

fn through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(bytes)
}

fn replace(path: &Path, bytes: &[u8], before: Option<&fs::Metadata>) -> io::Result<()> {
    if path.file_name().is_none() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let beside = path.with_file_name(format!(".glassnet.{}", std::process::id()));
    let written = File::create_new(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        if let Some(before) = before {
            keep_owner(&file, before)?;
            file.set_permissions(before.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        // Nothing more can be done about what is left.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(unix)]
fn keep_owner(file: &File, before: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let own = file.metadata()?;
    if (own.uid(), own.gid()) == (before.uid(), before.gid()) {
        return Ok(());
    }
    fchown(file, Some(before.uid()), Some(before.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_file: &File, _before: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// An empty directory of this test.
    fn empty(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("glassnet-output-{name}-{}", std::process::id()));
        // It is there only after a test that failed.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a directory");
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn links_are_followed_and_modes_kept() {
        let folder = empty("links");
        let file = folder.join("file");
        write_whole(&file, b"1").expect("a new file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
        symlink("file", folder.join("link")).expect("a link");
        symlink("new", folder.join("dangling")).expect("a link");
        symlink("loop", folder.join("loop")).expect("a link");
        write_whole(&folder.join("link"), b"2").expect("the file behind");
        write_whole(&folder.join("dangling"), b"3").expect("a new file behind");
        assert_eq!(fs::read(&file).expect("a file"), b"2");
        assert_eq!(fs::read(folder.join("new")).expect("a file"), b"3");
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o640);
        assert!(write_whole(&folder.join("loop"), b"").expect_err("no end").to_string().contains("loop: "));
        assert_eq!(names(&folder), ["dangling", "file", "link", "loop", "new"]);
        fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn devices_are_written_through_and_nothing_is_left() {
        write_whole(Path::new("/dev/null"), b"x").expect("a device");
        assert!(!fs::metadata("/dev/null").expect("a device").is_file());
        let folder = empty("devices");
        for (path, kind) in [
            (folder.clone(), io::ErrorKind::IsADirectory),
            (folder.join("no/file"), io::ErrorKind::NotFound),
            (PathBuf::from("/dev/full"), io::ErrorKind::StorageFull),
        ] {
            let error = write_whole(&path, b"x").expect_err("an error");
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().starts_with(&format!("{}: ", path.display())), "{error}");
        }
        assert_eq!(names(&folder), [""; 0]);
        fs::remove_dir_all(&folder).expect("removed");
    }
}
