//! The CPU time of one supervised plan of the reference loader, and of its parts.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use mcp_lifecheck::history::{EventKind, read_history};
use mcp_lifecheck::supervise::{LaunchSpec, StdinKind};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::clock::{CpuTime, children, spent};
use crate::ledger::{Ledger, at_most};

/// The plan: two servers, both listed and called, an idle window of 150 ms, cleanup, exit.
const SCENARIO: &str = "load-call-close";
/// Plans of one run: enough that ticks of 10 ms tell a tenth of a millisecond.
const N_PLANS: u64 = 100;
/// 510 plans with real server processes, on two cores.
const N_MANY: u64 = 510;
/// Plans at once: each of them waits for most of its time.
const JOBS: &str = "48";
const MANY_WALL_MAX: Duration = Duration::from_millis(7_220);
const MANY_CPU_MAX: Duration = Duration::from_millis(14_400);

const LIFECHECK: &str = env!("CARGO_BIN_EXE_mcp-lifecheck");

/// Measures whole plans, and the bare processes they consist of.
pub fn measure(ledger: &Ledger) {
    let mut criterion = Criterion::default().with_measurement(CpuTime::new()).configure_from_args();
    let mut group = criterion.benchmark_group("plan");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(4));
    each(&mut group, ledger, "plan/bare-process", || drop(bare().wait()));
    each(&mut group, ledger, "plan/supervisor-of-true", supervised_true);
    each(&mut group, ledger, "plan/true", || drop(Command::new("true").status()));
    group.bench_function("whole", |bencher| {
        bencher.iter_custom(|n_rounds| (0..n_rounds).map(|_| whole(ledger)).sum());
    });
    group.finish();
}

/// Tells what a plan is made of, and holds 510 of them against their bounds.
pub fn bounds(ledger: &Ledger) -> bool {
    let Some(whole) = ledger.mean("plan/whole") else { return true };
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let mean = |name| ledger.mean(name).map_or(f64::NAN, ms);
    let supervisor = mean("plan/supervisor-of-true") - mean("plan/true");
    let own = mean("plan/own");
    println!("        one plan of {SCENARIO}, 5 processes: {:.2} ms of CPU", ms(whole));
    println!("        mcp-lifecheck itself (driver, recorder, checker): {own:.2} ms");
    println!("        supervisor: {supervisor:.2} ms");
    println!("        the loader's process and its two mocks: {:.2} ms", ms(whole) - own - supervisor);
    println!("        a bare process of this executable: {:.2} ms", mean("plan/bare-process"));
    let (wall, cpu) = many();
    let kept = [
        at_most(&format!("{N_MANY} plans, wall"), wall.as_secs_f64(), MANY_WALL_MAX.as_secs_f64(), "s"),
        at_most(&format!("{N_MANY} plans, CPU"), cpu.as_secs_f64(), MANY_CPU_MAX.as_secs_f64(), "s"),
    ];
    kept.into_iter().all(|kept| kept)
}

fn each(group: &mut BenchmarkGroup<'_, CpuTime>, ledger: &Ledger, name: &'static str, work: fn()) {
    group.bench_function(name.trim_start_matches("plan/"), |bencher| {
        bencher.iter_custom(|n_times| {
            let before = children();
            (0..n_times).for_each(|_| work());
            ledger.add(name, children() - before, n_times)
        });
    });
}

/// A helper that has nothing to do and says so: the executable is mapped, linked and left.
fn bare() -> Child {
    let mut command = Command::new(LIFECHECK);
    command.arg("__plan").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the executable starts")
}

/// A supervisor over a program that ends at once.
fn supervised_true() {
    let null = Path::new("/dev/null").to_path_buf();
    let spec = LaunchSpec {
        command: vec!["true".to_owned()],
        directory: None,
        env: BTreeMap::new(),
        stdin: StdinKind::Null,
        stdout: null.clone(),
        stderr: null,
        output_bytes_max: 1 << 20,
        processes_max: 16,
        descriptors_soft: None,
        ports: Vec::new(),
        life_ms: 10_000,
        settle_ms: 2_000,
        warm: None,
    };
    let mut command = Command::new(LIFECHECK);
    command.arg("__supervise").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the supervisor starts");
    let line = serde_json::to_string(&spec).expect("a launch is plain data");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(format!("{line}\n").as_bytes()).expect("the supervisor reads");
    drop(stdin);
    let ended = child.wait_with_output().expect("it is our child");
    assert!(ended.status.success(), "the supervisor ended with {}", ended.status);
}

/// Runs the plan many times over, one at a time; CPU time of a single one.
fn whole(ledger: &Ledger) -> Duration {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let before = children();
    let child = run(N_PLANS, &["--jobs", "1"], folder.path());
    let pid = Pid::from_child(&child);
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("it is our child");
    // Not waited for yet: what it used by itself can still be read.
    ledger.add("plan/own", spent(child.id()), N_PLANS);
    succeed(child);
    assert_eq!(n_processes(folder.path()), 5, "two mocks, the loader, its supervisor and mcp-lifecheck");
    let cpu = ledger.add("plan/whole", children() - before, N_PLANS);
    cpu / u32::try_from(N_PLANS).expect("a small number")
}

/// 510 plans as fast as they go: wall time and CPU time.
fn many() -> (Duration, Duration) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (began, before) = (Instant::now(), children());
    succeed(run(N_MANY, &["--jobs", JOBS], folder.path()));
    (began.elapsed(), children() - before)
}

fn run(n_plans: u64, arguments: &[&str], folder: &Path) -> Child {
    let mut command = Command::new(LIFECHECK);
    command.args([
        "run",
        SCENARIO,
        "--polite-only",
        "--transport",
        "stdio",
        "--quiet",
        "--repeat",
        &n_plans.to_string(),
        "--out",
    ]);
    command.arg(folder).args(arguments).stdout(Stdio::null()).spawn().expect("mcp-lifecheck starts")
}

fn succeed(mut child: Child) {
    let status = child.wait().expect("it is our child");
    assert!(status.success(), "mcp-lifecheck run ended with {status}");
}

/// Processes of one plan: those its history names, its supervisor, and mcp-lifecheck.
fn n_processes(folder: &Path) -> usize {
    let plans = fs::read_dir(folder).expect("it was just written").flatten();
    let path = plans.map(|plan| plan.path().join("history.jsonl")).find(|path| path.exists()).expect("a plan was run");
    let history = read_history("recorded", &fs::read_to_string(path).expect("it is there")).expect("we wrote it");
    let is_process =
        |kind: &EventKind| matches!(kind, EventKind::ProcessStarted { .. } | EventKind::MockStarted { .. });
    history.events().iter().filter(|event| is_process(&event.kind)).count() + 2
}
