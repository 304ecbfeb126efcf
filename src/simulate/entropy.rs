//! The random bytes of a simulated life, for an executable that routes the system's function for them here.
//!
//! The standard library seeds its hash maps with such bytes, and so decides in which order a loader walks through one. An executable
//! that defines `getrandom` and asks [`fill`] first gives each life the same bytes again. This library defines no such function: it
//! would change every program that links it.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};

use crate::record::Dice;

thread_local! {
    /// The bytes of this thread's life; `None` on every other thread.
    static BYTES: RefCell<Option<Dice>> = const { RefCell::new(None) };
}

/// While it exists, the random bytes of its thread follow from a seed.
pub(super) struct Seeded {
    _private: (),
}

impl Seeded {
    /// Begins on this thread, which must not have asked for random bytes before.
    pub(super) fn begin(seed: u64) -> Self {
        BYTES.set(Some(Dice::new(seed, "bytes")));
        Self { _private: () }
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        BYTES.set(None);
    }
}

/// Fills a buffer if this thread has a simulated life; otherwise returns `false`, and the system must fill it.
pub fn fill(buffer: &mut [u8]) -> bool {
    // A thread that is about to end has no thread-local values any more.
    let filled = BYTES.try_with(|dice| match dice.try_borrow_mut() {
        Ok(mut dice) => dice.as_mut().map(|dice| {
            for chunk in buffer.chunks_mut(size_of::<u64>()) {
                chunk.copy_from_slice(&dice.draw().to_le_bytes()[..chunk.len()]);
            }
        }),
        Err(_) => None,
    });
    matches!(filled, Ok(Some(())))
}

/// Whether this executable takes the random bytes of a life from here.
pub(super) fn is_followed() -> bool {
    let hashed = || {
        let thread = std::thread::Builder::new().spawn(|| {
            let _seeded = Seeded::begin(1);
            RandomState::new().hash_one(1)
        });
        thread.ok().and_then(|thread| thread.join().ok())
    };
    let once = hashed();
    once.is_some() && once == hashed()
}
