//! The link of a mock to the recorder: its hello, the welcome, and commands.

use std::process::exit;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::history::{ConnectionId, LINK_LOST_CODE};
use crate::mock::JOURNAL_LOST_CODE;
use crate::mock::arguments::{LinkedArgs, MockError};
use crate::plan::{Revision, ShutdownBehaviour};
use crate::record::{Link, LinkLimits, build_id};
use crate::script::Script;
use crate::server::{BODY_BYTES_MAX, Endpoint, Setup};

/// The recorder's answer to the hello of a mock.
#[derive(Deserialize)]
pub(super) struct Welcome {
    connection: ConnectionId,
    #[serde(default = "first")]
    incarnation: u64,
    #[serde(default)]
    n_probes: u64,
    script: Script,
    #[serde(rename = "temperament")]
    shutdown_behaviour: ShutdownBehaviour,
    revision: Revision,
    max_life_ms: u64,
    #[serde(default = "body_bytes_max")]
    body_bytes_max: usize,
    /// The pid that the mock had in its hello; `None` for a mock without a process of its own.
    #[serde(skip)]
    pid: Option<u32>,
}

/// A mock that shares its process, when it has connected to the recorder and before it starts.
pub(super) struct Hosted<K> {
    pub link: Link,
    pub welcome: Welcome,
    /// Resolves when the recorder commands the mock to die.
    pub killed: K,
}

fn first() -> u64 {
    1
}

fn body_bytes_max() -> usize {
    BODY_BYTES_MAX
}

impl Welcome {
    /// The setup of the mock's machine.
    pub(super) fn setup(self, endpoint: Endpoint) -> Setup {
        Setup {
            script: self.script,
            shutdown_behaviour: self.shutdown_behaviour,
            revision: self.revision,
            connection: self.connection,
            incarnation: self.incarnation,
            n_probes: self.n_probes,
            endpoint,
            pid: self.pid,
            body_bytes_max: self.body_bytes_max,
        }
    }

    /// How long the mock may live.
    pub(super) fn max_life(&self) -> Duration {
        Duration::from_millis(self.max_life_ms)
    }
}

/// A command of the recorder to a mock.
pub(super) enum RecorderCommand {
    /// A gate is open.
    OpenGate(String),
    /// The mock must end at once, without a farewell. Only mocks without a process of their own get it; the supervisor kills the
    /// others.
    Die,
}

impl RecorderCommand {
    /// Reads a command; `None` for one that this release does not know.
    pub(super) fn read(command: &Value) -> Option<Self> {
        match command.get("open_gate").and_then(Value::as_str) {
            Some(gate) => Some(Self::OpenGate(gate.to_owned())),
            None => command.get("die").is_some().then_some(Self::Die),
        }
    }
}

/// Connects a mock that is a process to the recorder, and passes on the gates that the recorder opens.
///
/// The process ends at once when it loses the link, whatever its script says: a mock without a recorder must not live on.
pub(super) fn connect_to_recorder(
    args: &LinkedArgs,
    on_gate: impl Fn(String) + Send + 'static,
) -> Result<(Link, Welcome), MockError> {
    let on_command = move |command| match command {
        RecorderCommand::OpenGate(gate) => on_gate(gate),
        RecorderCommand::Die => {}
    };
    connect_as(args, Some(std::process::id()), JOURNAL_LOST_CODE.into(), on_command)
}

/// Connects a mock that shares its process to the recorder, and passes on the gates that the recorder opens.
///
/// The process ends when it loses the link: neither a mock nor its client must live on without a recorder.
pub(super) fn connect_hosted(
    args: &LinkedArgs,
    on_gate: impl Fn(String) + Send + 'static,
) -> Result<Hosted<impl Future<Output = ()> + Send + 'static>, MockError> {
    let (kill, killed) = oneshot::channel();
    let kill = Mutex::new(Some(kill));
    let on_command = move |command| match command {
        RecorderCommand::OpenGate(gate) => on_gate(gate),
        RecorderCommand::Die => {
            // The mock may be over.
            let _ = kill.lock().unwrap_or_else(PoisonError::into_inner).take().map(|kill| kill.send(()));
        }
    };
    let (link, welcome) = connect_as(args, None, LINK_LOST_CODE, on_command)?;
    let killed = async move {
        if killed.await.is_err() {
            // The link has ended, so no command can follow.
            std::future::pending::<()>().await;
        }
    };
    Ok(Hosted { link, welcome, killed })
}

/// Connects to the recorder. The process ends with `code` when it loses the link.
fn connect_as(
    args: &LinkedArgs,
    pid: Option<u32>,
    code: i32,
    on_command: impl Fn(RecorderCommand) + Send + 'static,
) -> Result<(Link, Welcome), MockError> {
    let mut hello = json!({ "hello": 1, "token": args.token, "mock": args.server, "build": build_id() });
    if let (Some(pid), Some(hello)) = (pid, hello.as_object_mut()) {
        hello.insert("pid".to_owned(), pid.into());
    }
    let on_loss = Box::new(move |_: &_| exit(code));
    let on_message = move |command: Value| {
        if let Some(command) = RecorderCommand::read(&command) {
            on_command(command);
        }
    };
    let (link, welcome) = Link::dial_with(args.link, &hello, LinkLimits::default(), on_loss, on_message)?;
    Ok((link, Welcome { pid, ..serde_json::from_value(welcome)? }))
}
