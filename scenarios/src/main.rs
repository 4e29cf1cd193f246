//! The `glassnet` command.

fn main() -> std::process::ExitCode {
    // The host backend starts this binary again under other names, inside a machine's namespaces.
    glassnet::host::reentered().unwrap_or_else(glassnet::cli::main)
}
