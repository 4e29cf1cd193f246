//! The `glassnet` command.

fn main() -> std::process::ExitCode {
    glassnet::cli::main()
}
