//! Links the commands at a fixed address.
//!
//! A run starts thousands of processes of these executables. At a fixed address, the loader of the system has no addresses to
//! adjust at each start, so all these processes share the pages that it would write to. Each looks up a function of another library
//! when it first calls it: of several hundred, most of these processes call few.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).is_ok_and(|found| found == value);
    if is("OS", "linux") && is("ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
        println!("cargo::rustc-link-arg-bins=-Wl,-z,lazy");
    }
}
