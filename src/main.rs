//! The mcp-vigil command.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_vigil::cli::main()
}
