//! A raw client: every byte and every header field is the specimen's. Whatever the client does by itself keeps the rules.

mod events;
mod http;
mod pipes;
mod proper;
mod socket;

use std::time::Duration;

use serde_json::{Value, json};

pub use events::Events;
pub use http::{Http, On};
pub use pipes::Pipes;
pub use proper::{failure, proper, result, sample};
pub use socket::{Fields, Head, Socket, StreamEvent};

/// Bound on each wait for a server.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// The revision without a handshake.
pub const MODERN: &str = "2026-07-28";

/// Where the server of a specimen is.
#[derive(Debug, Clone)]
pub enum Place {
    /// The arguments with which each client starts a server of its own.
    Command(Vec<String>),
    Http(String),
    Sse(String),
}

/// What a client speaks over.
#[derive(Debug)]
enum Wire {
    Pipes(Pipes),
    Http(Box<Http>),
    Events(Box<Events>),
    Ended,
}

/// The messages that a client sends because of a request of its server.
type Serve = Box<dyn Fn(&Value) -> Vec<Value>>;

/// One client of one server.
pub struct Client {
    place: Place,
    /// The revision that it offers, or with [`MODERN`] speaks.
    pub revision: String,
    pub name: String,
    pub capabilities: Value,
    /// What it does with requests of its server, if not what is right.
    pub serve: Option<Serve>,
    /// The id of the newest request.
    pub last_id: u64,
    wire: Wire,
}

/// The answer to a message.
#[derive(Debug, Default)]
pub struct Answer {
    pub fields: Fields,
    /// The response, or null.
    pub message: Value,
    pub events: Vec<StreamEvent>,
}

impl Answer {
    pub fn is_result(&self) -> bool {
        self.message.get("result").is_some()
    }
}

/// A request whose answer was not read.
#[derive(Debug)]
pub struct Pending {
    socket: Option<Socket>,
    id: Value,
}

impl Client {
    pub fn new(place: Place, revision: &str) -> Self {
        let wire = match &place {
            Place::Command(arguments) => Wire::Pipes(Pipes::start(arguments)),
            Place::Http(url) => Wire::Http(Box::new(Http::new(url))),
            Place::Sse(url) => Wire::Events(Box::new(Events::open(url))),
        };
        let (revision, name) = (revision.to_owned(), "specimen".to_owned());
        Self { place, revision, name, capabilities: json!({}), serve: None, last_id: 0, wire }
    }

    /// A second client of the same server: over stdio with a process, else with sockets of its own.
    pub fn another(&self) -> Self {
        let other = Self::new(self.place.clone(), &self.revision);
        Self { name: self.name.clone(), capabilities: self.capabilities.clone(), ..other }
    }

    pub fn is_http(&self) -> bool {
        matches!(self.wire, Wire::Http(_))
    }

    pub fn http(&mut self) -> &mut Http {
        match &mut self.wire {
            Wire::Http(http) => http,
            Wire::Events(events) => &mut events.http,
            Wire::Pipes(_) | Wire::Ended => panic!("this specimen has no HTTP"),
        }
    }

    pub fn events(&mut self) -> &mut Events {
        match &mut self.wire {
            Wire::Events(events) => events,
            Wire::Pipes(_) | Wire::Http(_) | Wire::Ended => panic!("this specimen has no stream of events"),
        }
    }

    pub fn pipes(&mut self) -> &mut Pipes {
        match &mut self.wire {
            Wire::Pipes(pipes) => pipes,
            Wire::Http(_) | Wire::Events(_) | Wire::Ended => panic!("this specimen has no pipes"),
        }
    }

    /// A request under a new id. Without a handshake it carries its metadata.
    pub fn message(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut params = params;
        if self.revision == MODERN && method != "initialize" {
            let given = params["_meta"].take();
            params["_meta"] = self.metadata();
            given.as_object().into_iter().flatten().for_each(|(key, value)| params["_meta"][key] = value.clone());
        }
        json!({ "jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params })
    }

    /// What each request says of its client.
    pub fn metadata(&self) -> Value {
        json!({
            "io.modelcontextprotocol/protocolVersion": self.revision,
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
            "io.modelcontextprotocol/clientInfo": { "name": self.name, "version": "1" },
        })
    }

    /// The parameters of `initialize`.
    pub fn about(&self) -> Value {
        json!({
            "protocolVersion": self.revision,
            "capabilities": self.capabilities,
            "clientInfo": { "name": self.name, "version": "1" },
        })
    }

    /// The call of the tool that every mock has.
    pub fn call_message(&mut self, n: u32) -> Value {
        self.message("tools/call", json!({ "name": "read", "arguments": { "path": format!("file {n}") } }))
    }

    pub fn call(&mut self, n: u32) -> Answer {
        let message = self.call_message(n);
        self.exchange(&message)
    }

    pub fn list(&mut self) -> Answer {
        self.request("tools/list", json!({}))
    }

    pub fn request(&mut self, method: &str, params: Value) -> Answer {
        let message = self.message(method, params);
        self.exchange(&message)
    }

    pub fn notify(&mut self, method: &str, params: Value) -> u16 {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    }

    pub fn cancel(&mut self, id: &Value) -> u16 {
        self.notify("notifications/cancelled", json!({ "requestId": id }))
    }

    /// Opens a session: `initialize`, and the notification where the server agreed. Gives the result, or null.
    pub fn open(&mut self) -> Value {
        let answer = self.initialize();
        if answer.is_result() {
            self.initialized();
        }
        answer.message["result"].clone()
    }

    pub fn initialize(&mut self) -> Answer {
        let about = self.about();
        let message = self.message("initialize", about);
        let answer = self.exchange(&message);
        self.agree(&answer);
        answer
    }

    /// Takes the session and the revision from an answer to `initialize`.
    pub fn agree(&mut self, answer: &Answer) {
        if let Wire::Http(http) = &mut self.wire {
            http.session = answer.fields.get("mcp-session-id").map(str::to_owned);
            http.agreed = answer.message["result"]["protocolVersion"].as_str().map(str::to_owned);
        }
    }

    pub fn initialized(&mut self) -> u16 {
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
    }

    /// Begins a life as every client of the server may: with a session, or without a handshake with a question.
    pub fn begin_life(&mut self) {
        if self.revision == MODERN {
            self.request("server/discover", json!({}));
        } else {
            self.open();
        }
    }

    /// Sends a message that gets no answer; gives the status over HTTP.
    pub fn send(&mut self, message: &Value) -> u16 {
        match &mut self.wire {
            Wire::Pipes(pipes) => {
                pipes.send(message);
                0
            }
            Wire::Http(http) => {
                let fields = http.fields_of(message);
                http.exchange(On::Main, "POST", &fields, Some(message.to_string().as_bytes())).status
            }
            Wire::Events(events) => events.post(message),
            Wire::Ended => panic!("this client has ended"),
        }
    }

    /// Sends a request and waits for its answer. Meanwhile it serves its server.
    pub fn exchange(&mut self, message: &Value) -> Answer {
        match &self.wire {
            Wire::Http(http) => {
                let fields = http.fields_of(message);
                self.exchange_with(&fields, message)
            }
            Wire::Pipes(_) | Wire::Events(_) | Wire::Ended => {
                self.send(message);
                self.answer(&message["id"])
            }
        }
    }

    /// The same over HTTP with other header fields.
    pub fn exchange_with(&mut self, fields: &Fields, message: &Value) -> Answer {
        let http = self.http();
        let mut socket = http.take(On::Main);
        socket.send("POST", &http.path.clone(), fields, Some(message.to_string().as_bytes()));
        let (answer, socket) = self.read(socket, &message["id"]);
        if let Some(socket) = socket {
            self.http().give_back(On::Main, socket);
        }
        answer
    }

    /// Reads the response on a socket; the socket is none if it has ended.
    fn read(&mut self, mut socket: Socket, id: &Value) -> (Answer, Option<Socket>) {
        let Some(head) = socket.head() else { return (Answer::default(), None) };
        let mut answer = Answer { fields: head.fields.clone(), ..Answer::default() };
        if !head.is_stream() {
            answer.message = serde_json::from_slice(&socket.body(&head)).unwrap_or_default();
            return (answer, Some(socket));
        }
        while let Some(event) = socket.event() {
            if let Some(message) = event.message() {
                self.take(message, id, &mut answer);
            }
            answer.events.push(event);
        }
        (answer, Some(socket))
    }

    /// Waits for the answer to a request over pipes or a stream of events.
    pub fn answer(&mut self, id: &Value) -> Answer {
        let mut answer = Answer::default();
        while answer.message.is_null() {
            let received = match &mut self.wire {
                Wire::Pipes(pipes) => pipes.receive(),
                Wire::Events(events) => events.receive(),
                Wire::Http(_) | Wire::Ended => None,
            };
            let Some(message) = received else { break };
            self.take(message, id, &mut answer);
        }
        answer
    }

    /// Takes a message of the server: the wanted answer, or a request to serve.
    fn take(&mut self, message: Value, id: &Value, answer: &mut Answer) {
        if message.get("method").is_none() {
            if message["id"] == *id {
                answer.message = message;
            }
        } else if message.get("id").is_some() {
            self.serve(&message);
        }
    }

    /// Answers a request of the server.
    pub fn serve(&mut self, request: &Value) {
        let messages = match &self.serve {
            Some(serve) => serve(request),
            None => vec![proper(request, &self.capabilities)],
        };
        messages.iter().for_each(|message| self.send_aside(message));
    }

    /// Sends a message beside a request that waits on the main socket.
    pub fn send_aside(&mut self, message: &Value) {
        match &mut self.wire {
            Wire::Http(http) => {
                let fields = http.fields_of(message);
                http.exchange(On::Aside, "POST", &fields, Some(message.to_string().as_bytes()));
            }
            Wire::Pipes(_) | Wire::Events(_) | Wire::Ended => {
                self.send(message);
            }
        }
    }

    /// Sends a request and reads nothing: over HTTP on a socket of its own.
    pub fn begin(&mut self, message: &Value) -> Pending {
        let id = message["id"].clone();
        let Wire::Http(http) = &mut self.wire else {
            self.send(message);
            return Pending { socket: None, id };
        };
        let mut socket = http.fresh();
        socket.send("POST", &http.path, &http.fields_of(message), Some(message.to_string().as_bytes()));
        Pending { socket: Some(socket), id }
    }

    /// Waits for the answer to a request.
    pub fn finish(&mut self, pending: Pending) -> Answer {
        match pending.socket {
            Some(socket) => self.read(socket, &pending.id).0,
            None => self.answer(&pending.id),
        }
    }

    /// The same, on a socket whose head was read; gives the messages of the stream.
    pub fn finish_stream(&mut self, pending: Pending) -> Answer {
        let mut answer = Answer::default();
        let mut socket = pending.socket.unwrap();
        while let Some(event) = socket.event() {
            if let Some(message) = event.message() {
                self.take(message, &pending.id, &mut answer);
            }
            answer.events.push(event);
        }
        answer
    }

    /// Ends as a client should: closes the input of its server and waits, or deletes its session and closes its sockets.
    pub fn end(&mut self) {
        match std::mem::replace(&mut self.wire, Wire::Ended) {
            Wire::Pipes(mut pipes) => pipes.end(),
            Wire::Http(mut http) => http.end(),
            Wire::Events(_) | Wire::Ended => {}
        }
    }

    /// Leaves what is open to the end of this process.
    pub fn leave_open(&mut self) {
        std::mem::forget(std::mem::replace(&mut self.wire, Wire::Ended));
    }

    /// Ends without a word: what is open closes with the sockets or the pipes.
    pub fn vanish(&mut self) {
        match std::mem::replace(&mut self.wire, Wire::Ended) {
            Wire::Pipes(mut pipes) => pipes.end(),
            Wire::Http(_) | Wire::Events(_) | Wire::Ended => {}
        }
    }
}

impl Pending {
    /// Reads the head of the response, which shows that the server has the request.
    pub fn head(&mut self) -> Head {
        self.socket.as_mut().unwrap().head().unwrap()
    }

    /// Reads the next event of the response, whose head was read.
    pub fn event(&mut self) -> Option<StreamEvent> {
        self.socket.as_mut().unwrap().event()
    }

    /// Waits for the first byte of the response, and reads nothing.
    pub fn await_first_byte(&self) {
        self.socket.as_ref().unwrap().wait();
    }

    pub fn id(&self) -> &Value {
        &self.id
    }

    /// Closes the socket without reading any further.
    pub fn abandon(self) {
        drop(self.socket);
    }
}
