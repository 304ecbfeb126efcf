//! Which evidence a history can contain, and the messages of one frame.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::history::Message;

/// Whether the adapter could record a kind of evidence.
#[derive(Debug)]
pub(super) enum Sight {
    /// No adapter has connected to the recorder.
    NoAdapter,
    /// The adapter records it.
    Clear,
    /// The adapter cannot record it.
    Blind {
        /// The reason, as a sentence without a period.
        because: String,
    },
}

impl Sight {
    /// Whether the adapter records scopes. An adapter that could not patch one of the classes names it; then no history is clean.
    pub(super) fn of_scopes(observes: &[String], unobservable: &BTreeMap<String, String>) -> Self {
        if !observes.iter().any(|witness| witness == "scopes") {
            return Self::Blind { because: "the adapter does not observe scopes".to_owned() };
        }
        let concerns_scopes = |what: &str| {
            let what = what.to_lowercase();
            ["scope", "taskgroup", "task_group", "contextmanager"].iter().any(|word| what.contains(word))
        };
        match unobservable.iter().find(|(what, _)| concerns_scopes(what)) {
            Some((what, why)) => Self::Blind { because: format!("the adapter could not observe {what}: {why}") },
            None => Self::Clear,
        }
    }

    /// The reason why the evidence is missing, if it is.
    pub(super) fn blindness(&self) -> Option<String> {
        match self {
            Self::NoAdapter => Some("no adapter said hello, so scopes can not be seen".to_owned()),
            Self::Clear => None,
            Self::Blind { because } => Some(because.clone()),
        }
    }
}

/// The messages in one frame: a batch (revision 2025-03-26) has several.
pub(super) fn parts(message: &Message) -> Cow<'_, [Message]> {
    match message.body().as_array() {
        Some(batch) => batch.iter().cloned().map(Message::new).collect(),
        None => Cow::Borrowed(std::slice::from_ref(message)),
    }
}
