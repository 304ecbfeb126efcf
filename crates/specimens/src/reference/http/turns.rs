//! Everything that a conversation sends, each as one future that the driver polls: a request, a notification, a
//! renewal, the DELETE.

use std::sync::Arc;

use hyper::body::Bytes;
use rmcp::RoleClient;
use rmcp::model::{
    ClientRequest, ErrorCode, ErrorData, JsonRpcError, JsonRpcMessage, RequestId, ServerNotification, ServerResult,
    ToolListChangedNotification,
};
use rmcp::service::TxJsonRpcMessage;
use tokio::time::timeout;

use super::super::options::Revision;
use super::error::HttpError;
use super::exchange::Exchange;
use super::mcp_session::McpSession;
use super::post::{Broken, Message, SessionClient};
use super::posted::{Done, settle};
use super::socket::{Flight, Payload};
use super::target::{Purpose, Target, session_id_header};

pub(super) async fn within<T>(
    bound: std::time::Duration,
    work: impl Future<Output = Result<T, HttpError>>,
) -> Result<T, HttpError> {
    timeout(bound, work).await.unwrap_or(Err(HttpError::TimedOut { bound }))
}

/// Whether no process listens at the server's address.
pub(super) fn is_gone(error: &HttpError) -> bool {
    matches!(error, HttpError::Connect { source, .. } if source.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// The first `initialize`. rmcp waits for it to be accepted, and only then reads, so both are told apart.
pub(super) async fn initialize_first(
    client: SessionClient,
    id: RequestId,
    body: Bytes,
    done: Done,
) -> Result<Option<Exchange>, HttpError> {
    let exchange = client.post(body, &Flight::new()).await?;
    client.session.note_session_id(exchange.header(&session_id_header()));
    settle(done, Ok(()));
    let answer = client.read_answer(exchange, &id, Broken::Resumed).await?;
    client.session.note_revision(revision(&answer.message));
    client.deliver(answer.message).await?;
    Ok(answer.rest)
}

/// One request, until its answer is handed to rmcp.
pub(super) async fn answer(
    client: &SessionClient,
    id: &RequestId,
    body: Bytes,
    flight: &Arc<Flight>,
) -> Result<Option<Exchange>, HttpError> {
    let answer = client.ask(id, body, flight).await?;
    // Before it is handed on, so that nobody cancels what was answered.
    flight.mark_answered();
    client.deliver(answer.message).await?;
    Ok(answer.rest)
}

/// Waits until the request has left, then announces its cancellation, unless it was answered meanwhile.
pub(super) async fn announce(client: &SessionClient, flight: &Flight, body: Bytes) -> Result<(), HttpError> {
    flight.sent().await;
    if flight.is_answered() { Ok(()) } else { client.tell(body).await }
}

/// `initialize` and `initialized` once more, within [`Bounds::connect`]. rmcp does not learn of it.
pub(super) async fn renew(
    client: SessionClient,
    initialize: ClientRequest,
    initialized: Bytes,
) -> Result<Arc<McpSession>, HttpError> {
    let renewed = async {
        // A text, so that it differs from all ids of rmcp, which are numbers.
        let id = RequestId::String(format!("initialize-{}", client.session.number).into());
        let message = TxJsonRpcMessage::<RoleClient>::request(initialize, id.clone());
        let body = Bytes::from(serde_json::to_vec(&message).expect("every key in a message is a string"));
        let exchange = client.post(body, &Flight::new()).await?;
        client.session.note_session_id(exchange.header(&session_id_header()));
        let answer = client.read_answer(exchange, &id, Broken::Resumed).await?;
        client.session.note_revision(Some(revision(&answer.message).ok_or_else(|| bad_renewal(&answer.message))?));
        client.tell(initialized).await?;
        Ok(Arc::clone(&client.session))
    };
    within(client.target.bounds.connect, renewed).await
}

/// Whether a refusal is of no modern form, so that a server of the legacy era may have given it.
///
/// Source: revision 2026-07-28, basic/transports/streamable-http, Backward Compatibility.
pub(super) fn says_nothing_of_eras(error: &HttpError) -> bool {
    matches!(error, HttpError::Status { found: 400..500, .. })
        && !matches!(error, HttpError::Status { found: 401 | 403, .. })
}

/// A refusal as an answer, which is what rmcp looks at.
pub(super) fn refusal(id: RequestId, error: &HttpError) -> Message {
    let error = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, error.to_string(), None);
    JsonRpcMessage::Error(JsonRpcError::new(Some(id), error))
}

fn revision(answer: &Message) -> Option<Revision> {
    match answer {
        JsonRpcMessage::Response(response) => match &response.result {
            ServerResult::InitializeResult(answer) => Revision::from_wire(answer.protocol_version.as_str()),
            _ => None,
        },
        _ => None,
    }
}

fn bad_renewal(answer: &Message) -> HttpError {
    let found = match answer {
        JsonRpcMessage::Error(error) => format!("error {}: {}", error.error.code.0, error.error.message),
        JsonRpcMessage::Response(response) => match &response.result {
            ServerResult::InitializeResult(answer) => format!("revision {:?}", answer.protocol_version.as_str()),
            _ => "another result".to_owned(),
        },
        _ => "no answer".to_owned(),
    };
    HttpError::BadRenewal { found }
}

pub(super) fn tools_changed() -> Message {
    let changed = ServerNotification::ToolListChangedNotification(ToolListChangedNotification::default());
    JsonRpcMessage::notification(changed)
}

pub(super) async fn delete(target: &Target, session: &McpSession) -> Result<hyper::StatusCode, HttpError> {
    let exchange = Exchange::begin(target, target.request(session, &Purpose::Delete, Payload::none())?).await?;
    Ok(exchange.status())
}
