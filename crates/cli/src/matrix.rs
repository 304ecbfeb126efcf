//! A table of many loaders for readers: each loader has a column, named by a letter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use mcp_lifecheck::check::Verdict;
use mcp_lifecheck::report::{Comparison, Difference, RunReport, RunVerdict, worse};

use crate::letters::letters;
use crate::table::BLANK;

/// Loaders by scenarios, with the CPU time of each, and loaders by the invariants that some loader breaks.
pub(crate) fn matrix_tables(report: &RunReport) -> String {
    let mut text = String::new();
    for (index, loader) in report.loaders.iter().enumerate() {
        push(&mut text, format_args!("{:>3}  {loader}", letters(index)));
    }
    push(&mut text, format_args!("{}", scenario_table(report)));
    if !broken(report).is_empty() {
        push(&mut text, format_args!("{}", invariant_table(report)));
    }
    push(
        &mut text,
        format_args!("-: not applicable; ?: inconclusive; unseen: not observable; vacuous: never put to the test"),
    );
    push(&mut text, format_args!("{BLANK}"));
    let kept = n_kept(report);
    push(&mut text, format_args!("{kept} more invariants were judged, and no loader breaks them"));
    text
}

/// What differs between two loaders.
pub(crate) fn comparison_text(comparison: &Comparison) -> String {
    let Comparison { of, against, new, gone, same, not_compared } = comparison;
    let mut text = format!("{of} against {against}: {} new, {} gone, {} the same\n", new.len(), gone.len(), same.len());
    let mut told = |word: &str, differences: &[Difference]| {
        for one in differences {
            let Difference { scenario, transport, server, invariant, verdict } = one;
            push(&mut text, format_args!("  {word} {verdict} {scenario}:{invariant} ({transport}, {server})"));
        }
    };
    told("new ", new);
    told("gone", gone);
    if !not_compared.is_empty() {
        push(&mut text, format_args!("  not compared: {}", not_compared.join(", ")));
    }
    text
}

fn scenario_table(report: &RunReport) -> Table {
    let mut rows: Vec<(&str, &str)> = Vec::new();
    let mut cells: BTreeMap<(&str, &str, &str), RunVerdict> = BTreeMap::new();
    for plan in &report.plans {
        let row = (plan.scenario.as_str(), plan.transport.as_str());
        if !rows.contains(&row) {
            rows.push(row);
        }
        let cell = cells.entry((row.0, row.1, &plan.loader)).or_insert(plan.verdict);
        *cell = worse(*cell, plan.verdict);
    }
    let mut table = new_table("scenario", report);
    for (scenario, transport) in rows {
        let cell =
            |loader: &String| cells.get(&(scenario, transport, loader.as_str())).map_or("", |cell| plan_sign(*cell));
        let cells = report.loaders.iter().map(|loader| cell(loader).to_owned());
        table.add_row(std::iter::once(format!("{scenario} {transport}")).chain(cells));
    }
    let cpu = |loader: &String| {
        let took: u64 = report.plans.iter().filter(|plan| plan.loader == *loader).filter_map(|plan| plan.cpu_ms).sum();
        format!("{:.1}", std::time::Duration::from_millis(took).as_secs_f64())
    };
    table.add_row(std::iter::once("CPU seconds".to_owned()).chain(report.loaders.iter().map(cpu)));
    table
}

fn invariant_table(report: &RunReport) -> Table {
    let mut table = new_table("invariant", report);
    for invariant in broken(report) {
        let cell = |loader: &String| {
            let verdicts = report.matrix.invariants.get(loader);
            verdicts.and_then(|verdicts| verdicts.get(invariant)).map_or("", |verdict| sign(*verdict)).to_owned()
        };
        table.add_row(std::iter::once(invariant.to_owned()).chain(report.loaders.iter().map(cell)));
    }
    table
}

/// The invariants that some loader breaks, or that could not be judged of one.
fn broken(report: &RunReport) -> BTreeSet<&str> {
    let is_broken = |verdict: Verdict| matches!(verdict, Verdict::Fail | Verdict::Warn | Verdict::Inconclusive);
    judged(report).filter(|(_, verdict)| is_broken(*verdict)).map(|(id, _)| id).collect()
}

/// How many invariants hold of every loader of which they were judged.
fn n_kept(report: &RunReport) -> usize {
    let broken = broken(report);
    let passed: BTreeSet<_> =
        judged(report).filter(|(_, verdict)| *verdict == Verdict::Pass).map(|(id, _)| id).collect();
    passed.difference(&broken).count()
}

fn judged(report: &RunReport) -> impl Iterator<Item = (&str, Verdict)> {
    report.matrix.invariants.values().flatten().map(|(id, verdict)| (id.as_str(), *verdict))
}

fn new_table(first: &str, report: &RunReport) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(std::iter::once(first.to_owned()).chain((0..report.loaders.len()).map(letters)));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Center);
    }
    table
}

fn plan_sign(verdict: RunVerdict) -> &'static str {
    match verdict {
        RunVerdict::Pass => "ok",
        RunVerdict::Fail => "FAIL",
        RunVerdict::Warn => "warn",
        RunVerdict::Vacuous => "vacuous",
        RunVerdict::NotApplicable => "-",
        RunVerdict::Inconclusive => "?",
        RunVerdict::Unavailable => "UNAVAILABLE",
    }
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "ok",
        Verdict::Fail => "FAIL",
        Verdict::Warn => "warn",
        Verdict::Vacuous => "vacuous",
        Verdict::NotObservable => "unseen",
        Verdict::NotApplicable => "-",
        Verdict::Inconclusive => "?",
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to a string cannot fail");
}
