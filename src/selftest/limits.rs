//! The waits of a self-test that no run has.

use std::time::Duration;

/// One wait: its name, its length and what it bounds.
#[derive(Debug, Clone, Copy)]
pub struct SelfTestLimit {
    /// Name, for `mcp-lifecheck explain`.
    pub name: &'static str,
    /// Its length; it can not be changed.
    pub default: Duration,
    /// What it bounds.
    pub about: &'static str,
}

/// How long a welcome or an acknowledgement is held back.
pub(super) const HELD_BACK: SelfTestLimit = SelfTestLimit {
    name: "held-back",
    default: Duration::from_millis(300),
    about: "In a self-test: how long a welcome or an acknowledgement is held back, to see that the adapter waits for it.",
};

/// From the end of the link to the end of the adapter's process.
pub(super) const LINK_END: SelfTestLimit = SelfTestLimit {
    name: "link-end",
    default: Duration::from_secs(2),
    about: "In a self-test: from the end of the link to the end of the adapter's process.",
};

/// How long what is left in a socket may be under way.
pub(super) const UNDER_WAY: Duration = Duration::from_millis(200);

/// Every one of them that a user meets.
pub const SELF_TEST_LIMITS: &[SelfTestLimit] = &[HELD_BACK, LINK_END];
