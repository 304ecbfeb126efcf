//! Mock servers as processes: every script over real pipes, with a home of our own, and everything that can go wrong.

mod any_input;
mod batches;
mod bytes;
mod client;
mod faults;
mod forged;
mod garbage;
mod home;
mod http;
mod http_bytes;
mod http_client;
mod in_test;
mod lifeline;
mod repeats;
mod schemas;
mod scripts;
mod sdk;
mod sse;
mod standalone;
mod stateless;
mod stateless_client;
mod stateless_schemas;
mod tasks;
