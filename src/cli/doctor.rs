//! `mcp-vigil doctor`: which lanes and stacks this machine can run, and why not.

use std::path::Path;

use crate::cli::args::DoctorArgs;
use crate::cli::print::say;
use crate::plan::Feature;
use crate::run::{ExitReason, RunError};
use crate::stack::{Browser, BrowserError, Provisioned, PythonStack, StackError, python_stacks};

/// Shows every lane; installs missing stacks where that is asked for.
pub(super) fn doctor(arguments: &DoctorArgs) -> Result<ExitReason, RunError> {
    say("lane rust      available")?;
    let reqwest = Feature::RmcpReqwest;
    let built = if reqwest.is_built() { "available" } else { "UNAVAILABLE: this executable was built without it" };
    say(&format!("lane rust      feature {} {built}", reqwest.name()))?;
    let mut all_available = true;
    for stack in python_stacks() {
        let state = match examine(&stack, arguments.provision) {
            Ok(state) => state.to_owned(),
            Err(error) => {
                all_available = false;
                format!("UNAVAILABLE: {error}")
            }
        };
        say(&format!("lane python    stack {:<14} {state}", stack.name))?;
    }
    say("lane node      UNAVAILABLE: it is not part of this build")?;
    match examine_browser(arguments.provision) {
        Ok(found) => say(&format!("lane browser   {found}"))?,
        Err(error) => {
            all_available = false;
            say(&format!("lane browser   UNAVAILABLE: {error}"))?;
        }
    }
    let children = Path::new("/proc/self/task").join(std::process::id().to_string()).join("children");
    let table = if children.exists() { "by children lists" } else { "UNAVAILABLE: the kernel keeps no children lists" };
    say(&format!("process table  {table}"))?;
    say("replay         order through gates; a real or foreign plan repeats its order, not its instruction timing")?;
    let failed = arguments.provision && !all_available;
    Ok(if failed { ExitReason::Inconclusive } else { ExitReason::Conforms })
}

fn examine(stack: &PythonStack, provision: bool) -> Result<&'static str, StackError> {
    let provisioned = if provision { stack.provision()? } else { Provisioned::Already };
    stack.import()?;
    Ok(match provisioned {
        Provisioned::Already => "available",
        Provisioned::Now => "available, installed now",
    })
}

/// The browser that was found, once it has been started and ended.
fn examine_browser(provision: bool) -> Result<String, BrowserError> {
    let browser = if provision { Browser::provision()?.0 } else { Browser::find()? };
    Ok(format!("{}, version {}", browser.program().display(), browser.version()?))
}
