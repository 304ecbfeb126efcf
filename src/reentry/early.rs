//! The early entry: it decides before `main` whether this process is a helper.

use std::env;
use std::process::exit;

use crate::loader::host::RecorderAddress;
use crate::reentry::enter_from;

/// The C library calls this before `main`, after the standard library has stored the arguments.
#[expect(unsafe_code, reason = "placing a function in .init_array is how code runs before main")]
#[used]
#[unsafe(link_section = ".init_array")]
static EARLY: extern "C" fn() = early;

extern "C" fn early() {
    let is_helper = env::args_os().nth(1).is_some_and(|argument| argument.as_encoded_bytes().starts_with(b"__"));
    if !is_helper {
        return;
    }
    let endpoint = RecorderAddress::of_environment();
    forget_recorder_address();
    // A panic must not unwind into the C library.
    let entered = std::panic::catch_unwind(|| enter_from(endpoint));
    match entered {
        Ok(None) => {}
        Ok(Some(code)) => exit(i32::from(code)),
        Err(_) => exit(101),
    }
}

/// Removes the recorder's address and the token from the environment, so that no server of a loader inherits them.
#[expect(unsafe_code, reason = "changing the environment is safe while there is one thread, as there is before `main`")]
fn forget_recorder_address() {
    for name in RecorderAddress::NAMES {
        // SAFETY: no other thread exists yet, so none reads or writes the environment.
        unsafe { env::remove_var(name) };
    }
}
