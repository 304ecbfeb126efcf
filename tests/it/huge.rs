//! Histories that are too large, too deep or too many: `check` judges or refuses each within bounds of time and memory.

use std::fmt::Write;
use std::time::Duration;

use crate::rig::{LIFECHECK, Ran, Rig};

/// Bound on one judgement. An idle machine takes a tenth of it.
const LIMIT: Duration = Duration::from_secs(120);
/// Bound on the address space of one judgement, in KiB.
const MEMORY_KIB: u64 = 1_500_000;

fn check(name: &str, text: &str) -> Ran {
    let rig = Rig::new();
    let file = rig.file(name, text);
    let bounded = format!("ulimit -v {MEMORY_KIB}; exec \"$0\" \"$@\"");
    let command = rig.program("/bin/sh", &["-c", &bounded, LIFECHECK, "check", file.to_str().unwrap()]);
    let ran = rig.finish_within(command, LIMIT);
    assert!(!ran.stderr.contains("panicked"), "{name}: {}", ran.stderr);
    ran
}

const SESSIONS: usize = 100_000;

#[test]
fn a_hundred_thousand_sessions_are_judged() {
    let mut text = String::new();
    for session in 0..SESSIONS {
        let head = format!("{{\"connection\":{session},\"direction\":");
        writeln!(text, "{head}\"c2s\",\"message\":{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{{}},\"clientInfo\":{{\"name\":\"c\",\"version\":\"1\"}}}}}}}}").unwrap();
        writeln!(text, "{head}\"s2c\",\"message\":{{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{{}}}}}}}}").unwrap();
    }
    let ran = check("sessions.jsonl", &text);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("sessions.jsonl: pass"), "{}", ran.stdout);
}

#[test]
fn ids_of_a_megabyte_are_judged_and_not_printed_whole() {
    let id = "x".repeat(1 << 20);
    let mut text = String::new();
    for _ in 0..20 {
        writeln!(text, "{{\"direction\":\"c2s\",\"transport\":\"stdio\",\"message\":{{\"jsonrpc\":\"2.0\",\"id\":\"{id}\",\"method\":\"ping\"}}}}").unwrap();
        writeln!(text, "{{\"direction\":\"s2c\",\"message\":{{\"jsonrpc\":\"2.0\",\"id\":\"{id}\",\"result\":{{}}}}}}")
            .unwrap();
    }
    let ran = check("ids.jsonl", &text);
    assert!(ran.code == 0 || ran.code == 1, "{}", ran.stderr);
    assert!(ran.stdout.len() < 64 << 10, "{} bytes of text", ran.stdout.len());
}

#[test]
fn json_that_is_too_deep_is_refused_with_its_place() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = format!(
        "{{\"direction\":\"c2s\",\"message\":{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{deep}}}}}\n"
    );
    let ran = check("deep.jsonl", &text);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("deep.jsonl:1:"), "{}", ran.stderr);
    assert!(ran.stderr.len() < 1_000, "{} bytes of text", ran.stderr.len());
}

#[test]
fn one_line_without_an_end_is_truncated_evidence() {
    let line = "{\"direction\":\"c2s\",\"message\":{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}}\n";
    let text = format!("{line}{{\"direction\":\"c2s\",\"message\":{{\"text\":\"{}", "x".repeat(4 << 20));
    let ran = check("cut.jsonl", &text);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("line 2, the last one, has no end"), "{}", ran.stdout);
}
