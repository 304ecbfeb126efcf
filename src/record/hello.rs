//! The hello: the first line of a link, which identifies the peer.

use serde_json::Value;

use crate::record::adapter_link::AdapterHello;
use crate::record::build::build_id;
use crate::record::options::EndpointOptions;

/// The process that connected.
pub(super) enum Hello {
    Mock { server: String, pid: u32 },
    Adapter(Box<AdapterHello>),
}

/// Why the endpoint refuses a hello.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelloError {
    #[error("found {0:?}, expected a hello: a JSON object")]
    NoObject(String),
    #[error("found protocol version {0}, expected 1")]
    Version(Value),
    #[error("found a wrong token, expected the one this run handed out")]
    Token,
    #[error("found a hello of build {found}, expected {expected}: the executable changed during the run")]
    Build { found: String, expected: String },
    #[error("found neither `mock` nor `adapter` in the hello, expected one")]
    Role,
    #[error("the hello cannot be read: {0}")]
    Shape(#[from] serde_json::Error),
}

/// Reads a hello and compares it with the tokens and the build of this plan.
pub(super) fn read_hello(line: &str, options: &EndpointOptions) -> Result<Hello, HelloError> {
    let head = || line.chars().take(120).collect::<String>();
    let value: Value = serde_json::from_str(line).map_err(|_| HelloError::NoObject(head()))?;
    let fields = value.as_object().ok_or_else(|| HelloError::NoObject(head()))?;
    match fields.get("hello") {
        Some(version) if version.as_u64() == Some(1) => {}
        other => return Err(HelloError::Version(other.cloned().unwrap_or_default())),
    }
    let mock = fields.get("mock").and_then(Value::as_str);
    let token = if mock.is_some() { &options.mock_token } else { &options.adapter_token };
    if fields.get("token").and_then(Value::as_str) != Some(token) {
        return Err(HelloError::Token);
    }
    if let Some(found) = fields.get("build").and_then(Value::as_str) {
        let expected = build_id();
        if found != expected {
            return Err(HelloError::Build { found: found.to_owned(), expected });
        }
    }
    if let Some(server) = mock {
        let pid = fields.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        return Ok(Hello::Mock { server: server.to_owned(), pid });
    }
    if fields.contains_key("adapter") {
        return Ok(Hello::Adapter(Box::new(serde_json::from_value(value)?)));
    }
    Err(HelloError::Role)
}

/// Whether a hello has the adapter's token, even if the rest of it is wrong.
pub(super) fn knows_adapter_token(line: &str, options: &EndpointOptions) -> bool {
    let value: Value = serde_json::from_str(line).unwrap_or_default();
    value.get("token").and_then(Value::as_str) == Some(&options.adapter_token)
}
