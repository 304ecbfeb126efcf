//! The address of a server, and the header fields of every request to it.

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Uri, http};

use super::super::config::HttpAddress;
use super::super::hooks::Hooks;
use super::super::options::Bounds;
use super::dial::{Dial, Tcp};
use super::endpoint::Endpoint;
use super::error::HttpError;
use super::hooked::Requests;
use super::mcp_session::McpSession;
use super::request_metadata::RequestMetadata;
use super::socket::{Payload, Stream};

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The name of the header that carries a session id.
pub(super) const fn session_id_header() -> HeaderName {
    SESSION_ID
}

/// A server's address, taken apart, and the bounds of every exchange with it.
pub(in super::super) struct Target {
    dial: Box<dyn Dial>,
    authority: HeaderValue,
    target: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) bounds: Bounds,
    pub(super) requests: Requests,
}

/// What a request is for.
pub(super) enum Purpose<'a> {
    /// One message; in the modern era the header shows what it is.
    Post { metadata: Option<&'a RequestMetadata> },
    /// One message to where the stream of the server says.
    PostTo(&'a Endpoint),
    /// A stream, from behind this event if there is one.
    Listen { last_event_id: Option<&'a str> },
    /// The end of the session.
    Delete,
}

impl Target {
    /// Takes an address apart. Connections to it are opened by `dial`; without one, over TCP.
    ///
    /// # Errors
    /// [`HttpError::BadUrl`], [`HttpError::HttpsUnsupported`] or [`HttpError::BadHeader`].
    pub(in super::super) fn of(
        address: &HttpAddress,
        dial: Option<Box<dyn Dial>>,
        bounds: Bounds,
        hooks: &Hooks,
    ) -> Result<Self, HttpError> {
        let url = &address.url;
        let bad = |problem: &str| HttpError::BadUrl { url: url.clone(), problem: problem.to_owned() };
        let uri = url.parse::<Uri>().map_err(|error| bad(&format!("is no address ({error})")))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(HttpError::HttpsUnsupported { url: url.clone() }),
            Some(_) => return Err(bad("has another scheme")),
            None => return Err(bad("has no scheme")),
        }
        let authority = uri.authority().ok_or_else(|| bad("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("has a user name in it"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(bad("has no host"));
        }
        Ok(Self {
            dial: dial.unwrap_or_else(|| Box::new(Tcp { host, port: authority.port_u16().unwrap_or(80) })),
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| bad("has a host that cannot be sent"))?,
            target: uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
            headers: headers_of(address)?,
            bounds,
            requests: Requests::of(hooks),
        })
    }

    /// Where to post, from what the stream of the server says.
    ///
    /// # Errors
    /// [`HttpError::ForeignEndpoint`] or [`HttpError::BadEndpoint`].
    pub(super) fn endpoint(&self, found: &str) -> Result<Endpoint, HttpError> {
        Endpoint::resolve(self.authority.to_str().unwrap_or_default(), &self.target, found)
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>, HttpError> {
        self.dial.dial().await
    }

    /// A request within a session. What the protocol needs wins over configured headers of the same name.
    pub(super) fn request(
        &self,
        session: &McpSession,
        purpose: &Purpose<'_>,
        payload: Payload,
    ) -> Result<Request<Payload>, HttpError> {
        let mut request = Request::new(payload);
        *request.method_mut() = match purpose {
            Purpose::Post { .. } | Purpose::PostTo(_) => http::Method::POST,
            Purpose::Listen { .. } => http::Method::GET,
            Purpose::Delete => http::Method::DELETE,
        };
        let target = if let Purpose::PostTo(endpoint) = purpose { endpoint.as_str() } else { &self.target };
        *request.uri_mut() = Uri::try_from(target).expect("it was part of an address");
        let headers = request.headers_mut();
        headers.extend(self.headers.iter().cloned());
        headers.insert(http::header::HOST, self.authority.clone());
        headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        match purpose {
            Purpose::Post { .. } => {
                headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                let both = HeaderValue::from_static("application/json, text/event-stream");
                headers.insert(http::header::ACCEPT, both);
            }
            Purpose::PostTo(_) => {
                headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            Purpose::Listen { last_event_id } => {
                headers.insert(http::header::ACCEPT, HeaderValue::from_static("text/event-stream"));
                if let Some(id) = last_event_id {
                    let name = LAST_EVENT_ID.to_string();
                    let id = HeaderValue::from_str(id).map_err(|_| HttpError::BadHeader { name })?;
                    headers.insert(LAST_EVENT_ID, id);
                }
            }
            Purpose::Delete => {}
        }
        if let Some(id) = session.session_id() {
            headers.insert(SESSION_ID, id.clone());
        }
        if let Some(revision) = session.revision() {
            headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(revision.as_str()));
        }
        if let Purpose::Post { metadata: Some(metadata) } = purpose {
            metadata.show(headers)?;
        }
        Ok(request)
    }
}

fn headers_of(address: &HttpAddress) -> Result<Vec<(HeaderName, HeaderValue)>, HttpError> {
    let read = |(name, value): (&String, &String)| {
        let pair = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.as_str()).ok());
        pair.ok_or_else(|| HttpError::BadHeader { name: name.clone() })
    };
    address.headers.iter().map(read).collect()
}
