//! Requirements with two levels, and the reasons. A fault has the same level for every subject, unless `explain` says
//! why not.

/// Two rules about one requirement, for different subjects, whose violations have different verdicts.
#[derive(Debug, Clone, Copy)]
pub struct LevelDifference {
    /// The rule for loaders, and the rule for programs. It is one rule twice if the rule itself distinguishes them.
    pub rules: [&'static str; 2],
    /// The reason, as a sentence.
    pub because: &'static str,
}

const GROWTH_AND_OUTPUT: &str = "they share VG-17 and judge different faults: a resource that grows a little with each repetition is a Warn; output or processes without end, which the supervisor had to stop, are a Fail";

/// Every difference that is meant. A test finds the others.
pub const LEVEL_DIFFERENCES: &[LevelDifference] = &[
    LevelDifference {
        rules: ["abandoned-call-cancelled", "abandoned-call-cancelled"],
        because: "a program that abandons a request decides that itself, so this is a Fail; in a loader the caller may have dropped the future, and `cancel-announced` judges its promise `announces-cancel`, so here it is a Warn",
    },
    LevelDifference {
        rules: ["modern-subscription-closed", "streams-closed"],
        because: "the specification only recommends that a client closes its subscription, so a loader that keeps running after its cleanup gets a Warn; a program that ends with an open stream left its end to the system, which is a Fail of VG-06",
    },
    LevelDifference {
        rules: ["modern-subscription-closed", "answers-read"],
        because: "they share VG-06 and judge different faults: a subscription that stays open, and an answer that the client does not read",
    },
    LevelDifference {
        rules: ["session-deleted", "session-ended"],
        because: "a DELETE is a SHOULD of the specification, so a missing one is a Warn for every subject; a loader that promises `sends-delete` also gets a Fail of VG-06, because it broke its promise",
    },
    LevelDifference {
        rules: ["exit-prompt-after-cleanup", "exits-with-success"],
        because: "they share VG-14 and judge different faults: how long the end of a program takes, and its exit status",
    },
    LevelDifference {
        rules: ["exit-prompt-after-cleanup", "ends-in-time"],
        because: "a program that ends late costs its user time, which is a Warn; a program that has not ended at its limit hangs, which is a Fail for every subject (for loaders: `exit-completes`)",
    },
    LevelDifference {
        rules: ["exit-prompt-after-cleanup", "ends-as-asked"],
        because: "a program that ends late costs its user time, which is a Warn; a program that does not end on request hangs, which is a Fail for every subject (for loaders: `exit-completes`)",
    },
    LevelDifference { rules: ["repeats-keep-descriptors", "output-bounded"], because: GROWTH_AND_OUTPUT },
    LevelDifference { rules: ["repeats-keep-memory", "output-bounded"], because: GROWTH_AND_OUTPUT },
    LevelDifference { rules: ["repeats-keep-servers", "output-bounded"], because: GROWTH_AND_OUTPUT },
    LevelDifference { rules: ["repeats-keep-threads", "output-bounded"], because: GROWTH_AND_OUTPUT },
    LevelDifference {
        rules: ["changed-tools-listed-again", "servers-reached"],
        because: "they share VG-04 and judge different faults: a list that the client does not request again, and a server that it never uses",
    },
    LevelDifference {
        rules: ["changed-tools-listed-again", "exchange-complete"],
        because: "they share VG-04 and judge different faults: a list that the client does not request again, and a call that it never makes",
    },
];

/// The differences in which a rule takes part.
pub fn level_differences(rule: &str) -> impl Iterator<Item = &'static LevelDifference> {
    LEVEL_DIFFERENCES.iter().filter(move |difference| difference.rules.contains(&rule))
}
