//! Specimens that no verdict catches yet, and those whose one mistake gives two findings.

/// Names of broken specimens that are not caught, or whose twin is accused, or of correct ones that are accused, each with
/// the reason. The list must only shrink.
pub const NOT_YET: &[(&str, &str)] = &[];

/// Broken specimens that must be quicker, or use more, than the bound of their rule. On a loaded machine one may come too late or get too
/// little, and then has kept the rule: that is told and not counted. Of several rounds at least one must be in time.
pub const HASTY: &[&str] = &["signal-at-once", "busy-while-idle"];

/// Broken specimens whose one mistake a second invariant reports as well. The list must only shrink.
pub const FOUND_AS_WELL: &[(&str, &str)] = &[
    // A DELETE would end the stream, so the session is left as well.
    ("stream-left-at-exit", "session-ended"),
    ("one-of-two-streams-left", "session-ended"),
];
