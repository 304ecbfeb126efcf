//! The early entry: decides before `main` whether this process is a helper.

use std::env;
use std::process::exit;

use crate::reentry::enter;

/// Run by the C library before `main`, after the standard library has taken the arguments.
#[expect(unsafe_code, reason = "placing a function in .init_array is how code runs before main")]
#[used]
#[unsafe(link_section = ".init_array")]
static EARLY: extern "C" fn() = early;

extern "C" fn early() {
    let is_helper = env::args_os().nth(1).is_some_and(|argument| argument.as_encoded_bytes().starts_with(b"__"));
    if !is_helper {
        return;
    }
    // A panic must not unwind into the C library.
    let entered = std::panic::catch_unwind(enter);
    match entered {
        Ok(None) => {}
        Ok(Some(code)) => exit(i32::from(code)),
        Err(_) => exit(101),
    }
}
