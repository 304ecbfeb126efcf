//! The book, the README and the other pages: complete, without dead links, and true.
//!
//! - `links`: every page is in the summary, and every link and anchor leads somewhere.
//! - `blocks`: every block of code is of a known kind, and the product's own parsers accept it.
//! - `commands`: the commands in `sh` blocks run, or at least parse.
//! - `tables`: the tables of the reference are what `mcp-lifecheck list` shows.

mod blocks;
mod commands;
mod links;
mod page;
mod tables;
