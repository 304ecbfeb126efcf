//! The browser's driver: what is asked of it happens on a page, what does not happen is told, and it leaves nothing.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mcp_lifecheck::stack::Browser;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::lanes::unavailable;
use crate::rig::Rig;

/// A page that answers a click after a moment, as one does whose work is done elsewhere, and complains in its console.
const PAGE: &str = "data:text/html,<title>Shop</title><h1>Fruit  and%0Anuts</h1><p hidden>secret</p><div>Call</div>\
    <button onclick=\"n=(window.n||0)+1;console.error('odd');setTimeout(()=>{o.innerText='Answer '+n},150)\">Call</button>\
    <p id=o></p>";
/// A page that fails after a moment and goes on trying.
const BROKEN: &str = "data:text/html,<h1>Shop</h1><p id=o></p><script>setTimeout(()=>{o.innerText='Oh no: it broke';\
    throw new Error('really')},150)</script>";

/// Longest wait for one answer: the first one includes the start of the browser.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for the end of the driver and of the browser.
const END_LIMIT: Duration = Duration::from_secs(20);

/// A driver under test; killed when it is dropped.
struct Driver {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Driver {
    /// Nothing where there is no browser, which is said loudly.
    fn start(rig: &Rig) -> Option<Self> {
        let browser = match Browser::find() {
            Ok(browser) => browser,
            Err(error) => {
                unavailable("the browser lane", &error.to_string());
                return None;
            }
        };
        Some(Self::run(rig, &browser.command()))
    }

    fn run(rig: &Rig, words: &[String]) -> Self {
        let arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let mut command = rig.program(&words[0], &arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdout, (sender, answers)) = (child.stdout.take().unwrap(), channel());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { stdin: child.stdin.take(), child, answers }
    }

    fn send(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn answer(&mut self) -> Value {
        let line = self.answers.recv_timeout(ANSWER_LIMIT).expect("the driver answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn ask(&mut self, command: Value) -> Value {
        self.send(&command.to_string());
        let answer = self.answer();
        assert_eq!(answer["id"], command["id"], "{command} {answer}");
        answer
    }

    /// Requests an action that must succeed.
    fn does(&mut self, command: Value) -> Value {
        let answer = self.ask(command.clone());
        assert!(answer["ok"].is_object(), "{command} {answer}");
        answer["ok"].clone()
    }

    /// Requests an action that must fail, and returns its error.
    fn fails(&mut self, command: Value) -> String {
        let answer = self.ask(command.clone());
        let message = answer["failed"]["message"].as_str();
        message.unwrap_or_else(|| panic!("{command} {answer}")).to_owned()
    }

    fn await_end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + END_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the driver lives on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_page_is_used_as_a_person_does_and_what_does_not_happen_is_told() {
    let rig = Rig::new();
    let Some(mut driver) = Driver::start(&rig) else { return };
    let opened = driver.does(json!({"id": 1, "do": "open", "tab": "a", "url": PAGE, "expect": "Fruit and nuts"}));
    assert_eq!(opened, json!({"title": "Shop", "errors": []}));
    // The button, not the text of the same name before it.
    let clicked = driver.does(json!({"id": 2, "do": "click", "tab": "a", "text": "Call", "expect": "Answer 1"}));
    assert_eq!(clicked["errors"], json!(["console: odd"]));
    driver.does(json!({"id": 3, "do": "click", "tab": "a", "role": "button", "text": "Call"}));
    driver.does(json!({"id": 4, "do": "expect", "tab": "a", "text": "Answer 2"}));
    driver.does(json!({"id": 5, "do": "absent", "tab": "a", "text": "secret"}));
    driver.does(json!({"id": 6, "do": "reload", "tab": "a", "expect": "Fruit"}));
    driver.does(json!({"id": 7, "do": "absent", "tab": "a", "text": "Answer"}));
    driver.does(json!({"id": 8, "do": "open", "tab": "b", "url": PAGE, "expect": "Fruit"}));
    driver.does(json!({"id": 9, "do": "click", "tab": "b", "text": "Call", "expect": "Answer 1"}));
    driver.does(json!({"id": 10, "do": "absent", "tab": "a", "text": "Answer"}));

    let why = driver.fails(json!({"id": 11, "do": "expect", "tab": "b", "text": "Answer 2", "timeout_ms": 200}));
    let seen = "on the page: \"Fruit and nuts Call Call Answer 1\"; errors of the page: console: odd";
    assert_eq!(why, format!("text \"Answer 2\" was not there within 200 ms; {seen}"));
    let why = driver.fails(json!({"id": 12, "do": "absent", "tab": "b", "text": "Answer"}));
    assert_eq!(why, format!("text \"Answer\" is there; {seen}"));
    let why = driver.fails(json!({"id": 13, "do": "click", "tab": "b", "text": "Buy", "timeout_ms": 200}));
    assert!(why.starts_with("text \"Buy\" could not be clicked within 200 ms: ") && why.ends_with(seen), "{why}");

    // What must not come ends the wait at once, long before its bound.
    let began = Instant::now();
    let command = json!({"id": 14, "do": "open", "tab": "c", "url": BROKEN, "expect": "Ready", "absent": "Oh no"});
    let why = driver.fails(command);
    let expected = "text \"Oh no\" came before \"Ready\"; on the page: \"Shop Oh no: it broke\"; \
                    errors of the page: uncaught: really";
    assert_eq!(why, expected);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());

    // Nothing listens where nobody has bound a port, and the driver goes on.
    let command = json!({"id": 15, "do": "open", "tab": "d", "url": "http://127.0.0.1:1/", "timeout_ms": 5000});
    let why = driver.fails(command);
    assert!(why.starts_with("the page did not come within 5000 ms: "), "{why}");
    driver.does(json!({"id": 16, "do": "close", "tab": "a"}));
    let why = driver.fails(json!({"id": 17, "do": "reload", "tab": "a"}));
    assert_eq!(why, "found tab \"a\", expected an open one (\"b\", \"c\", \"d\")");

    drop(driver.stdin.take());
    assert_eq!(driver.await_end(), Some(0));
    rig.assert_nothing_left(END_LIMIT);
}

#[test]
fn a_line_that_is_no_command_is_answered_and_starts_no_browser() {
    let rig = Rig::new();
    let Some(mut driver) = Driver::start(&rig) else { return };
    driver.send("nonsense");
    let answer = driver.answer();
    assert_eq!(answer["id"], Value::Null);
    assert!(answer["failed"]["message"].as_str().unwrap().starts_with("found a line that is not JSON"), "{answer}");
    for (command, expected) in [
        (json!({"id": 1, "do": "dance", "tab": "a"}), "found action \"dance\", expected one of open, "),
        (json!({"id": 2}), "found action nothing, expected one of open, "),
        (json!({"id": 3, "do": "open", "tab": "a"}), "open: found url nothing, expected a text"),
        (json!({"id": 4, "do": "open", "url": PAGE}), "open: found tab nothing, expected a text"),
        (json!({"id": 5, "do": "click", "tab": "a", "text": 1}), "click: found text 1, expected a text"),
        (json!({"id": 6, "do": "reload", "tab": "a"}), "found tab \"a\", expected an open one (none)"),
        (json!({"id": 7, "do": "reload", "tab": "a", "timeout_ms": 0}), "found timeout_ms 0, expected milliseconds"),
    ] {
        let why = driver.fails(command);
        assert!(why.starts_with(expected), "{why}");
    }
    assert_eq!(rig.processes().len(), 1, "{:?}", rig.processes());
    drop(driver.stdin.take());
    assert_eq!(driver.await_end(), Some(0));
    rig.assert_nothing_left(END_LIMIT);
}

#[test]
fn a_browser_ends_with_its_driver_whatever_is_under_way() {
    // Its stdin ends in the middle of a wait.
    let rig = Rig::new();
    let Some(mut driver) = Driver::start(&rig) else { return };
    driver.does(json!({"id": 1, "do": "open", "tab": "a", "url": PAGE, "expect": "Fruit"}));
    driver.send(&json!({"id": 2, "do": "expect", "tab": "a", "text": "never", "timeout_ms": 600_000}).to_string());
    drop(driver.stdin.take());
    assert_eq!(driver.await_end(), Some(0));
    rig.assert_nothing_left(END_LIMIT);

    // It is killed. Its files remain, and the owner of the folder removes them.
    let mut driver = Driver::start(&rig).unwrap();
    driver.does(json!({"id": 1, "do": "open", "tab": "a", "url": PAGE, "expect": "Fruit"}));
    assert!(rig.processes().len() > 1, "the browser is there");
    driver.child.kill().unwrap();
    assert_eq!(driver.await_end(), None);
    let deadline = Instant::now() + END_LIMIT;
    while !rig.processes().is_empty() {
        assert!(Instant::now() < deadline, "left behind: {:#?}", rig.processes());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_browser_that_does_not_start_or_has_ended_is_no_fault_of_the_page() {
    let rig = Rig::new();
    let Some(mut driver) = Driver::start(&rig) else { return };
    driver.does(json!({"id": 1, "do": "open", "tab": "a", "url": PAGE, "expect": "Fruit"}));
    let browser = i32::try_from(child_of(driver.child.id())).unwrap();
    kill_process(Pid::from_raw(browser).unwrap(), Signal::KILL).unwrap();
    // Told at once, long before its bound, which is longer than that on an answer.
    let answer = driver.ask(json!({"id": 2, "do": "expect", "tab": "a", "text": "never", "timeout_ms": 600_000}));
    assert_eq!(answer["lost"]["message"], "the browser has ended");

    let browser = Browser::find().unwrap();
    let mut words = browser.command();
    let program = words.iter_mut().find(|word| **word == browser.program().display().to_string()).unwrap();
    *program = "/bin/false".to_owned();
    let mut driver = Driver::run(&rig, &words);
    let answer = driver.ask(json!({"id": 1, "do": "open", "tab": "a", "url": PAGE}));
    let message = answer["lost"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(message.starts_with("the browser /bin/false could not be started: "), "{message}");
    drop(driver.stdin.take());
    assert_eq!(driver.await_end(), Some(0));
}

/// The only child of a process.
fn child_of(pid: u32) -> u32 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let lists = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let children: Vec<u32> =
        lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect();
    assert_eq!(children.len(), 1, "{children:?}");
    children[0]
}
