//! Bad luck and bad company: strangers at a port, full disks, hostile text, secrets, limits, interruptions.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;

use crate::lanes::unavailable;
use crate::rig::{LIFECHECK, Ran, Rig, files, finish};

const LIMIT: Duration = Duration::from_secs(60);
/// A loader that fails over stdio.
const FAILING: [&str; 6] =
    ["load-call-close", "--loader", "rust-closed-early", "--transport", "stdio", "--polite-only"];
/// Stays loaded for a while.
const LONG: &str = "about = \"Stays loaded for a while.\"\nservers = [{ name = \"files\", script = \"polite\" }]\n\
    [[step]]\ndo = \"load\"\n[[step]]\ndo = \"wait\"\nfor = \"2s\"\n[[step]]\ndo = \"call\"\nserver = \"files\"\n\
    [[step]]\ndo = \"close\"\n";

fn await_that<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come about within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// All that a run has recorded so far.
fn recorded(rig: &Rig) -> String {
    let histories = files(&rig.out()).into_iter().filter(|path| path.ends_with("history.jsonl"));
    histories.map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
}

#[test]
fn a_stranger_at_the_port_of_a_mock_is_refused_recorded_and_judged_by_nobody() {
    let rig = Rig::new();
    let scenario = rig.scenario(LONG);
    let mut command = rig.run_command(&[&scenario, "--transport", "http"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let address = await_that("the idle window", || {
        let text = recorded(&rig);
        let (_, url) = text.split_once("\"url\":\"http://").filter(|_| text.contains("idle.began"))?;
        url.split('/').next().map(str::to_owned)
    });
    let json = "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    for request in [
        "GET /favicon.ico HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n",
        "HEAD /health HTTP/1.1\r\nhost: x\r\n\r\n",
        "OPTIONS /mcp HTTP/1.1\r\nhost: x\r\norigin: http://evil.example\r\naccess-control-request-method: POST\r\n\r\n",
        &format!("POST /mcp HTTP/1.1\r\nhost: x\r\nmcp-session-id: s1\r\n{json}"),
        &format!(
            "DELETE /mcp HTTP/1.1\r\nhost: x\r\norigin: http://localhost\r\norigin: http://evil.example\r\n{json}"
        ),
    ] {
        let mut stranger = TcpStream::connect(&address).unwrap();
        stranger.write_all(request.as_bytes()).unwrap();
        let mut head = [0; 12];
        stranger.read_exact(&mut head).unwrap();
        assert!(head.starts_with(b"HTTP/1.1 4"), "{request}: {}", String::from_utf8_lossy(&head));
    }
    let ran = finish(child, LIMIT);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let strays = rig.events(&ran.id()).into_iter().filter(|event| event["kind"] == "http.stray").count();
    assert_eq!(strays, 6);
}

/// Runs the command line behind shell statements.
fn behind(rig: &Rig, statements: &str, run: &Command) -> Ran {
    let mut command = rig.program("sh", &["-c", &format!("{statements} && exec \"$0\" \"$@\""), LIFECHECK]);
    command.args(run.get_args());
    rig.finish(command)
}

#[test]
fn a_limit_on_the_size_of_files_loses_files_and_no_verdict() {
    // No byte fits into any file.
    let rig = Rig::new();
    let ran = behind(&rig, "ulimit -f 0", &rig.run_command(&FAILING));
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.invariants("fail").contains(&"call-after-load-succeeds".to_owned()), "{}", ran.stdout);
    assert!(ran.stderr.contains("not written: "), "{}", ran.stderr);
    let ran =
        behind(&rig, "ulimit -f 0", &rig.run_command(&["load-call-close", "--polite-only", "--transport", "stdio"]));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_full_results_folder_loses_files_and_no_verdict() {
    let rig = Rig::new();
    let out = rig.out().display().to_string();
    let namespace: &[&str] = if geteuid().is_root() { &["-m"] } else { &["-r", "-m"] };
    for (name, fill) in [
        ("no room", "head -c 60000 /dev/zero > \"$0/fill\"; cat /dev/zero > \"$0/more\" 2>/dev/null; true"),
        ("little room", "head -c 45000 /dev/zero > \"$0/fill\""),
        ("no names", "i=0; while true > \"$0/$i\"; do i=$((i+1)); done 2>/dev/null; true"),
        ("read only", "mount -o remount,ro \"$0\""),
    ] {
        let script = format!(
            "mkdir -p \"$0\" && mount -t tmpfs -o size=64k,nr_inodes=40 none \"$0\" && {{ {fill}; }} && exec \"$@\""
        );
        let mut command = rig.program("unshare", namespace);
        command.args(["sh", "-c", &script, &out, LIFECHECK, "run", "--format", "json", "--out", &out]).args(FAILING);
        let ran = rig.finish(command);
        if ran.stdout.is_empty() && ran.stderr.contains("unshare") || ran.stderr.contains("mount: ") {
            return unavailable("a full disk", &ran.stderr);
        }
        assert_eq!(ran.code, 1, "{name}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.invariants("fail").contains(&"call-after-load-succeeds".to_owned()), "{name}: {}", ran.stdout);
        assert!(ran.stderr.contains("not written: "), "{name}: {}", ran.stderr);
    }
    rig.assert_nothing_left(Duration::from_secs(6));
}

#[test]
fn a_failure_stays_one_where_stdout_takes_nothing() {
    let rig = Rig::new();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = rig.run_command(&FAILING).stdout(full()).stderr(Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("stdout"), "{stderr}");
}

#[test]
fn a_results_folder_that_is_none_is_bad_input() {
    let rig = Rig::new();
    let file = rig.file("file", "").display().to_string();
    for (out, found) in [
        (file.clone(), "found something that is not a folder"),
        (format!("{file}/x/y"), "which is not a folder"),
        ("/proc/x".to_owned(), "found a folder that cannot be written"),
    ] {
        for command in [&["run", "load-call-close", "--out"][..], &["client", "--command", "true", "-o"]] {
            let ran = rig.finish(rig.command(&[command, &[&out]].concat()));
            assert_eq!(ran.code, 2, "{out}: {}{}", ran.stdout, ran.stderr);
            let told = [out.as_str(), found, "expected a folder for the results", "--out"];
            assert!(told.iter().all(|part| ran.stderr.contains(part)), "{out}: {}", ran.stderr);
        }
    }
}

/// Whether a terminal would act on some of it.
fn is_obeyed(text: &str) -> bool {
    text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t') || ('\u{202a}'..='\u{202e}').contains(&c))
}

#[test]
fn no_text_from_elsewhere_reaches_a_terminal_raw() {
    let rig = Rig::new();
    let hostile = "\\u001b[31mred\\u009b2J\\u202e\\u0007";
    let header = format!(
        "{{\"schema\":1,\"plan\":\"{hostile}\",\"scenario\":\"x\",\"loader\":\"l\",\"revision\":\"2025-11-25\",\"transport\":\"stdio\",\"seed\":1}}\n"
    );
    let history = rig.file("history.jsonl", &header).display().to_string();
    let scenario = rig.file("x.toml", &format!("about = \"x\"\n\"{hostile}\" = 3\n")).display().to_string();
    let raw = rig.file("raw.toml", "about = \"x\"\nservers = \"\u{9b}31m\u{1b}\"\n").display().to_string();
    let loader = "name = \"l\"\nlane = \"command\"\ncommand = [\"sh\", \"-c\", \"printf '\\\\033[31mTraceback (most recent call last):\\\\nE: \\\\302\\\\2332J\\\\342\\\\200\\\\256\\\\n' >&2; exit 7\"]\n";
    let loader = rig.file("l.toml", loader).display().to_string();
    let script = rig.file("s.toml", &format!("about = \"x\"\n\"{hostile}\" = 3\n")).display().to_string();
    let out = rig.out().display().to_string();
    for arguments in [
        &["check", &history][..],
        &["check", &history, "--format", "json"],
        &["run", &scenario],
        &["run", &raw],
        &["run", "load-call-close", "--loader", &loader, "--out", &out],
        &["run", "\u{1b}[31m\u{9b}"],
        &["explain", "\u{1b}[31m\u{202e}"],
        &["host", "--servers", &format!("a={script}"), "--", "true"],
        &["\u{1b}]0;title\u{7}"],
    ] {
        let ran = rig.finish(rig.command(arguments));
        assert!(!is_obeyed(&ran.stdout) && !is_obeyed(&ran.stderr), "{arguments:?}: {:?}{:?}", ran.stdout, ran.stderr);
        if arguments.contains(&"json") {
            let verdicts: Value = serde_json::from_str(&ran.stdout).unwrap();
            assert!(verdicts.to_string().contains('\u{9b}'), "{verdicts}");
        }
    }
}

#[test]
fn no_file_of_a_run_has_a_secret_and_the_run_says_where_one_was() {
    let rig = Rig::new();
    let script = "echo \"Authorization: Bearer $MY_TOKEN\" >&2; echo \"from the config: pale-horse-7\"; \
        echo 'Error: cannot log in with password=hunter2' >&2; exit 1";
    let template = "{ \"mcpServers\": {servers}, \"env\": { \"API_KEY\": \"pale-horse-7\" } }";
    let template = rig.file("mine.json", template).display().to_string();
    let mut command = rig.command(&["host", "--config-template", &template, "--out"]);
    command.arg(rig.out()).args(["--", "sh", "-c", script, "x", "--api-key=black-horse", "--token", "grey-horse"]);
    command.env("MY_TOKEN", "red-horse-8");
    let ran = rig.finish(command);
    assert!(ran.code == 1 || ran.code == 3, "{}{}", ran.stdout, ran.stderr);
    let mut texts = vec![("stdout".to_owned(), ran.stdout.clone()), ("stderr".to_owned(), ran.stderr)];
    texts.extend(files(&rig.out()).iter().map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())));
    for (name, text) in &texts {
        for secret in ["red-horse-8", "pale-horse-7", "hunter2", "black-horse", "grey-horse"] {
            assert!(!text.contains(secret), "{secret} in {name}: {text}");
        }
    }
    let of = |name: &str| texts.iter().find(|(path, _)| path.ends_with(name)).unwrap().1.clone();
    assert!(of("stderr.txt").contains("Authorization: Bearer [redacted]"), "{}", of("stderr.txt"));
    assert!(of("stdout.txt").contains("from the config: [redacted]"), "{}", of("stdout.txt"));
    assert!(ran.stdout.contains("secrets left out, marked [redacted]: "), "{}", ran.stdout);
    assert!(ran.stdout.contains("stderr.txt (") && ran.stdout.contains("history.jsonl ("), "{}", ran.stdout);
    let report: Value = serde_json::from_str(&of("run.json")).unwrap();
    assert_eq!(report["plans"][0]["redacted"]["stdout.txt"], 1, "{report}");
}

#[test]
fn a_secret_in_the_arguments_of_a_checkout_is_in_no_plan_file() {
    let rig = Rig::new();
    let with = "mcp @ git+https://me:blue-horse-9@127.0.0.1:9/mcp.git";
    let mut command = rig.command(&["run", "load-call-close", "--loader", "python-mcp", "--with", with, "--out"]);
    command.arg(rig.out()).env("MCP_LIFECHECK_OFFLINE", "1");
    let ran = rig.finish(command);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("blue-horse-9"), "{}{}", ran.stdout, ran.stderr);
    for path in files(&rig.out()) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("blue-horse-9"), "{}: {text}", path.display());
    }
}

#[test]
fn a_limit_of_processes_that_is_too_low_is_told_before_anything_runs() {
    let rig = Rig::new();
    let words = if geteuid().is_root() {
        // The limit does not bind root.
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        open(rig.out().parent().unwrap());
        open(&rig.temporary());
        "setpriv --reuid 65534 --regid 65534 --clear-groups prlimit --nproc=12"
    } else {
        "prlimit --nproc=1"
    };
    let mut words = words.split(' ');
    let mut command = rig.program(words.next().unwrap(), &words.collect::<Vec<_>>());
    command.arg(LIFECHECK).args(rig.run_command(&FAILING).get_args()).env("HOME", rig.temporary());
    let ran = rig.finish(command);
    if ran.code == 126 || ran.code == 127 || ran.stderr.contains("failed to execute") {
        return unavailable("a limit of processes", &ran.stderr);
    }
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("more processes and threads, expected at least "), "{}", ran.stderr);
    assert!(ran.stderr.contains("ulimit -u"), "{}", ran.stderr);
}

#[test]
fn a_server_without_a_handshake_is_no_server_for_a_revision_with_one() {
    let rig = Rig::new();
    let scenario =
        "about = \"x\"\nservers = [{ name = \"files\", script = \"modern-only\" }]\n[[step]]\ndo = \"load\"\n";
    let ran = rig.run(&[&rig.scenario(scenario)]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    let told = ["modern-only", "under revision 2025-11-25", "expected", "2026-07-28"];
    assert!(told.iter().all(|part| ran.stderr.contains(part)), "{}", ran.stderr);
    let ran =
        rig.run(&[&rig.scenario(&format!("revisions = [\"2026-07-28\"]\n{scenario}")), "--revision", "2026-07-28"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn an_interruption_of_an_installation_is_one_line_and_three() {
    let rig = Rig::new();
    let folder = rig.home();
    let python = folder.join("python3");
    fs::write(&python, "#!/bin/sh\nsleep 60\n").unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut command = rig.run_command(&["load-call-close", "--loader", "python-owner-task@mcp-1.30"]);
    command.env("PATH", path).env("MCP_LIFECHECK_CACHE", rig.out().with_file_name("cache"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    await_that("the installation", || {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended too early");
        rig.processes().iter().any(|command| command.starts_with("sleep")).then_some(())
    });
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    let ran = finish(child, Duration::from_secs(10));
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.last(), Some(&"mcp-lifecheck: interrupted before anything ran"), "{}", ran.stderr);
    assert_eq!(lines.len(), 2, "one says what is installed: {}", ran.stderr);
    rig.assert_nothing_left(Duration::from_secs(6));
}

#[test]
fn an_interruption_of_a_run_is_one_line_and_three() {
    let rig = Rig::new();
    let mut command = rig.command(&["run", "core", "--jobs", "2", "--out"]);
    let child = command.arg(rig.out()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    await_that("some events", || (recorded(&rig).lines().count() > 60).then_some(()));
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    let ran = finish(child, LIMIT);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.starts_with("mcp-lifecheck: interrupted: "), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(!ran.stdout.contains("INCONCLUSIVE load") && !ran.stdout.contains("because:"), "{}", ran.stdout);
}

#[test]
fn a_damaged_stack_makes_its_loaders_unavailable_and_says_how_to_rebuild_it() {
    let rig = Rig::new();
    let cache = rig.out().with_file_name("cache");
    let run = |name: &str, value: &str| {
        let mut command =
            rig.run_command(&["load-call-close", "--loader", "python-owner-task@mcp-1.30", "--polite-only"]);
        command.env("MCP_LIFECHECK_CACHE", &cache).env(name, value);
        rig.finish(command)
    };
    // Nothing can be installed, but the environment is there.
    run("PIP_NO_INDEX", "1");
    let Some(python) = files(&cache).into_iter().find(|path| path.ends_with("bin/python")) else {
        return unavailable("a damaged stack", "no environment of Python was made");
    };
    fs::write(python.parent().unwrap().with_file_name("complete"), "mcp-1.30").unwrap();
    let ran = run("MCP_LIFECHECK_OFFLINE", "1");
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let plan = &ran.plans()[0];
    assert_eq!(plan["verdict"], "unavailable", "{plan}");
    let because = plan["because"].as_str().unwrap();
    assert!(because.starts_with("stack mcp-1.30 is damaged: its import fails: "), "{because}");
    assert!(because.contains("No module named") && because.contains("`mcp-lifecheck doctor --provision`"), "{because}");
}

#[test]
fn messages_name_what_was_found_and_what_to_do() {
    let rig = Rig::new();
    let loader = |command: &str| {
        let text = format!("name = \"l\"\nlane = \"command\"\ncommand = [{command:?}]\n");
        rig.file("l.toml", &text).display().to_string()
    };
    let missing = rig.finish(rig.run_command(&["load-call-close", "--loader", &loader("./no-such-program")]));
    assert_eq!(missing.code, 2, "{}{}", missing.stdout, missing.stderr);
    let path = rig.out().with_file_name("no-such-program");
    assert!(missing.stderr.contains("l.toml: found no program"), "{}", missing.stderr);
    assert!(missing.stderr.contains("/no-such-program, expected one that can be run"), "{path:?}: {}", missing.stderr);
    let elsewhere = rig.finish(rig.run_command(&["load-call-close", "--loader", &loader("no-such-program-9")]));
    assert_eq!(elsewhere.code, 3, "{}{}", elsewhere.stdout, elsewhere.stderr);
    assert!(elsewhere.stdout.contains("found no program \\\"no-such-program-9\\\" in PATH"), "{}", elsewhere.stdout);

    let head = "about = \"x\"\nservers = [{ name = \"files\", script = \"polite\" }]\n";
    for (step, n_steps, expected) in [
        ("[[step]]\ndo = \"load\"\n", 200_000, "found 200000 steps, expected at most 1000"),
        ("[[step]]\ndo = \"load\"\nrepeat = 1000\n", 11, "found more than 10000 operations"),
    ] {
        let file = rig.file("many.toml", &format!("{head}{}", step.repeat(n_steps))).display().to_string();
        let ran = rig.finish_within(rig.command(&["run", &file]), Duration::from_secs(20));
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("many.toml:") && ran.stderr.contains(expected), "{}", ran.stderr);
    }

    let mut command = rig.command(&["host", "--out"]);
    let ran = rig.finish({
        command.arg(rig.out()).args(["--", "false"]);
        command
    });
    assert!(ran.code == 1 || ran.code == 3, "{}{}", ran.stdout, ran.stderr);
    let ran = rig.finish(rig.command(&["replay", rig.out().to_str().unwrap()]));
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let told = [
        "found the results of a program that is not a loader",
        "to repeat the plan of that program: mcp-lifecheck host",
    ];
    assert!(told.iter().all(|part| ran.stderr.contains(part)), "{}", ran.stderr);
}

#[test]
fn a_session_that_is_never_deleted_is_one_finding() {
    let rig = Rig::new();
    let text = "name = \"reference-but-delete-lost\"\nlane = \"rust\"\ntransports = [\"http\"]\n";
    let loader = rig.file("mutation.toml", text).display().to_string();
    let scenarios = ["load-call-close", "remove-first", "remove-in-order", "reload-changes"];
    let ran = rig.run(&[&scenarios[..], &["--loader", &loader, "--transport", "http"]].concat());
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    for plan in ran.plans() {
        let findings = plan["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{plan:#}");
        assert_eq!(findings[0]["invariant"], "session-deleted");
        let because = findings[0]["because"].as_str().unwrap();
        assert!(because.starts_with("session ") && because.contains("[connection "), "{because}");
    }
    // For people, four plans have one block.
    let mut command = rig.command(&["run", "--loader", &loader, "--transport", "http", "--out"]);
    command.arg(rig.out()).args(scenarios);
    let ran = rig.finish(command);
    assert_eq!(ran.stdout.matches("FAIL session-deleted (").count(), 1, "{}", ran.stdout);
    let also = ran.stdout.lines().find(|line| line.starts_with("  also in: ")).unwrap();
    assert_eq!(also.matches(" (http polite)").count(), 3, "{also}");
}
