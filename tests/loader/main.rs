//! The loaders against a raw server: contract, processes, hops, HTTP, configuration, growth, and the broken ones.

#![expect(clippy::unwrap_used, reason = "tests and their helpers fail by panicking")]

mod broken;
mod broken_http;
mod config;
mod contract;
mod faults;
mod generations;
mod generations_http;
mod growth;
mod hops;
mod http;
mod http_faults;
mod parts;
mod sse;
mod support;
mod web;
