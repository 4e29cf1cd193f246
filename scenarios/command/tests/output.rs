//! What the command writes, and what it says when it cannot.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const LESSON: &str = "---\ntitle: t\ntopology: { nodes: { node1: {} } }\n---\n```console\nnode1# echo 1 rules 5 ms; echo 2 rules 6 ms\nold\n```\n";

/// A directory of this test with the lesson in it.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("output-{name}"));
    // It is there only after a test that failed.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a directory");
    fs::write(folder.join("lesson.md"), LESSON).expect("a lesson");
    folder
}

fn glassnet(folder: &PathBuf, args: &[&str], stdin: &str, stdout: Stdio) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_glassnet"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command");
    // A command that does not read may have ended.
    match child.stdin.take().expect("a pipe").write_all(stdin.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.expect("read"),
    }
    child.wait_with_output().expect("ends")
}

#[test]
fn a_full_disk_is_told() {
    let folder = folder("full");
    for args in [
        &["run", "-v", "lesson.md"][..],
        &["walk", "lesson.md"],
        &["chart", "lesson.md", "-o", "x.svg"],
        &["shell"],
        &["chart", "lesson.md", "-o", "/dev/full"],
    ] {
        let full = File::options().write(true).open("/dev/full").expect("a device");
        let ended = glassnet(&folder, args, "echo hi\n", full.into());
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {said}");
        assert!(
            said.starts_with("glassnet: ") && said.contains("No space left on device"),
            "{args:?}: {said}"
        );
    }
    let ended = glassnet(&folder, &["run", "nofile.md"], "", Stdio::null());
    assert_eq!(ended.status.code(), Some(2));
    fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn a_lesson_is_blessed_through_a_link_with_its_line_ends() {
    let folder = folder("bless");
    let file = folder.join("lesson.md");
    fs::write(&file, LESSON.replace('\n', "\r\n")).expect("a lesson");
    symlink("lesson.md", folder.join("link.md")).expect("a link");
    let ended = glassnet(&folder, &["run", "--bless", "link.md"], "", Stdio::null());
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    let text = fs::read_to_string(&file).expect("the lesson");
    assert_eq!(text, LESSON.replace("old\n", "1 rules 5 ms\n2 rules 6 ms\n").replace('\n', "\r\n"));
    assert!(fs::symlink_metadata(folder.join("link.md")).expect("a link").is_symlink());
    fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn what_would_not_be_read_back_is_not_blessed() {
    let folder = folder("fence");
    let lesson = LESSON.replace("echo 1 rules 5 ms; echo 2 rules 6 ms", "echo '```'");
    fs::write(folder.join("lesson.md"), &lesson).expect("a lesson");
    let ended = glassnet(&folder, &["run", "--bless", "lesson.md"], "", Stdio::null());
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("lesson.md:6:") && said.contains("cannot stand in a lesson"), "{said}");
    assert_eq!(fs::read_to_string(folder.join("lesson.md")).expect("the lesson"), lesson);
    fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn a_script_from_a_pipe_ends_where_its_shell_does() {
    let folder = folder("script");
    for (script, output, status) in [
        ("x=1\necho $x", "1\n", 0),
        ("set -e\nfalse\necho on", "", 1),
        ("set -e\nfalse && true\necho $?\n[[ a == b ]] && exit 3\necho on", "1\non\n", 0),
        ("false\necho $?\nif true\nthen echo $?\nfi", "1\n0\n", 0),
        ("f() { exit 4; }\ntrap 'echo trap' EXIT\nf\necho on", "trap\n", 4),
        ("trap 'echo trap' EXIT\nfalse", "trap\n", 1),
        ("exit\necho on", "", 0),
    ] {
        let ended = glassnet(&folder, &["shell"], script, Stdio::piped());
        assert_eq!(String::from_utf8_lossy(&ended.stdout), output, "{script}");
        assert_eq!(ended.status.code(), Some(status), "{script}");
    }
    fs::remove_dir_all(&folder).expect("removed");
}
