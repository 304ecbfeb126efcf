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
pub struct RequestMetadata {
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
    pub fn of(body: &[u8]) -> Option<Self> {
        let Body { method, params } = serde_json::from_slice(body).ok()?;
        let name = params.name.filter(|_| method == "tools/call");
        Some(Self { version: params.meta.version, method, name })
    }

    /// Shows it in these header fields.
    ///
    /// # Errors
    /// [`HttpError::BadHeader`] for what no field can hold.
    pub fn show(&self, headers: &mut HeaderMap) -> Result<(), HttpError> {
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
