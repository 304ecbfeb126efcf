//! Findings as checks, in the shape of the official conformance suite.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};

use crate::check::{EXPERIMENT, Finding, Invariant, Judgement, Verdict, invariant};
use crate::history::{History, event_to_text};

/// The root of the specification's pages.
const SPECIFICATION: &str = "https://modelcontextprotocol.io/specification";
/// Most witness events in the details of one check.
const WITNESS_MAX: usize = 8;

/// The status of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckStatus {
    /// The rule holds.
    Success,
    /// The rule is broken.
    Failure,
    /// A rule that should hold is broken, or the check is inconclusive.
    Warning,
    /// The rule was not triggered, or does not apply.
    Skipped,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckRow {
    /// Id of the rule.
    pub id: String,
    /// The id with spaces for hyphens.
    pub name: String,
    /// The claim of the rule.
    pub description: String,
    /// The status that follows from the verdict.
    pub status: CheckStatus,
    /// Time of the judgement, in UTC.
    pub timestamp: String,
    /// The pages of the specification that demand it.
    pub spec_references: Vec<SpecReference>,
    /// Verdict, reason, signature, requirements and witness.
    pub details: Value,
    /// The reason of a failure or a warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// A page of the specification that demands something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpecReference {
    /// Id of the requirement.
    pub id: String,
    /// URL of the page.
    pub url: String,
}

/// Every finding as a check. `at` is the time of the judgement.
#[must_use]
pub fn check_rows(history: &History, judgement: &Judgement, at: SystemTime) -> Vec<CheckRow> {
    let timestamp = iso(at);
    judgement.findings.iter().map(|finding| row(history, finding, &timestamp)).collect()
}

fn row(history: &History, finding: &Finding, timestamp: &str) -> CheckRow {
    let rule = invariant(finding.invariant);
    let (status, has_message) = match finding.verdict {
        Verdict::Pass => (CheckStatus::Success, false),
        Verdict::Fail => (CheckStatus::Failure, true),
        Verdict::Warn | Verdict::Inconclusive => (CheckStatus::Warning, true),
        Verdict::Vacuous | Verdict::NotObservable | Verdict::NotApplicable => (CheckStatus::Skipped, false),
    };
    let events = finding.witness.iter().take(WITNESS_MAX).filter_map(|seq| history.event(*seq));
    let witness: Vec<String> = events.map(event_to_text).collect();
    CheckRow {
        id: finding.invariant.to_owned(),
        name: finding.invariant.replace('-', " "),
        description: rule.map_or_else(|| about(finding), |rule| rule.claim.to_owned()),
        status,
        timestamp: timestamp.to_owned(),
        spec_references: rule.map(references).unwrap_or_default(),
        details: json!({ "verdict": finding.verdict, "because": finding.because, "signature": finding.signature,
                         "requirement": finding.requirement, "witness": witness }),
        error_message: has_message.then(|| finding.because.to_string()),
    }
}

/// The meaning of a finding about the experiment, which has no rule.
fn about(finding: &Finding) -> String {
    let cause = EXPERIMENT.iter().find(|cause| finding.signature.ends_with(&format!("/{}", cause.id)));
    cause.map(|cause| cause.about.to_owned()).unwrap_or_default()
}

/// The requirements of a rule that come from the specification, each with the first page that the rule's source names.
fn references(rule: &Invariant) -> Vec<SpecReference> {
    let Some(url) = page(rule.source) else { return Vec::new() };
    let of_specification = rule.requirement.iter().filter(|id| id.starts_with("LC-"));
    of_specification.map(|id| SpecReference { id: (*id).to_owned(), url: url.clone() }).collect()
}

/// The page that a source names, as in `2025-11-25, basic/lifecycle, Initialization`.
fn page(source: &str) -> Option<String> {
    let words: BTreeSet<&str> = source.split([',', ';']).map(str::trim).collect();
    let revision = words.iter().find(|word| word.len() == 10 && word.starts_with("20"))?;
    let is_path = |word: &&&str| {
        ["basic/", "client/", "server/"].iter().any(|part| word.starts_with(part)) && !word.contains(' ')
    };
    let path = words.iter().find(is_path)?;
    Some(format!("{SPECIFICATION}/{revision}/{path}"))
}

/// A time in UTC, as `2025-11-25T08:30:00.000Z`; one before 1970 as the first moment of 1970.
#[must_use]
pub fn iso(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at.max(UNIX_EPOCH)).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::HOST_RULES;

    #[test]
    fn a_time_is_written_as_it_is_in_utc() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_764_059_400_123, "2025-11-25T08:30:00.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso(UNIX_EPOCH + Duration::from_millis(ms)), expected);
        }
    }

    #[test]
    fn each_rule_of_the_specification_names_its_page() {
        let of_specification = |rule: &&Invariant| rule.source.starts_with("20");
        for rule in HOST_RULES.iter().filter(of_specification) {
            let found = references(rule);
            assert!(!found.is_empty(), "{}", rule.id);
            assert!(found.iter().all(|one| one.url.starts_with("https://")), "{found:?}");
        }
    }
}
