//! No limit, bound or observation window is shorter than at commit 3166d07, whose table is `limits.toml`.

use std::collections::BTreeMap;
use std::time::Duration;

use mcp_lifecheck::catalogue::{shipped_loader, shipped_scenario};
use mcp_lifecheck::plan::{Bound, Limits, StepDo, WaitFor};
use mcp_lifecheck::run::{Checkout, Variants, select};
use serde::Deserialize;

/// All numbers are milliseconds.
#[derive(Deserialize)]
struct Recorded {
    limits: BTreeMap<String, u64>,
    bounds: BTreeMap<String, [u64; 2]>,
    windows: BTreeMap<String, Vec<u64>>,
}

fn recorded() -> Recorded {
    toml::from_str(include_str!("limits.toml")).unwrap()
}

#[test]
fn no_plan_has_a_shorter_limit() {
    let recorded = recorded();
    let suites = ["standard", "answers", "eras", "matrix", "core"].map(str::to_owned);
    let scenarios = select::scenarios(&suites).unwrap();
    let checkout = Checkout::new(None, None, &[], None).unwrap();
    let targets = select::targets(&["reference".to_owned()], &checkout, &|_| {}).unwrap();
    let plans = select::plans(&scenarios, &targets, &Variants::default()).unwrap();
    assert!(plans.len() >= 138, "{}", plans.len());
    for selected in &plans {
        let limits = in_ms(&selected.plan.limits);
        for (name, ms) in &recorded.limits {
            let now = limits.get(name).unwrap_or_else(|| panic!("{}: no limit {name}", selected.plan.id));
            assert!(now >= ms, "{}: limit {name} is {now} ms, was {ms} ms", selected.plan.id);
        }
    }
}

fn in_ms(limits: &Limits) -> BTreeMap<String, u64> {
    serde_json::from_value(serde_json::to_value(limits).unwrap()).unwrap()
}

#[test]
fn no_loader_has_a_shorter_bound() {
    for (row, [call_ms, cleanup_ms]) in recorded().bounds {
        let (loader, transport) = row.split_once(' ').unwrap();
        let (name, stack) = match loader.split_once('@') {
            Some((name, stack)) => (name, Some(stack)),
            None => (loader, None),
        };
        let promises = shipped_loader(name).unwrap().unwrap().promises(stack, transport);
        for (bound, ms) in [(promises.call_bound, call_ms), (promises.cleanup_bound, cleanup_ms)] {
            // Without a bound the limit of the plan holds, which is no shorter.
            assert!(bound.is_none_or(|Bound(now)| now >= Duration::from_millis(ms)), "{row}: {bound:?}, was {ms} ms");
        }
    }
}

#[test]
fn no_scenario_has_a_shorter_window() {
    for (name, recorded) in recorded().windows {
        let scenario = shipped_scenario(&name).unwrap().unwrap();
        let windows: Vec<_> = scenario
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                StepDo::Wait(WaitFor::Idle(window)) => Some(*window),
                _ => None,
            })
            .collect();
        assert!(windows.len() >= recorded.len(), "{name}: {windows:?}");
        for (now, ms) in windows.iter().zip(recorded) {
            assert!(*now >= Duration::from_millis(ms), "{name}: {now:?}, was {ms} ms");
        }
    }
}
