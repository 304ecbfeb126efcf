//! The memory of a client with many open sessions.

use std::cell::Cell;
use std::fs;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use mcp_lifecheck::mock::{LineMock, LineSender, NoJournal, line_inbox};
use mcp_lifecheck::plan::Revision;
use mcp_lifecheck::script::shipped;
use mcp_lifecheck::server::{Endpoint, Machine, Setup};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clock::{CpuTime, own};
use crate::http::{SESSION, Server, open_sessions};
use crate::ledger::at_most;

const N_HTTP: usize = 1_000;
const N_MEMORY: usize = 10_000;
/// Both crowds together, in MiB.
const MIB_MAX: f64 = 1_024.0;

/// The most that either crowd held, in KiB of resident memory.
#[derive(Default)]
pub struct Crowds {
    http: Cell<u64>,
    memory: Cell<u64>,
}

/// Opens both crowds.
pub fn measure(crowds: &Crowds) {
    let mut criterion = Criterion::default().with_measurement(CpuTime::new()).configure_from_args();
    let mut group = criterion.benchmark_group("crowd");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(1));
    group.bench_function("http-1000", |bencher| {
        bencher.iter_custom(|n_rounds| (0..n_rounds).map(|_| spent_on(|| http(crowds))).sum());
    });
    group.bench_function("memory-10000", |bencher| {
        bencher.iter_custom(|n_rounds| (0..n_rounds).map(|_| spent_on(|| memory(crowds))).sum());
    });
    group.finish();
}

/// Holds both crowds together against one bound.
pub fn bounds(crowds: &Crowds) -> bool {
    let mib = |kib: &Cell<u64>| kib.get() as f64 / 1_024.0;
    let (http, memory) = (mib(&crowds.http), mib(&crowds.memory));
    if http == 0.0 || memory == 0.0 {
        return true;
    }
    println!(
        "        {N_HTTP} sessions over HTTP: {http:.0} MiB; {N_MEMORY} in memory: {memory:.0} MiB, this process included"
    );
    at_most("both at once", http + memory, MIB_MAX, "MiB")
}

fn spent_on(work: impl FnOnce()) -> Duration {
    let before = own();
    work();
    own() - before
}

/// A thousand sessions with one mock, each with a stream that stays open.
fn http(crowds: &Crowds) {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, the connections below are, loudly.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let server = Server::mock();
    let sessions = open_sessions(&server, N_HTTP);
    crowds.http.set(crowds.http.get().max(resident_kib(&server.pid().to_string())));
    assert_eq!(sessions.len(), N_HTTP);
}

/// Ten thousand mocks in this process, each initialized, listed and called, and then left open.
fn memory(crowds: &Crowds) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut clients = Vec::with_capacity(N_MEMORY);
        for _ in 0..N_MEMORY {
            clients.push(Client::open().await);
        }
        crowds.memory.set(crowds.memory.get().max(resident_kib("self")));
        assert!(clients.iter().all(|client| !client.mock.is_finished() && !client.inbox.is_over()));
    });
}

/// The client of one mock in memory.
struct Client {
    mock: JoinHandle<()>,
    inbox: LineSender,
    _stdin: DuplexStream,
    _stdout: BufReader<DuplexStream>,
}

impl Client {
    async fn open() -> Self {
        let script = shipped("polite").expect("it is shipped");
        let setup = Setup::alone(script, Revision::R20251125, Endpoint::Lines);
        let (mut stdin, its_stdin) = duplex(64 << 10);
        let (its_stdout, stdout) = duplex(64 << 10);
        let mut stdout = BufReader::with_capacity(4 << 10, stdout);
        let (inbox, its_inbox) = line_inbox();
        let mock = LineMock::new(Machine::new(setup), NoJournal, its_inbox, its_stdin, its_stdout);
        let life_ends = Instant::now() + Duration::from_secs(600);
        let mock = tokio::spawn(async move { drop(mock.run(life_ends).await) });
        for (_, message) in SESSION.iter().filter(|(_, message)| !message.is_empty()) {
            stdin.write_all(format!("{message}\n").as_bytes()).await.expect("the mock reads");
            if message.contains(r#""id""#) {
                let mut answer = String::new();
                stdout.read_line(&mut answer).await.expect("the mock answers");
                assert!(answer.contains(r#""result""#), "found {answer:?}, expected a result");
            }
        }
        Self { mock, inbox, _stdin: stdin, _stdout: stdout }
    }
}

fn resident_kib(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("Linux shows the state of a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}
