//! The system's function for random bytes, for simulated lives: theirs follow from their seed.

use std::ffi::{c_uint, c_void};

use mcp_lifecheck::simulate::entropy::fill;

/// Takes the place of the C library's function of this name in this executable. The standard library calls it to seed hash maps.
///
/// # Safety
/// As for the C library's: `buffer` is valid for writes of `length` bytes.
#[expect(
    unsafe_code,
    reason = "the C library's function has this signature, and no other way leads to the seeds of hash maps"
)]
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    // SAFETY: the caller gives a buffer of this length. The kernel may write there as well, so reading bytes first does no harm.
    let is_filled = !buffer.is_null() && fill(unsafe { std::slice::from_raw_parts_mut(buffer.cast(), length) });
    if is_filled {
        return isize::try_from(length).unwrap_or(isize::MAX);
    }
    // SAFETY: the same call as the C library makes, with the arguments of the caller.
    let n_filled = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
    isize::try_from(n_filled).unwrap_or(-1)
}
