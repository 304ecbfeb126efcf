//! Warm starts: plans of a Python loader run in forks of a process that has imported. Results equal those of new processes.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use mcp_lifecheck::catalogue::shipped_loaders;
use mcp_lifecheck::history::{EventKind, normal_text};
use mcp_lifecheck::plan::Lane;
use mcp_lifecheck::stack::python_stack;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::lanes::{core_of_python, python3, unavailable};
use crate::pythons::LOADER;
use crate::rig::{Ran, Rig, few_at_once, files, finish};
use crate::stability::is_thorough;

/// Three plans over stdio, one at a time, so that one template has them all.
const PLANS: [&str; 7] =
    ["load-call-close", "cancel-in-flight", "load-after-close", "--transport", "stdio", "--jobs", "1"];
/// How long anything may outlive a run that was killed.
const LIMIT: Duration = Duration::from_secs(6);
/// What the imports do first: they write down their process, a line for each import.
const COUNT: &str = "
import os
HERE = os.path.dirname(os.path.abspath(__file__))
def note(name):
    with open(os.path.join(HERE, name), 'a') as file:
        file.write(f'{os.getpid()} {os.getppid()} {os.getpgid(0)} {len(os.listdir(\"/proc/self/fd\"))}\\n')
def noted(name):
    with open(os.path.join(HERE, name)) as file:
        return file.read().splitlines()
note('imports')
";

/// A loader of these tests: its imports run `at_import`, and each of its processes runs `at_start`.
struct Loader {
    rig: Rig,
    description: String,
}

impl Loader {
    /// `None`, with a loud message, where no Python can host it.
    fn new(at_import: &str, at_start: &str) -> Option<Self> {
        let python = match python3() {
            Ok(python) => python,
            Err(because) => {
                unavailable("warm starts", because);
                return None;
            }
        };
        let rig = Rig::new();
        let helper = "import mcp_lifecheck_adapter as lifecheck\n";
        let start = format!("        note('starts')\n{at_start}        self.servers = {{}}\n");
        let program = LOADER.replacen(helper, &format!("{helper}{COUNT}{at_import}\n"), 1).replacen(
            "        self.servers = {}\n",
            &start,
            1,
        );
        rig.file("adapter.py", &program);
        let description = format!(
            "name = \"plain\"\nlane = \"python\"\ncommand = [{python:?}, \"adapter.py\"]\n\
             [promises]\ncontexts = [\"task\"]\n"
        );
        let description = rig.file("plain.toml", &description).display().to_string();
        Some(Self { rig, description })
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let ran = self.rig.run(&[arguments, &["--loader", &self.description]].concat());
        self.rig.assert_nothing_left(LIMIT);
        ran
    }

    /// The lines that its processes wrote down: pid, parent, process group and number of descriptors of each.
    fn noted(&self, what: &str) -> Vec<Vec<u32>> {
        let text = fs::read_to_string(self.rig.out().with_file_name(what)).unwrap_or_default();
        text.lines().map(|line| line.split(' ').map(|number| number.parse().unwrap()).collect()).collect()
    }

    fn forget(&self) {
        for what in ["imports", "starts"] {
            let _ = fs::remove_file(self.rig.out().with_file_name(what));
        }
    }
}

/// Each plan with its verdict and its findings.
fn verdicts(ran: &Ran) -> BTreeMap<String, String> {
    let of = |plan: &serde_json::Value| {
        let signatures = plan["findings"].as_array().unwrap().iter().map(|finding| finding["signature"].to_string());
        format!("{} {}", plan["verdict"], signatures.collect::<Vec<_>>().join(" "))
    };
    ran.plans().iter().map(|plan| (plan["id"].as_str().unwrap().to_owned(), of(plan))).collect()
}

#[test]
fn plans_run_in_forks_of_one_import_and_live_as_in_new_processes() {
    let Some(loader) = Loader::new("", "") else { return };
    let warm = loader.run(&PLANS);
    let (imports, forks) = (loader.noted("imports"), loader.noted("starts"));
    assert_eq!((imports.len(), forks.len()), (1, 3), "{}", warm.stderr);
    assert_eq!(warm.stderr, "");
    let histories = |ran: &Ran| -> BTreeMap<String, String> {
        verdicts(ran).into_keys().map(|id| (id.clone(), normal_text(&loader.rig.history(&id)))).collect()
    };
    let warm_histories = histories(&warm);
    loader.forget();
    let fresh = loader.run(&[&PLANS[..], &["--fresh"]].concat());
    let (new_imports, starts) = (loader.noted("imports"), loader.noted("starts"));
    assert_eq!((new_imports.len(), starts.len()), (3, 3));
    assert_eq!(verdicts(&warm), verdicts(&fresh));
    assert!(verdicts(&warm).values().all(|verdict| verdict == "\"pass\" "), "{}", warm.stdout);
    assert_eq!(warm_histories, histories(&fresh));
    for fork in &forks {
        assert_ne!(fork[0], imports[0][0], "the template is not a process of a plan");
        assert_eq!(fork[1], imports[0][1], "a fork is a child of the supervisor, as the template is");
        assert_eq!(fork[2], fork[0], "a fork leads its own process group");
        assert_eq!(fork[3], starts[0][3], "a fork has the descriptors of a new process");
    }
}

#[test]
fn each_repeat_is_a_new_process() {
    let Some(loader) = Loader::new("", "") else { return };
    let arguments = ["load-call-close", "--transport", "stdio", "--jobs", "1", "--repeat", "3"];
    let ran = loader.run(&arguments);
    assert_eq!((ran.code, loader.noted("imports").len()), (0, 3), "{}", ran.stdout);
}

/// What imports leave, and why a template with it cannot be forked.
const TRACES: &[(&str, &str)] = &[
    // The one that only waits comes first, so that the others run beside it.
    ("import time\nif len(noted('imports')) == 1:\n    time.sleep(3600)", "its imports took longer than 20 s"),
    (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
        "its imports started a thread",
    ),
    ("import select\nKEPT = select.epoll()", "its imports opened a descriptor"),
    ("os.dup2(os.open(os.devnull, os.O_WRONLY), 1)", "its imports opened a descriptor"),
    ("print('imported')", "its imports wrote to stdout or stderr"),
    ("os.write(2, b'imported\\n')", "its imports wrote to stdout or stderr"),
    ("import subprocess\nKEPT = subprocess.Popen(['sleep', '60'], close_fds=True)", "its imports started a process"),
    (
        "if os.fork() == 0:\n    if os.fork() == 0:\n        import time\n        os.close(200)\n        time.sleep(60)\n    os._exit(0)\nos.wait()",
        "its imports started a process",
    ),
    ("import signal\nsignal.setitimer(signal.ITIMER_REAL, 600)", "its imports set a timer"),
    ("import mmap\nKEPT = mmap.mmap(-1, 4096)", "its imports mapped memory that its forks would share"),
    (
        "import asyncio, contextlib\n@contextlib.asynccontextmanager\nasync def scope():\n    yield\nasync def enter():\n    async with scope():\n        pass\nasyncio.run(enter())",
        "its imports entered a scope or reported an error",
    ),
    ("if len(noted('imports')) == 1:\n    os._exit(7)", "its template ended"),
];

#[test]
fn a_template_with_a_trace_of_its_imports_is_not_forked() {
    few_at_once(2, TRACES.iter(), |(at_import, because)| {
        let Some(loader) = Loader::new(at_import, "") else { return };
        // The other imports have the usual limit: on a busy machine an import takes seconds.
        let limit: &[&str] = if because.contains("longer than") { &["--limit", "start=20s"] } else { &[] };
        let limited = [&PLANS[..], limit].concat();
        let ran = loader.run(&limited);
        let told = format!("mcp-lifecheck: plain starts a new process for each plan: {because}\n");
        assert_eq!(ran.stderr, told, "{at_import}");
        // One template was tried, and then each plan had its own import.
        assert_eq!((loader.noted("imports").len(), loader.noted("starts").len()), (4, 3), "{at_import}");
        let fresh = loader.run(&[&limited[..], &["--fresh"]].concat());
        assert_eq!(verdicts(&ran), verdicts(&fresh), "{at_import}");
    });
}

#[test]
fn a_template_that_is_killed_between_plans_is_replaced_by_new_processes() {
    let kill = "        if len(noted('starts')) == 2:\n            os.kill(int(noted('imports')[0].split()[0]), 9)\n";
    let Some(loader) = Loader::new("", kill) else { return };
    let ran = loader.run(&PLANS);
    assert_eq!(ran.stderr, "mcp-lifecheck: plain starts a new process for each plan: its template ended\n");
    assert!(verdicts(&ran).values().all(|verdict| verdict == "\"pass\" "), "{}", ran.stdout);
    assert_eq!((loader.noted("imports").len(), loader.noted("starts").len()), (2, 3));
}

#[test]
fn a_loader_that_kills_its_process_group_spares_the_template_and_is_found_out() {
    // Only the second of the plans, so that warm starts go on.
    let kill = "        if 'cancel' in ''.join(noted('starts')) or len(noted('starts')) in (2, 3):\n            os.killpg(0, 9)\n";
    let Some(loader) = Loader::new("", kill) else { return };
    let ran = loader.run(&PLANS);
    assert_eq!(ran.stderr, "");
    let failed: Vec<_> = verdicts(&ran).into_iter().filter(|(_, verdict)| verdict != "\"pass\" ").collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    // The template, and one new process: the failed plan ran again in it.
    assert_eq!((loader.noted("imports").len(), loader.noted("starts").len()), (2, 4));
}

#[test]
fn a_plan_that_does_not_pass_warm_runs_again_in_a_new_process() {
    // A defect of forks alone: in a new process, the loader works.
    let fail = "        if noted('imports')[-1].split()[0] != str(os.getpid()):\n            os._exit(3)\n";
    let Some(loader) = Loader::new("", fail) else { return };
    let ran = loader.run(&PLANS);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert!(verdicts(&ran).values().all(|verdict| verdict == "\"pass\" "), "{}", ran.stdout);
    // Two forks failed. Both plans ran again, and the third started fresh at once.
    assert_eq!((loader.noted("imports").len(), loader.noted("starts").len()), (4, 5));
}

#[test]
fn many_reruns_in_a_fork_show_no_growth_that_a_new_process_has_not() {
    let Some(loader) = Loader::new("", "") else { return };
    let arguments = ["load-call-close", "hundred-reruns", "--transport", "stdio", "--jobs", "1"];
    let memory = |ran: &Ran| {
        let id = ran.plans()[1]["id"].as_str().unwrap().to_owned();
        let kib: Vec<u64> = loader
            .rig
            .history(&id)
            .events()
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::SampleTaken { rss_kib, .. } => Some(*rss_kib),
                _ => None,
            })
            .collect();
        (kib[0], kib[kib.len() - 1])
    };
    let warm = loader.run(&arguments);
    let (first, last) = memory(&warm);
    assert_eq!(loader.noted("imports").len(), 1, "no plan ran again: {}", warm.stdout);
    let fresh = loader.run(&[&arguments[..], &["--fresh"]].concat());
    let (new_first, new_last) = memory(&fresh);
    assert_eq!(verdicts(&warm), verdicts(&fresh));
    println!("KiB from {first} to {last} in a fork, from {new_first} to {new_last} in a new process");
    // A fork has fewer pages of libraries in memory, because it reads a page from the file when it needs it.
    assert!(first > new_first / 2 && first < new_first * 2, "{first} KiB in a fork, {new_first} KiB in a new process");
    let (grown, newly_grown) = (last.saturating_sub(first), new_last.saturating_sub(new_first));
    assert!(grown < newly_grown + 2_048, "{grown} KiB more in a fork, {newly_grown} KiB more in a new process");
}

/// A plan that stays loaded for a while, behind one that makes the template.
const LONG: &str = "about = \"Stays loaded for a while.\"\nservers = [{ name = \"files\", script = \"polite\" }]\n\
                    [[step]]\ndo = \"load\"\n[[step]]\ndo = \"wait\"\nfor = \"3s\"\n[[step]]\ndo = \"close\"\n";

/// Runs until a fork waits in its idle window, and kills one process: mcp-lifecheck itself, or one that `victim` chooses.
fn kill_in_a_warm_plan(victim: impl Fn(&Loader) -> Option<u32>) -> Option<(Loader, Ran)> {
    let loader = Loader::new("", "")?;
    let scenario = loader.rig.file("long.toml", LONG).display().to_string();
    let arguments =
        ["load-call-close", &scenario, "--transport", "stdio", "--jobs", "1", "--loader", &loader.description];
    let mut command = loader.rig.run_command(&arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let is_idle = || {
        let long = files(&loader.rig.out()).into_iter().filter(|path| path.ends_with("history.jsonl"));
        let mut long = long.filter(|path| path.display().to_string().contains("/long."));
        long.any(|path| fs::read_to_string(path).unwrap_or_default().contains("idle.began"))
    };
    while !is_idle() {
        assert!(Instant::now() < deadline, "the plan did not come to its idle window");
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(5));
    }
    let template = pid(loader.noted("imports")[0][0]);
    test_kill_process(template).expect("the template lives");
    let killed = victim(&loader).unwrap_or(child.id());
    kill_process(pid(killed), Signal::KILL).unwrap();
    let ran = finish(child, Duration::from_secs(60));
    loader.rig.assert_nothing_left(LIMIT);
    assert!(test_kill_process(template).is_err(), "the template outlived the run");
    Some((loader, ran))
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

#[test]
fn a_run_that_is_killed_leaves_no_template() {
    kill_in_a_warm_plan(|_| None);
}

#[test]
fn a_supervisor_that_is_killed_leaves_no_template_and_its_plan_runs_again() {
    let Some((loader, ran)) = kill_in_a_warm_plan(|loader| Some(loader.noted("starts")[1][1])) else { return };
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!((loader.noted("imports").len(), loader.noted("starts").len()), (2, 3));
}

#[test]
fn a_template_that_is_killed_in_a_plan_does_not_disturb_the_plan() {
    let Some((loader, ran)) = kill_in_a_warm_plan(|loader| Some(loader.noted("imports")[0][0])) else { return };
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!((loader.noted("imports").len(), loader.noted("starts").len()), (1, 2));
}

/// The designs that every `cargo test` compares, and the stack of the comparison.
const BY_DEFAULT: [&str; 2] = ["python-owner-task", "python-closed-early"];
const STACK: &str = "mcp-1.30";
/// The designs whose patch of the event loop makes a loop at import, which is a descriptor: they start fresh.
const FRESH_ALWAYS: [&str; 2] = ["python-nest", "python-nest-dropped"];

#[test]
fn every_design_has_the_same_verdicts_warm_and_fresh() {
    if let Err(error) = python_stack(STACK).unwrap().interpreter() {
        return unavailable("warm starts of the Python loaders", &error.to_string());
    }
    let loaders = shipped_loaders().unwrap();
    let python = loaders.iter().filter(|loader| loader.lane == Lane::Python && !loader.adapter);
    few_at_once(2, python.filter(|loader| loader.stacks.iter().any(|stack| stack == STACK)), |loader| {
        if !is_thorough() && !BY_DEFAULT.contains(&loader.name.as_str()) {
            eprintln!("LEFT OUT: {} warm and fresh; MCP_LIFECHECK_REPEATS=1 tries it", loader.name);
            return;
        }
        let (name, rig) = (format!("{}@{STACK}", loader.name), Rig::new());
        let arguments = ["core", "--loader", &name, "--transport", "stdio", "--jobs", "1", "--fresh"];
        let fresh = rig.finish_within(rig.run_command(&arguments), Duration::from_secs(600));
        // The same run as that of `lanes`, and so done once.
        let warm = core_of_python(&name, "stdio");
        let is_fresh = FRESH_ALWAYS.contains(&loader.name.as_str());
        let refusal =
            format!("mcp-lifecheck: {name} starts a new process for each plan: its imports opened a descriptor\n");
        assert_eq!(warm.stderr, if is_fresh { &refusal } else { "" }, "{name}: whether its template can be forked");
        assert_eq!(verdicts(warm), verdicts(&fresh), "{name}");
        // The imports are most of the CPU time of a plan.
        let cpu_ms = |ran: &Ran| ran.plans().iter().map(|plan| plan["cpu_ms"].as_u64().unwrap()).sum::<u64>();
        let (of_warm, of_fresh) = (cpu_ms(warm), cpu_ms(&fresh));
        println!("{name}: {of_warm} ms of CPU time warm, {of_fresh} ms fresh");
        assert!(warm.code != 0 || of_warm < of_fresh / 2, "{name}: {of_warm} ms warm, {of_fresh} ms fresh");
        rig.assert_nothing_left(LIMIT);
    });
}
