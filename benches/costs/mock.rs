//! The CPU time of one mock process, from its spawn to its exit.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use mcp_vigil::history::Header;
use mcp_vigil::mock::LinkedArgs;
use mcp_vigil::plan::{Limits, Temperament};
use mcp_vigil::record::{Home, HomeOptions, MockSetup, Recorder};
use mcp_vigil::script::shipped;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::clock::{CpuTime, children};
use crate::ledger::{Ledger, at_most};

/// What a client says that lists and calls once; the flag tells whether an answer follows.
const LIFE: [(&str, Answered); 4] = [
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
        Answered::Yes,
    ),
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

const SERVER: &str = "files";
const TOKEN: &str = "secret";

/// Measures the bare process, a life alone, and a life with a link home.
pub fn measure(ledger: &Ledger) {
    let mut criterion = Criterion::default().with_measurement(CpuTime::new()).configure_from_args();
    let mut group = criterion.benchmark_group("mock");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(std::time::Duration::from_secs(8));
    let alone = ["stdio", "--script", "polite"].map(str::to_owned).to_vec();
    lives(&mut group, ledger, "mock/bare", || Arranged::alone(&alone), &[]);
    lives(&mut group, ledger, "mock/standalone", || Arranged::alone(&alone), &LIFE);
    let runtime = Runtime::new().expect("a runtime");
    lives(&mut group, ledger, "mock/linked", || Arranged::linked(&runtime), &LIFE);
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

/// How a mock is started, and what has to live meanwhile.
struct Arranged<'a> {
    arguments: Vec<String>,
    home: Option<(Home, &'a Runtime)>,
}

impl<'a> Arranged<'a> {
    fn alone(arguments: &[String]) -> Self {
        Self { arguments: arguments.to_vec(), home: None }
    }

    fn linked(runtime: &'a Runtime) -> Self {
        let recorder = Recorder::start(Header::new("bench"), None).expect("no file is written");
        let home = runtime.block_on(Home::open(recorder, options())).expect("a loopback port");
        let args = LinkedArgs { link: home.addr(), token: TOKEN.to_owned(), server: SERVER.to_owned() };
        Self { arguments: args.to_args(), home: Some((home, runtime)) }
    }

    fn end(self) {
        if let Some((home, runtime)) = self.home {
            runtime.block_on(home.close());
        }
    }
}

fn options() -> HomeOptions {
    let limits = Limits::default();
    let welcome = json!({
        "script": shipped("polite").expect("it is shipped"),
        "temperament": Temperament::Polite,
        "revision": "2025-11-25",
        "acknowledge_ms": limits.acknowledge.as_millis() as u64,
        "max_life_ms": 60_000,
    });
    let Value::Object(welcome) = welcome else { unreachable!("written as an object above") };
    HomeOptions {
        adapter_token: TOKEN.to_owned(),
        mock_token: TOKEN.to_owned(),
        hello_limit: limits.hello,
        mocks: BTreeMap::from([(SERVER.to_owned(), MockSetup { welcome })]),
    }
}

fn lives<'a>(
    group: &mut BenchmarkGroup<'_, CpuTime>,
    ledger: &Ledger,
    name: &'static str,
    arrange: impl Fn() -> Arranged<'a>,
    says: &[(&str, Answered)],
) {
    group.bench_function(name.trim_start_matches("mock/"), |bencher| {
        bencher.iter_custom(|n_lives| {
            let arranged = arrange();
            let before = children();
            for _ in 0..n_lives {
                live(&arranged.arguments, says);
            }
            let cpu = children() - before;
            arranged.end();
            ledger.add(name, cpu, n_lives)
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
