//! Text that mcp-lifecheck did not write: files of other people, messages, and the output of the programs under test.
//!
//! `shown` stands between such a text and a terminal, `Secrets` between it and a file.

mod patterns;
mod secrets;
mod shown;

pub use secrets::{REDACTED, Redacted, Secrets, without_secrets, words_without_secrets};
pub use shown::shown;
