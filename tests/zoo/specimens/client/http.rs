//! Streamable HTTP: the sockets of one client, and the header fields of its requests.

use serde_json::Value;

use super::socket::{Fields, Head, Socket, StreamEvent};

/// The media types that a POST must accept.
pub const BOTH: &str = "application/json, text/event-stream";
/// The first revision in which every request names its revision.
const FIRST_WITH_HEADER: &str = "2025-06-18";

/// Where the server is, and what the client knows of its session.
#[derive(Debug)]
pub struct Http {
    pub address: String,
    pub path: String,
    pub session: Option<String>,
    pub agreed: Option<String>,
    pub accept: &'static str,
    /// Fields of every request, for example a token.
    pub more: Vec<(String, String)>,
    /// Whether a socket carries several requests.
    pub keeps_alive: bool,
    main: Option<Socket>,
    aside: Option<Socket>,
}

/// Which of its sockets a client uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum On {
    Main,
    /// The one for responses and notices, while the main one carries a request.
    Aside,
}

impl Http {
    pub fn new(url: &str) -> Self {
        let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        Self {
            address: address.to_owned(),
            path: format!("/{path}"),
            session: None,
            agreed: None,
            accept: BOTH,
            more: Vec::new(),
            keeps_alive: true,
            main: None,
            aside: None,
        }
    }

    /// The fields of every request.
    fn base(&self) -> Fields {
        let mut fields = Fields::default();
        fields.set("Host", &self.address);
        self.more.iter().for_each(|(name, value)| fields.set(name, value));
        if let Some(session) = &self.session {
            fields.set("Mcp-Session-Id", session);
        }
        if let Some(agreed) = self.agreed.as_deref().filter(|agreed| *agreed >= FIRST_WITH_HEADER) {
            fields.set("MCP-Protocol-Version", agreed);
        }
        fields
    }

    /// The fields of a POST that carries this message.
    pub fn fields_of(&self, message: &Value) -> Fields {
        let mut fields = self.base();
        fields.set("Accept", self.accept);
        fields.set("Content-Type", "application/json");
        let version = &message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
        if let Some(version) = version.as_str() {
            fields.set("MCP-Protocol-Version", version);
            fields.set("Mcp-Method", message["method"].as_str().unwrap_or_default());
            let params = &message["params"];
            if let Some(name) = params["name"].as_str().or(params["uri"].as_str()) {
                fields.set("Mcp-Name", name);
            }
        }
        fields
    }

    /// The fields of a GET, which may resume a stream behind an event.
    pub fn fields_of_get(&self, after: Option<&str>) -> Fields {
        let mut fields = self.base();
        fields.set("Accept", "text/event-stream");
        if let Some(after) = after {
            fields.set("Last-Event-ID", after);
        }
        fields
    }

    pub fn fields_of_delete(&self) -> Fields {
        self.base()
    }

    /// Takes a socket to use; it is given back with [`Self::give_back`] once its response was read to the end.
    pub fn take(&mut self, on: On) -> Socket {
        let kept = match on {
            On::Main => self.main.take(),
            On::Aside => self.aside.take(),
        };
        kept.unwrap_or_else(|| self.fresh())
    }

    pub fn give_back(&mut self, on: On, socket: Socket) {
        if !self.keeps_alive {
            return;
        }
        match on {
            On::Main => self.main = Some(socket),
            On::Aside => self.aside = Some(socket),
        }
    }

    /// A socket of its own.
    pub fn fresh(&self) -> Socket {
        Socket::open(&self.address)
    }

    /// Sends a request and reads its response, which is not a stream, to the end; gives the head.
    pub fn exchange(&mut self, on: On, verb: &str, fields: &Fields, body: Option<&[u8]>) -> Head {
        let path = self.path.clone();
        self.exchange_at(on, verb, &path, fields, body)
    }

    /// The same at another target.
    pub fn exchange_at(&mut self, on: On, verb: &str, target: &str, fields: &Fields, body: Option<&[u8]>) -> Head {
        let mut socket = self.take(on);
        socket.send(verb, target, fields, body);
        let Some(head) = socket.head() else { return Head::default() };
        socket.body(&head);
        self.give_back(on, socket);
        head
    }

    /// Asks for a stream on a socket of its own; the head of the response was read.
    pub fn listen(&self, after: Option<&str>) -> Listening {
        self.listen_with(&self.fields_of_get(after))
    }

    pub fn listen_with(&self, fields: &Fields) -> Listening {
        let mut socket = self.fresh();
        socket.send("GET", &self.path, fields, None);
        let head = socket.head().unwrap_or_default();
        Listening { socket, head }
    }

    pub fn delete(&mut self) -> u16 {
        let fields = self.fields_of_delete();
        self.exchange(On::Main, "DELETE", &fields, None).status
    }

    /// Ends the session, if there is one, and closes every socket.
    pub fn end(&mut self) {
        if self.session.is_some() {
            self.delete();
        }
        self.close();
    }

    pub fn close(&mut self) {
        (self.session, self.main, self.aside) = (None, None, None);
    }
}

/// A stream of a session, open until it is dropped.
#[derive(Debug)]
pub struct Listening {
    socket: Socket,
    pub head: Head,
}

impl Listening {
    pub fn event(&mut self) -> Option<StreamEvent> {
        if self.head.is_stream() { self.socket.event() } else { None }
    }

    /// Reads to the end of the stream; gives what it carried.
    pub fn rest(mut self) -> Vec<StreamEvent> {
        std::iter::from_fn(|| self.event()).collect()
    }
}
