//! `mcp-lifecheck explain`: everything that is known about one id.

use mcp_lifecheck::catalogue::{
    Term, glossary, scenario_names, shipped_loader, shipped_loaders, shipped_scenario, suite, suite_names,
};
use mcp_lifecheck::check::{
    HOST_RULES, INVARIANTS, Invariant, Requirement, covered_by, invariant, level_differences, requirements,
};
use mcp_lifecheck::host::{shipped_host_plan, shipped_host_plans};
use mcp_lifecheck::plan::{HOST_LIMITS, HostPlan, LIMITS, PROMISES, Promise, Scenario, Transport, did_you_mean};
use mcp_lifecheck::run::{ExitReason, RunError};
use mcp_lifecheck::script::{FAULTS, Script, shipped, shipped_names, shipped_text};
use mcp_lifecheck::selftest::{CHECKS, SELF_TEST_LIMITS};
use mcp_lifecheck::stack::STACK_LIMITS;

use crate::args::ExplainArgs;
use crate::print::say;

/// Prints a page on each thing of that id.
pub(crate) fn explain(arguments: &ExplainArgs) -> Result<ExitReason, RunError> {
    let id = arguments.id.as_str();
    let mut pages = Vec::new();
    pages.extend(invariant(id).map(invariant_page));
    pages.extend(shipped_scenario(id)?.as_ref().map(scenario_page));
    pages.extend(suite(id)?.map(|suite| format!("suite {id}\n\n{}\n\n  {}", suite.about, suite.lines().join("\n  "))));
    if shipped_names().contains(&id) {
        pages.push(script_page(&shipped(id)?));
    }
    let fault = FAULTS.iter().find(|fault| fault.id == id);
    pages.extend(fault.map(|fault| format!("fault {id}\n\n{}\n\n{}", fault.about, fault.explain)));
    let promise = PROMISES.iter().find(|(known, _, _)| *known == id);
    pages.extend(promise.map(|(_, default, about)| format!("promise {id}\n\n{about}\nDefault: {default}.")));
    let limit = LIMITS.iter().chain(HOST_LIMITS).find(|limit| limit.name == id);
    pages.extend(limit.map(|limit| format!("limit {id}\n\n{}\nDefault: {} ms.", limit.about, limit.default_ms)));
    let limit = STACK_LIMITS.iter().find(|limit| limit.name == id);
    let page = |about: &str, ms: u128| format!("limit {id}\n\n{about}\nAlways: {ms} ms.");
    pages.extend(limit.map(|limit| page(limit.about, limit.default.as_millis())));
    let limit = SELF_TEST_LIMITS.iter().find(|limit| limit.name == id);
    pages.extend(limit.map(|limit| page(limit.about, limit.default.as_millis())));
    let check = CHECKS.iter().find(|check| check.id == id);
    pages.extend(
        check.map(|check| format!("check of adapters {id}\n\nRule: {}.\nTo fix it: {}", check.claim, check.remedy)),
    );
    let transport = Transport::named(id);
    pages.extend(
        transport.map(|transport| format!("transport {id}\n\n{}\n\n{}", transport.about(), transport.explain())),
    );
    pages.extend(shipped_loader(id)?.map(|loader| format!("loader {id}\n\n{}", loader.about)));
    pages.extend(shipped_host_plan(id)?.as_ref().map(plan_page));
    let rows = requirements().map_err(|error| RunError::usage(error.to_string()))?;
    pages.extend(rows.iter().find(|row| row.id == id).map(requirement_page));
    pages.extend(glossary()?.iter().filter(|term| term.is_called(id)).map(term_page));
    if pages.is_empty() {
        let near = did_you_mean(id, known_ids()?);
        let expected = "the id of something that `mcp-lifecheck list` shows, a limit, a plan or a word of the glossary";
        return Err(RunError::usage(format!("found {id:?}, expected {expected}{near}")));
    }
    say(&pages.join("\n\n"))?;
    Ok(ExitReason::Conforms)
}

/// Everything that has a page.
fn known_ids() -> Result<Vec<String>, RunError> {
    let rules = || INVARIANTS.iter().chain(HOST_RULES);
    let limits = LIMITS.iter().chain(HOST_LIMITS).map(|limit| limit.name);
    let fixed = limits
        .chain(STACK_LIMITS.iter().map(|limit| limit.name))
        .chain(SELF_TEST_LIMITS.iter().map(|limit| limit.name))
        .chain(CHECKS.iter().map(|check| check.id))
        .chain(rules().map(|rule| rule.id))
        .chain(scenario_names())
        .chain(suite_names())
        .chain(shipped_names())
        .chain(FAULTS.iter().map(|fault| fault.id))
        .chain(PROMISES.iter().map(|(id, _, _)| *id))
        .chain(Transport::ALL.map(Transport::as_str));
    let mut ids: Vec<String> = fixed.map(str::to_owned).collect();
    ids.extend(shipped_loaders()?.into_iter().map(|loader| loader.name));
    ids.extend(shipped_host_plans()?.into_iter().map(|plan| plan.name));
    ids.extend(requirements().into_iter().flatten().map(|row| row.id.clone()));
    ids.extend(glossary()?.iter().flat_map(Term::names).map(str::to_owned));
    Ok(ids)
}

/// A word of the glossary.
fn term_page(term: &Term) -> String {
    let Term { name, also, about } = term;
    let also = if also.is_empty() { String::new() } else { format!("\nAlso: {}.", also.join(", ")) };
    format!("word {name}\n\n{about}{also}")
}

fn invariant_page(invariant: &Invariant) -> String {
    let Invariant { id, claim, source, requirement, explain, needs, level, .. } = invariant;
    let needs = match needs {
        Promise::None => String::new(),
        promise => format!("\nNeeds the promise: {}.", promise.id()),
    };
    // A source of our own begins with the id of its requirement.
    let others: Vec<&str> = requirement.iter().copied().filter(|id| !source.starts_with(id)).collect();
    let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    let level = format!("Level: {} ({}).", level.name(), level.verdict());
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for difference in level_differences(id) {
        let [one, other] = difference.rules;
        let other = if one == *id { other } else { one };
        let other = if other == *id { "another subject".to_owned() } else { format!("`{other}`") };
        match reasons.iter_mut().find(|(because, _)| *because == difference.because) {
            Some((_, others)) => others.push(other),
            None => reasons.push((difference.because, vec![other])),
        }
    }
    let differences = reasons
        .iter()
        .map(|(because, others)| format!("\n\nIts level differs from the level of {}: {because}.", others.join(", ")));
    let differences: String = differences.collect();
    format!("invariant {id}\n\nClaim: {claim}.\n{level}\nSource: {source}{others}.{needs}\n\n{explain}{differences}")
}

/// A requirement, with what judges it, or why nothing does.
fn requirement_page(row: &Requirement) -> String {
    let Requirement { id, about, level, who, source, .. } = row;
    let revisions = row.revisions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut page =
        format!("requirement {id}\n\n{about}\nBinds: {who} ({level}).\nRevisions: {revisions}.\nSource: {source}.");
    if let Some(reading) = &row.reading {
        page += &format!("\nReading: {reading}.");
    }
    let claims: Vec<String> = covered_by(row).into_iter().filter_map(invariant).map(judging_line).collect();
    match (&row.unbreakable, &row.deferred) {
        (Some(reason), _) => page + &format!("\nNo client can break it: {reason}."),
        (None, _) if !claims.is_empty() => page + "\nJudged by:\n" + &claims.join("\n"),
        (None, Some(reason)) => page + &format!("\nNo rule judges it: {reason}."),
        (None, None) => page + "\nNo rule judges it yet.",
    }
}

fn judging_line(Invariant { id, claim, .. }: &Invariant) -> String {
    format!("  {id}: {claim}")
}

/// A script with its rules as its file has them.
fn script_page(script: &Script) -> String {
    let text = shipped_text(script.name()).unwrap_or_default();
    let rules: Vec<&str> = text.lines().filter(|line| !line.starts_with("about =")).collect();
    let rules = if rules.is_empty() { "No rules: it is a conforming server.".to_owned() } else { rules.join("\n") };
    format!("script {}\n\n{}\n\n{rules}", script.name(), script.about())
}

fn scenario_page(scenario: &Scenario) -> String {
    let servers = scenario.servers.iter().map(|server| {
        let behaviour = server.shutdown_behaviour.map(|behaviour| format!(", and is {behaviour}")).unwrap_or_default();
        format!("  {} runs script {}{behaviour}", server.name, server.script)
    });
    let steps = scenario.steps.iter().enumerate().map(|(index, step)| format!("  {}. {step}", index + 1));
    format!(
        "scenario {}\n\n{}{}{}\n\nServers:\n{}\nSteps:\n{}",
        scenario.name,
        scenario.about,
        narrowed("Over", &scenario.transports),
        narrowed("For sessions that are", &scenario.sessions),
        servers.collect::<Vec<_>>().join("\n"),
        steps.collect::<Vec<_>>().join("\n")
    )
}

/// What a plan does with a host.
fn plan_page(plan: &HostPlan) -> String {
    let steps = plan.steps.iter().enumerate().map(|(index, step)| format!("  {}. {step}", index + 1));
    let steps = steps.collect::<Vec<_>>().join("\n");
    format!("plan {} (of `mcp-lifecheck host`)\n\n{}\n\nSteps:\n{steps}", plan.name, plan.about)
}

/// What a scenario is for, where it is not for everything.
fn narrowed(what: &str, some: &[impl ToString]) -> String {
    let some: Vec<_> = some.iter().map(ToString::to_string).collect();
    if some.is_empty() { String::new() } else { format!("\n{what}: {}.", some.join(", ")) }
}
