//! Over lines: the bytes on stdout and stderr, and how the process ends.

use std::io::Read;
use std::process::Stdio;

use mcp_lifecheck::plan::ShutdownBehaviour::Polite;
use rustix::process::Signal;

use super::{CHANGED, PING, RESULT, assert_delivered, conforming, progress, script};
use crate::mock::client::{Client, INITIALIZE, INITIALIZED, LIST, call};
use crate::mock::home::Home;

/// The first call, unless a case says otherwise.
const CALL: &str = "{ request = \"tools/call\", nth = 1 }";

/// What a script does, and what a client sees of it that opens a session and calls once.
struct Case {
    fault: &'static str,
    on: &'static str,
    actions: &'static str,
    /// What else the client sends, behind its call.
    then: &'static [&'static str],
    /// All that is written behind the answer to `initialize`.
    sees: String,
    ends: Ends,
}

/// How the process ends.
#[derive(Clone, Copy)]
enum Ends {
    /// In order, when its input ends.
    Eof,
    /// With this code, by itself.
    Exit(i32),
    /// By this signal, by itself.
    Dies(Signal),
    /// Not at the end of its input: by the first of these signals it does not, by the second it does.
    Refuses(Option<Signal>, Signal),
    /// By SIGTERM, with nobody at the other end of its input any more.
    Deaf,
}

fn case(fault: &'static str, actions: &'static str, sees: impl Into<String>) -> Case {
    Case { fault, on: CALL, actions, then: &[], sees: sees.into(), ends: Ends::Eof }
}

impl Case {
    fn on(self, on: &'static str) -> Self {
        Self { on, ..self }
    }

    fn then(self, then: &'static [&'static str]) -> Self {
        Self { then, ..self }
    }

    fn ends(self, ends: Ends) -> Self {
        Self { ends, ..self }
    }
}

/// Lines, each with its end.
fn lines(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn more(what: &str) -> String {
    let rest = &RESULT[1..];
    format!("{{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{{\"_meta\":{{\"mcp-mock/more\":{what}}},{rest}}}\n")
}

fn listed() -> String {
    let schema = r#"{"properties":{"n":{"type":"integer"},"path":{"type":"string"}},"type":"object"}"#;
    let tool = format!(
        r#"{{"description":"Answers with its name and its arguments: read.","inputSchema":{schema},"name":"read"}}"#
    );
    format!("{{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{{\"tools\":[{tool}]}}}}")
}

fn messages() -> Vec<Case> {
    let error = r#"{"code":-32000,"message":"An error beside a result"}"#;
    let parse_error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#;
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"the script says so","requestId":3}}"#;
    let sampling = r#"{"jsonrpc":"2.0","id":0,"method":"sampling/createMessage","params":{"maxTokens":1}}"#;
    let noted = r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"a":1}}"#;
    let pretty = format!("{:#}", serde_json::from_str::<serde_json::Value>(&conforming(3)).unwrap());
    let half = conforming(3)[..conforming(3).len() / 2].to_owned();
    vec![
        case("delay", "[{ delay = \"1ms\" }]", lines(&[&conforming(3)])),
        case("drop", "[\"drop\"]", ""),
        case(
            "answer-error",
            "[{ answer-error = { code = -32022, message = \"no\", data = { supported = [] } } }]",
            lines(&[r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32022,"message":"no","data":{"supported":[]}}}"#]),
        ),
        case("duplicate", "[\"duplicate\"]", lines(&[&conforming(3), &conforming(3)])),
        case("reorder", "[\"reorder\"]", lines(&[&listed(), &conforming(3)])).then(&[LIST]),
        case("unknown-id", "[\"unknown-id\"]", format!("{{\"id\":1000003,\"jsonrpc\":\"2.0\",\"result\":{RESULT}}}\n")),
        case(
            "converted-id",
            "[\"converted-id\"]",
            format!("{{\"id\":\"3\",\"jsonrpc\":\"2.0\",\"result\":{RESULT}}}\n"),
        ),
        case("float-id", "[\"float-id\"]", format!("{{\"id\":3.0,\"jsonrpc\":\"2.0\",\"result\":{RESULT}}}\n")),
        case("null-id", "[\"null-id\"]", format!("{{\"id\":null,\"jsonrpc\":\"2.0\",\"result\":{RESULT}}}\n")),
        case(
            "result-and-error",
            "[\"result-and-error\"]",
            format!("{{\"error\":{error},\"id\":3,\"jsonrpc\":\"2.0\",\"result\":{RESULT}}}\n"),
        ),
        case("no-result", "[\"no-result\"]", lines(&[r#"{"id":3,"jsonrpc":"2.0"}"#])),
        case("odd-error", "[\"odd-error\"]", lines(&[r#"{"error":"something went wrong","id":3,"jsonrpc":"2.0"}"#])),
        case("no-jsonrpc", "[\"no-jsonrpc\"]", format!("{{\"id\":3,\"result\":{RESULT}}}\n")),
        case(
            "extra-member",
            "[\"extra-member\"]",
            format!("{{\"id\":3,\"jsonrpc\":\"2.0\",\"result\":{RESULT},\"trace\":{{\"span\":\"7f3a\"}}}}\n"),
        ),
        case("batch", "[\"batch\"]", format!("[{{\"id\":3,\"jsonrpc\":\"2.0\",\"result\":{RESULT}}}]\n")),
        case(
            "answer-result",
            "[{ answer-result = { content = 7 } }]",
            lines(&[r#"{"id":3,"jsonrpc":"2.0","result":{"content":7}}"#]),
        ),
        case(
            "alter-result",
            "[{ alter-result = { content = [] } }]",
            lines(&[r#"{"id":3,"jsonrpc":"2.0","result":{"content":[],"isError":false}}"#]),
        ),
        case(
            "omit-result",
            "[{ omit-result = [\"content\", \"absent\"] }]",
            lines(&[r#"{"id":3,"jsonrpc":"2.0","result":{"isError":false}}"#]),
        ),
        case("deep", "[{ deep = 10000 }]", more(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)))),
        case("pad", "[{ pad = 1000000 }]", more(&format!("\"{}\"", "x".repeat(1_000_000)))),
        case("ask", "[{ ask = \"ping\" }]", lines(&[PING, &conforming(3)])),
        case(
            "ask-with",
            "[{ ask-with = { method = \"sampling/createMessage\", params = { maxTokens = 1 } } }]",
            lines(&[sampling, &conforming(3)]),
        ),
        case("ask-again", "[{ ask = \"ping\" }, { ask-again = \"ping\" }]", lines(&[PING, PING, &conforming(3)])),
        case(
            "notify-many",
            "[{ notify-many = { method = \"notifications/tools/list_changed\", times = 3 } }]",
            lines(&[CHANGED, CHANGED, CHANGED, &conforming(3)]),
        ),
        case(
            "notify-many",
            "[{ notify-many = { method = \"notifications/x\", params = { a = 1 }, times = 2 } }]",
            lines(&[noted, noted, &conforming(3)]),
        ),
        case("progress", "[{ progress = 2 }]", lines(&[&progress(1), &progress(2), &conforming(3)])),
        case("cancel-request", "[\"cancel-request\"]", lines(&[cancelled, &conforming(3)])),
        case(
            "stray-answer",
            "[{ stray-answer = 42 }]",
            lines(&[r#"{"jsonrpc":"2.0","id":42,"result":{}}"#, &conforming(3)]),
        ),
        case("stray-error", "[\"stray-error\"]", lines(&[parse_error, &conforming(3)])),
        case("carriage-return", "[\"carriage-return\"]", format!("{}\r\n", conforming(3))),
        case("byte-order-mark", "[\"byte-order-mark\"]", format!("\u{feff}{}\n", conforming(3))),
        case("split", "[\"split\"]", lines(&[&conforming(3)])),
        case("half-line", "[\"half-line\"]", half.clone()),
        case("broken-json", "[\"broken-json\"]", lines(&[&half])),
        case("blank-lines", "[{ blank-lines = 3 }]", format!("\n\n\n{}\n", conforming(3))),
        case("glued", "[\"glued\"]", format!("{}{CHANGED}\n", conforming(3))),
        case("pretty", "[\"pretty\"]", lines(&[&pretty])),
        case(
            "length-header",
            "[\"length-header\"]",
            format!("Content-Length: {}\r\n\r\n{}", conforming(3).len(), conforming(3)),
        ),
        case("noise", "[{ noise = \"ready!\" }]", lines(&["ready!", &conforming(3)])),
        case(
            "noise-flood",
            "[{ noise-flood = 2 }]",
            lines(&["mcp-mock is ready to serve", "mcp-mock is ready to serve", &conforming(3)]),
        ),
        case("bytes", "[{ bytes = \"41 42 0a\" }]", lines(&["AB", &conforming(3)])),
        case("endless-line", "[{ endless-line = 100000 }, \"drop\"]", "x".repeat(100_000)),
        case("stderr", "[{ stderr = \"warming up\" }]", lines(&[&conforming(3)])),
        case("stderr-flood", "[{ stderr-flood = 100 }]", lines(&[&conforming(3)])),
    ]
}

fn ends() -> Vec<Case> {
    vec![
        case("hold", "[{ hold = \"never\" }]", ""),
        case("close-stdout", "[\"answer\", \"close-stdout\"]", lines(&[&conforming(3)])),
        case("exit", "[\"answer\", { exit = 3 }]", lines(&[&conforming(3)])).ends(Ends::Exit(3)),
        case("die", "[\"answer\", { die = { signal = \"SEGV\" } }]", lines(&[&conforming(3)]))
            .ends(Ends::Dies(Signal::SEGV)),
        case("ignore", "[\"ignore\"]", lines(&[&conforming(3)]))
            .on("{ eof = true }")
            .ends(Ends::Refuses(None, Signal::TERM)),
        case("freeze", "[\"answer\", \"freeze\"]", lines(&[&conforming(3)]))
            .then(&[LIST])
            .ends(Ends::Refuses(None, Signal::TERM)),
        case("close-stdin", "[\"answer\", \"close-stdin\"]", lines(&[&conforming(3)])).ends(Ends::Deaf),
        case("stop", "[\"answer\", \"stop\"]", lines(&[&conforming(3)]))
            .ends(Ends::Refuses(Some(Signal::TERM), Signal::KILL)),
    ]
}

/// Cases that a test of their own sees to.
const APART: [&str; 4] = ["answer-anyway", "progress-forever", "bad-utf8", "grandchild"];

/// The faults that are tested here, each once.
pub fn faults() -> impl Iterator<Item = &'static str> {
    let initialize = ["echo-version"];
    messages().into_iter().chain(ends()).map(|case| case.fault).chain(initialize).chain(APART)
}

#[test]
fn over_lines_a_client_sees_what_is_promised_and_nothing_else() {
    for case in messages().into_iter().chain(ends()) {
        let home = Home::new(&script(case.on, case.actions), Polite);
        let mut client = Client::linked(&home);
        client.send(INITIALIZE);
        client.line();
        client.send(INITIALIZED);
        client.send(&call(3));
        case.then.iter().for_each(|line| client.send(line));
        // It is all there before the end is asked for; and nothing comes with that.
        assert_eq!(client.bytes(case.sees.len()), case.sees, "{}", case.fault);
        if case.on == CALL {
            assert_delivered(&home, case.fault, case.fault);
        }
        end(&mut client, case.ends, case.fault);
        assert_eq!(client.rest(), "", "{}", case.fault);
        assert_delivered(&home, case.fault, case.fault);
    }
}

fn end(client: &mut Client, how: Ends, fault: &str) {
    match how {
        Ends::Exit(code) => assert_eq!(client.exit_code(), code, "{fault}"),
        Ends::Dies(signal) => assert_eq!(client.death(), signal.as_raw(), "{fault}"),
        Ends::Eof => {
            client.close_stdin();
            assert_eq!(client.exit_code(), 0, "{fault}");
        }
        Ends::Deaf => {
            client.send_until_refused();
            client.signal(Signal::TERM);
            assert_eq!(client.death(), Signal::TERM.as_raw(), "{fault}");
        }
        Ends::Refuses(first, last) => {
            client.close_stdin();
            first.into_iter().for_each(|signal| client.signal(signal));
            assert!(!client.ends_within(QUIET), "{fault}: the mock must live on");
            client.signal(last);
            assert_eq!(client.death(), last.as_raw(), "{fault}");
        }
    }
}

/// How long a process that is to live on is looked at: one that ends at once has ended by then.
const QUIET: std::time::Duration = std::time::Duration::from_millis(100);

#[test]
fn initialize_is_agreed_to_whatever_it_says() {
    let home = Home::new(&script("{ request = \"initialize\" }", "[\"echo-version\"]"), Polite);
    let mut client = Client::linked(&home);
    client.send(&INITIALIZE.replace("2025-11-25", "2099-01-01"));
    assert_eq!(client.answer()["result"]["protocolVersion"], "2099-01-01");
    assert_delivered(&home, "echo-version", "echo-version");
}

#[test]
fn progress_is_reported_until_the_request_is_cancelled() {
    let home = Home::new(&script(CALL, "[{ progress-forever = \"1ms\" }]"), Polite);
    let mut client = Client::linked(&home);
    client.open();
    client.send(&call(3));
    for done in 1..=20 {
        assert_eq!(client.line(), format!("{}\n", progress(done)));
    }
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#);
    client.send(&call(4));
    // What was reported before the cancellation arrived comes first; the call itself is never answered.
    let last = std::iter::from_fn(|| Some(client.line())).find(|line| !line.contains("notifications/progress"));
    assert_eq!(last.unwrap(), format!("{}\n", conforming(4)));
    client.close_stdin();
    assert_eq!((client.rest().as_str(), client.exit_code()), ("", 0));
    assert_delivered(&home, "progress-forever", "progress-forever");
}

#[test]
fn a_cancelled_call_is_still_answered() {
    let home = Home::new(&script(CALL, "[{ hold = \"late\" }, \"answer-anyway\"]"), Polite);
    let mut client = Client::linked(&home);
    client.open();
    client.send(&call(3));
    home.wait_for("gate.reached");
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#);
    client.call(4);
    home.open_gate("late");
    assert_eq!(client.line(), format!("{}\n", conforming(3)));
    assert_delivered(&home, "answer-anyway", "answer-anyway");
}

#[test]
fn an_answer_that_is_no_utf8_has_one_byte_too_many() {
    let home = Home::new(&script(CALL, "[\"bad-utf8\"]"), Polite);
    let mut client = Client::linked(&home);
    client.open();
    client.send(&call(3));
    let text = conforming(3);
    let (head, rest) = text.split_at(text.rfind('"').unwrap());
    let expected = [head.as_bytes(), b"\xFF", rest.as_bytes(), b"\n"].concat();
    assert_eq!(client.raw(expected.len()), expected);
    client.call(4);
    assert_delivered(&home, "bad-utf8", "bad-utf8");
}

#[test]
fn what_is_written_to_stderr_is_written_before_what_follows() {
    let line = "mcp-mock: this line is written again and again, as a server in trouble does.\n";
    let flood: String = line.chars().cycle().take(300_000).collect();
    for (actions, expected) in
        [("[{ stderr = \"warming up\" }]", "warming up\n".to_owned()), ("[{ stderr-flood = 300000 }]", flood)]
    {
        let home = Home::new(&script(CALL, actions), Polite);
        let mut client = Client::linked_with_stderr(&home, Stdio::piped());
        client.open();
        client.send(&call(3));
        // Far more than a pipe holds: nobody reads it yet, so the call is not answered; other requests are.
        client.send(r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#);
        let mut stderr = client.stderr().unwrap();
        if expected.len() > 100_000 {
            assert_eq!(client.line(), "{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n");
        }
        let mut found = vec![0; expected.len()];
        stderr.read_exact(&mut found).unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), expected);
        let answers = [client.line()].into_iter().chain((expected.len() < 100_000).then(|| client.line()));
        assert!(answers.into_iter().any(|line| line == format!("{}\n", conforming(3))));
    }
}

#[test]
fn a_grandchild_keeps_the_pipes_of_a_server_that_has_ended_or_does_not() {
    for (holds, life) in [(true, "400ms"), (false, "60s")] {
        let actions = format!("[{{ grandchild = {{ holds-pipes = {holds}, life = \"{life}\" }} }}]");
        let home = Home::new(&script("{ start = true }", &actions), Polite);
        let mut client = Client::linked(&home);
        client.open();
        let started = std::time::Instant::now();
        let children = client.children();
        assert_eq!(children.len(), 1, "{children:?}");
        client.close_stdin();
        assert_eq!(client.exit_code(), 0);
        // The output ends when nobody has it any more.
        assert_eq!(client.rest(), "");
        assert_eq!(holds, started.elapsed() >= std::time::Duration::from_millis(250), "{holds}");
        if !holds {
            children.into_iter().for_each(crate::mock::client::kill_child);
        }
        assert_delivered(&home, "grandchild", "grandchild");
    }
}
