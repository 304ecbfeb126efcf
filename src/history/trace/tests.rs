use super::*;
use crate::history::history_to_text;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;

fn trace(lines: &[String]) -> History {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    read_trace("test.jsonl", &text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn line(fields: &str, message: &str) -> String {
    format!(r#"{{{fields},"message":{message}}}"#)
}

fn error(text: &str) -> String {
    read_trace("t", text).unwrap_err().to_string()
}

#[test]
fn a_trace_becomes_the_events_of_its_messages() {
    let history = trace(&[
        line(r#""direction":"client-to-server""#, PING),
        line(r#""direction":"server-to-client""#, r#"{"jsonrpc":"2.0","id":7,"result":{}}"#),
    ]);
    insta::assert_snapshot!(history_to_text(&history), @r###"
    #1 0.000ms mock:server#1 connection.opened connection=c1
    #2 0.000ms mock:server#1 wire.received connection=c1 message={"id":7,"jsonrpc":"2.0","method":"ping"}
    #3 0.000ms mock:server#1 wire.sent connection=c1 message={"id":7,"jsonrpc":"2.0","result":{}}
    #4 0.000ms recorder plan.ended
    "###);
    assert_eq!(history.header().origin, Origin::Trace { has_times: false, has_beginnings: false });
    assert_eq!(history.header().transport, UNKNOWN_TRANSPORT);
}

#[test]
fn directions_have_many_names() {
    let received =
        |fields: &str| matches!(trace(&[line(fields, PING)]).events()[1].kind, EventKind::WireReceived { .. });
    for fields in [
        r#""direction":"client-to-server""#,
        r#""direction":"client_to_server""#,
        r#""direction":"Client to Server""#,
        r#""direction":"client→server""#,
        r#""dir":"c2s""#,
        r#""from":"client""#,
        r#""direction":"out","side":"client""#,
        r#""direction":"incoming","side":"server""#,
        r#""dir":">>","side":"client""#,
    ] {
        assert!(received(fields), "{fields}");
    }
    for fields in [
        r#""direction":"server->client""#,
        r#""dir":"S2C""#,
        r#""from":"server""#,
        r#""direction":"recv","side":"client""#,
        r#""direction":"sent","side":"server""#,
    ] {
        assert!(!received(fields), "{fields}");
    }
}

#[test]
fn times_are_of_one_unit_or_none() {
    let times = |values: &[&str]| {
        let history =
            trace(&values.iter().map(|value| line(&format!(r#""direction":"c2s"{value}"#), PING)).collect::<Vec<_>>());
        let at_us: Vec<u64> = history.events()[1..=values.len()].iter().map(|event| event.at_us).collect();
        let Origin::Trace { has_times, .. } = history.header().origin else { unreachable!("a trace") };
        (at_us, has_times)
    };
    let of = |first: &str, second: &str| {
        let named = |value: &str| format!(r#","time":{value}"#);
        times(&[&named(first), &named(second)])
    };
    assert_eq!(of(r#""2026-02-28T23:59:59Z""#, r#""2026-03-01T01:00:00.25+01:00""#), (vec![0, 1_250_000], true));
    assert_eq!(of(r#""2024-02-28 00:00:00""#, r#""2024-03-01 00:00:00""#), (vec![0, 2 * 86_400_000_000], true));
    assert_eq!(of("1780000000", "1780000002"), (vec![0, 2_000_000], true));
    assert_eq!(of("1780000000000", "1780000000002"), (vec![0, 2_000], true));
    assert_eq!(of("0", "1.5"), (vec![0, 1_500_000], true));
    // Seconds or milliseconds: nothing says which.
    assert_eq!(of("0", "3"), (vec![0, 3_000], false));
    assert_eq!(of("5.5", "4.5"), (vec![0, 0], false));
    assert_eq!(times(&[r#","time_ms":10"#, r#","time_ms":12"#]), (vec![0, 2_000], true));
    assert_eq!(times(&[r#","time":1.5"#, ""]), (vec![0, 0], false));
}

#[test]
fn a_session_takes_over_the_connection_whose_initialize_opened_it() {
    let history = trace(&[
        line(r#""direction":"c2s","transport":"http""#, INITIALIZE),
        line(r#""direction":"s2c","session":"S1""#, ANSWER),
        line(r#""direction":"c2s","session":"S1""#, PING),
        line(r#""direction":"c2s""#, INITIALIZE),
        line(r#""direction":"s2c","session":"S2""#, ANSWER),
        line(r#""direction":"c2s","session":"S2""#, PING),
    ]);
    let connections: Vec<&str> = history
        .events()
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::WireReceived { connection, .. } | EventKind::WireSent { connection, .. } => {
                Some(connection.0.as_str())
            }
            _ => None,
        })
        .collect();
    assert_eq!(connections, ["c1", "c1", "c1", "c2", "c2", "c2"]);
    assert_eq!(history.header().origin, Origin::Trace { has_times: false, has_beginnings: true });
    assert_eq!(history.header().revision, "2025-06-18");
}

#[test]
fn the_same_connection_name_of_two_servers_is_two_connections() {
    let history = trace(&[
        line(r#""direction":"c2s","server":"a","connection":1"#, INITIALIZE),
        line(r#""direction":"c2s","server":"b","connection":1"#, INITIALIZE),
    ]);
    let opened: Vec<String> = history
        .events()
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::ConnectionOpened { connection } => Some(connection.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(opened, ["1", "b/1"]);
}

#[test]
fn a_line_that_is_not_as_it_must_be_says_where() {
    for (text, expected) in [
        ("", "t: found no message"),
        ("3\n", "t:1:1: found a value that is not a line of a trace"),
        ("\n{\"direction\":\n", "t:2:13: found text that is not JSON (EOF while parsing"),
        ("{}\n", "t:1:1: found no `direction`, expected client-to-server or server-to-client"),
        ("{\"direction\":\"up\"}\n", "t:1:2: found direction \"up\", expected client-to-server or server-to-client"),
        (
            "{\"direction\":\"out\"}\n",
            "t:1:2: found direction \"out\", expected client-to-server or server-to-client, or next to it a `side`",
        ),
        ("{\"direction\":\"c2s\"}\n", "t:1:1: found no `message`, expected a JSON-RPC message"),
        ("{\"direction\":\"c2s\",\"message\":3}\n", "t:1:20: found message 3, expected a JSON-RPC message"),
        ("{\"direction\":\"c2s\",\"message\":[]}\n", "t:1:20: found message [], expected a JSON-RPC message"),
        ("{\"direction\":\"c2s\",\"message\":\"{\"}\n", "t:1:20: found message with invalid JSON"),
        (
            "{\"direction\":\"c2s\",\"time\":\"soon\",\"message\":{}}\n",
            "t:1:20: found time \"soon\", expected RFC 3339",
        ),
        ("{\"direction\":\"c2s\",\"time\":-1,\"message\":{}}\n", "t:1:20: found time -1, expected RFC 3339"),
        (
            "{\"direction\":\"c2s\",\"transport\":\"tcp\",\"message\":{}}\n",
            "t:1:20: found transport \"tcp\", expected stdio, http or sse",
        ),
        (
            "{\"direction\":\"c2s\",\"server\":{},\"message\":{}}\n",
            "t:1:20: found server {}, expected a text or a number",
        ),
    ] {
        let found = error(text);
        assert!(found.starts_with(expected), "{text}\n expected {expected}\n found    {found}");
    }
}

#[test]
fn lines_of_several_connections_must_name_them() {
    let twice = [line(r#""direction":"c2s""#, INITIALIZE), line(r#""direction":"c2s""#, INITIALIZE)].join("\n") + "\n";
    assert!(error(&twice).starts_with("t:2:"), "{}", error(&twice));
    assert!(
        error(&twice).contains("a second initialize of server server after the one on line 1, expected `connection`")
    );
    let named = twice.replace(r#""c2s""#, r#""c2s","connection":"c""#);
    assert!(read_trace("t", &named).is_ok());
    let call = |name: &str| {
        let meta = format!(
            r#"{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"{name}"}}}}"#
        );
        line(
            r#""direction":"c2s""#,
            &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{meta}}}}}"#),
        )
    };
    let strangers = format!("{}\n{}\n", call("a"), call("b"));
    assert!(error(&strangers).contains("expected `connection` or `session`"), "{}", error(&strangers));
}

#[test]
fn a_last_line_without_its_end_is_truncated_evidence() {
    let whole = line(r#""direction":"c2s""#, PING);
    let history = read_trace("t", &format!("{whole}\n{}", &whole[..30])).unwrap();
    let kinds: Vec<&str> = history.events().iter().map(|event| event.kind.kind().name()).collect();
    assert_eq!(kinds, ["connection.opened", "wire.received", "evidence.truncated", "plan.ended"]);
    assert!(read_trace("t", &whole).is_ok(), "a whole last line needs no line end");
    assert!(error(&format!("{}\n{whole}\n", &whole[..30])).starts_with("t:1:"));
}

#[test]
fn a_trace_is_known_by_its_first_line() {
    assert!(is_trace(&format!("\n{}", line(r#""direction":"c2s""#, PING))));
    assert!(is_trace(r#"{"from":"client"}"#));
    for other in ["", "{}", "3", r#"{"schema":1,"plan":"p"}"#, r#"{"direction":"#] {
        assert!(!is_trace(other), "{other}");
    }
}
