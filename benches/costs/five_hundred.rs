//! Five hundred linked mocks over stdio at once, as a host with very many servers has them.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use mcp_lifecheck::mock::LinkedArgs;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::home;
use crate::ledger::{at_most, is_wanted};
use crate::mock::INITIALIZE;

const NAME: &str = "five-hundred";
const N_MOCKS: usize = 500;
const N_ROUNDS: usize = 5;
/// From the first start to the last answer to `initialize`, in the best round: others may use the machine meanwhile.
const SECONDS_MAX: f64 = 5.0;
/// What all of them hold, each page shared out among those that share it, in the worst round.
const MIB_MAX: f64 = 600.0;

/// What was seen in each round.
#[derive(Default)]
pub struct Rounds(RefCell<Vec<Round>>);

struct Round {
    opened_in: Duration,
    pss_kib: u64,
}

/// Starts them, opens a session with each, looks at their memory, and ends them; several times.
pub fn measure(rounds: &Rounds) {
    if !is_wanted(NAME) {
        return;
    }
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, the pipes below are, loudly.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let home = home::open();
    for _ in 0..N_ROUNDS {
        let round = round(&home);
        println!(
            "        {N_MOCKS} mocks opened in {:.3} s, {} KiB of PSS",
            round.opened_in.as_secs_f64(),
            round.pss_kib
        );
        rounds.0.borrow_mut().push(round);
    }
}

/// Holds what was seen against the bounds.
pub fn bounds(rounds: &Rounds) -> bool {
    let rounds = rounds.0.borrow();
    let (Some(best), Some(most)) =
        (rounds.iter().map(|round| round.opened_in).min(), rounds.iter().map(|round| round.pss_kib).max())
    else {
        return true;
    };
    let kept = [
        at_most(&format!("{N_MOCKS} linked mocks, started and initialized"), best.as_secs_f64(), SECONDS_MAX, "s"),
        at_most(&format!("PSS of {N_MOCKS} linked mocks"), most as f64 / 1_024.0, MIB_MAX, "MiB"),
    ];
    kept.into_iter().all(|kept| kept)
}

fn round(home: &LinkedArgs) -> Round {
    let began = Instant::now();
    let mut mocks: Vec<Mock> = (0..N_MOCKS).map(|_| Mock::start(home)).collect();
    mocks.iter_mut().for_each(Mock::await_initialize);
    let opened_in = began.elapsed();
    let pss_kib = mocks.iter().map(Mock::pss_kib).sum();
    // All are told before the first is waited for.
    let children: Vec<Child> = mocks.into_iter().map(|mock| mock.child).collect();
    for mut child in children {
        let status = child.wait().expect("it is our child");
        assert!(status.success(), "a mock ended with {status}");
    }
    Round { opened_in, pss_kib }
}

struct Mock {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Mock {
    /// Starts one and asks it at once; the pipe keeps that until it reads.
    fn start(home: &LinkedArgs) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-mock"));
        command.args(home.to_args()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the mock starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        let stdout = BufReader::with_capacity(4 << 10, child.stdout.take().expect("it is piped"));
        stdin.write_all(format!("{INITIALIZE}\n").as_bytes()).expect("a pipe takes one message");
        Self { child, stdin, stdout }
    }

    fn await_initialize(&mut self) {
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).expect("the mock answers");
        assert!(answer.contains(r#""protocolVersion""#), "found {answer:?}, expected a result of initialize");
        self.stdin
            .write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n")
            .expect("the mock reads");
    }

    /// Its memory, each page shared out among the processes that share it.
    fn pss_kib(&self) -> u64 {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()));
        let rollup = rollup.expect("Linux shows the memory of a process");
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).expect("it has memory");
        line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
    }
}
