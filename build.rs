//! Rebuilds when an embedded file changes: a macro that reads a folder can not tell cargo so itself.

fn main() {
    for folder in ["client", "host", "loaders", "scenarios", "suites"] {
        println!("cargo:rerun-if-changed=fixtures/{folder}");
    }
    for folder in ["adapters", "mock-servers/scripts"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
