//! The mcp-mock command.

fn main() {}
