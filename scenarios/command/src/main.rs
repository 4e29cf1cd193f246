//! The `glassnet` command.

fn main() -> std::process::ExitCode {
    // The host backend starts this binary again under other names, inside a machine's namespaces.
    #[cfg(target_os = "linux")]
    if let Some(code) = glassnet::backends::host::reentered() {
        return code;
    }
    glassnet::cli::main()
}
