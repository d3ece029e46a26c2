//! What stands between in the tests of this crate, where our own program is a test (`portolan_effects::confined`).

fn main() -> std::process::ExitCode {
    portolan_effects::confined::asked().unwrap_or(std::process::ExitCode::FAILURE)
}
