//! Reading inverts printing, for every kind of event and in both written forms.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn name() -> impl Strategy<Value = String> + Clone {
    "[a-z][a-z0-9-]{0,8}"
}

/// Any text that a person, a program or a broken server may write, including line ends and quotes.
fn text() -> impl Strategy<Value = String> + Clone {
    prop_oneof!["\\PC{0,12}", Just("true".to_owned()), Just("a=b \"c\"\n#1 \u{2028}".to_owned()), Just(String::new())]
}

fn names() -> impl Strategy<Value = Vec<String>> + Clone {
    prop::collection::vec(text(), 0..3)
}

fn context() -> impl Strategy<Value = Context> {
    (any::<u32>(), any::<Option<u32>>(), any::<Option<u32>>()).prop_map(|(thread, runtime, task)| Context {
        thread,
        runtime,
        task,
    })
}

fn message() -> impl Strategy<Value = Message> {
    let id = prop_oneof![any::<i64>().prop_map(Value::from), text().prop_map(Value::from), Just(Value::Null)];
    (id, text(), names()).prop_flat_map(|(id, method, list)| {
        prop_oneof![
            Just(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"names": list}})),
            Just(json!([{"id": id, "result": {}}, {"method": method}])),
            Just(json!({"id": id, "error": {"code": -32601, "message": method}})),
        ]
        .prop_map(Message::new)
    })
}

fn code() -> impl Strategy<Value = Vec<CodeLine>> {
    let line = (text(), any::<u32>(), prop::option::of(text()));
    prop::collection::vec(line.prop_map(|(file, line, function)| CodeLine { file, line, function }), 0..3)
}

fn waiting() -> impl Strategy<Value = Vec<WaitingCode>> {
    prop::collection::vec((operation(), code()).prop_map(|(operation, code)| WaitingCode { operation, code }), 0..2)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let tool = (text(), text()).prop_map(|(server, name)| Tool { server, name });
    let errors = prop::collection::btree_map(text(), text(), 0..3);
    prop_oneof![
        (prop::collection::vec(tool, 0..3), errors, prop::option::of(text()))
            .prop_map(|(tools, errors, text)| Outcome::Ok { tools, errors, text }),
        (text(), text(), code()).prop_map(|(kind, message, code)| Outcome::Failed(Failure { kind, message, code })),
        Just(Outcome::Cancelled),
    ]
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(values.to_vec())
}

fn action() -> impl Strategy<Value = Action> {
    use Action::{Call, Close, Collect, List, Load, Probe, Reload, Rerun};
    one_of(&[Load, Rerun, Reload, List, Call, Close, Collect, Probe])
}

fn channel() -> impl Strategy<Value = Channel> {
    one_of(&[
        Channel::LoopExceptionHandler,
        Channel::UnraisableHook,
        Channel::ThreadExceptionHook,
        Channel::UncaughtException,
        Channel::UnhandledRejection,
        Channel::Panic,
        Channel::Stderr,
    ])
}

fn peer() -> impl Strategy<Value = LinkPeer> {
    prop_oneof![
        Just(LinkPeer::Adapter),
        (name(), any::<u32>()).prop_map(|(server, incarnation)| LinkPeer::Mock { server, incarnation })
    ]
}

fn server_end() -> impl Strategy<Value = ServerEnd> {
    prop_oneof![
        text().prop_map(ServerEnd::Signal),
        one_of(&[ServerEnd::Eof, ServerEnd::Script, ServerEnd::BrokenPipe, ServerEnd::MaxLife])
    ]
}

fn connection() -> impl Strategy<Value = ConnectionId> + Clone {
    text().prop_map(|id| ConnectionId(id.into()))
}

fn session() -> impl Strategy<Value = SessionId> + Clone {
    text().prop_map(|id| SessionId(id.into()))
}

fn socket() -> impl Strategy<Value = SocketId> + Clone {
    text().prop_map(|id| SocketId(id.into()))
}

fn exchange() -> impl Strategy<Value = ExchangeId> + Clone {
    text().prop_map(|id| ExchangeId(id.into()))
}

fn wire_end() -> impl Strategy<Value = WireEnd> {
    one_of(&[WireEnd::ByClient, WireEnd::ByServer, WireEnd::Broken])
}

fn operation() -> impl Strategy<Value = OpId> + Clone {
    any::<u32>().prop_map(OpId)
}

fn process() -> impl Strategy<Value = ProcessId> + Clone {
    text().prop_map(|id| ProcessId(id.into()))
}

fn counts() -> impl Strategy<Value = BTreeMap<String, u32>> {
    prop::collection::btree_map(text(), any::<u32>(), 0..3)
}

macro_rules! kinds {
    ($($variant:ident { $($field:ident : $strategy:expr),* $(,)? })*) => {
        vec![$(
            (Kind::$variant, ($($strategy,)* Just(()),).prop_map(|($($field,)* (),)| EventKind::$variant { $($field),* }).boxed()),
        )*]
    };
}

/// Events of the driver.
fn driver_kinds() -> Vec<(Kind, BoxedStrategy<EventKind>)> {
    kinds! {
        StepBegan { step: any::<u32>(), about: text() }
        StepSkipped { step: any::<u32>(), because: text() }
        StepMet { step: any::<u32>(), saw: text() }
        StepUnmet { step: any::<u32>(), because: text(), bound_ms: any::<Option<u64>>() }
        HostPrompted { how: text() }
        OperationInvoked {
            operation: operation(),
            action: action(),
            place: prop::option::of(text()),
            server: prop::option::of(text()),
            tool: prop::option::of(text()),
            servers: names(),
            changed: names(),
        }
        CancelRequested { operation: operation() }
        CancelDelivered { operation: operation(), delivered: any::<bool>() }
        OperationOverdue { operation: operation(), limit: text(), bound_ms: any::<u64>() }
        OperationAbandoned { operation: operation(), because: text() }
        ContextEnded { place: text() }
        ContextOverdue { place: text(), limit: text(), bound_ms: any::<u64>() }
        GateOpened { gate: text() }
        SignalSent { signal: text(), target: text() }
        ExitRequested {}
        IdleBegan {}
        GraceBegan { after: text() }
        GraceExpired { after: text() }
        ExperimentFailed { because: text() }
        EvidenceTruncated { what: text(), because: text() }
        FaultUndelivered { server: text(), fault: text() }
        PlanNotApplicable { because: text() }
        PlanEnded {}
    }
}

/// Events of the loader and the mocks.
fn loader_and_mock_kinds() -> Vec<(Kind, BoxedStrategy<EventKind>)> {
    kinds! {
        LoaderReady {
            adapter: text(),
            language: text(),
            operations: names(),
            observes: names(),
            unobservable: prop::collection::btree_map(text(), text(), 0..3),
        }
        OperationStarted { operation: operation(), context: context() }
        OperationCompleted { operation: operation(), outcome: outcome() }
        ScopeEntered {
            scope: text().prop_map(|id| ScopeId(id.into())),
            name: text(),
            parent: prop::option::of(text().prop_map(|id| ScopeId(id.into()))),
            form: one_of(&[ScopeForm::TaskBound, ScopeForm::ContextManager]),
            context: context(),
            code: code(),
        }
        ScopeLeft {
            scope: text().prop_map(|id| ScopeId(id.into())),
            context: context(),
            how: one_of(&[Leaving::Explicit, Leaving::Finaliser, Leaving::LoopEnd]),
            code: code(),
        }
        ErrorReported { channel: channel(), text: text(), code: code() }
        StacksTaken { of: text(), text: text(), operations: waiting() }
        MockStarted { script: text(), pid: any::<Option<u32>>() }
        ConnectionOpened { connection: connection() }
        ConnectionClosed {
            connection: connection(),
            how: wire_end(),
        }
        WireReceived { connection: connection(), message: message() }
        WireSent { connection: connection(), message: message() }
        WireRepeated { connection: connection(), name: text() }
        WireNoise { connection: connection(), bytes: any::<u64>(), head: text() }
        WireEof { connection: connection() }
        SignalReceived { signal: text() }
        FaultDelivered {
            fault: text(),
            impairs: one_of(&[Impact::Nothing, Impact::Timing, Impact::Answers, Impact::Connection, Impact::Ending]),
        }
        GateReached { gate: text() }
        MockListening { url: text() }
        SocketOpened { socket: socket() }
        SocketClosed { socket: socket(), how: wire_end() }
        HttpReceived {
            exchange: exchange(),
            socket: socket(),
            verb: text(),
            connection: prop::option::of(connection()),
            session: prop::option::of(session()),
            path: prop::option::of(text()),
            query: prop::option::of(text()),
            headers: prop::collection::btree_map(text(), text(), 0..3),
            pipelined: any::<bool>(),
            message: prop::option::of(message().prop_map(Box::new)),
        }
        HttpStray {
            exchange: exchange(),
            socket: socket(),
            verb: text(),
            path: text(),
            query: prop::option::of(text()),
            session: prop::option::of(session()),
            headers: prop::collection::btree_map(text(), text(), 0..3),
            message: prop::option::of(message()),
        }
        HttpAnswered { exchange: exchange(), status: any::<u16>(), streams: any::<bool>() }
        HttpEnded { exchange: exchange(), how: wire_end() }
        StreamEvent { exchange: exchange(), id: prop::option::of(text()), retry_ms: any::<Option<u64>>() }
        SessionOpened { connection: connection(), session: session() }
        SessionClosed { connection: connection(), session: session(), how: wire_end() }
        MockEnding { how: server_end() }
    }
}

/// Events of the recorder and the supervisor.
fn system_kinds() -> Vec<(Kind, BoxedStrategy<EventKind>)> {
    kinds! {
        LinkOpened { peer: peer() }
        LinkClosed { peer: peer(), farewell: any::<bool>() }
        LinkRefused { because: text() }
        ProcessStarted { process: process(), role: text(), pid: any::<Option<u32>>(), command: prop::option::of(text()) }
        ProcessExited {
            process: process(),
            role: text(),
            code: any::<Option<i32>>(),
            signal: prop::option::of(text()),
            waited_us: any::<Option<u64>>(),
        }
        ProcessOrphan { process: process(), role: text(), pid: any::<Option<u32>>(), command: prop::option::of(text()) }
        ProcessLeft { process: process(), role: text() }
        ProcessZombie { process: process(), role: text() }
        SampleTaken {
            label: text(),
            window_us: any::<u64>(),
            cpu_us: any::<u64>(),
            runnable_us: any::<u64>(),
            waited_us: any::<Option<u64>>(),
            threads: any::<u32>(),
            fds: counts(),
            rss_kib: any::<u64>(),
        }
        SchedulingDelayed { delay_us: any::<u64>() }
        LimitHit { limit: text(), because: text() }
        ProcessExiting { pid: any::<u32>(), sockets: any::<u32>() }
    }
}

fn every_kind() -> Vec<(Kind, BoxedStrategy<EventKind>)> {
    [driver_kinds(), loader_and_mock_kinds(), system_kinds()].concat()
}

fn event() -> impl Strategy<Value = Event> {
    let source = prop_oneof![
        one_of(&[Source::Driver, Source::Loader, Source::System, Source::Recorder]),
        (name(), any::<u32>()).prop_map(|(server, incarnation)| Source::Mock { server, incarnation })
    ];
    let kind = prop::strategy::Union::new(every_kind().into_iter().map(|(_, strategy)| strategy));
    (any::<u64>(), any::<u64>(), source, kind).prop_map(|(seq, at_us, source, kind)| Event {
        seq: Seq(seq),
        at_us,
        source,
        kind,
    })
}

#[test]
fn no_kind_is_forgotten_here() {
    let tried: BTreeSet<Kind> = every_kind().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(tried, Kind::ALL.iter().copied().collect());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_line_of_text_reads_back_as_the_event_it_was(event in event()) {
        let line = event_to_text(&event);
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(event_from_text("test", 1, &line, Seq(0), 0).unwrap(), event);
    }

    #[test]
    fn a_line_of_json_reads_back_as_the_event_it_was(mut event in event()) {
        event.seq = Seq(1);
        let header = serde_json::to_string(&Header::new("test")).unwrap();
        let line = event_to_line(&event);
        prop_assert!(!line.contains('\n'));
        let history = read_history("test", &format!("{header}\n{line}\n")).unwrap();
        prop_assert_eq!(history.events(), &[event]);
    }

    #[test]
    fn no_line_of_text_panics(line in "\\PC{0,60}") {
        let _ = event_from_text("test", 1, &line, Seq(1), 0);
        let _ = event_from_text("test", 1, &format!("#1 18446744073709551615.999ms {line}"), Seq(1), 0);
    }
}

#[test]
fn the_order_of_the_fields_of_a_line_does_not_matter() {
    let header = serde_json::to_string(&Header::new("test")).unwrap();
    let read = |line: &str| read_history("test", &format!("{header}\n{line}\n")).unwrap().events().to_vec();
    let written = read(r#"{"seq":1,"at_us":2,"source":"driver","kind":"gate.opened","gate":"a"}"#);
    assert_eq!(read(r#"{"gate":"a","kind":"gate.opened","source":"driver","at_us":2,"seq":1}"#), written);
    assert_eq!(read(r#"{"seq":1,"at_us":2,"source":"\u0064river","kind":"gate.\u006fpened","gate":"a"}"#), written);
}

#[test]
fn a_defect_in_a_line_says_what_was_found_and_what_was_expected() {
    let error = |line: &str| event_from_text("h.txt", 3, line, Seq(1), 0).unwrap_err().to_string();
    insta::assert_snapshot!(error("#x driver plan.ended"), @"h.txt:3: found #x, expected a number after #");
    insta::assert_snapshot!(error("driver"), @"h.txt:3: expected SOURCE KIND field=value …");
    insta::assert_snapshot!(error("driver plan.ended x"), @r#"h.txt:3: found "x", expected field=value"#);
    insta::assert_snapshot!(error("driver step.began step="), @"h.txt:3: found no value, expected a bare word or JSON");
    insta::assert_snapshot!(
        error("stranger plan.ended"),
        @r#"h.txt:3: found source "stranger", expected driver, loader, system, recorder or mock:NAME#N"#
    );
}

#[test]
fn a_defect_in_a_file_says_what_was_found_and_what_was_expected() {
    let header = serde_json::to_string(&Header::new("test")).unwrap();
    let error = |line: &str| read_history("h.jsonl", &format!("{header}\n{line}\n")).unwrap_err().to_string();
    insta::assert_snapshot!(error(r#"{"seq":1}"#), @"h.jsonl:2: found no `at_us`, expected a whole number from 0");
    insta::assert_snapshot!(error(r#"{"seq":-1}"#), @"h.jsonl:2: found seq -1, expected a whole number from 0");
    insta::assert_snapshot!(
        error(r#"{"seq":1,"at_us":1}"#),
        @"h.jsonl:2: found no `source`, expected the reporter of the event"
    );
    insta::assert_snapshot!(
        error(r#"{"seq":1,"at_us":1,"source":7}"#),
        @"h.jsonl:2: found source 7, expected a string"
    );
}
