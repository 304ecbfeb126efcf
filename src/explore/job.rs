//! The part of a campaign that a CI job has, from the environment that the CI system gives to its jobs.

use crate::explore::lives::Shard;
use crate::run::RunError;

/// The variable with the index of a job, from 0, that a workflow sets where its system sets none.
const INDEX: &str = "MCP_LIFECHECK_SHARD_INDEX";
/// The variable with the number of jobs that a workflow sets where its system sets none.
const TOTAL: &str = "MCP_LIFECHECK_SHARD_TOTAL";

/// Where a system has the index of a job, and the number of jobs.
struct System {
    name: &'static str,
    index: &'static str,
    total: &'static str,
    /// Index of the first job.
    first: u64,
    /// Whether the system sets the number, but not the index, of a job that is not one of several.
    has_lone_total: bool,
}

/// Every system, in the order of their names. The pair of `MCP_LIFECHECK_*` comes before them.
const SYSTEMS: [System; 4] = [
    // https://buildkite.com/docs/pipelines/configure/environment-variables: the first index is 0.
    System {
        name: "Buildkite",
        index: "BUILDKITE_PARALLEL_JOB",
        total: "BUILDKITE_PARALLEL_JOB_COUNT",
        first: 0,
        has_lone_total: false,
    },
    // https://circleci.com/docs/variables/: "The value ranges from 0 to (CIRCLE_NODE_TOTAL - 1)".
    System {
        name: "CircleCI",
        index: "CIRCLE_NODE_INDEX",
        total: "CIRCLE_NODE_TOTAL",
        first: 0,
        has_lone_total: false,
    },
    // https://docs.gitlab.com/ci/variables/predefined_variables/: the first index is 1, and the total of a job without `parallel` is 1.
    System { name: "GitLab", index: "CI_NODE_INDEX", total: "CI_NODE_TOTAL", first: 1, has_lone_total: true },
    // https://kubernetes.io/docs/concepts/workloads/controllers/job/: "from 0 to .spec.completions-1". It sets no total.
    System { name: "Kubernetes", index: "JOB_COMPLETION_INDEX", total: TOTAL, first: 0, has_lone_total: true },
];

const OWN: System = System { name: "the workflow", index: INDEX, total: TOTAL, first: 0, has_lone_total: true };

/// Every variable that can name a shard.
pub const SHARD_VARIABLES: [&str; 9] = [
    INDEX,
    TOTAL,
    "BUILDKITE_PARALLEL_JOB",
    "BUILDKITE_PARALLEL_JOB_COUNT",
    "CIRCLE_NODE_INDEX",
    "CIRCLE_NODE_TOTAL",
    "CI_NODE_INDEX",
    "CI_NODE_TOTAL",
    "JOB_COMPLETION_INDEX",
];

/// A shard that the environment names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobShard {
    /// The part.
    pub shard: Shard,
    /// The system, and its variables with their values.
    pub from: String,
}

impl JobShard {
    /// The shard that the environment names; `None` where it names none, or all jobs are one.
    ///
    /// # Errors
    /// `Usage` when one variable of a pair is missing, a value is no number in its range, or two systems name a shard.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, RunError> {
        if variable(INDEX).is_some() {
            return OWN.shard(&variable);
        }
        let mut found: Vec<(&str, Self)> = Vec::new();
        for system in &SYSTEMS {
            found.extend(system.shard(&variable)?.map(|shard| (system.name, shard)));
        }
        if found.is_empty() && variable(TOTAL).is_some() && variable("JOB_COMPLETION_INDEX").is_none() {
            return Err(RunError::usage(format!(
                "found {TOTAL} without an index, expected {INDEX} or JOB_COMPLETION_INDEX as well, or --shard I/N"
            )));
        }
        if let [(_, one), (_, other), ..] = found.as_slice() {
            return Err(RunError::usage(format!(
                "found a shard of {} and a shard of {}, expected one: name it with --shard I/N",
                one.from, other.from
            )));
        }
        Ok(found.pop().map(|(_, shard)| shard))
    }
}

impl System {
    fn shard(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Option<JobShard>, RunError> {
        let missing = |there: &str, missing: &str| {
            let message = format!("found {there} without {missing}, expected both, or --shard I/N");
            Err(RunError::usage(message))
        };
        let (index, total) = match (variable(self.index), variable(self.total)) {
            (None, None) => return Ok(None),
            (None, Some(total)) if self.total == TOTAL || (self.has_lone_total && total == "1") => return Ok(None),
            (None, Some(_)) => return missing(self.total, self.index),
            (Some(_), None) => return missing(self.index, self.total),
            (Some(index), Some(total)) => (index, total),
        };
        let number = |name: &str, text: &str, range: &str| {
            let number = text.parse::<u64>().ok();
            number.ok_or_else(|| RunError::usage(format!("{name}: found {text:?}, expected {range}")))
        };
        let n_jobs = number(self.total, &total, "the number of jobs")?;
        let last = n_jobs.saturating_add(self.first).saturating_sub(1);
        let range = format!("a number from {} to {last}", self.first);
        let place = number(self.index, &index, &range)?;
        let from = format!("{} ({}={index}, {}={total})", self.name, self.index, self.total);
        let one_based = place.saturating_add(1).saturating_sub(self.first);
        let shard = format!("{one_based}/{n_jobs}").parse::<Shard>();
        let shard = shard.map_err(|_| {
            RunError::usage(format!("{}: found {index:?} with {}={total}, expected {range}", self.index, self.total))
        })?;
        Ok((shard != Shard::WHOLE).then_some(JobShard { shard, from }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let found = JobShard::of(variable).map_err(|error| error.to_string())?;
        Ok(found.map(|found| format!("{} of {}", found.shard, found.from)))
    }

    fn shard(variables: &[(&str, &str)]) -> String {
        of(variables).unwrap().unwrap()
    }

    #[test]
    fn each_system_counts_in_its_own_way() {
        let pairs = [
            ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", ["0", "3"]),
            ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", ["0", "3"]),
            ("CI_NODE_INDEX", "CI_NODE_TOTAL", ["1", "4"]),
            ("JOB_COMPLETION_INDEX", TOTAL, ["0", "3"]),
            (INDEX, TOTAL, ["0", "3"]),
        ];
        for (index, total, [first, last]) in pairs {
            assert!(shard(&[(index, first), (total, "4")]).starts_with("1/4 of "), "{index}");
            let whole = shard(&[(index, last), (total, "4")]);
            assert!(
                whole.starts_with("4/4 of ") && whole.ends_with(&format!("({index}={last}, {total}=4)")),
                "{whole}"
            );
            assert!(SHARD_VARIABLES.contains(&index) && SHARD_VARIABLES.contains(&total));
            // One job is all jobs.
            assert_eq!(of(&[(index, first), (total, "1")]), Ok(None), "{index}");
        }
        assert_eq!(SYSTEMS.len() * 2 + 1, SHARD_VARIABLES.len(), "a system without its variables");
        assert_eq!(of(&[]), Ok(None));
        // A job of GitLab that is not one of several has a total alone.
        assert_eq!(of(&[("CI_NODE_TOTAL", "1")]), Ok(None));
    }

    #[test]
    fn half_a_pair_or_a_value_out_of_range_is_refused() {
        let both = "expected both, or --shard I/N";
        let cases: [(&[(&str, &str)], &str); 13] = [
            (&[("CI_NODE_INDEX", "1")], both),
            (&[("CI_NODE_TOTAL", "4")], both),
            (&[("CIRCLE_NODE_TOTAL", "4")], both),
            (&[("BUILDKITE_PARALLEL_JOB", "1")], both),
            (&[("JOB_COMPLETION_INDEX", "1")], "found JOB_COMPLETION_INDEX without MCP_LIFECHECK_SHARD_TOTAL"),
            (&[(INDEX, "1")], both),
            (&[(TOTAL, "4")], "without an index, expected MCP_LIFECHECK_SHARD_INDEX or JOB_COMPLETION_INDEX as well"),
            (&[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "4")], "expected a number from 1 to 4"),
            (&[("CIRCLE_NODE_INDEX", "4"), ("CIRCLE_NODE_TOTAL", "4")], "expected a number from 0 to 3"),
            (&[("CIRCLE_NODE_INDEX", "-1"), ("CIRCLE_NODE_TOTAL", "4")], "found \"-1\", expected a number from 0 to 3"),
            (&[(INDEX, "0"), (TOTAL, "")], "MCP_LIFECHECK_SHARD_TOTAL: found \"\", expected the number of jobs"),
            (&[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "0")], "found \"1\" with CI_NODE_TOTAL=0"),
            (&[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "18446744073709551615")], "expected a number from 1 to"),
        ];
        for (variables, expected) in cases {
            let refused = of(variables).unwrap_err();
            assert!(refused.contains(expected), "{variables:?}: {refused}");
        }
    }

    #[test]
    fn the_workflow_comes_before_the_system_and_two_systems_are_refused() {
        let gitlab = [("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "4")];
        let own = [(INDEX, "0"), (TOTAL, "2")];
        assert!(shard(&[gitlab, own].concat()).starts_with("1/2 of the workflow"));
        let circle = [("CIRCLE_NODE_INDEX", "0"), ("CIRCLE_NODE_TOTAL", "3")];
        let refused = of(&[gitlab, circle].concat()).unwrap_err();
        assert!(refused.starts_with("found a shard of CircleCI (CIRCLE_NODE_INDEX=0"), "{refused}");
        // A job of CircleCI that is not one of several has an index and a total as well.
        let alone = [("CIRCLE_NODE_INDEX", "0"), ("CIRCLE_NODE_TOTAL", "1")];
        assert!(shard(&[gitlab, alone].concat()).starts_with("2/4 of GitLab"));
    }
}
