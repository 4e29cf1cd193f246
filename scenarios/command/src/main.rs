//! The `glassnet` command.

fn main() -> std::process::ExitCode {
    // Backends start this binary again: inside a machine's namespaces, as the first process of a guest.
    #[cfg(target_os = "linux")]
    if let Some(code) = glassnet::backends::reentered() {
        return code;
    }
    glassnet::cli::main()
}
