//! `verdict.json`: the verdict on one plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::{Finding, Judgement, PlanVerdict, Verdict, invariant};
use crate::history::{History, SCHEMA, Seq};
use crate::report::failure::witness_texts;

/// The verdict on one plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerdictReport {
    /// Version of the report's shape.
    pub schema: u32,
    /// Id of the plan.
    pub plan: String,
    /// Name of the scenario.
    pub scenario: String,
    /// The worst verdict.
    pub verdict: PlanVerdict,
    /// Why the plan does not apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The findings with verdict fail, warn or inconclusive.
    pub findings: Vec<FindingRow>,
    /// The verdict of every invariant.
    pub verdicts: BTreeMap<String, Verdict>,
}

/// One finding that is not green.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindingRow {
    /// Id of the invariant.
    pub invariant: String,
    /// Fail, warn or inconclusive.
    pub verdict: Verdict,
    /// The claim of the invariant; absent from a finding about the experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// The reason, with facts that a reader can check by hand.
    pub because: String,
    /// Sequence numbers of the events that show it.
    pub witness: Vec<Seq>,
    /// The first of these events as text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Ids of the requirements that the invariant covers.
    pub requirement: Vec<String>,
    /// Invariant and variant. Equal findings have equal signatures.
    pub signature: String,
    /// The command line that repeats the plan.
    pub repeat: String,
    /// The finding as text, if the history is available. Not written to a report.
    #[serde(skip)]
    pub text: String,
}

/// The findings that are not green. `repeat` is the command line that repeats the plan.
#[must_use]
pub fn finding_rows(history: &History, judgement: &Judgement, repeat: &str) -> Vec<FindingRow> {
    let shown = |finding: &&Finding| matches!(finding.verdict, Verdict::Fail | Verdict::Warn | Verdict::Inconclusive);
    let row = |finding: &Finding| FindingRow {
        invariant: finding.invariant.to_owned(),
        verdict: finding.verdict,
        claim: invariant(finding.invariant).map(|rule| rule.claim.to_owned()),
        because: finding.because.to_string(),
        witness: finding.witness.clone(),
        events: witness_texts(history, finding),
        requirement: finding.requirement.iter().map(|id| (*id).to_owned()).collect(),
        signature: finding.signature.to_string(),
        repeat: repeat.to_owned(),
        text: String::new(),
    };
    judgement.findings.iter().filter(shown).map(row).collect()
}

impl VerdictReport {
    /// The report on one judged history.
    #[must_use]
    pub fn new(history: &History, judgement: &Judgement, repeat: &str) -> Self {
        let header = history.header();
        let verdicts = judgement.findings.iter().map(|finding| (finding.invariant.to_owned(), finding.verdict));
        Self {
            schema: SCHEMA,
            plan: header.plan.clone(),
            scenario: header.scenario.clone(),
            verdict: judgement.verdict,
            because: judgement.not_applicable_because().map(str::to_owned),
            findings: finding_rows(history, judgement, repeat),
            verdicts: verdicts.collect(),
        }
    }

    /// The report on a plan that did not run because it does not apply.
    #[must_use]
    pub fn not_applicable(plan: &str, scenario: &str, because: &str) -> Self {
        Self {
            schema: SCHEMA,
            plan: plan.to_owned(),
            scenario: scenario.to_owned(),
            verdict: PlanVerdict::NotApplicable,
            because: Some(because.to_owned()),
            findings: Vec::new(),
            verdicts: BTreeMap::new(),
        }
    }
}
