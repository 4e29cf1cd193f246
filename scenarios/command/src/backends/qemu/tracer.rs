//! The function tracer of the guest (Documentation/trace/ftrace.rst).

use std::fs;
use std::path::Path;

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::functions::{MARK, traced};

use crate::backends::guest::mount_kind;

const TRACEFS: &str = "/sys/kernel/tracing";

/// What the tracer is to print: the context of each function, the time, the thread.
const OPTIONS: [&str; 4] = ["latency-format", "funcgraph-abstime", "funcgraph-proc", "funcgraph-irqs"];

/// The tracer, which sees the functions of the model's table.
pub(super) struct Tracer {
    /// `available_filter_functions` when it was started.
    pub available: String,
}

fn write(file: &str, text: &str) -> Result<(), BackendError> {
    fs::write(Path::new(TRACEFS).join(file), text)
        .map_err(BackendError::failed(format!("cannot write {file}")))
}

fn read(file: &str) -> Result<String, BackendError> {
    let bytes = fs::read(Path::new(TRACEFS).join(file));
    let bytes = bytes.map_err(BackendError::failed(format!("cannot read {file}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Functions that can be traced now.
pub(super) fn available() -> Result<String, BackendError> {
    read("available_filter_functions")
}

impl Tracer {
    /// Starts it.
    pub fn start() -> Result<Self, BackendError> {
        mount_kind("tracefs", TRACEFS, "tracefs", "")?;
        let available = available()?;
        write("tracing_on", "0")?;
        write("buffer_size_kb", "65536")?;
        // By number: the kernel looks each name up among all its symbols.
        let numbers: Vec<_> = traced(&available).iter().map(|function| function.index.to_string()).collect();
        write("set_ftrace_filter", &numbers.join(" "))?;
        write("current_tracer", "function_graph")?;
        OPTIONS.iter().try_for_each(|option| write(&format!("options/{option}"), "1"))?;
        write("tracing_on", "1")?;
        Ok(Self { available })
    }

    /// A prompt begins.
    pub fn begin(&self, prompt: usize) -> Result<(), BackendError> {
        write("trace_marker", &format!("{MARK}{prompt}"))
    }

    /// Switches it off.
    pub fn stop(&self) -> Result<(), BackendError> {
        write("tracing_on", "0")
    }

    /// What was traced.
    pub fn finish(self) -> Result<String, BackendError> {
        for cpu in fs::read_dir(format!("{TRACEFS}/per_cpu")).into_iter().flatten().flatten() {
            let name = format!("per_cpu/{}/stats", cpu.file_name().to_string_lossy());
            let lost = ["overrun: ", "commit overrun: ", "dropped events: "];
            let stats = read(&name)?;
            let is_lost =
                |line: &&str| lost.iter().any(|kind| line.strip_prefix(kind).is_some_and(|n| n != "0"));
            if let Some(line) = stats.lines().find(is_lost) {
                let what = format!("{name}: events were lost");
                return Err(BackendError::NotUnderstood { what, line: line.to_owned() });
            }
        }
        read("trace")
    }
}
