//! `mcp-lifecheck host`: hosts that are right, others that are wrong in one way each, and some that never end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mcp_lifecheck::stack::python_stack;
use serde_json::Value;

use crate::lanes::{python3, typescript_client, unavailable};
use crate::rig::{Ran, Rig, few_at_once, root};

/// Longest time of one run.
const LIMIT: Duration = Duration::from_secs(90);

/// The default plan, with shorter waits: none of these hosts takes its time.
const SHORT: &str = "about = \"short\"\n[[step]]\ndo = \"tools\"\nwithin = \"SHORTs\"\n[[step]]\ndo = \"idle\"\nfor = \"200ms\"\n\
    [[step]]\ndo = \"close-stdin\"\n[[step]]\ndo = \"interrupt\"\n[[step]]\ndo = \"exit\"\nwithin = \"5s\"\n";
/// Made to call twice, with the servers it had.
const CALLS: &str = "about = \"calls\"\nsame-servers = true\n[[step]]\ndo = \"tools\"\nwithin = \"20s\"\n\
    [[step]]\ndo = \"line\"\ntext = \"call\"\n[[step]]\ndo = \"call\"\nagain = true\nwithin = \"SHORTs\"\n\
    [[step]]\ndo = \"line\"\ntext = \"call\"\n[[step]]\ndo = \"call\"\nnth = 2\nwithin = \"SHORTs\"\n\
    [[step]]\ndo = \"connections\"\nopen = 2\nwithin = \"5s\"\n[[step]]\ndo = \"close-stdin\"\n[[step]]\ndo = \"exit\"\nstatus = 0\n";
/// Loses a server and must end anyway.
const KILLED: &str = "about = \"killed\"\n[[step]]\ndo = \"tools\"\nwithin = \"20s\"\n[[step]]\ndo = \"kill-server\"\nserver = \"a\"\n\
    [[step]]\ndo = \"terminate\"\n[[step]]\ndo = \"exit\"\n";

/// Built by `cargo test` beside this test.
fn raw_host() -> String {
    let here = std::env::current_exe().unwrap();
    let path = here.parent().unwrap().parent().unwrap().join("examples").join("raw_host");
    assert!(path.is_file(), "{} is missing: run the whole `cargo test`", path.display());
    path.display().to_string()
}

/// One run of a host with two servers through a plan, and what came of it.
struct Run {
    rig: Rig,
    ran: Ran,
}

impl Run {
    /// `plan` is the text of one, in which SHORT is the length of a wait that fails.
    fn of(plan: &str, options: &[&str], command: &[&str]) -> Self {
        let rig = Rig::new();
        let is_vain = options.contains(&"--vain");
        let plan = rig.file("plan.toml", &plan.replace("SHORT", if is_vain { "2" } else { "20" }));
        let mut process = rig.command(&["host", "--format", "json", "--plan"]);
        process.arg(plan).args(["--servers", "a=polite,b=polite", "--out"]).arg(rig.out());
        process.args(options.iter().filter(|option| **option != "--vain")).arg("--").args(command);
        let ran = rig.finish_within(process, LIMIT);
        Self { rig, ran }
    }

    /// The host itself, in this mode, behind the words of `before`.
    fn of_mode(plan: &str, options: &[&str], before: &[&str], mode: &str) -> Self {
        let host = raw_host();
        Self::of(plan, options, &[before, &[&host, "{config}", mode]].concat())
    }

    fn expect(&self, name: &str, code: i32, failing: &[&str], warned: &[&str]) {
        let text = format!("{name}: {}{}", self.ran.stdout, self.ran.stderr);
        assert_eq!(self.ran.invariants("fail"), failing, "{text}");
        assert_eq!(self.ran.invariants("warn"), warned, "{text}");
        assert_eq!(self.ran.code, code, "{text}");
        self.rig.assert_nothing_left(Duration::from_secs(5));
    }
}

#[test]
fn hosts_that_are_right_exit_0() {
    let ignoring: &[&str] = &["sh", "-c", "trap '' TERM; exec \"$@\"", "sh"];
    let cases: &[(&str, &[&str], &[&str], &str)] = &[
        (SHORT, &[], &[], ""),
        (SHORT, &[], &[], "waits"),
        (SHORT, &[], &["sh", "-c", "\"$@\"; exit $?", "sh"], "waits"),
        (SHORT, &[], ignoring, "waits"),
        (CALLS, &[], &[], ""),
        (KILLED, &[], &[], ""),
    ];
    few_at_once(2, cases.iter(), |(plan, options, before, mode)| {
        Run::of_mode(plan, options, before, mode).expect(&format!("{before:?} {mode}"), 0, &[], &[]);
    });
}

#[test]
fn hosts_that_are_wrong_in_one_way_fail_the_rule_for_it_and_exit_1() {
    let cases: &[(&str, &str, &[&str], &[&str])] = &[
        ("never-connects", SHORT, &["--vain"], &["servers-reached", "steps-met"]),
        ("exits-at-once", SHORT, &[], &["servers-reached", "steps-met"]),
        ("lists-nothing", SHORT, &["--vain"], &["steps-met"]),
        ("other-status", SHORT, &[], &["ends-as-asked"]),
        ("aborts", SHORT, &[], &["ends-as-asked"]),
        ("leaves-server", SHORT, &["--stubborn"], &["nothing-survives"]),
        ("leaves-child", SHORT, &[], &["nothing-survives"]),
        ("tells-an-error", SHORT, &[], &["stderr-without-errors"]),
        ("noisy", SHORT, &[], &["stdin-carries-messages-only"]),
        ("reopens", CALLS, &["--vain"], &["steps-met", "servers-kept"]),
        ("deaf", CALLS, &["--vain"], &["steps-met"]),
    ];
    few_at_once(2, cases.iter(), |(mode, plan, options, failing)| {
        Run::of_mode(plan, options, &[], mode).expect(mode, 1, failing, &[]);
    });
}

/// Asks the application itself to end; no terminal sends a signal to its servers.
const TERMINATED: &str = "about = \"terminated\"\n[[step]]\ndo = \"tools\"\nwithin = \"20s\"\n[[step]]\ndo = \"terminate\"\n\
    [[step]]\ndo = \"exit\"\nwithin = \"9s\"\n";

/// Catches SIGTERM, ends its servers, and has more to do for a second. With `signals`, it signals them with their input open.
const CATCHES_TERM: &str = r#"
import json, os, signal, subprocess, sys, time
servers = []
woken, wake = os.pipe()
os.set_blocking(wake, False)
signal.set_wakeup_fd(wake)
signal.signal(signal.SIGTERM, lambda *_: None)
def say(server, message): server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"); server.stdin.flush()
for entry in json.load(open(sys.argv[1]))["mcpServers"].values():
    server = subprocess.Popen([entry["command"], *entry.get("args", [])], stdin=-1, stdout=-1, env={**os.environ, **entry.get("env", {})})
    servers.append(server)
    opening = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "host", "version": "1"}}
    say(server, {"id": 1, "method": "initialize", "params": opening})
    server.stdout.readline()
    say(server, {"method": "notifications/initialized"})
    say(server, {"id": 2, "method": "tools/list"})
    server.stdout.readline()
os.read(woken, 1)
for server in servers:
    server.terminate() if sys.argv[2] == "signals" else server.stdin.close()
    server.wait()
time.sleep(1)
"#;

#[test]
fn a_host_that_signals_its_servers_first_is_told_after_a_signal_of_its_own() {
    let python = match python3() {
        Ok(python) => python,
        Err(because) => return unavailable("a host in Python", because),
    };
    for (mode, warned) in [("signals", &["eof-before-signal"][..]), ("closes", &[])] {
        let run = Run::of(TERMINATED, &[], &[python, "-c", CATCHES_TERM, "{config}", mode]);
        run.expect(mode, 0, &[], warned);
    }
}

/// Hosts that do all one can do to stay: what is said of them, and that nothing stays.
#[test]
fn hosts_that_do_not_end_are_ended_with_all_they_started_and_told_why() {
    let host = raw_host();
    let deaf: &[&str] = &["sh", "-c", "trap '' INT TERM HUP QUIT; exec \"$@\"", "sh", &host, "{config}", "hangs"];
    // One that spawns without end is ended for that, before a step of its plan is over.
    let spawning: &[&str] = &["sh", "-c", "while :; do sleep 600 & done"];
    let cases: &[(&str, &[&str], &str, &str)] = &[
        ("ignores every signal", deaf, "signal-ends-process", "had not ended within"),
        ("never reads", &["sleep", "600"], "servers-reached", "never connected"),
        ("closes everything", &["sh", "-c", "exec <&- >&- 2>&-; exec sleep 600"], "steps-met", "no connection"),
        ("daemonises", &["sh", "-c", "setsid sh -c 'sleep 600 & wait' & exit 0"], "nothing-survives", "still there"),
        ("floods", &[&host, "{config}", "floods"], "output-bounded", "bytes of output"),
        ("spawns", spawning, "output-bounded", "processes, at most 256"),
    ];
    few_at_once(2, cases.iter(), |(name, command, rule, because)| {
        // Only in a plan whose steps take their time is it always ended for what it spawns.
        is_ended(name, if *command == spawning { &[] } else { &["--vain"] }, command, rule, because);
    });
}

fn is_ended(name: &str, options: &[&str], command: &[&str], rule: &str, because: &str) {
    let began = Instant::now();
    let run = Run::of(SHORT, options, command);
    assert!(began.elapsed() < Duration::from_secs(60), "{name} took {:?}", began.elapsed());
    assert_eq!(run.ran.code, 1, "{name}: {}{}", run.ran.stdout, run.ran.stderr);
    let told = run.ran.findings_of(rule);
    assert!(told.contains("fail") && told.contains(because), "{name}: {told:?} in {}", run.ran.stdout);
    run.rig.assert_nothing_left(Duration::from_secs(5));
}

/// The same in the languages that hosts are written in: what they do, the rule it breaks, and a part of the reason.
const IN_PYTHON: [(&str, &str, &str); 4] = [
    (IGNORES_IN_PYTHON, "signal-ends-process", "had not ended within"),
    (DAEMON_IN_PYTHON, "nothing-survives", "still there"),
    ("import os\nwhile True: os.write(1, b'x' * 65536)", "output-bounded", "bytes of output"),
    ("import os\nos.abort()", "servers-reached", "never connected"),
];
const IGNORES_IN_PYTHON: &str = "import signal, time\n\
    for number in {*signal.Signals} - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, signal.SIG_IGN)\n\
    time.sleep(600)";
const DAEMON_IN_PYTHON: &str = "import os, time\n\
    if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(600)\n    os._exit(0)\n\
    os.wait()";
const IN_NODE: [(&str, &str, &str); 4] = [
    (IGNORES_IN_NODE, "signal-ends-process", "had not ended within"),
    (DETACHED_IN_NODE, "nothing-survives", "still there"),
    ("const fs = require('fs'); for (;;) fs.writeSync(1, 'x'.repeat(65536))", "output-bounded", "bytes of output"),
    ("throw new TypeError('not today')", "stderr-without-errors", "TypeError"),
];
const IGNORES_IN_NODE: &str = "for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(name, () => {}); setInterval(() => {}, 1e6)";
const DETACHED_IN_NODE: &str =
    "require('child_process').spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }).unref()";

#[test]
fn hosts_in_python_and_node_that_do_not_end_are_ended_and_told_why() {
    for (program, flag, cases) in [(python3().unwrap_or("python3"), "-c", IN_PYTHON), ("node", "-e", IN_NODE)] {
        if std::process::Command::new(program).arg("--version").output().is_err() {
            unavailable(program, "it is not in PATH");
            continue;
        }
        few_at_once(2, cases.iter(), |(text, rule, because)| {
            is_ended(text, &["--vain"], &[program, flag, text], rule, because);
        });
    }
}

#[test]
fn a_folder_has_what_a_run_leaves_and_its_history_gives_the_same_verdict() {
    let run = Run::of_mode(SHORT, &["--format", "junit", "--format", "checks"], &[], "other-status");
    let folder = run.rig.out();
    for name in ["history.jsonl", "verdict.json", "plan.toml", "stdout.txt", "stderr.txt", "checks.json", "run.json"] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    let junit = std::fs::read_to_string(folder.join("junit.xml")).unwrap();
    assert!(junit.contains("failures=\"1\"") && junit.contains("ends-as-asked"), "{junit}");
    let checks: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("checks.json")).unwrap()).unwrap();
    let failed: Vec<&Value> = checks
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["status"] == "FAILURE")
        .map(|check| &check["id"])
        .collect();
    assert_eq!(failed, ["ends-as-asked"]);
    let judged = run.rig.finish(run.rig.command(&["check", &folder.display().to_string()]));
    assert_eq!(judged.code, 1, "{}", judged.stderr);
    assert!(judged.stdout.contains("FAIL ends-as-asked"), "{}", judged.stdout);
    let verdict: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("verdict.json")).unwrap()).unwrap();
    for (rule, expected) in
        [("idle-without-cpu", "pass"), ("steps-met", "pass"), ("exits-with-success", "not-applicable")]
    {
        assert_eq!(verdict["verdicts"][rule], expected, "{rule}: {verdict}");
    }
    // The plan that was followed can be followed again.
    let plan = folder.join("plan.toml").display().to_string();
    let again = Run::of(&std::fs::read_to_string(&plan).unwrap(), &[], &[&raw_host(), "{config}"]);
    again.expect("the same plan", 0, &[], &[]);
    for (text, code) in [("client:\n  - plan:ends-as-asked\n", 0), ("client:\n  - plan:nothing-survives\n", 1)] {
        let rig = Rig::new();
        let baseline = rig.file("known.yml", text).display().to_string();
        let known = Run::of_mode(SHORT, &["--baseline", &baseline], &[], "other-status");
        assert_eq!(known.ran.code, code, "{text}: {}", known.ran.stderr);
    }
}

#[test]
fn what_is_wrong_before_anything_runs_is_exit_2_with_its_place() {
    let rig = Rig::new();
    let template = rig.file("t.json", "{\n \"x\": {nope} }").display().to_string();
    /// A plan, options and a command, and what comes of them: the exit code and a part of what is said.
    type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], i32, &'a str);
    let cases: &[Case<'_>] = &[
        ("about = 1\n", &[], &["true"], 2, "plan.toml:1:9"),
        (&SHORT.replace("tools", "dance"), &[], &["true"], 2, "plan.toml:3:6: unknown variant `dance`"),
        (SHORT, &[], &["/nonexistent/host"], 2, "no program"),
        (SHORT, &[], &["true", "{url:c}"], 2, "argument 1 of the command:1: found server \"c\", expected one of a, b"),
        (SHORT, &["--config-template", &template], &["true"], 2, "t.json:2:7: found placeholder {nope}"),
        (SHORT, &["--transport", "memory"], &["true"], 2, "[possible values: stdio, http]"),
        (SHORT, &["--limit", "nope=1s"], &["true"], 2, "nope"),
        (SHORT, &["--config-shape", "nope"], &["true"], 2, "vscode"),
    ];
    for (plan, options, command, code, expected) in cases {
        let run = Run::of(plan, options, command);
        assert_eq!(run.ran.code, *code, "{options:?} {command:?}: {}{}", run.ran.stdout, run.ran.stderr);
        assert!(run.ran.stderr.contains(expected), "{options:?} {command:?}: {}", run.ran.stderr);
        assert!(!run.rig.out().exists(), "{options:?} {command:?} left something");
        run.rig.assert_nothing_left(Duration::from_secs(5));
    }
}

#[test]
fn a_plan_with_pages_is_unavailable_where_there_is_no_browser() {
    let page = "about = \"p\"\n[[step]]\ndo = \"page\"\naction = \"open\"\nurl = \"http://127.0.0.1:{port}\"\n";
    let rig = Rig::new();
    let plan = rig.file("plan.toml", page);
    let mut process = rig.command(&["host", "--plan"]);
    process.arg(plan).arg("--out").arg(rig.out()).args(["--", &raw_host(), "{config}"]);
    process.env("PATH", "/nonexistent").env_remove("MCP_LIFECHECK_PAGE_DRIVER");
    let ran = rig.finish_within(process, LIMIT);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("UNAVAILABLE raw_host: the plan needs a browser"), "{}", ran.stdout);
    rig.assert_nothing_left(Duration::from_secs(5));
}

/// A web application is waited for, asked to run, and asked for something it has not.
#[test]
fn a_web_application_is_asked_over_http() {
    let host = root().join("tests/clients/python/web_host.py").display().to_string();
    let python = match python3() {
        Ok(python) => python,
        Err(because) => return unavailable("a web application", because),
    };
    let plan = |path: &str| {
        format!(
            "about = \"web\"\nsame-servers = true\n[[step]]\ndo = \"ready\"\nurl = \"http://127.0.0.1:{{port}}/\"\n\
             [[step]]\ndo = \"tools\"\n[[step]]\ndo = \"request\"\nmethod = \"POST\"\nurl = \"http://127.0.0.1:{{port}}{path}\"\n\
             [[step]]\ndo = \"call\"\nagain = true\n[[step]]\ndo = \"interrupt\"\n[[step]]\ndo = \"exit\"\n"
        )
    };
    Run::of(&plan("/run"), &[], &[python, &host, "{port}"]).expect("run", 0, &[], &[]);
    let run = Run::of(&plan("/other"), &[], &[python, &host, "{port}"]);
    run.expect("other", 1, &["steps-met"], &[]);
    let told = run.ran.findings_of("steps-met");
    assert!(told.contains("answered 404: nothing here"), "{told}");
}

/// A client that ends by itself is a host as well, over HTTP; the driver of its page is a script.
#[test]
fn a_host_is_told_its_url_and_pages_are_driven_by_a_program() {
    let client = PathBuf::from(raw_host()).with_file_name("raw_client").display().to_string();
    let rig = Rig::new();
    let answers = "while read -r line; do case $line in *\\\"open\\\"*) echo '{\"id\":1,\"ok\":{}}';; \
        *) echo '{\"id\":2,\"failed\":{\"message\":\"no such text\"}}'; sleep 600 & ;; esac; done; sleep 600\n";
    let driver = format!("sh {}", rig.file("driver.sh", answers).display());
    let listed = "about = \"u\"\n[[step]]\ndo = \"tools\"\nof = \"a\"\n[[step]]\ndo = \"exit\"\nstatus = 0\n";
    let command = ["env", "MCP_CONFORMANCE_SCENARIO=tools_call", &client, "without-delete", "{url:a}"];
    Run::of(listed, &[], &command).expect("url", 0, &[], &["session-ended"]);
    let page = "about = \"p\"\n[[step]]\ndo = \"tools\"\nwithin = \"20s\"\n[[step]]\ndo = \"page\"\naction = \"open\"\n\
        url = \"http://127.0.0.1:{port}\"\n[[step]]\ndo = \"page\"\naction = \"expect\"\ntext = \"x\"\nwithin = \"5s\"\n";
    let run = Run::of_mode(page, &["--page-driver", &driver], &[], "");
    run.expect("page", 1, &["steps-met"], &[]);
    assert!(run.ran.findings_of("steps-met").contains("no such text"), "{}", run.ran.stdout);
    // One that ends without an answer says nothing of the host.
    let run = Run::of_mode(page, &["--page-driver", "true"], &[], "");
    assert_eq!(run.ran.code, 3, "{}", run.ran.stdout);
    run.rig.assert_nothing_left(Duration::from_secs(5));
}

#[test]
fn a_host_on_the_typescript_sdk_conforms() {
    let Some(host) = typescript_client("host.mjs") else { return };
    let command = ["node", &host.display().to_string(), "{config}"];
    Run::of(SHORT, &["--config-shape", "vscode"], &command).expect("typescript", 0, &[], &[]);
}

#[test]
fn a_host_on_the_python_sdk_conforms() {
    let host = root().join("tests/clients/python/host.py").display().to_string();
    match python_stack("mcp-1.30").unwrap().interpreter() {
        Ok(interpreter) => {
            let interpreter = interpreter.display().to_string();
            let command = [interpreter.as_str(), &host, "{config}"];
            Run::of(SHORT, &["--config-shape", "langchain"], &command).expect("python", 0, &[], &[]);
        }
        Err(error) => unavailable("mcp-1.30", &error.to_string()),
    }
}
