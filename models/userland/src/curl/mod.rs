//! `curl` 7.88.1, as far as HTTP goes.
//!
//! Not modelled: TLS and other protocols, proxies, cookies, authentication, uploads, ranges, globs in URLs, the reuse
//! of a connection by the next transfer, IPv6.

mod meter;
mod options;
pub(crate) mod response;
mod transfer;
pub(crate) mod url;

use crate::process::{Process, Running};
use meter::{HEADING, write_out};
use options::{Data, Options};
use transfer::{Done, Session, Target};

const TRY: &str = "curl: try 'curl --help' or 'curl --manual' for more information\n";
const VERSION: &str =
    "curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1\nRelease-Date: 2023-02-20\nProtocols: http \n";

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let args = process.args().to_vec();
        if args.is_empty() {
            process.eprint(TRY);
            return 2;
        }
        let mut options = match options::parse(&args) {
            Ok(options) => options,
            Err(wrong) => {
                process.eprint(format!("curl: {wrong}\n{TRY}"));
                return 2;
            }
        };
        if options.version {
            process.print(VERSION);
            return 0;
        }
        if options.urls.is_empty() {
            process.eprint(format!("curl: no URL specified!\n{TRY}"));
            return 2;
        }
        let Some(body) = body(process, &mut options).await else { return 26 };
        fetch_all(process, &options, body).await
    })
}

/// The body of `-d`; `None` if a file cannot be read, after the error message.
async fn body(process: &mut Process, options: &mut Options) -> Option<Option<Vec<u8>>> {
    let mut body: Option<Vec<u8>> = None;
    for part in std::mem::take(&mut options.data) {
        let bytes = match part {
            Data::Text(text) => text.into_bytes(),
            Data::File(file, joined) => {
                let Ok(mut bytes) = process.read_operand(&file).await else {
                    process.eprint(format!("curl: Failed to open {file}\n"));
                    return None;
                };
                bytes.retain(|byte| !joined || !matches!(byte, b'\r' | b'\n' | 0));
                bytes
            }
        };
        match &mut body {
            None => body = Some(bytes),
            Some(body) => {
                body.push(b'&');
                body.extend(bytes);
            }
        }
    }
    Some(body)
}

async fn fetch_all(process: &mut Process, options: &Options, body: Option<Vec<u8>>) -> i32 {
    let mut session = Session::new(process, options, body).await;
    let mut status = 0;
    for (at, text) in options.urls.iter().enumerate() {
        let output = options.outputs.get(at);
        let target = match target(text, output) {
            Ok(target) => target,
            Err((code, message)) => {
                complain(process, options, code, &message);
                status = code;
                continue;
            }
        };
        let done = session.fetch(process, options, target).await;
        status = finish(process, options, done, text, at).await;
    }
    status
}

/// URL and output file.
fn target(text: &str, output: Option<&Option<String>>) -> Result<Target, url::Refusal> {
    if text.contains(['[', ']', '{', '}']) {
        return Err((3, "not modelled yet: globs in URLs".to_owned()));
    }
    let url = url::Url::parse(text)?;
    let file = match output {
        None => None,
        Some(Some(file)) => Some(file.clone()),
        Some(None) => {
            let path = url.path.split('?').next().unwrap_or("");
            let name = path.rsplit('/').next().unwrap_or("");
            if name.is_empty() {
                return Err((23, "Failed writing received data to disk/application".to_owned()));
            }
            Some(name.to_owned())
        }
    };
    Ok(Target { url, file: file.filter(|file| file != "-") })
}

fn complain(process: &mut Process, options: &Options, code: i32, message: &str) {
    if !options.silent || options.show_error {
        process.eprint(format!("curl: ({code}) {message}\n"));
    }
}

/// Prints the error, writes the output, and prints `-w`.
async fn finish(process: &mut Process, options: &Options, done: Done, url: &str, at: usize) -> i32 {
    let mut code = done.code;
    if code != 0 {
        complain(process, options, code, &done.message);
    }
    match done.file.as_deref() {
        None => process.print(&done.output),
        Some("/dev/null") => {}
        Some(file) if !done.output.is_empty() => {
            let path = process.path(file);
            if process.files.clone().write(&path, &done.output).await.is_err() {
                process
                    .eprint(format!("Warning: Failed to open the file {file}: No such file or directory\n"));
                complain(process, options, 23, "Failure writing output to destination");
                code = 23;
            }
        }
        Some(_) => {}
    }
    process.flush().await;
    if let Some(format) = &options.write_out {
        let (text, errors) = write_out(format, |name| done.variable(name, url, at));
        process.eprint(errors);
        process.print(text);
        process.flush().await;
    }
    code
}

/// The header of the progress meter, once per transfer. No meter if the output is a terminal.
fn heading(process: &Process, options: &Options, file: Option<&str>) -> Option<&'static str> {
    let on_terminal = file.is_none() && process.stdout.is_terminal();
    (!options.silent && !options.no_meter && !on_terminal).then_some(HEADING)
}
