//! The I/O drivers of mocks in processes of their own, over the transport that the arguments name.

use std::process::ExitCode;

use crate::mock::JOURNAL_LOST_CODE;
use crate::mock::arguments::{DriverKind, LinkedArgs, MockError, StandaloneArgs};
use crate::mock::http::{HttpTransport, run_linked_http, run_standalone_http};
use crate::mock::own_process::complain;
use crate::mock::stdio::{run_linked_stdio, run_standalone_stdio};

/// Exit code of a mock that cannot listen at the address that its arguments name.
const USAGE_CODE: u8 = 2;

/// The function that runs a mock to its end and returns its exit code.
struct Driver {
    /// With a recorder.
    linked: fn(&LinkedArgs) -> Result<u8, MockError>,
    /// With a journal in a file, or none.
    standalone: fn(&StandaloneArgs) -> Result<u8, MockError>,
}

/// The table of drivers.
fn driver(kind: DriverKind) -> Driver {
    match kind {
        DriverKind::Stdio => Driver { linked: run_linked_stdio, standalone: run_standalone_stdio },
        DriverKind::Http => Driver {
            linked: |args| run_linked_http(args, HttpTransport::Streamable),
            standalone: |args| run_standalone_http(args, HttpTransport::Streamable),
        },
        DriverKind::Sse => Driver {
            linked: |args| run_linked_http(args, HttpTransport::Sse),
            standalone: |args| run_standalone_http(args, HttpTransport::Sse),
        },
    }
}

/// Connects to the recorder, gets the script from it and serves. A mock without a link ends with [`JOURNAL_LOST_CODE`].
pub fn run_linked(args: &LinkedArgs) -> ExitCode {
    match (driver(args.driver).linked)(args) {
        Ok(code) => code.into(),
        Err(error) => {
            complain(&error.to_string());
            JOURNAL_LOST_CODE.into()
        }
    }
}

/// Serves a script without a recorder, with a journal in a file or none.
pub fn run_standalone(kind: DriverKind, args: &StandaloneArgs) -> ExitCode {
    match (driver(kind).standalone)(args) {
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
