//! The mock's reply to an HTTP request.

use crate::mock::http::parts::Parts;
use crate::server::{After, Response};

/// How a mock answers a request.
pub(super) enum Reply {
    Whole(Response),
    Stream(Response, Parts),
    Raw(Raw),
    Cut,
    Reset,
}

/// A script's own bytes instead of a response.
pub(super) struct Raw {
    pub bytes: Vec<u8>,
    pub after: After,
}
