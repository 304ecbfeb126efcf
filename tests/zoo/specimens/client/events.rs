//! HTTP with server-sent events: the stream of a session, and the address for its messages.

use serde_json::Value;

use super::http::{Http, On};
use super::socket::{Fields, Socket};

/// An open stream, whose first event has named the address for messages.
#[derive(Debug)]
pub struct Events {
    pub http: Http,
    pub target: String,
    stream: Socket,
}

impl Events {
    pub fn open(url: &str) -> Self {
        let http = Http::new(url);
        let mut stream = http.fresh();
        stream.send("GET", &http.path, &http.fields_of_get(None), None);
        stream.head().unwrap();
        let target = stream.event().unwrap().data;
        Self { http, target, stream }
    }

    /// Posts a message to the address of the stream; gives the status.
    pub fn post(&mut self, message: &Value) -> u16 {
        let target = self.target.clone();
        self.post_to(&target, message)
    }

    pub fn post_to(&mut self, target: &str, message: &Value) -> u16 {
        let fields: Fields = self.http.fields_of(message);
        let body = message.to_string();
        self.http.exchange_at(On::Main, "POST", target, &fields, Some(body.as_bytes())).status
    }

    /// Reads the next message of the stream; none when it has ended.
    pub fn receive(&mut self) -> Option<Value> {
        self.stream.message(|_| true)
    }
}
