//! The self-test's own timeouts, which a run does not have.

use std::time::Duration;

/// One timeout of the self-test.
#[derive(Debug, Clone, Copy)]
pub struct SelfTestLimit {
    /// Name, as `mcp-lifecheck explain` knows it.
    pub name: &'static str,
    /// Its length; no option changes it.
    pub default: Duration,
    /// The wait that it limits, as one sentence.
    pub about: &'static str,
}

/// Time for which the self-test delays a welcome or an acknowledgement.
pub(super) const HELD_BACK: SelfTestLimit = SelfTestLimit {
    name: "held-back",
    default: Duration::from_millis(300),
    about: "In a self-test: the time for which a welcome or an acknowledgement is delayed, to check that the adapter waits for it.",
};

/// From the end of the link to the end of the adapter's process.
pub(super) const LINK_END: SelfTestLimit = SelfTestLimit {
    name: "link-end",
    default: Duration::from_secs(2),
    about: "In a self-test: from the end of the link to the end of the adapter's process.",
};

/// Time allowed for data that is still in a socket.
pub(super) const UNDER_WAY: Duration = Duration::from_millis(200);

/// Every timeout that a report may name.
pub const SELF_TEST_LIMITS: &[SelfTestLimit] = &[HELD_BACK, LINK_END];
