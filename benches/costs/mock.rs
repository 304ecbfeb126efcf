//! The CPU time of one mock process, from its spawn to its exit.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, SamplingMode};

use crate::clock::{CpuTime, children};
use crate::home;
use crate::ledger::{Ledger, at_most};

/// What opens a session.
pub const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
/// What a client says that lists and calls once; the flag tells whether an answer follows.
const LIFE: [(&str, Answered); 4] = [
    (INITIALIZE, Answered::Yes),
    (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Answered::No),
    (r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#, Answered::Yes),
    (
        r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"read","arguments":{"path":"/a"}}}"#,
        Answered::Yes,
    ),
];

#[derive(PartialEq, Eq)]
enum Answered {
    Yes,
    No,
}

/// Measures the bare process, a life alone, and a life with a link home.
pub fn measure(ledger: &Ledger) {
    let mut criterion = Criterion::default().with_measurement(CpuTime::new()).configure_from_args();
    let mut group = criterion.benchmark_group("mock");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(8));
    let alone = ["stdio", "--script", "polite"].map(str::to_owned).to_vec();
    lives(&mut group, ledger, "mock/bare", &alone, &[]);
    lives(&mut group, ledger, "mock/standalone", &alone, &LIFE);
    lives(&mut group, ledger, "mock/linked", &home::open().to_args(), &LIFE);
    group.finish();
}

/// Holds what was measured against the bounds.
pub fn bounds(ledger: &Ledger) -> bool {
    let Some(bare) = ledger.mean("mock/bare") else { return true };
    let above = |name, bound| {
        let Some(life) = ledger.mean(name) else { return true };
        let found = (life.as_secs_f64() - bare.as_secs_f64()) * 1e3;
        at_most(
            &format!("CPU of {name} above {:.3} ms of a bare process", bare.as_secs_f64() * 1e3),
            found,
            bound,
            "ms",
        )
    };
    // Not lazily: each figure is told.
    let kept = [above("mock/standalone", 0.5), above("mock/linked", 0.8)];
    kept.into_iter().all(|kept| kept)
}

fn lives(
    group: &mut BenchmarkGroup<'_, CpuTime>,
    ledger: &Ledger,
    name: &'static str,
    arguments: &[String],
    says: &[(&str, Answered)],
) {
    group.bench_function(name.trim_start_matches("mock/"), |bencher| {
        bencher.iter_custom(|n_lives| {
            let before = children();
            for _ in 0..n_lives {
                live(arguments, says);
            }
            ledger.add(name, children() - before, n_lives)
        });
    });
}

/// One mock from spawn to exit: says each line, reads each answer, closes the input.
fn live(arguments: &[String], says: &[(&str, Answered)]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-mock"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the mock starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut answer = String::new();
    for (line, answered) in says {
        stdin.write_all(format!("{line}\n").as_bytes()).expect("the mock reads");
        if *answered == Answered::Yes {
            answer.clear();
            stdout.read_line(&mut answer).expect("the mock answers");
            assert!(answer.contains(r#""result""#), "found {answer:?}, expected a result");
        }
    }
    drop(stdin);
    let status = child.wait().expect("it is our child");
    assert!(status.success(), "the mock ended with {status}");
}
