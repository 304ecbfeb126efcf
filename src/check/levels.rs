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

const GROWTH_AND_OUTPUT: &str = "they share VG-17 and judge different faults: what grows a little with each repetition is a Warn, and \
    output or processes without end, which the supervisor had to stop, are a Fail";

/// Every difference that is meant. A test finds the others.
pub const LEVEL_DIFFERENCES: &[LevelDifference] = &[
    LevelDifference {
        rules: ["abandoned-call-cancelled", "abandoned-call-cancelled"],
        because: "a program that abandons a request decides it itself, so this is a Fail; a loader may pass on that its caller \
            dropped the future, and its promise `announces-cancel` decides through `cancel-announced`, so here it is a Warn",
    },
    LevelDifference {
        rules: ["modern-subscription-closed", "streams-closed"],
        because: "the specification only recommends that a client closes its subscription, so a loader that lives on after its \
            cleanup gets a Warn; a program that ends with an open stream left its end to the system, which is a Fail of VG-06",
    },
    LevelDifference {
        rules: ["modern-subscription-closed", "answers-read"],
        because: "they share VG-06 and judge different faults: a subscription that stays open, and an answer that nobody reads",
    },
    LevelDifference {
        rules: ["session-deleted", "session-ended"],
        because: "a DELETE is a SHOULD of the specification, so it is a Warn of every subject; a loader that promises \
            `sends-delete` gets a Fail of VG-06 besides, because it broke its promise",
    },
    LevelDifference {
        rules: ["exit-prompt-after-cleanup", "exits-with-success"],
        because: "they share VG-14 and judge different faults: how long the end of a program takes, and with what status it ends",
    },
    LevelDifference {
        rules: ["exit-prompt-after-cleanup", "ends-in-time"],
        because: "a program that ends late cost its user time, which is a Warn; one that had not ended at its limit hung, \
            which is a Fail of every subject (for loaders: `exit-completes`)",
    },
    LevelDifference {
        rules: ["exit-prompt-after-cleanup", "ends-as-asked"],
        because: "a program that ends late cost its user time, which is a Warn; one that did not end when it was asked to hung, \
            which is a Fail of every subject (for loaders: `exit-completes`)",
    },
    LevelDifference { rules: ["repeats-keep-descriptors", "output-bounded"], because: GROWTH_AND_OUTPUT },
    LevelDifference { rules: ["repeats-keep-memory", "output-bounded"], because: GROWTH_AND_OUTPUT },
    LevelDifference { rules: ["repeats-keep-servers", "output-bounded"], because: GROWTH_AND_OUTPUT },
    LevelDifference { rules: ["repeats-keep-threads", "output-bounded"], because: GROWTH_AND_OUTPUT },
    LevelDifference {
        rules: ["changed-tools-listed-again", "servers-reached"],
        because: "they share VG-04 and judge different faults: a list that is not asked for again, and a server that is never used",
    },
    LevelDifference {
        rules: ["changed-tools-listed-again", "exchange-complete"],
        because: "they share VG-04 and judge different faults: a list that is not asked for again, and a call that is never made",
    },
];

/// The differences in which a rule takes part.
pub fn level_differences(rule: &str) -> impl Iterator<Item = &'static LevelDifference> {
    LEVEL_DIFFERENCES.iter().filter(move |difference| difference.rules.contains(&rule))
}
