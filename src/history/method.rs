//! The methods of the protocol, by name.

macro_rules! known_methods {
    ($($variant:ident = $name:literal,)*) => {
        /// A method that some revision of the protocol has.
        ///
        /// A message compares its method with these names once, because dozens of rules ask for it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each variant is the method of that name")]
        pub enum KnownMethod {
            $($variant,)*
        }

        impl KnownMethod {
            /// Every method, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The method with this name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name of the method on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

known_methods! {
    Initialize = "initialize",
    ServerDiscover = "server/discover",
    SubscriptionsListen = "subscriptions/listen",
    ToolsList = "tools/list",
    ToolsCall = "tools/call",
    PromptsList = "prompts/list",
    PromptsGet = "prompts/get",
    ResourcesList = "resources/list",
    ResourcesTemplatesList = "resources/templates/list",
    ResourcesRead = "resources/read",
    ResourcesSubscribe = "resources/subscribe",
    ResourcesUnsubscribe = "resources/unsubscribe",
    CompletionComplete = "completion/complete",
    LoggingSetLevel = "logging/setLevel",
    Ping = "ping",
    TasksGet = "tasks/get",
    TasksResult = "tasks/result",
    TasksCancel = "tasks/cancel",
    TasksList = "tasks/list",
    TasksUpdate = "tasks/update",
    RootsList = "roots/list",
    SamplingCreateMessage = "sampling/createMessage",
    ElicitationCreate = "elicitation/create",
    Initialized = "notifications/initialized",
    RootsListChanged = "notifications/roots/list_changed",
    Cancelled = "notifications/cancelled",
    Progress = "notifications/progress",
    TasksStatus = "notifications/tasks/status",
    LogMessage = "notifications/message",
    ToolsListChanged = "notifications/tools/list_changed",
    PromptsListChanged = "notifications/prompts/list_changed",
    ResourcesListChanged = "notifications/resources/list_changed",
    ResourcesUpdated = "notifications/resources/updated",
    ElicitationCompleted = "notifications/elicitation/complete",
    SubscriptionsAcknowledged = "notifications/subscriptions/acknowledged",
    TasksNotice = "notifications/tasks",
}

impl KnownMethod {
    /// Whether it is the method of a notification.
    #[must_use]
    pub fn is_notification(self) -> bool {
        self as usize >= Self::Initialized as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_come_last() {
        for method in KnownMethod::ALL {
            assert_eq!(method.is_notification(), method.as_str().starts_with("notifications/"), "{method:?}");
            assert_eq!(KnownMethod::named(method.as_str()), Some(*method));
        }
        assert_eq!(KnownMethod::named("tools/cal"), None);
    }
}
