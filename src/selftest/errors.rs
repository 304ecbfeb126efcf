//! Error channels: whether an error that is let loose on one is reported.

use serde_json::json;

use crate::selftest::life::{Session, main_task};
use crate::selftest::limits::UNDER_WAY;

const CHECK: &str = "error-channels";

impl Session<'_> {
    /// Asks for an error on each channel that can be provoked; behind everything else, because a hook may print what it gets.
    pub(super) async fn error_channels(&mut self) -> Option<()> {
        let observed = |channel: &&String| self.hello.observes.contains(channel);
        let channels: Vec<String> = self.hello.provokes.iter().filter(observed).cloned().collect();
        if channels.is_empty() {
            let why = if self.hello.observes.iter().any(|name| name != "scopes") {
                "it observes some, and provokes none of them"
            } else {
                "it observes none"
            };
            self.notes.absent(CHECK, why);
            return Some(());
        }
        for channel in channels {
            let n_before = self.link.errors(&channel, usize::MAX, std::time::Duration::ZERO).await;
            let fields = json!({ "in": main_task("a"), "channel": channel });
            let answered = self.ask(CHECK, "provoke", fields, self.operation_limit()).await?;
            let n_after = self.link.errors(&channel, n_before, UNDER_WAY).await;
            self.notes.judge(
                CHECK,
                answered.map(drop).and_then(|()| match n_after - n_before {
                    0 => {
                        Err(format!("an error was let loose on {channel}, and no error.reported of that channel came"))
                    }
                    1 => Ok(()),
                    n => Err(format!("one error was let loose on {channel}, and {n} came as error.reported")),
                }),
            );
        }
        Some(())
    }
}
