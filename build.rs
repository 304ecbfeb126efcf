//! Rebuilds when an embedded file changes: a macro that reads a folder can not tell cargo so itself.

fn main() {
    for folder in ["adapters", "fixtures/loaders", "fixtures/scenarios", "fixtures/suites", "mock-servers/scripts"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
