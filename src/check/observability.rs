//! Which evidence a history can contain.

use std::collections::BTreeMap;

/// Whether the adapter could record a kind of evidence.
#[derive(Debug)]
pub(super) enum Observability {
    /// No adapter has connected to the recorder.
    NoAdapter,
    /// The adapter records it.
    Recorded,
    /// The adapter cannot record it.
    Missing {
        /// The reason, as a sentence without a period.
        because: String,
    },
}

impl Observability {
    /// Whether the adapter records scopes. An adapter that could not patch one of the classes names it; then no history
    /// is clean.
    pub(super) fn of_scopes(observes: &[String], unobservable: &BTreeMap<String, String>) -> Self {
        if !observes.iter().any(|witness| witness == "scopes") {
            return Self::Missing { because: "the adapter does not observe scopes".to_owned() };
        }
        let concerns_scopes = |what: &str| {
            let what = what.to_lowercase();
            ["scope", "taskgroup", "task_group", "contextmanager"].iter().any(|word| what.contains(word))
        };
        match unobservable.iter().find(|(what, _)| concerns_scopes(what)) {
            Some((what, why)) => Self::Missing { because: format!("the adapter could not observe {what}: {why}") },
            None => Self::Recorded,
        }
    }

    /// The reason why the evidence is missing, if it is.
    pub(super) fn missing_because(&self) -> Option<String> {
        match self {
            Self::NoAdapter => Some("no adapter connected, so scopes cannot be observed".to_owned()),
            Self::Recorded => None,
            Self::Missing { because } => Some(because.clone()),
        }
    }
}
