//! Events per CPU-second of the checker.

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use mcp_lifecheck::check::{Engine, PlanVerdict, judge};
use mcp_lifecheck::history::read_history;

use crate::clock::{CpuTime, own};
use crate::ledger::{Ledger, at_least, at_most, is_wanted};
use crate::life::{Life, Recorded, record};

/// The suite whose recorded histories are judged, and the one of its plans that is lived over and over.
const SUITE: &str = "core";
const LIFE: &str = "rerun-hop";
/// Lengths at which the cost of one event is compared, in events.
const LENGTHS: [(&str, u64); 3] = [("checker/50k", 50_000), ("checker/500k", 500_000), ("checker/5M", 5_000_000)];

/// The same for one session that goes on, in the history of this transport.
const SESSION_LENGTHS: [(&str, u64); 2] = [("checker/session-100k", 100_000), ("checker/session-1M", 1_000_000)];
const SESSION_TRANSPORTS: [&str; 2] = ["stdio", "http"];

/// Measures judging decoded histories, and reading and judging them from JSONL; then how the cost of an event grows.
pub fn measure(ledger: &Ledger) {
    if !is_wanted("checker") {
        return;
    }
    let recorded = record(SUITE);
    let n_events: u64 = recorded.iter().map(|one| one.history.events().len() as u64).sum();
    let mut criterion = Criterion::default().with_measurement(CpuTime::new()).configure_from_args();
    let mut group = criterion.benchmark_group("checker");
    group.sample_size(20).sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(n_events));
    for (name, work) in [("checker/decoded", judge_all as fn(&[Recorded])), ("checker/jsonl", read_and_judge_all)] {
        group.bench_function(name.trim_start_matches("checker/"), |bencher| {
            bencher.iter_custom(|n_rounds| {
                let before = own();
                for _ in 0..n_rounds {
                    work(&recorded);
                }
                ledger.add(name, own() - before, n_rounds * n_events)
            });
        });
    }
    group.finish();
    if !is_wanted("checker/lengths") {
        return;
    }
    let is_life = |one: &&Recorded| one.history.header().scenario == LIFE;
    let life = recorded.iter().find(is_life).expect("it is part of the suite");
    let life = Life::of(&life.history);
    for (name, n_events) in LENGTHS {
        let (cpu, n_judged) = judge_long(&life, n_events);
        ledger.add(name, cpu, n_judged);
    }
    for transport in SESSION_TRANSPORTS {
        let mut lives = recorded.iter().filter(is_life);
        let life = lives.find(|one| one.history.header().transport == transport).expect("it runs over both");
        let life = Life::of_one_session(&life.history);
        for (name, n_events) in SESSION_LENGTHS {
            let (cpu, n_judged) = judge_long(&life, n_events);
            ledger.add(name, cpu, n_judged);
        }
    }
}

/// Holds what was measured against the bounds.
pub fn bounds(ledger: &Ledger) -> bool {
    let rate = |name, bound: f64| {
        let Some(mean) = ledger.mean(name) else { return true };
        at_least(&format!("{name}, million events per CPU-second"), 1e-6 / mean.as_secs_f64(), bound, "M/s")
    };
    // A quarter: what caches and an allocator that grows may cost, far below what a second pass over anything would.
    let is_linear = |short, long, what| match (ledger.mean(short), ledger.mean(long)) {
        (Some(short), Some(long)) => at_most(what, long.as_secs_f64() / short.as_secs_f64(), 1.25, "times"),
        _ => true,
    };
    let kept = [
        rate("checker/decoded", 1.5),
        rate("checker/jsonl", 0.7),
        rate(LENGTHS[0].0, 1.0),
        rate(LENGTHS[1].0, 1.0),
        rate(LENGTHS[2].0, 1.0),
        is_linear(LENGTHS[0].0, LENGTHS[2].0, "cost of an event among 5 million, against one among 50 thousand"),
        is_linear(
            SESSION_LENGTHS[0].0,
            SESSION_LENGTHS[1].0,
            "cost of an event of one session among a million, against one among 100 thousand",
        ),
    ];
    kept.into_iter().all(|kept| kept)
}

fn judge_all(recorded: &[Recorded]) {
    for one in recorded {
        let judgement = std::hint::black_box(judge(&one.history));
        assert_eq!(judgement.verdict, PlanVerdict::Pass);
    }
}

fn read_and_judge_all(recorded: &[Recorded]) {
    for one in recorded {
        let history = read_history("recorded", &one.text).expect("we wrote it");
        let judgement = std::hint::black_box(judge(&history));
        assert_eq!(judgement.verdict, PlanVerdict::Pass);
    }
}

/// Judges one long life; only the judging is counted.
fn judge_long(life: &Life, n_events: u64) -> (Duration, u64) {
    let mut engine = Engine::new(&life.header);
    let mut cpu = Duration::ZERO;
    let n_judged = life.lived_over_and_over(n_events, |events| {
        let before = own();
        events.iter().for_each(|event| engine.see(event));
        cpu += own() - before;
    });
    let judgement = engine.end();
    assert_eq!(judgement.verdict, PlanVerdict::Pass, "{:?}", judgement.findings);
    (cpu, n_judged)
}
