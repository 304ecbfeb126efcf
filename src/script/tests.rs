//! Scripts are read, or refused with a position.

use proptest::prelude::*;

use crate::history::Impact;
use crate::plan::{Framing, ShutdownBehaviour, Transport};
use crate::script::{FAULTS, Misfit, Script, fault_info, framing_of, shipped, shipped_names};

fn read(text: &str) -> Result<Script, String> {
    Script::from_toml("s", "s.toml", text).map_err(|error| error.to_string())
}

fn rule(on: &str, actions: &str) -> String {
    format!("about = \"x\"\n[[rule]]\non = {on}\ndo = {actions}\n")
}

/// A tool that answers in a way of its own, behind a rule.
fn tool(name: &str) -> String {
    format!("[[tool]]\nname = \"{name}\"\nabout = \"x\"\nschema = {{}}\nanswer = {{ text = \"x\" }}\n")
}

#[test]
fn every_shipped_script_is_read_and_survives_the_link() {
    assert!(shipped_names().len() >= 11);
    for name in shipped_names() {
        let script = shipped(name).unwrap();
        assert_eq!(script.name(), name);
        for shutdown_behaviour in [ShutdownBehaviour::Polite, ShutdownBehaviour::Stubborn] {
            let script = script.clone().with(shutdown_behaviour);
            let text = serde_json::to_string(&script).unwrap();
            assert_eq!(serde_json::from_str::<Script>(&text).unwrap(), script, "{text}");
        }
        for fault in script.required_faults() {
            assert!(fault_info(&fault).is_some(), "{fault}");
        }
    }
}

#[test]
fn the_faults_an_experiment_needs_are_named_as_they_are_delivered() {
    assert_eq!(shipped("die-in-call").unwrap().required_faults(), ["hold:before-answer", "die:KILL"]);
    assert_eq!(shipped("stubborn").unwrap().required_faults(), Vec::<String>::new());
    assert_eq!(shipped("mute-initialize").unwrap().required_faults(), ["drop:initialize"]);
}

fn fits(script: &Script, transport: Transport) -> Result<(), Misfit> {
    script.fits(transport.home(), framing_of(transport, [script]))
}

#[test]
fn over_memory_the_scripts_of_all_servers_decide_what_carries() {
    let (any, http) = (shipped("polite").unwrap(), shipped("sse-answers").unwrap());
    let lines = shipped("stdout-closed-in-call").unwrap();
    assert_eq!(framing_of(Transport::Memory, [&any, &any]), Framing::Lines);
    assert_eq!(framing_of(Transport::Memory, [&any, &lines]), Framing::Lines);
    assert_eq!(framing_of(Transport::Memory, [&any, &http]), Framing::Http);
    // Both at once are refused, whichever is carried.
    let both = framing_of(Transport::Memory, [&lines, &http]);
    assert!([lines, http].iter().any(|script| script.fits(Transport::Memory.home(), both).is_err()));
}

#[test]
fn a_script_says_which_transports_it_fits() {
    let [stdio, http, sse, memory] = [Transport::Stdio, Transport::Http, Transport::Sse, Transport::Memory];
    for (name, fitting) in [
        ("polite", vec![stdio, http, sse, memory]),
        ("stubborn", vec![stdio, http, sse]),
        ("die-in-call", vec![stdio, http, sse, memory]),
        ("stdout-closed-in-call", vec![stdio, memory]),
        ("get-refused", vec![http, sse, memory]),
        ("session-expires-idle", vec![http, sse, memory]),
        ("sse-answers", vec![http, memory]),
        ("call-html", vec![http, memory]),
        ("delete-mute", vec![http, memory]),
    ] {
        let script = shipped(name).unwrap();
        for transport in [stdio, http, sse, memory] {
            assert_eq!(fits(&script, transport).is_ok(), fitting.contains(&transport), "{name} over {transport}");
        }
    }
    let ignores = read(&rule("{ eof = true }", "[\"ignore\"]")).unwrap();
    let because = |script: &Script, transport| fits(script, transport).unwrap_err().to_string();
    let over_http = because(&ignores, Transport::Http);
    assert_eq!(over_http, "script s needs lines over pipes: rule 1 has eof", "a rule that must act cannot");
    assert_eq!(because(&ignores, Transport::Memory), "script s needs a process of its own: rule 1 has ignore");
    let awaits = read(&rule("{ signal = \"HUP\" }", "[{ exit = 0 }]")).unwrap();
    assert_eq!(because(&awaits, Transport::Memory), "script s needs a process of its own: rule 1 has signal");
}

#[test]
fn what_happens_to_a_get_or_a_delete_impairs_no_answer() {
    let impairs = |name: &str| {
        let script = shipped(name).unwrap();
        let rule = &script.rules()[0];
        rule.actions.iter().find_map(|action| action.fault(&rule.on.when)).unwrap()
    };
    assert_eq!(impairs("get-refused"), ("status:get-405".to_owned(), Impact::Timing));
    assert_eq!(impairs("get-closed-at-once"), ("end-stream:get".to_owned(), Impact::Timing));
    assert_eq!(impairs("delete-mute"), ("drop:delete".to_owned(), Impact::Ending));
    assert_eq!(impairs("delete-refused"), ("status:delete-405".to_owned(), Impact::Ending));
    assert_eq!(impairs("mute-initialize"), ("drop:initialize".to_owned(), Impact::Answers));
}

#[test]
fn fault_ids_are_unique_and_kebab_case() {
    for (index, fault) in FAULTS.iter().enumerate() {
        assert!(FAULTS[..index].iter().all(|other| other.id != fault.id));
        assert!(fault.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{}", fault.id);
    }
}

#[test]
fn a_defective_script_is_refused_where_it_is_defective() {
    let call = "{ request = \"tools/call\" }";
    let cases = [
        (rule("{}", "[\"drop\"]"), "s.toml:3:6: found no trigger"),
        (rule("{ start = true, eof = true }", "[{ exit = 1 }]"), "s.toml:3:6: found both start and eof"),
        (rule("{ eof = false }", "[\"ignore\"]"), "s.toml:3:6: found eof = false"),
        (rule("{ request = \"ping\", nth = 0 }", "[\"drop\"]"), "s.toml:3:6: found nth = 0"),
        (rule("{ eof = true, nth = 2 }", "[\"ignore\"]"), "s.toml:3:6: found nth = 2 of eof"),
        (rule("{ request = \"notifications/x\" }", "[\"drop\"]"), "s.toml:3:6: found request"),
        (rule("{ notification = \"tools/call\" }", "[{ exit = 1 }]"), "s.toml:3:6: found notification"),
        (rule("{ request = \"ping\", tool = \"read\" }", "[\"drop\"]"), "s.toml:3:6: found tool together with request"),
        (rule("{ tool = \"wirte\" }", "[\"drop\"]"), "s.toml:3:6: found tool \"wirte\", which the script never"),
        (rule("{ signal = \"KILL\" }", "[\"ignore\"]"), "s.toml:3:6: found signal KILL as a trigger"),
        (rule("{ signal = \"SIGTERM\" }", "[\"ignore\"]"), "s.toml:3:17: found signal \"SIGTERM\""),
        (rule(call, "[]"), "s.toml:3:6: found no action"),
        (rule("{ start = true }", "[\"drop\"]"), "s.toml:4:7: found drop on start"),
        (rule(call, "[\"answer\", \"drop\"]"), "s.toml:4:17: found drop after answer"),
        (rule(call, "[\"close-stdout\", \"answer\"]"), "s.toml:4:23: found answer after close-stdout"),
        (rule(call, "[{ exit = 1 }, \"drop\"]"), "s.toml:4:21: found drop after exit"),
        (rule(call, "[\"ignore\"]"), "s.toml:4:7: found ignore on tools/call"),
        (rule("{ eof = true }", "[\"ignore\", { exit = 1 }]"), "s.toml:4:17: found exit after ignore"),
        (rule(call, "[{ delay = \"2m\" }]"), "s.toml:4:7: found a delay of 120000ms"),
        (rule(call, "[{ delay = \"soon\" }]"), "s.toml:4:7: found \"soon\", expected a duration"),
        (rule(call, "[{ hold = \"\" }]"), "s.toml:4:7: found an empty gate name"),
        (rule(call, "[{ noise = \"a\\nb\" }]"), "s.toml:4:7: found a noise line"),
        (rule(call, "[{ bytes = \"f\" }]"), "s.toml:4:7: found \"f\", expected pairs"),
        (rule(call, "[{ notify = \"ping\" }]"), "s.toml:4:7: found notification \"ping\""),
        (rule(call, "[{ tools = [\"a\", \"a\"] }]"), "s.toml:4:7: found tool \"a\" twice"),
        (rule(call, "[{ ask = \"notifications/x\" }]"), "s.toml:4:7: found request \"notifications/x\""),
        (rule(call, "[{ content-type = \"a\\nb\" }]"), "s.toml:4:7: found content type"),
        (rule(call, "[{ name-session = \"a b\" }]"), "s.toml:4:7: found session"),
        (rule(call, "[\"answer\", { name-session = \"a\" }]"), "s.toml:4:17: found name-session after the answer"),
        (rule(call, "[\"sse\", { name-session = \"a\" }]"), "s.toml:4:14: found name-session after sse"),
        (
            rule("{ request = \"initialize\" }", "[{ name-session = \"a\" }]"),
            "s.toml:4:7: found name-session on initialize",
        ),
        (rule(call, "[\"unknown-id\", \"answer\"]"), "s.toml:4:21: found answer after unknown-id"),
        (rule("{ start = true }", "[\"no-result\"]"), "s.toml:4:7: found no-result on start"),
        (rule(call, "[\"split\", { content-type = \"x\" }]"), "s.toml:4:16: found content-type after split"),
        (rule("{ get = false }", "[\"drop\"]"), "s.toml:3:6: found get = false"),
        (rule("{ request = \"ping\", connection = 0 }", "[\"drop\"]"), "s.toml:3:6: found connection = 0"),
        (rule(call, "[{ status = 200 }]"), "s.toml:4:7: found status 200, expected one from 400 to 599"),
        (rule("{ start = true }", "[{ status = 500 }]"), "s.toml:4:7: found status on start, which is not a request"),
        (rule(call, "[\"sse\", { status = 500 }]"), "s.toml:4:14: found status after sse"),
        (rule(call, "[\"answer\", \"sse\"]"), "s.toml:4:17: found sse after the answer"),
        (rule("{ get = true }", "[\"sse\"]"), "s.toml:4:7: found sse on get"),
        (rule("{ get = true }", "[\"duplicate\"]"), "s.toml:4:7: found duplicate on get"),
        (rule("{ get = true }", "[\"end-stream\"]"), "s.toml:4:7: found end-stream before the stream begins"),
        (rule("{ delete = true }", "[\"cut-stream\"]"), "s.toml:4:7: found cut-stream on delete, which has no stream"),
        (rule("{ notification = \"notifications/x\" }", "[\"drop\"]"), "s.toml:4:7: found drop on notifications/x"),
        (rule("{ request = \"initialize\" }", "[\"expire-session\"]"), "s.toml:4:7: found expire-session before"),
        (
            rule(call, "[\"close-stdout\"]") + "[[rule]]\non = { get = true }\ndo = [\"drop\"]\n",
            "s.toml:6:6: found get, which needs HTTP, together with close-stdout, which needs lines over pipes",
        ),
        (
            rule("{ request = \"tools/cal\" }", "[\"drop\"]"),
            "s.toml:3:6: found method \"tools/cal\", which no client sends: did you",
        ),
        (rule("{ gate = \"\" }", "[{ exit = 1 }]"), "s.toml:3:6: found an empty gate name"),
        (rule("{ get = true }", "[\"answer-on-return\"]"), "s.toml:4:7: found answer-on-return on get"),
        (rule(call, "[\"drop\"]") + &tool("read") + &tool("read"), "s.toml:10:1: found tool \"read\" twice"),
        (
            "tools = [\"read\"]\n".to_owned() + &rule(call, "[\"drop\"]") + &tool("write"),
            "s.toml:6:1: found tool \"write\", which",
        ),
        (rule("{ elapsed = \"61s\" }", "[{ exit = 1 }]"), "s.toml:3:6: found elapsed 61000ms"),
        (
            rule("{ request = \"initialize\", phase = \"before-initialize\" }", "[\"drop\"]"),
            "s.toml:3:6: found initialize in phase before-initialize, where it never happens",
        ),
        (rule("{ gate = \"g\", phase = \"after-initialize\" }", "[{ exit = 1 }]"), "s.toml:3:6: found gate-g in phase"),
        (rule("{ start = true, phase = \"soon\" }", "[{ exit = 1 }]"), "s.toml:3:30: unknown variant `soon`"),
        (rule("{ response = true }", "[\"drop\"]"), "s.toml:4:7: found drop on response, which is not a request"),
        (rule(call, "[{ pad = 67108865 }]"), "s.toml:4:7: found pad = 67108865, expected 1 to 67108864"),
        (rule(call, "[{ progress = 0 }]"), "s.toml:4:7: found progress = 0, expected 1 to"),
        (rule("{ start = true }", "[{ progress = 1 }]"), "s.toml:4:7: found progress on start, expected it on request"),
        (
            rule(call, "[\"echo-version\"]"),
            "s.toml:4:7: found echo-version on tools/call, expected it on request = \"init",
        ),
        (rule(call, "[{ redirect = 304 }]"), "s.toml:4:7: found status 304, expected one of 301"),
        (
            rule(call, "[{ event-id = \"a\\nb\" }]"),
            "s.toml:4:7: found event-id with \"a\\nb\", expected a text of one line",
        ),
        (rule(call, "[{ comments = 1 }, \"truncate-chunk\"]"), "s.toml:4:25: found truncate-chunk after sse"),
        (rule(call, "[\"freeze\", \"answer\"]"), "s.toml:4:17: found answer after freeze"),
        (rule(call, "[{ exit = 256 }]"), "s.toml:4:"),
        (rule(call, "[{ explode = 1 }]"), "s.toml:4:9: unknown variant `explode`"),
        (rule("{ when = 1 }", "[\"drop\"]"), "s.toml:3:8: unknown field `when`"),
        ("about = \"x\"\nrules = 1\n".to_owned(), "s.toml:2:1: unknown field `rules`"),
        ("about = \"x\"\ntools = [\"a\", \"a\"]\n".to_owned(), "s.toml:2:9: found tool \"a\" twice"),
        ("\n[[rule]]\n".to_owned(), "s.toml:2:1: missing field `on`"),
        ("about = \n".to_owned(), "s.toml:1:"),
        (
            rule("{ start = true }", "[{ exit = 1 }]") + "[[rule]]\non = { eof = true }\ndo = [\"ignore\"]\n",
            "s.toml:6:6: found a rule that never acts: the server has ended by then, because of rule 1",
        ),
        (
            rule(call, "[{ exit = 1 }]") + "[[rule]]\non = { request = \"tools/call\", nth = 2 }\ndo = [\"drop\"]\n",
            "s.toml:6:6: found a rule that never acts",
        ),
    ];
    for (text, expected) in cases {
        let found = read(&text).expect_err(&text);
        assert!(found.starts_with(expected), "found    {found}\nexpected {expected}\nin\n{text}");
    }
}

/// If the earlier rule ends the mock only in some cases, the later one may act in others.
#[test]
fn a_rule_behind_an_end_is_taken_where_it_can_act() {
    for (on, then) in [
        ("{ request = \"tools/call\", connection = 1 }", "{ request = \"tools/call\", connection = 2 }"),
        ("{ request = \"ping\", phase = \"before-initialize\" }", "{ request = \"ping\" }"),
    ] {
        read(&format!("{}[[rule]]\non = {then}\ndo = [\"drop\"]\n", rule(on, "[{ exit = 1 }]"))).unwrap();
    }
    let frozen = rule("{ start = true }", "[\"freeze\"]");
    read(&format!("{frozen}[[rule]]\non = {{ signal = \"TERM\" }}\ndo = [\"ignore\"]\n")).unwrap();
    read(&format!("{frozen}[[rule]]\non = {{ request = \"ping\" }}\ndo = [\"drop\"]\n")).unwrap_err();
    read(&format!("{frozen}[[rule]]\non = {{ start = true }}\ndo = [{{ exit = 1 }}]\n")).unwrap_err();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written, it is read or refused.
    #[test]
    fn any_text_is_a_script_or_refused(text in "[a-z={}\\[\\]\" \n]{0,80}") {
        let _ = read(&text);
        let _ = read(&rule(&format!("{{{text}}}"), &format!("[{text}]")));
    }
}

#[test]
fn a_gate_that_holds_nothing_need_not_be_opened() {
    for (on, actions, expected) in [
        ("{ start = true }", "[{ hold = \"a\" }, \"expire-session\", { hold = \"b\" }]", vec!["a"]),
        ("{ gate = \"x\" }", "[{ hold = \"a\" }]", vec![]),
        ("{ request = \"tools/call\" }", "[{ hold = \"a\" }]", vec!["a"]),
        ("{ request = \"tools/call\" }", "[\"answer\", { hold = \"a\" }]", vec!["a"]),
        ("{ eof = true }", "[{ hold = \"a\" }]", vec!["a"]),
    ] {
        let text = format!("about = \"x\"\n[[rule]]\non = {on}\ndo = {actions}\n");
        assert_eq!(Script::from_toml("s", "s.toml", &text).unwrap().gates(), expected, "{text}");
    }
}
