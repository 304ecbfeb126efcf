//! Links the commands at a fixed address and, where the C library is there to be linked in, without shared libraries.
//!
//! A run starts thousands of processes of these executables, four for a plan over stdio. At a fixed address there are no addresses
//! to adjust at each start. Without shared libraries there is no loader of the system that maps three of them and looks up functions
//! in them: that takes about an eighth of the CPU time of a short plan.
//!
//! `-C target-feature=+crt-static` asks for the same, but only a configuration or the environment can set it, it holds for all crates
//! and their tests, and the link fails where a distribution keeps the C library's archives in a package of their own. There, this
//! script leaves the shared libraries and only has their functions looked up when they are first called.

use std::env;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// The libraries that the standard library asks for, each with the archive that serves instead.
const ARCHIVES: [(&str, &str); 7] = [
    ("c", "libc.a"),
    ("dl", "libdl.a"),
    ("gcc_s", "libgcc_eh.a"),
    ("m", "libm.a"),
    ("pthread", "libpthread.a"),
    ("rt", "librt.a"),
    ("util", "libutil.a"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let is = |name: &str, value: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).is_ok_and(|found| found == value);
    if !is("OS", "linux") || !is("ENV", "gnu") {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-no-pie");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("archives");
    match gather(&folder) {
        Ok(()) => {
            // The linker looks here first. It finds an archive for each library, although the compiler asks for shared ones.
            println!("cargo::rustc-link-arg-bins=-L{}", folder.display());
            println!("cargo::rustc-link-arg-bins=-static");
        }
        Err(_) => println!("cargo::rustc-link-arg-bins=-Wl,-z,lazy"),
    }
}

/// Fills `folder` with a link to each archive, under the name of the library that it serves for.
fn gather(folder: &Path) -> io::Result<()> {
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for (library, archive) in ARCHIVES {
        let told = Command::new(&linker).arg(format!("-print-file-name={archive}")).output()?;
        // For a file that it does not know, the compiler repeats the name.
        let path = PathBuf::from(String::from_utf8_lossy(&told.stdout).trim());
        if !path.is_absolute() {
            return Err(io::ErrorKind::NotFound.into());
        }
        symlink(path, folder.join(format!("lib{library}.a")))?;
    }
    Ok(())
}
