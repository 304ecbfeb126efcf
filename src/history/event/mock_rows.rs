//! The rows of what mocks report: connections, messages, HTTP and sessions.

/// The table with the rows of mocks between those of the driver and the loader and those of the system.
macro_rules! with_mock_rows {
    ({ $($before:tt)* } { $($after:tt)* }) => {
        event_kinds! {
            $($before)*
            /// A mock server started and is about to serve.
            MockStarted = "mock.started" {
                /// Name of the mock's script.
                script: String,
                /// Pid of the mock, for a reader. Rules identify processes by role, never by pid.
                #[serde(default, skip_serializing_if = "Option::is_none")] pid: Option<u32>,
            }
            /// A connection began: two pipes or, over HTTP, one `initialize`. A request outside any session gets its own, `c3.0`.
            ConnectionOpened = "connection.opened" {
                /// The connection, unique in a plan.
                connection: ConnectionId,
            }
            /// A transport connection ended, as its mock saw it.
            ConnectionClosed = "connection.closed" {
                /// The connection that was opened earlier.
                connection: ConnectionId,
                /// The party that ended it, and the manner.
                how: WireEnd,
            }
            /// A message arrived at a mock.
            WireReceived = "wire.received" {
                /// The connection that carried the message.
                connection: ConnectionId,
                /// The message as received.
                message: Message,
            }
            /// A mock is about to send a message.
            WireSent = "wire.sent" {
                /// The connection that carries the message.
                connection: ConnectionId,
                /// The message as sent.
                message: Message,
            }
            /// Bytes that are not a message arrived at a mock.
            WireNoise = "wire.noise" {
                /// The connection that carried the bytes.
                connection: ConnectionId,
                /// Number of bytes.
                bytes: u64,
                /// The beginning of the bytes, as text.
                head: String,
            }
            /// An object in the message that a mock has just received has one name twice. A reader may keep either value, and the message
            /// on record has the last one.
            WireRepeated = "wire.repeated" {
                /// The connection that carried the message.
                connection: ConnectionId,
                /// The name.
                name: String,
            }
            /// A mock's input ended. Over stdio: its client closed the pipe.
            WireEof = "wire.eof" {
                /// The connection whose input ended.
                connection: ConnectionId,
            }
            /// A mock received a signal.
            SignalReceived = "signal.received" {
                /// Name of the signal without `SIG`.
                signal: String,
            }
            /// A mock is about to deliver a fault of its script.
            FaultDelivered = "fault.delivered" {
                /// The fault's name in the script.
                fault: String,
                /// The part of the service that the fault impairs.
                impairs: Impact,
            }
            /// An action of a mock waits at a gate.
            GateReached = "gate.reached" {
                /// Name of the gate, as the script gives it.
                gate: String,
            }
            /// A mock over HTTP is about to accept connections.
            MockListening = "mock.listening" {
                /// The mock's URL. Its path contains the secret of the run.
                url: String,
            }
            /// A client connected to a mock over TCP. One socket may carry many exchanges, of several sessions.
            SocketOpened = "socket.opened" {
                /// The socket, unique for its mock.
                socket: SocketId,
            }
            /// A TCP connection ended, as its mock saw it.
            SocketClosed = "socket.closed" {
                /// The socket that was opened earlier.
                socket: SocketId,
                /// The party that ended it, and the manner.
                how: WireEnd,
            }
            /// An HTTP request arrived at a mock, whole or as far as its client sent it.
            HttpReceived = "http.received" {
                /// The exchange: this request and its response.
                exchange: ExchangeId,
                /// The socket that carried the request.
                socket: SocketId,
                /// The HTTP method: `POST`, `GET`, `DELETE`.
                verb: String,
                /// The connection of the session that the request names; absent if there is no such session.
                #[serde(default, skip_serializing_if = "Option::is_none")] connection: Option<ConnectionId>,
                /// The session id in the request, valid or not.
                #[serde(default, skip_serializing_if = "Option::is_none")] session: Option<SessionId>,
                /// The path; absent in a history of an older release.
                #[serde(default, skip_serializing_if = "Option::is_none")] path: Option<String>,
                /// The query, with a digest in place of each secret; absent if there is none.
                #[serde(default, skip_serializing_if = "Option::is_none")] query: Option<String>,
                /// Header fields defined by the protocol, by name in lower case, without the session id. Several lines of one
                /// field are joined by commas, as HTTP defines. Of `authorization` there is only a digest, keyed for one mock.
                #[serde(default, skip_serializing_if = "BTreeMap::is_empty")] headers: BTreeMap<String, String>,
                /// Whether it had begun to arrive before the last response on its socket was written, so that this may be unread.
                #[serde(default, skip_serializing_if = "is_false")] pipelined: bool,
                /// The body, if it is a message that the mock does not take: of a request that it refuses, or of another verb.
                #[serde(default, skip_serializing_if = "Option::is_none")] message: Option<Box<Message>>,
            }
            /// An HTTP request arrived that is not addressed to the protocol: it has another path than the mock's, or another verb.
            HttpStray = "http.stray" {
                /// The exchange: this request and its response.
                exchange: ExchangeId,
                /// The socket that carried the request.
                socket: SocketId,
                /// The HTTP method: `OPTIONS`, `HEAD`, `GET`.
                verb: String,
                /// The path.
                path: String,
                /// The query, with a digest in place of each secret; absent if there is none.
                #[serde(default, skip_serializing_if = "Option::is_none")] query: Option<String>,
                /// The session id in the request, valid or not.
                #[serde(default, skip_serializing_if = "Option::is_none")] session: Option<SessionId>,
                /// Header fields, as in `http.received`.
                #[serde(default, skip_serializing_if = "BTreeMap::is_empty")] headers: BTreeMap<String, String>,
                /// The body, if it is a message of the protocol.
                #[serde(default, skip_serializing_if = "Option::is_none")] message: Option<Message>,
            }
            /// A mock is about to send the head of an HTTP response.
            HttpAnswered = "http.answered" {
                /// The exchange that the response belongs to.
                exchange: ExchangeId,
                /// The HTTP status code.
                status: u16,
                /// True if messages follow as server-sent events until the exchange ends.
                #[serde(default, skip_serializing_if = "is_false")] streams: bool,
            }
            /// An HTTP response ended: sent to its last byte, cut or given up. Without a stream it is sent together with its head.
            HttpEnded = "http.ended" {
                /// The exchange that the response belongs to.
                exchange: ExchangeId,
                /// `by-server`: sent to its end. `broken`: the script cut or reset it. `by-client`: the client gave it up.
                how: WireEnd,
            }
            /// A mock is about to send an event with an id or a reconnection time, or a request that another stream could bring as well.
            StreamEvent = "stream.event" {
                /// The exchange whose response is the stream.
                exchange: ExchangeId,
                /// The `id` of the event.
                #[serde(default, skip_serializing_if = "Option::is_none")] id: Option<String>,
                /// The reconnection time that `retry` gives, in milliseconds.
                #[serde(default, skip_serializing_if = "Option::is_none")] retry_ms: Option<u64>,
            }
            /// A mock is about to hand out a session.
            SessionOpened = "session.opened" {
                /// The connection that begins with this session.
                connection: ConnectionId,
                /// The value of `Mcp-Session-Id`.
                session: SessionId,
            }
            /// A session ended.
            SessionClosed = "session.closed" {
                /// The connection that ends with this session.
                connection: ConnectionId,
                /// The value of `Mcp-Session-Id`.
                session: SessionId,
                /// `by-client`: the client sent DELETE. `by-server`: the script let the session expire.
                how: WireEnd,
            }
            /// A mock is about to end, gracefully or because of its script.
            MockEnding = "mock.ending" {
                /// The cause of its end.
                how: ServerEnd,
            }
            $($after)*
        }
    };
}

pub(super) use with_mock_rows;
