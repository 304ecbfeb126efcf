//! The methods of the protocol: which side may send each, and in which revisions.
//!
//! Every notification begins with `notifications/`, and no request does. Source: the schemas of all revisions.

use crate::plan::Revision;
use crate::plan::Revision::{R20241105, R20250326, R20250618, R20251125, R20260728};

/// One method.
pub(super) struct Method {
    name: &'static str,
    client: Option<Span>,
    server: Option<Span>,
}

/// The first and the last revision.
type Span = (Revision, Revision);

const ALWAYS: Option<Span> = Some((R20241105, R20260728));
const SESSIONS: Option<Span> = Some((R20241105, R20251125));
const TASKS: Option<Span> = Some((R20251125, R20251125));
const STATELESS: Option<Span> = Some((R20260728, R20260728));
const ELICITATION: Option<Span> = Some((R20250618, R20251125));

const fn of_clients(name: &'static str, client: Option<Span>) -> Method {
    Method { name, client, server: None }
}

const fn of_servers(name: &'static str, server: Option<Span>) -> Method {
    Method { name, client: None, server }
}

const METHODS: [Method; 36] = [
    of_clients("initialize", SESSIONS),
    of_clients("server/discover", STATELESS),
    of_clients("subscriptions/listen", STATELESS),
    of_clients("tools/list", ALWAYS),
    of_clients("tools/call", ALWAYS),
    of_clients("prompts/list", ALWAYS),
    of_clients("prompts/get", ALWAYS),
    of_clients("resources/list", ALWAYS),
    of_clients("resources/templates/list", ALWAYS),
    of_clients("resources/read", ALWAYS),
    of_clients("resources/subscribe", SESSIONS),
    of_clients("resources/unsubscribe", SESSIONS),
    of_clients("completion/complete", ALWAYS),
    of_clients("logging/setLevel", SESSIONS),
    Method { name: "ping", client: SESSIONS, server: SESSIONS },
    Method { name: "tasks/get", client: TASKS, server: TASKS },
    Method { name: "tasks/result", client: TASKS, server: TASKS },
    Method { name: "tasks/cancel", client: TASKS, server: TASKS },
    Method { name: "tasks/list", client: TASKS, server: TASKS },
    of_servers("roots/list", SESSIONS),
    of_servers("sampling/createMessage", SESSIONS),
    of_servers("elicitation/create", ELICITATION),
    of_clients("notifications/initialized", SESSIONS),
    of_clients("notifications/roots/list_changed", SESSIONS),
    Method { name: "notifications/cancelled", client: ALWAYS, server: ALWAYS },
    Method { name: "notifications/progress", client: SESSIONS, server: ALWAYS },
    Method { name: "notifications/tasks/status", client: TASKS, server: TASKS },
    of_servers("notifications/message", ALWAYS),
    of_servers("notifications/tools/list_changed", ALWAYS),
    of_servers("notifications/prompts/list_changed", ALWAYS),
    of_servers("notifications/resources/list_changed", ALWAYS),
    of_servers("notifications/resources/updated", ALWAYS),
    of_servers("notifications/elicitation/complete", TASKS),
    of_servers("notifications/subscriptions/acknowledged", STATELESS),
    // An extension of the stateless generation has it.
    of_clients("tasks/update", None),
    of_servers("notifications/tasks", None),
];

/// The method with this name.
pub(super) fn method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// Whether a method with this name is a notification.
pub(super) fn is_notification(name: &str) -> bool {
    name.starts_with("notifications/")
}

impl Method {
    /// Whether a client may send it in this revision.
    pub(super) fn is_of_clients(&self, revision: Revision) -> bool {
        self.client.is_some_and(|(from, until)| (from..=until).contains(&revision))
    }

    /// Whether a client may send it in no revision, and a server may in one.
    pub(super) fn is_of_servers_alone(&self) -> bool {
        self.client.is_none() && self.server.is_some()
    }

    /// Whether only servers may send it in this revision.
    pub(super) fn is_of_servers_in(&self, revision: Revision) -> bool {
        !self.is_of_clients(revision) && self.server.is_some_and(|(from, until)| (from..=until).contains(&revision))
    }
}

/// Whether completions have a capability of their own in this revision.
pub(super) fn has_completions_capability(revision: Revision) -> bool {
    revision >= R20250326
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::KnownMethod;

    #[test]
    fn each_side_has_its_methods_in_its_revisions() {
        let may = |name: &str, revision| method(name).is_some_and(|method| method.is_of_clients(revision));
        assert!(may("ping", R20251125) && !may("ping", R20260728));
        assert!(may("tasks/get", R20251125) && !may("tasks/get", R20250618));
        assert!(may("server/discover", R20260728) && !may("server/discover", R20251125));
        assert!(!may("roots/list", R20251125) && !may("shutdown", R20251125));
        assert!(method("notifications/progress").is_some_and(|method| method.is_of_servers_in(R20260728)));
    }

    #[test]
    fn the_table_has_each_method_of_the_protocol() {
        for known in KnownMethod::ALL {
            assert!(method(known.as_str()).is_some(), "{known:?}");
        }
        assert_eq!(METHODS.len(), KnownMethod::ALL.len());
    }

    #[test]
    fn no_name_is_there_twice() {
        for (index, method) in METHODS.iter().enumerate() {
            assert!(METHODS[index + 1..].iter().all(|other| other.name != method.name), "{}", method.name);
        }
    }
}
