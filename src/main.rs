//! The mcp-vigil command.

fn main() {}
