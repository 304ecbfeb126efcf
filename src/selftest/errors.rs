//! Checks of error channels: whether the adapter reports an error that it raises into one.

use serde_json::json;

use crate::selftest::life::{Session, main_task};
use crate::selftest::limits::UNDER_WAY;

const CHECK: &str = "error-channels";

impl Session<'_> {
    /// Requests an error on each channel that the adapter can provoke. This check runs last, because a hook may print
    /// the error.
    pub(super) async fn error_channels(&mut self) -> Option<()> {
        let observed = |channel: &&String| self.hello.observes.contains(channel);
        let channels: Vec<String> = self.hello.provokes.iter().filter(observed).cloned().collect();
        if channels.is_empty() {
            let why = if self.hello.observes.iter().any(|name| name != "scopes") {
                "the adapter observes error channels, but provokes none of them"
            } else {
                "the adapter observes no error channel"
            };
            self.notes.absent(CHECK, why);
            return Some(());
        }
        for channel in channels {
            let n_before = self.link.errors(&channel, usize::MAX, std::time::Duration::ZERO).await;
            let fields = json!({ "in": main_task("a"), "channel": channel });
            let answered = self.request(CHECK, "provoke", fields, self.operation_limit()).await?;
            let n_after = self.link.errors(&channel, n_before, UNDER_WAY).await;
            self.notes.judge(
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
}
