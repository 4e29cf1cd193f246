//! `tee` of coreutils 9.1, unbuffered.

use std::io;

use crate::process::{Process, Running};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(tee(process))
}

async fn tee(process: &mut Process) -> i32 {
    let mut append = false;
    let mut files = Vec::new();
    for arg in process.args().to_vec() {
        match arg.as_str() {
            "-a" | "--append" => append = true,
            option if option.starts_with('-') && option.len() > 1 => {
                let letter = option.trim_start_matches('-');
                process.eprint(format!(
                    "tee: not modelled yet: -{letter}\nTry 'tee --help' for more information.\n"
                ));
                return 1;
            }
            _ => files.push(arg),
        }
    }
    let mut status = 0;
    let mut open = Vec::new();
    for file in files {
        let path = process.path(&file);
        let opened = match append {
            true => process.files.append(&path, b"").await,
            false => process.files.write(&path, b"").await,
        };
        match opened {
            Ok(()) => open.push((file, path)),
            Err(error) => status = complain(process, &file, &error),
        }
    }
    status.max(copy(process, open).await)
}

/// Copies standard input to standard output and to all files until its end.
async fn copy(process: &mut Process, mut open: Vec<(String, String)>) -> i32 {
    let mut status = 0;
    loop {
        let bytes = match process.stdin.read().await {
            Ok(bytes) if bytes.is_empty() => return status,
            Ok(bytes) => bytes,
            Err(error) => return complain(process, "read error", &error),
        };
        process.print(&bytes);
        process.flush().await;
        let mut still_open = Vec::new();
        for (file, path) in open {
            match process.files.append(&path, &bytes).await {
                Ok(()) => still_open.push((file, path)),
                Err(error) => status = complain(process, &file, &error),
            }
        }
        open = still_open;
    }
}

fn complain(process: &mut Process, file: &str, error: &io::Error) -> i32 {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "No such file or directory".to_string(),
        io::ErrorKind::IsADirectory => "Is a directory".to_string(),
        _ => error.to_string(),
    };
    process.eprint(format!("tee: {file}: {}\n", reason.trim_start_matches("write error: ")));
    1
}
