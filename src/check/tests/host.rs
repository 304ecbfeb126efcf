//! Each rule of a host on histories that hold, violate and are vacuous.

use crate::check::{HOST_RULES, INVARIANTS, Verdict, judge};
use crate::history::{ApplicationFacts, Header, HostFacts, ServerFacts, history_from_text};
use crate::plan::Promises;

/// Opens a session: the lines that most histories begin with.
const OPENED: &str = r#"
mock:s#1 connection.opened connection=c1.1
mock:s#1 http.received exchange=x1 socket=s1 verb=POST headers={"accept":"*/*"}
mock:s#1 wire.received connection=c1.1 message={"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}
mock:s#1 session.opened connection=c1.1 session=a-1
mock:s#1 wire.sent connection=c1.1 message={"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}}}}
mock:s#1 http.answered exchange=x1 status=200
mock:s#1 http.ended exchange=x1 how=by-server
"#;
const INITIALIZED: &str = r#"
mock:s#1 http.received exchange=x2 socket=s2 verb=POST connection=c1.1 session=a-1 headers={"accept":"*/*","mcp-protocol-version":"2025-11-25"}
mock:s#1 wire.received connection=c1.1 message={"jsonrpc":"2.0","method":"notifications/initialized"}
mock:s#1 http.answered exchange=x2 status=202
mock:s#1 http.ended exchange=x2 how=by-server
"#;
const CALLED: &str = r#"
mock:s#1 http.received exchange=x3 socket=s3 verb=POST connection=c1.1 session=a-1 headers={"accept":"*/*","mcp-protocol-version":"2025-11-25"}
mock:s#1 wire.received connection=c1.1 message={"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"add","arguments":{"a":1}}}
"#;
const ANSWERED: &str = r#"
mock:s#1 wire.sent connection=c1.1 message={"jsonrpc":"2.0","id":2,"result":{"content":[]}}
mock:s#1 http.answered exchange=x3 status=200
mock:s#1 http.ended exchange=x3 how=by-server
"#;
const DELETED: &str = r#"
mock:s#1 http.received exchange=x4 socket=s4 verb=DELETE connection=c1.1 session=a-1 headers={"mcp-protocol-version":"2025-11-25"}
mock:s#1 session.closed connection=c1.1 session=a-1 how=by-client
mock:s#1 connection.closed connection=c1.1 how=by-client
mock:s#1 http.answered exchange=x4 status=204
mock:s#1 http.ended exchange=x4 how=by-server
"#;
const EXITED: &str = r#"
system process.exited process=p1 role=loader code=0
driver grace.began after=exit
driver grace.expired after=exit
"#;
const STREAM: &str = r#"
mock:s#1 http.received exchange=x5 socket=s5 verb=GET connection=c1.1 session=a-1 headers={"accept":"*/*","mcp-protocol-version":"2025-11-25"}
mock:s#1 http.answered exchange=x5 status=200 streams=true
"#;
const KILLED: &str = r#"
driver limit.hit limit=exit because="the client had not ended within 100 ms"
driver signal.sent signal=KILL target=loader
"#;

/// A rule, what comes of it, and the history.
type Case = (&'static str, Verdict, &'static [&'static str]);

const CASES: &[Case] = &[
    ("exchange-complete", Verdict::Pass, &[OPENED, INITIALIZED, CALLED, ANSWERED, EXITED]),
    ("exchange-complete", Verdict::Fail, &[EXITED]),
    ("exchange-complete", Verdict::Fail, &[OPENED, INITIALIZED, EXITED]),
    ("exchange-complete", Verdict::Fail, &[OPENED, INITIALIZED, CALLED, EXITED]),
    ("exchange-complete", Verdict::Fail, &[OPENED, INITIALIZED, CALLED, FAILED, EXITED]),
    ("exchange-complete", Verdict::Vacuous, &["driver experiment.failed because=x"]),
    ("exits-with-success", Verdict::Pass, &[EXITED]),
    ("exits-with-success", Verdict::Fail, &["system process.exited process=p1 role=loader code=1"]),
    ("exits-with-success", Verdict::Vacuous, &["system process.exited process=p1 role=loader signal=ABRT"]),
    ("ended-by-no-signal", Verdict::Pass, &[EXITED]),
    ("ended-by-no-signal", Verdict::Fail, &["system process.exited process=p1 role=loader signal=ABRT"]),
    ("ended-by-no-signal", Verdict::Vacuous, &[KILLED, "system process.exited process=p1 role=loader signal=KILL"]),
    ("ends-in-time", Verdict::Pass, &[EXITED]),
    ("ends-in-time", Verdict::Fail, &[OPENED, KILLED]),
    ("ends-in-time", Verdict::Vacuous, &["driver experiment.failed because=x"]),
    ("stderr-without-errors", Verdict::Pass, &[EXITED]),
    ("stderr-without-errors", Verdict::Fail, &[EXITED, "system error.reported channel=stderr text=\"E: x\""]),
    ("stderr-without-errors", Verdict::Vacuous, &[KILLED]),
    ("output-bounded", Verdict::Pass, &[EXITED]),
    ("output-bounded", Verdict::Fail, &["system limit.hit limit=output because=x"]),
    ("output-bounded", Verdict::Vacuous, &[KILLED]),
    ("streams-closed", Verdict::Pass, &[OPENED, STREAM, STREAM_ENDED, EXITING, EXITED]),
    ("streams-closed", Verdict::Pass, &[OPENED, STREAM, HELPER_EXITING, STREAM_ENDED, EXITING, EXITED]),
    ("streams-closed", Verdict::Pass, &[OPENED, STREAM, STREAM_OVER, EXITING, EXITED]),
    ("streams-closed", Verdict::Fail, &[OPENED, STREAM, EXITING, STREAM_ENDED, EXITED]),
    ("streams-closed", Verdict::Fail, &[OPENED, STREAM, EXITING, EXITED]),
    ("streams-closed", Verdict::Vacuous, &[OPENED, EXITING, EXITED]),
    ("answers-read", Verdict::Pass, &[OPENED, SOCKET_CLOSED, EXITED]),
    ("answers-read", Verdict::Fail, &[OPENED, SOCKET_BROKEN, EXITED]),
    ("answers-read", Verdict::Vacuous, &[EXITED]),
    ("session-initialized", Verdict::Pass, &[OPENED, INITIALIZED, EXITED]),
    ("session-initialized", Verdict::Fail, &[OPENED, EXITED]),
    ("session-initialized", Verdict::Vacuous, &[EXITED]),
    ("sessions-used", Verdict::Pass, &[OPENED, INITIALIZED, EXITED]),
    ("sessions-used", Verdict::Fail, &[OPENED, INITIALIZED, CALLED, ANSWERED, OTHER_OPENED, EXITED]),
    ("sessions-used", Verdict::Vacuous, &[EXITED]),
    ("silent-after-end", Verdict::Pass, &[OPENED, DELETED, EXITED]),
    ("silent-after-end", Verdict::Fail, &[OPENED, DELETED, ASKED_LATER, EXITED]),
    ("silent-after-end", Verdict::Vacuous, &[OPENED, EXITED]),
    ("session-ended", Verdict::Pass, &[OPENED, DELETED, EXITED]),
    ("session-ended", Verdict::Warn, &[OPENED, EXITED]),
    ("session-ended", Verdict::Vacuous, &[OPENED, KILLED]),
    ("call-made-once", Verdict::Pass, &[CALLED, OTHER_CALL]),
    ("call-made-once", Verdict::Fail, &[CALLED, ANSWERED, CALLED_AGAIN]),
    ("call-made-once", Verdict::Vacuous, &[OPENED]),
    ("abandoned-call-cancelled", Verdict::Pass, &[OPENED, CALLED, ANSWERED, EXITED]),
    ("abandoned-call-cancelled", Verdict::Pass, &[OPENED, CALLED, GIVEN_UP, CANCELLED, EXITED]),
    ("abandoned-call-cancelled", Verdict::Pass, &[OPENED, CALLED, CANCELLED, GIVEN_UP, EXITED]),
    ("abandoned-call-cancelled", Verdict::Fail, &[OPENED, CALLED, GIVEN_UP, EXITED]),
    ("abandoned-call-cancelled", Verdict::Vacuous, &[EXITED]),
    ("retry-honoured", Verdict::Pass, &[CALLED, STREAM_OF_CALL_ENDED, TAKEN_UP_LATE]),
    ("retry-honoured", Verdict::Fail, &[CALLED, STREAM_OF_CALL_ENDED, TAKEN_UP_AT_ONCE]),
    ("retry-honoured", Verdict::Vacuous, &[CALLED, STREAM_OF_CALL_ENDED]),
    ("defaults-applied", Verdict::Pass, &[OPENED, ELICITED, FILLED_IN]),
    ("defaults-applied", Verdict::Fail, &[OPENED, ELICITED, LEFT_OUT]),
    ("defaults-applied", Verdict::Fail, &[OPENED, ELICITED, DECLINED]),
    ("defaults-applied", Verdict::Vacuous, &[OPENED, ELICITED]),
    ("posts-are-messages", Verdict::Pass, &[OPENED]),
    ("posts-are-messages", Verdict::Fail, &["mock:s#1 wire.noise connection=c1.1 bytes=9 head=x"]),
    ("posts-are-messages", Verdict::Vacuous, &[EXITED]),
];

/// The same, of a finished application whose plan demands that its servers are kept.
const OF_APPLICATIONS: &[Case] = &[
    ("servers-reached", Verdict::Pass, &[OPENED, INTERRUPTED, EXITED]),
    ("servers-reached", Verdict::Fail, &[EXITED]),
    ("servers-reached", Verdict::Fail, &[UNMET]),
    ("servers-reached", Verdict::Vacuous, &["driver experiment.failed because=x"]),
    ("steps-met", Verdict::Pass, &[MET, EXITED]),
    ("steps-met", Verdict::Fail, &[MET, UNMET]),
    ("steps-met", Verdict::Vacuous, &[EXITED]),
    ("steps-met", Verdict::Fail, &[MET, UNMET_IN_TIME, EXITED]),
    // The machine kept us waiting for more than a fifth of what the step waited.
    ("steps-met", Verdict::Inconclusive, &[MET, UNMET_IN_TIME, DELAYED, EXITED]),
    ("steps-met", Verdict::Fail, &[MET, UNMET, DELAYED, EXITED]),
    ("ends-as-asked", Verdict::Pass, &[EXITED]),
    ("ends-as-asked", Verdict::Pass, &[INTERRUPTED, EXITED]),
    ("ends-as-asked", Verdict::Pass, &[INTERRUPTED, "system process.exited process=p1 role=loader signal=INT"]),
    ("ends-as-asked", Verdict::Pass, &[INTERRUPTED, "system process.exited process=p1 role=loader code=130"]),
    ("ends-as-asked", Verdict::Fail, &[INTERRUPTED, "system process.exited process=p1 role=loader code=1"]),
    ("ends-as-asked", Verdict::Fail, &[INTERRUPTED, "system process.exited process=p1 role=loader code=143"]),
    ("ends-as-asked", Verdict::Fail, &[INTERRUPTED, "system process.exited process=p1 role=loader signal=SEGV"]),
    ("ends-as-asked", Verdict::Fail, &["system process.exited process=p1 role=loader code=130"]),
    ("ends-as-asked", Verdict::Fail, &["system process.exited process=p1 role=loader signal=INT"]),
    ("ends-as-asked", Verdict::Vacuous, &[KILLED, "system process.exited process=p1 role=loader signal=KILL"]),
    ("servers-kept", Verdict::Pass, &[OPENED, PROMPTED, CALLED, EXITED]),
    ("servers-kept", Verdict::Pass, &[OPENED, PROMPTED, SERVER_KILLED, OPENED_AGAIN, EXITED]),
    ("servers-kept", Verdict::Fail, &[OPENED, PROMPTED, OPENED_AGAIN, EXITED]),
    ("servers-kept", Verdict::Fail, &[OPENED, PROMPTED, SERVER_KILLED, OPENED_AGAIN, OPENED_AGAIN, EXITED]),
    ("servers-kept", Verdict::Vacuous, &[OPENED, EXITED]),
    // What is different for an application.
    ("exchange-complete", Verdict::NotApplicable, &[EXITED]),
    ("exits-with-success", Verdict::NotApplicable, &["system process.exited process=p1 role=loader code=1"]),
    ("ended-by-no-signal", Verdict::NotApplicable, &["system process.exited process=p1 role=loader signal=INT"]),
    ("ends-in-time", Verdict::NotApplicable, &[OPENED, KILLED]),
    ("call-made-once", Verdict::NotApplicable, &[CALLED, ANSWERED, CALLED_AGAIN]),
    ("defaults-applied", Verdict::NotApplicable, &[OPENED, ELICITED, DECLINED]),
    ("signal-ends-process", Verdict::Pass, &[INTERRUPTED, EXITED]),
    ("signal-ends-process", Verdict::Fail, &[INTERRUPTED, KILLED]),
    ("nothing-survives", Verdict::Fail, &[OPENED, EXITED, "system process.orphan process=other-7 role=other"]),
    ("stderr-without-errors", Verdict::Fail, &[EXITED, "system error.reported channel=stderr text=\"E: x\""]),
    (
        "stderr-without-errors",
        Verdict::Pass,
        &[SERVER_KILLED, EXITED, "system error.reported channel=stderr text=\"E: x\""],
    ),
    ("idle-without-cpu", Verdict::Pass, &[RESTING]),
    ("idle-without-cpu", Verdict::Warn, &[BUSY]),
    ("streams-closed", Verdict::Fail, &[OPENED, STREAM, EXITING, EXITED]),
    ("streams-closed", Verdict::Vacuous, &[OPENED, STREAM, INTERRUPTED, EXITING, EXITED]),
    ("answers-read", Verdict::Pass, &[OPENED, INTERRUPTED, SOCKET_BROKEN, EXITED]),
    ("abandoned-call-cancelled", Verdict::Vacuous, &[CALLED, INTERRUPTED, GIVEN_UP, EXITED]),
    ("session-ended", Verdict::Warn, &[OPENED, INTERRUPTED, EXITED]),
];

const MET: &str = "driver step.met step=1 saw=x";
const UNMET: &str = "driver step.unmet step=1 because=x";
const UNMET_IN_TIME: &str = "driver step.unmet step=1 because=x bound_ms=1000";
const DELAYED: &str = "system scheduling.delayed delay_us=500000";
const INTERRUPTED: &str = "driver signal.sent signal=INT target=loader";
const PROMPTED: &str = "driver host.prompted how=request";
const SERVER_KILLED: &str = "driver signal.sent signal=KILL target=server:s";
const OPENED_AGAIN: &str = "mock:s#1 connection.opened connection=c1.2";
const RESTING: &str = "system sample.taken label=idle window_us=500000 cpu_us=10000 threads=1 rss_kib=1";
const BUSY: &str = "system sample.taken label=idle window_us=500000 cpu_us=400000 threads=1 rss_kib=1";

const ELICITED: &str = r#"mock:s#1 wire.sent connection=c1.1 message={"jsonrpc":"2.0","id":0,"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{"name":{"type":"string","default":"x"},"note":{"type":"string"}}}}}"#;
const FILLED_IN: &str = r#"mock:s#1 wire.received connection=c1.1 message={"jsonrpc":"2.0","id":0,"result":{"action":"accept","content":{"name":"x"}}}"#;
const LEFT_OUT: &str = r#"mock:s#1 wire.received connection=c1.1 message={"jsonrpc":"2.0","id":0,"result":{"action":"accept","content":{"note":"y"}}}"#;
const DECLINED: &str =
    r#"mock:s#1 wire.received connection=c1.1 message={"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"no"}}"#;
const FAILED: &str =
    r#"mock:s#1 wire.sent connection=c1.1 message={"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"no"}}"#;
const STREAM_ENDED: &str = "mock:s#1 http.ended exchange=x5 how=by-client";
const STREAM_OVER: &str = "mock:s#1 http.ended exchange=x5 how=by-server";
const EXITING: &str = "system process.exiting pid=7 sockets=1";
const HELPER_EXITING: &str = "system process.exiting pid=8 sockets=0";
const SOCKET_CLOSED: &str = "mock:s#1 socket.closed socket=s1 how=by-client";
const SOCKET_BROKEN: &str = "mock:s#1 socket.closed socket=s1 how=broken";
const OTHER_OPENED: &str = "mock:s#1 session.opened connection=c1.2 session=a-2";
const ASKED_LATER: &str =
    "mock:s#1 http.received exchange=x9 socket=s9 verb=POST session=a-1 headers={\"accept\":\"*/*\"}";
const OTHER_CALL: &str = r#"mock:s#1 wire.received connection=c1.1 message={"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"add","arguments":{"a":2}}}"#;
const CALLED_AGAIN: &str = r#"mock:s#1 wire.received connection=c1.1 message={"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"add","arguments":{"a":1}}}"#;
const GIVEN_UP: &str = "mock:s#1 http.ended exchange=x3 how=by-client";
const CANCELLED: &str = r#"mock:s#1 wire.received connection=c1.1 message={"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#;
const STREAM_OF_CALL_ENDED: &str = "mock:s#1 http.answered exchange=x3 status=200 streams=true\n\
    #4 1000.000ms mock:s#1 http.ended exchange=x3 how=by-server";
const TAKEN_UP_LATE: &str = "#5 1500.000ms mock:s#1 http.received exchange=x6 socket=s6 verb=GET connection=c1.1 session=a-1 headers={\"last-event-id\":\"1\"}";
const TAKEN_UP_AT_ONCE: &str = "#5 1400.000ms mock:s#1 http.received exchange=x6 socket=s6 verb=GET connection=c1.1 session=a-1 headers={\"last-event-id\":\"1\"}";

fn header() -> Header {
    let exchange = ["initialize", "notifications/initialized", "tools/call"].map(str::to_owned);
    Header {
        transport: "http".to_owned(),
        promises: Promises::none(),
        host: Some(HostFacts { exchange: exchange.into(), retry_ms: Some(500), application: None }),
        ..Header::new("test")
    }
}

fn header_of_application() -> Header {
    let application = ApplicationFacts { same_servers: true, status: None };
    let server = ServerFacts { name: "s".to_owned(), script: "polite".to_owned() };
    let host = Some(HostFacts { application: Some(application), ..HostFacts::default() });
    Header { host, servers: vec![server], ..header() }
}

fn judge_cases(cases: &[Case], header: fn() -> Header) {
    for (index, (rule, expected, parts)) in cases.iter().enumerate() {
        let text = parts.join("\n") + "\ndriver plan.ended\n";
        let history = history_from_text(rule, header(), &text).unwrap_or_else(|error| panic!("case {index}: {error}"));
        let judgement = judge(&history);
        let finding = judgement.finding(rule).unwrap();
        assert_eq!(finding.verdict, *expected, "case {index} of {rule}: {}", finding.because);
        let needs_witness = matches!(finding.verdict, Verdict::Fail | Verdict::Warn);
        assert!(!needs_witness || !finding.witness.is_empty(), "case {index} of {rule} has no witness");
    }
}

#[test]
fn each_rule_holds_is_broken_and_is_vacuous() {
    judge_cases(CASES, header);
}

#[test]
fn applications_are_judged_by_what_they_can_know() {
    judge_cases(OF_APPLICATIONS, header_of_application);
}

#[test]
fn a_status_that_the_plan_expects_is_the_only_right_one() {
    for (code, expected) in [(3, Verdict::Pass), (0, Verdict::Fail)] {
        let mut header = header_of_application();
        let application = ApplicationFacts { same_servers: false, status: Some(3) };
        header.host.as_mut().unwrap().application = Some(application);
        let text = format!("system process.exited process=p1 role=loader code={code}\ndriver plan.ended\n");
        let judgement = judge(&history_from_text("status", header, &text).unwrap());
        assert_eq!(judgement.finding("ends-as-asked").unwrap().verdict, expected, "{code}");
    }
}

#[test]
fn every_rule_of_its_own_has_all_three_cases() {
    let own = HOST_RULES.iter().filter(|rule| INVARIANTS.iter().all(|one| one.id != rule.id));
    for rule in own {
        let of_it = |verdicts: &[Verdict]| {
            let mut cases = CASES.iter().chain(OF_APPLICATIONS);
            cases.any(|(id, expected, _)| *id == rule.id && verdicts.contains(expected))
        };
        assert!(of_it(&[Verdict::Pass]), "{} never holds", rule.id);
        assert!(of_it(&[Verdict::Fail, Verdict::Warn]), "{} is never broken", rule.id);
        assert!(of_it(&[Verdict::Vacuous]), "{} is never vacuous", rule.id);
    }
}

#[test]
fn a_life_as_it_should_be_breaks_no_rule() {
    let client = [OPENED, INITIALIZED, STREAM, CALLED, ANSWERED, STREAM_ENDED, DELETED, EXITING, EXITED];
    breaks_no_rule(header(), &client);
    breaks_no_rule(
        header_of_application(),
        &[OPENED, INITIALIZED, MET, STREAM, CALLED, ANSWERED, PROMPTED, RESTING, INTERRUPTED, DELETED, EXITING, EXITED],
    );
}

fn breaks_no_rule(header: Header, parts: &[&str]) {
    let text = parts.join("\n") + "\ndriver plan.ended\n";
    let judgement = judge(&history_from_text("life", header, &text).unwrap());
    let broken: Vec<_> =
        judgement.findings.iter().filter(|one| matches!(one.verdict, Verdict::Fail | Verdict::Warn)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}
