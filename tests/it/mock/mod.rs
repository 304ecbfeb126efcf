//! Mock servers as processes: every script over real pipes, with a home of our own, and everything that can go wrong.

mod bytes;
mod client;
mod faults;
mod forged;
mod home;
mod http;
mod http_bytes;
mod http_client;
mod http_sdk;
mod lifeline;
mod modern;
mod modern_client;
mod modern_honesty;
mod scripts;
mod standalone;
