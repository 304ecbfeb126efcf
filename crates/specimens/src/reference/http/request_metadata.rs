//! The header fields with which a POST repeats parts of the request in its body, in the stateless generation.
//!
//! Source: revision 2026-07-28, basic/transports/streamable-http, Standard Request Headers.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::error::HttpError;
use super::target::PROTOCOL_VERSION;

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The parts of a request that its header shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestMetadata {
    version: String,
    method: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    method: String,
    params: Params,
}

#[derive(Deserialize)]
struct Params {
    name: Option<String>,
    #[serde(rename = "_meta")]
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: String,
}

impl RequestMetadata {
    /// What is shown of a body; nothing where it does not say of which revision it is.
    pub(super) fn of(body: &[u8]) -> Option<Self> {
        let Body { method, params } = serde_json::from_slice(body).ok()?;
        let name = params.name.filter(|_| method == "tools/call");
        Some(Self { version: params.meta.version, method, name })
    }

    /// Shows it in these header fields.
    ///
    /// # Errors
    /// [`HttpError::BadHeader`] for what no field can hold.
    pub(super) fn show(&self, headers: &mut HeaderMap) -> Result<(), HttpError> {
        let fields =
            [(PROTOCOL_VERSION, Some(&self.version)), (METHOD, Some(&self.method)), (NAME, self.name.as_ref())];
        for (field, value) in fields {
            let Some(value) = value else { continue };
            let bad = |_| HttpError::BadHeader { name: field.to_string() };
            headers.insert(field.clone(), HeaderValue::from_str(value).map_err(bad)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &str) -> Option<(String, String, Option<String>)> {
        RequestMetadata::of(body.as_bytes()).map(|metadata| (metadata.version, metadata.method, metadata.name))
    }

    #[test]
    fn a_request_is_shown_where_it_says_of_which_revision_it_is() {
        let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        let call = format!(r#"{{"id":1,"method":"tools/call","params":{{"name":"read",{meta}}}}}"#);
        assert_eq!(shown(&call), Some(("2026-07-28".into(), "tools/call".into(), Some("read".into()))));
        let list = format!(r#"{{"id":1,"method":"tools/list","params":{{{meta}}}}}"#);
        assert_eq!(shown(&list), Some(("2026-07-28".into(), "tools/list".into(), None)));
        assert_eq!(shown(r#"{"id":1,"method":"tools/call","params":{"name":"read","_meta":{}}}"#), None);
        assert_eq!(shown(r#"{"method":"notifications/initialized"}"#), None);
    }
}
