//! Tables for people.

use comfy_table::{Table, presets};
use mcp_lifecheck::report::{PlanRow, RunReport};

/// What an empty cell means.
pub(crate) const BLANK: &str = "blank: the scenario is not for that transport, or was not run there";

/// Scenarios by loaders; a cell counts the plans in it by verdict.
pub(crate) fn run_table(report: &RunReport) -> String {
    let mut columns: Vec<String> = Vec::new();
    let mut rows: Vec<&str> = Vec::new();
    for plan in &report.plans {
        let column = column_of(plan);
        if !columns.contains(&column) {
            columns.push(column);
        }
        if !rows.contains(&plan.scenario.as_str()) {
            rows.push(&plan.scenario);
        }
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(std::iter::once("scenario".to_owned()).chain(columns.iter().cloned()));
    let mut has_blank = false;
    for row in rows {
        let cells = columns.iter().map(|column| {
            let here: Vec<_> =
                report.plans.iter().filter(|plan| plan.scenario == row && column_of(plan) == *column).collect();
            has_blank |= here.is_empty();
            cell(&here)
        });
        table.add_row(std::iter::once(row.to_owned()).chain(cells).collect::<Vec<_>>());
    }
    if has_blank { format!("{table}\n{BLANK}") } else { table.to_string() }
}

fn column_of(plan: &PlanRow) -> String {
    format!("{} {}", plan.loader, plan.transport)
}

/// One plan's verdict, or how many of several came to what.
fn cell(plans: &[&PlanRow]) -> String {
    let mut counted: Vec<(&'static str, usize)> = Vec::new();
    for plan in plans {
        let word = plan.verdict.word();
        match counted.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counted.push((word, 1)),
        }
    }
    let words =
        counted.iter().map(|(word, count)| if *count == 1 { (*word).to_owned() } else { format!("{count} {word}") });
    words.collect::<Vec<_>>().join(", ")
}
