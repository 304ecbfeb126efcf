//! The early entry: a test binary that links the library is its own helper process, before libtest's main runs.

use std::process::{Command, Stdio};

#[test]
fn this_test_binary_is_a_supervisor_when_it_is_asked_to_be() {
    let me = std::env::current_exe().unwrap();
    let output = Command::new(me).arg("__supervise").stdin(Stdio::piped()).output().unwrap();
    // Its stdin ends before a launch line came. libtest would have printed to stdout, the protocol channel.
    assert_eq!(output.stdout, b"");
    assert!(String::from_utf8_lossy(&output.stderr).contains("supervisor: found no launch line"));
    assert_eq!(output.status.code(), Some(70));
}
