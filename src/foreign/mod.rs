//! Text of other programs: input files, messages, and the output of the programs under test.
//!
//! `shown` escapes such text for a terminal, and `Secrets` redacts it for a file.

mod patterns;
mod secrets;
mod shown;

pub use secrets::{REDACTED, Redacted, Secrets, without_secrets, words_without_secrets};
pub use shown::shown;
