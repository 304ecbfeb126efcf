//! Nothing that a user, a file, a loader or the surroundings do makes the harness harm what is not its own.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::rig::{LIFECHECK, Ran, Rig, files, finish};

/// How long one thing may take to come about.
const LIMIT: Duration = Duration::from_secs(30);

const POLITE: &str = "servers = [{ name = \"files\", script = \"polite\" }]\n";

/// A scenario that stays loaded long enough to be signalled in between.
fn long_scenario(rig: &Rig) -> PathBuf {
    let steps = "[[step]]\ndo = \"load\"\n[[step]]\ndo = \"wait\"\nfor = \"2s\"\n[[step]]\ndo = \"close\"\n";
    rig.file("long.toml", &format!("about = \"Stays loaded for a while.\"\n{POLITE}{steps}"))
}

fn short_scenario(about: &str) -> String {
    format!("about = \"{about}\"\n{POLITE}[[step]]\ndo = \"load\"\n[[step]]\ndo = \"close\"\n")
}

/// A file in a folder of its own below the rig's.
fn file_in(rig: &Rig, folder: &str, name: &str, text: &str) -> String {
    let folder = rig.out().with_file_name(folder);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come about within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn await_idle(rig: &Rig, child: &mut Child) {
    await_that("the idle window", || {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended too early");
        files(&rig.out()).iter().any(|path| fs::read_to_string(path).unwrap_or_default().contains("idle.began"))
    });
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// A failing plan, run once; gives its folder.
fn recorded_folder(rig: &Rig, loader: &str) -> PathBuf {
    let ran = rig.run(&["load-call-close", "--polite-only", "--loader", loader]);
    rig.out().join(ran.report()["plans"][0]["id"].as_str().unwrap())
}

fn replay(rig: &Rig, folder: &Path, more: &[&str]) -> Ran {
    let mut command = rig.command(&["replay", "--format", "json", "--out"]);
    command.arg(rig.out().with_file_name("again")).arg(folder).args(more);
    rig.finish(command)
}

#[test]
fn replaying_a_plan_with_a_strange_id_leaves_other_folders_alone() {
    let rig = Rig::new();
    let folder = recorded_folder(&rig, "reference");
    let precious = file_in(&rig, "precious", "keep.txt", "keep");
    let precious_folder = Path::new(&precious).parent().unwrap().display().to_string();
    let plan = fs::read_to_string(folder.join("plan.toml")).unwrap();
    let id = folder.file_name().unwrap().to_str().unwrap();
    for strange in [precious_folder.as_str(), "../precious", "."] {
        fs::write(folder.join("plan.toml"), plan.replace(&format!("\"{id}\""), &format!("\"{strange}\""))).unwrap();
        let ran = replay(&rig, &folder, &[]);
        assert_eq!(ran.code, 0, "{strange}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(fs::read_to_string(&precious).unwrap(), "keep", "{strange}");
        assert_eq!(ran.report()["plans"][0]["id"], id, "{strange}");
    }
    // A repeat keeps its number, where that is one.
    for (suffix, kept) in [(".r12", ".r12"), (".r", ""), (".r1/..", ""), (".r007", "")] {
        fs::write(folder.join("plan.toml"), plan.replace(&format!("\"{id}\""), &format!("\"{id}{suffix}\""))).unwrap();
        let ran = replay(&rig, &folder, &[]);
        assert_eq!(ran.report()["plans"][0]["id"], format!("{id}{kept}"), "{suffix}");
    }
    for (field, strange) in [("scenario", "../../precious"), ("loader", "../precious"), ("loader", "evil.toml")] {
        let name = if field == "scenario" { "load-call-close" } else { "reference" };
        let from = format!("{field} = \"{name}\"");
        assert!(plan.contains(&from), "{plan}");
        fs::write(folder.join("plan.toml"), plan.replace(&from, &format!("{field} = \"{strange}\""))).unwrap();
        let ran = replay(&rig, &folder, &[]);
        assert_eq!(ran.code, 2, "{field} {strange}: {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "keep");
}

#[test]
fn a_recorded_plan_chooses_no_executable() {
    let rig = Rig::new();
    let file = rig.file("mine.toml", "name = \"rust-closed-early\"\nlane = \"rust\"\n");
    let file = file.to_str().unwrap();
    let folder = recorded_folder(&rig, file);
    let ran = replay(&rig, &folder, &[]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(&format!("--loader {file}")), "{}", ran.stderr);
    let ran = replay(&rig, &folder, &["--loader", "reference"]);
    assert_eq!(ran.code, 2, "another loader: {}{}", ran.stdout, ran.stderr);
    let ran = replay(&rig, &folder, &["--loader", file]);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    let repeat = ran.report()["plans"][0]["findings"][0]["repeat"].as_str().unwrap().to_owned();
    assert!(repeat.ends_with(&format!("--loader {file}")), "{repeat}");
}

#[test]
fn names_that_are_no_file_names_are_refused() {
    let rig = Rig::new();
    for name in ["two words", "-x", ".x", "ünicode"] {
        let file = file_in(&rig, "scenarios", &format!("{name}.toml"), &short_scenario("x"));
        let ran = rig.run(&[&file]);
        assert_eq!(ran.code, 2, "{name}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("found scenario name"), "{}", ran.stderr);
    }
    for text in ["name = \"../x\"\nlane = \"rust\"\n", "name = \"x\"\nlane = \"rust\"\nstacks = [\"../x\"]\n"] {
        let file = rig.file("loader.toml", text);
        let ran = rig.run(&["load-call-close", "--loader", file.to_str().unwrap()]);
        assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("found \"../x\"") || ran.stderr.contains("name \"../x\""), "{}", ran.stderr);
    }
    let file = file_in(&rig, "scenarios", "server.toml", &short_scenario("x").replace("\"files\"", "\"a/b\""));
    let ran = rig.run(&[&file]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("server.toml:2:") && ran.stderr.contains("\"a/b\""), "{}", ran.stderr);
}

/// The executable, started by a shell that has a child already and becomes it.
fn with_sidecar(rig: &Rig, arguments: &str) -> (Command, PathBuf) {
    let pid_file = rig.out().with_file_name("sidecar.pid");
    let script = format!(
        "sleep 60 >/dev/null 2>&1 & echo $! > {}; exec {LIFECHECK} run --format json --out {} {arguments}",
        pid_file.display(),
        rig.out().display()
    );
    let mut command = Command::new("sh");
    let like = rig.command(&[]);
    command.args(["-c", &script]).envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    (command, pid_file)
}

fn end_sidecar(pid_file: &Path) -> bool {
    let pid: u32 = fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    let is_alive = fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| command.starts_with(b"sleep"));
    if is_alive {
        signal(pid, Signal::KILL);
    }
    is_alive
}

#[test]
fn a_child_that_the_harness_did_not_start_lives_on() {
    let rig = Rig::new();
    // A supervisor that is killed makes the reporting process sweep; so does the end of every plan.
    let (mut command, pid_file) = with_sidecar(&rig, "load-call-close --transport stdio");
    let ran = finish(command.spawn().unwrap(), LIMIT);
    let was_alive = end_sidecar(&pid_file);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.report()["counts"]["pass"], 2);
    assert!(was_alive, "the sidecar was killed");
    rig.assert_nothing_left(Duration::from_secs(6));
}

/// Whether this test itself runs below `nohup`: what it starts inherits that.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    u64::from_str_radix(set, 16).unwrap() & 1 == 1
}

#[test]
fn a_run_beside_another_child_hears_signals_and_ends_with_its_parent() {
    for sent in [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL] {
        if sent == Signal::HUP && is_hangup_ignored() {
            eprintln!("HUP is ignored here, as below nohup: it was not tested");
            continue;
        }
        let rig = Rig::new();
        let (mut command, pid_file) = with_sidecar(&rig, long_scenario(&rig).to_str().unwrap());
        let mut child = command.spawn().unwrap();
        await_idle(&rig, &mut child);
        signal(child.id(), sent);
        // By then the run has written its report, also where its parent was killed.
        await_that("the report", || rig.out().join("run.json").exists());
        let ran = finish(child, LIMIT);
        assert!(end_sidecar(&pid_file), "the sidecar was killed");
        let report = fs::read_to_string(rig.out().join("run.json")).unwrap();
        assert!(report.contains("\"interrupted\":true"), "{sent:?}: {report}");
        if sent != Signal::KILL {
            assert_eq!(ran.code, 3, "{sent:?}: {}{}", ran.stdout, ran.stderr);
        }
        rig.assert_nothing_left(Duration::from_secs(6));
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let rig = Rig::new();
    let script = "trap '' HUP; exec \"$0\" \"$@\"";
    let long = long_scenario(&rig);
    let mut command = rig.command(&[]);
    let like: Vec<_> =
        command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    command = Command::new("sh");
    command
        .args(["-c", script, LIFECHECK, "run", "--polite-only", "--format", "json", "--out"])
        .arg(rig.out())
        .arg(long);
    command.envs(like).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().unwrap();
    await_idle(&rig, &mut child);
    signal(child.id(), Signal::HUP);
    let ran = finish(child, LIMIT);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.report()["interrupted"], false);
}

#[test]
fn a_loader_that_deletes_its_plan_folder_spoils_only_its_own_plan() {
    let rig = Rig::new();
    let delete = "rm -rf \"$(dirname \"$(readlink /proc/$$/fd/1)\")\"";
    let command = toml::Value::from(vec!["sh", "-c", delete]);
    let vandal = rig.file("vandal.toml", &format!("name = \"vandal\"\nlane = \"command\"\ncommand = {command}\n"));
    let loaders = ["--loader", vandal.to_str().unwrap(), "--loader", "reference"];
    let ran = rig.run(&[&["load-call-close", "--polite-only", "--transport", "stdio"][..], &loaders].concat());
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let report = ran.report();
    assert_eq!(report["counts"]["pass"], 1, "{report}");
    assert_eq!(report["counts"]["inconclusive"], 1, "{report}");
    let spoilt = &report["plans"][0];
    assert_eq!(spoilt["loader"], "vandal");
    assert!(spoilt["because"].as_str().unwrap().contains("verdict.json"), "{report}");
    assert!(rig.out().join("run.json").exists());
}

#[test]
fn two_scenarios_or_loaders_of_one_name_are_told_apart() {
    let rig = Rig::new();
    let first = file_in(&rig, "a", "x.toml", &short_scenario("first"));
    let second = file_in(&rig, "b", "x.toml", &short_scenario("second"));
    let shipped = file_in(&rig, "a", "load-call-close.toml", &short_scenario("mine"));
    for pair in [[first.as_str(), &second], ["load-call-close", &shipped], ["core", &shipped]] {
        let ran = rig.run(&pair);
        assert_eq!(ran.code, 2, "{pair:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("expected names that differ"), "{}", ran.stderr);
    }
    let ran = rig.run(&[&first, &first, "--polite-only", "--transport", "stdio"]);
    assert_eq!((ran.code, &ran.report()["counts"]["plans"]), (0, &1.into()), "{}", ran.stdout);
    let text = "name = \"reference\"\nlane = \"rust\"\n";
    let (one, two) = (file_in(&rig, "a", "l.toml", text), file_in(&rig, "b", "l.toml", text));
    for pair in [[one.as_str(), &two], ["reference", &one]] {
        let ran = rig.run(&["load-call-close", "--loader", pair[0], "--loader", pair[1]]);
        assert_eq!(ran.code, 2, "{pair:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("expected names that differ"), "{}", ran.stderr);
    }
    let ran = rig.run(&[
        "load-call-close",
        "--polite-only",
        "--transport",
        "stdio",
        "--loader",
        "reference",
        "--loader",
        "rust-owner-task",
    ]);
    assert_eq!((ran.code, &ran.report()["counts"]["plans"]), (0, &1.into()), "{}", ran.stdout);
}

#[test]
fn a_baseline_entry_is_not_stale_where_nothing_could_be_judged() {
    let rig = Rig::new();
    let baseline = rig.file("baseline.yaml", "client:\n  - load-call-close:call-after-load-succeeds\n");
    let mut command = rig.command(&["run", "load-call-close", "--loader", "python-owner-task@mcp-1.30", "--out"]);
    command.arg(rig.out()).arg("--baseline").arg(baseline);
    command.env("MCP_LIFECHECK_CACHE", rig.out().join("empty-cache")).env("MCP_LIFECHECK_OFFLINE", "1");
    let ran = rig.finish(command);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(!ran.stdout.contains("STALE"), "{}", ran.stdout);
}

#[test]
fn a_closed_stdout_changes_no_exit_code() {
    let rig = Rig::new();
    let (scenario, failing) = (["load-call-close", "--polite-only"], ["--loader", "rust-closed-early"]);
    let out = rig.out().display().to_string();
    let run = [&["run", "--out", &out][..], &scenario].concat();
    for (arguments, code) in [
        (vec!["list", "scenarios"], 0),
        (vec!["list", "faults", "--format", "json"], 0),
        (vec!["explain", "operation"], 0),
        (vec!["--help"], 0),
        (run.clone(), 0),
        ([&run[..], &failing].concat(), 1),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = rig.command(&arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{arguments:?}: {stderr}");
        assert_eq!(stderr, "", "{arguments:?}");
    }
}

#[test]
fn a_full_stdout_is_told_and_three() {
    let rig = Rig::new();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [&["list", "scenarios"][..], &["explain", "operation"], &["doctor"], &["--version"]] {
        let output = rig.command(arguments).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {stderr}");
        assert!(stderr.contains("stdout") && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
    // Nowhere to complain is no reason to end differently.
    let output = rig.command(&["run", "no-such-scenario"]).stdout(Stdio::null()).stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn input_that_is_no_file_or_too_long_is_refused() {
    let rig = Rig::new();
    let long = rig.file("long.jsonl", "");
    fs::File::options().write(true).open(&long).unwrap().set_len((256 << 20) + 1).unwrap();
    let fifo = rig.out().with_file_name("fifo.toml");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let (long, fifo) = (long.display().to_string(), fifo.display().to_string());
    for arguments in
        [["check", "/dev/zero"], ["check", &long], ["check", &fifo], ["run", &fifo], ["replay", "/dev/zero"]]
    {
        let child = rig.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let ran = finish(child, Duration::from_secs(10));
        assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("expected"), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_run_of_nothing_says_why() {
    let rig = Rig::new();
    let python = ["--loader", "python-owner-task@mcp-1.30"];
    for (arguments, why) in [
        ([&["load-call-close", "--revision", "2024-11-05"][..]].concat(), "revision 2024-11-05"),
        ([&["load-call-close", "--tier", "foreign"][..]].concat(), "tier"),
        ([&["stubborn-server", "--polite-only"][..], &python].concat(), "stubborn"),
    ] {
        let mut command = rig.run_command(&arguments);
        command.env("MCP_LIFECHECK_OFFLINE", "1");
        let ran = rig.finish(command);
        assert_eq!(ran.code, 3, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("nothing was selected") && ran.stderr.contains(why), "{}", ran.stderr);
        assert_eq!(ran.report()["counts"]["plans"], 0);
    }
    let mut command = rig.command(&["run", "load-call-close", "--tier", "foreign", "--out"]);
    command.arg(rig.out());
    let ran = rig.finish(command);
    assert!(ran.stdout.starts_with("0 plans\nresults in "), "no table without rows: {}", ran.stdout);
}

#[test]
fn a_helper_without_its_arguments_is_a_usage_error() {
    // This test binary is a helper as well: what must not happen is that libtest's main runs.
    let me = std::env::current_exe().unwrap();
    for program in [Path::new(LIFECHECK), &me] {
        for arguments in [&["__plan"][..], &["__plan", "reference"], &["__mock"], &["__mock", "stdio", "--link"]] {
            let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{program:?} {arguments:?}: {stderr}");
            assert_eq!(output.stdout, b"", "{program:?} {arguments:?}");
            assert!(stderr.contains("mcp-lifecheck"), "{program:?} {arguments:?}: {stderr}");
        }
    }
}

#[test]
fn arguments_that_are_not_text_are_a_usage_error() {
    use std::os::unix::ffi::OsStrExt;
    let argument = std::ffi::OsStr::from_bytes(b"\xff");
    let output = Command::new(LIFECHECK).arg(argument).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}
