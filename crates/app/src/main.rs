//! The `portolan` binary; everything of it is in the library.

fn main() -> std::process::ExitCode {
    portolan::main()
}
