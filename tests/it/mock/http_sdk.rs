//! The Python SDK as a client of the mock over HTTP: what a real client takes without complaint.

use std::path::Path;
use std::process::Command;

use mcp_vigil::mock::CarrierKind;
use mcp_vigil::script::shipped;
use mcp_vigil::stack::python_stack;
use serde_json::json;

use crate::lanes::unavailable;
use crate::mock::http_client::Mock;

/// How often each of these occurs in the journal of a life.
const OCCURS: [&str; 4] = ["GET", "DELETE", "session.opened", "session.closed by-client"];

#[test]
fn the_python_sdk_lives_a_whole_life_without_complaint() {
    lives_over(CarrierKind::Http, [1, 1, 1, 1]);
}

#[test]
fn the_python_sdk_lives_a_whole_life_over_sse_without_complaint() {
    lives_over(CarrierKind::Sse, [1, 0, 1, 1]);
}

fn lives_over(carrier: CarrierKind, expected: [usize; 4]) {
    for name in ["mcp-1.30", "mcp-1.13"] {
        let interpreter = match python_stack(name).unwrap().interpreter() {
            Ok(interpreter) => interpreter,
            Err(error) => {
                unavailable(name, &error.to_string());
                continue;
            }
        };
        let mock = Mock::over(carrier, &shipped("tools-that-change").unwrap(), json!({}));
        let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/mock/http_sdk.py");
        let url = format!("http://{}{}", mock.host, mock.path);
        let ran = Command::new(interpreter).arg(client).args([carrier.name(), &url]).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert_eq!((stdout.trim(), ran.status.code()), ("no complaint", Some(0)), "{name}: {stderr}");
        mock.home.wait_for_short("session.closed by-client");
        let journal = mock.home.journal();
        let n_of = |words: &str| journal.iter().filter(|event| event.contains(words)).count();
        assert_eq!(OCCURS.map(n_of), expected, "{journal:#?}");
        assert!(journal.iter().filter(|event| event.starts_with("http.answered")).all(|event| event.contains(" 20")));
    }
}
