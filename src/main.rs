//! The `windlass` command: calls the library and maps its answer to an exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass::cli::main()
}
