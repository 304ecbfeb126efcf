//! Checks of error channels: whether the adapter reports an error that it raises into one.

use serde_json::json;

use crate::selftest::limits::UNDER_WAY;
use crate::selftest::session::{Session, main_task};

const CHECK: &str = "error-channels";

/// Requests an error on each channel that the adapter can provoke. This check runs last, because a hook may print
/// the error.
pub(super) async fn error_channels(session: &mut Session<'_>) -> Option<()> {
    let observed = |channel: &&String| session.hello.observes.contains(channel);
    let channels: Vec<String> = session.hello.provokes.iter().filter(observed).cloned().collect();
    if channels.is_empty() {
        let why = if session.hello.observes.iter().any(|name| name != "scopes") {
            "the adapter observes error channels, but provokes none of them"
        } else {
            "the adapter observes no error channel"
        };
        session.notes.absent(CHECK, why);
        return Some(());
    }
    for channel in channels {
        let n_before = session.link.errors(&channel, usize::MAX, std::time::Duration::ZERO).await;
        let fields = json!({ "in": main_task("a"), "channel": channel });
        let answered = session.request(CHECK, "provoke", fields, session.operation_limit()).await?;
        let n_after = session.link.errors(&channel, n_before, UNDER_WAY).await;
        session.notes.judge(
            CHECK,
            answered.map(drop).and_then(|()| match n_after - n_before {
                0 => Err(format!(
                    "the adapter raised an error into {channel} and sent no error.reported for that channel"
                )),
                1 => Ok(()),
                n => Err(format!("the adapter raised one error into {channel} and sent {n} error.reported")),
            }),
        );
    }
    Some(())
}
