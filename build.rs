//! Tells cargo to rebuild when an embedded file changes, because `include_dir!` cannot.

fn main() {
    for folder in ["client", "host", "loaders", "requirements", "scenarios", "suites"] {
        println!("cargo:rerun-if-changed=fixtures/{folder}");
    }
    for folder in ["adapters", "mock-servers/scripts"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
