//! The mcp-lifecheck command.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_lifecheck::cli::main()
}
