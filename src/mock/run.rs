//! A mock in a process of its own, over the transport that its arguments name.

use std::process::ExitCode;

use crate::mock::JOURNAL_LOST_CODE;
use crate::mock::arguments::{DriverKind, LinkedArgs, MockError, StandaloneArgs};
use crate::mock::http::{HttpTransport, run_linked_http, run_standalone_http};
use crate::mock::own_process::complain;
use crate::mock::stdio::{run_linked_stdio, run_standalone_stdio};

/// Exit code of a mock that cannot listen at the address that its arguments name.
const USAGE_CODE: u8 = 2;

/// Connects to the recorder, gets the script from it and serves. A mock without a link ends with [`JOURNAL_LOST_CODE`].
pub fn run_linked(args: &LinkedArgs) -> ExitCode {
    let ran = match args.driver {
        DriverKind::Stdio => run_linked_stdio(args),
        DriverKind::Http => run_linked_http(args, HttpTransport::Streamable),
        DriverKind::Sse => run_linked_http(args, HttpTransport::Sse),
    };
    match ran {
        Ok(code) => code.into(),
        Err(error) => {
            complain(&error.to_string());
            JOURNAL_LOST_CODE.into()
        }
    }
}

/// Serves a script without a recorder, with a journal in a file or none.
pub fn run_standalone(driver: DriverKind, args: &StandaloneArgs) -> ExitCode {
    let ran = match driver {
        DriverKind::Stdio => run_standalone_stdio(args),
        DriverKind::Http => run_standalone_http(args, HttpTransport::Streamable),
        DriverKind::Sse => run_standalone_http(args, HttpTransport::Sse),
    };
    match ran {
        Ok(code) => code.into(),
        Err(error) => {
            complain(&error.to_string());
            match error {
                MockError::NotLoopback(_) | MockError::Listen { .. } => USAGE_CODE.into(),
                MockError::Dial(_) | MockError::Welcome(_) | MockError::Journal(_) => JOURNAL_LOST_CODE.into(),
                MockError::Lost(_) | MockError::Setup(_) => JOURNAL_LOST_CODE.into(),
            }
        }
    }
}
