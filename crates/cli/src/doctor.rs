//! `mcp-lifecheck doctor`: shows which lanes and stacks this machine can run, and why it cannot run the others.

mod adapter;

use std::os::fd::OwnedFd;
use std::path::Path;

use mcp_lifecheck::loader::registered::is_built;
use mcp_lifecheck::plan::Feature;
use mcp_lifecheck::run::{ExitReason, RunError, interrupting_signals};
use mcp_lifecheck::selftest::adapter_schema;
use mcp_lifecheck::simulate::ReplayStrength;
use mcp_lifecheck::stack::{Browser, BrowserError, Provisioned, Stack, StackError, is_interrupted, watch_interruption};

use crate::args::DoctorArgs;
use crate::print::say;

/// Shows every lane, and installs missing stacks on request; or tests an adapter. `parent` becomes readable when the parent process
/// ends.
pub(crate) fn doctor(arguments: &DoctorArgs, parent: Option<OwnedFd>) -> Result<ExitReason, RunError> {
    if arguments.adapter_schema {
        say(&format!("{:#}", adapter_schema()))?;
        return Ok(ExitReason::Conforms);
    }
    if let Some(name) = &arguments.adapter {
        return adapter::test_adapter(name, arguments, parent);
    }
    if arguments.provision {
        watch_interruption(&interrupting_signals()).map_err(RunError::system("signals cannot be caught"))?;
    }
    say("lane rust      available")?;
    let reqwest = Feature::RmcpReqwest;
    let built = if is_built(reqwest) { "available" } else { "UNAVAILABLE: this executable was built without it" };
    say(&format!("lane rust      feature {} {built}", reqwest.name()))?;
    let mut all_available = true;
    for stack in Stack::all() {
        let state = match examine(&stack, arguments.provision) {
            Ok(state) => state.to_owned(),
            Err(StackError::Interrupted { .. }) => return Err(RunError::Interrupted),
            Err(error) => {
                all_available = false;
                format!("UNAVAILABLE: {error}")
            }
        };
        say(&format!("lane {:<9} stack {:<14} {state}", stack.lane(), stack.name()))?;
    }
    if is_interrupted() {
        return Err(RunError::Interrupted);
    }
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
    say("replay         repeats the steps and gates of a plan in their order, not the exact times")?;
    say(&format!("simulated tier {}", ReplayStrength::of_this_build()))?;
    let failed = arguments.provision && !all_available;
    Ok(if failed { ExitReason::Inconclusive } else { ExitReason::Conforms })
}

fn examine(stack: &Stack, provision: bool) -> Result<&'static str, StackError> {
    let provisioned = if provision { stack.provision()? } else { Provisioned::Already };
    let provisioned = match stack.import() {
        Err(StackError::Damaged { .. }) if provision => stack.rebuild()?,
        imported => imported.map(|()| provisioned)?,
    };
    Ok(match provisioned {
        Provisioned::Already => "available",
        Provisioned::Now => "available, installed now",
        Provisioned::Again => "available, damaged before and installed again now",
    })
}

/// Finds the browser, and starts and ends it once.
fn examine_browser(provision: bool) -> Result<String, BrowserError> {
    let browser = if provision { Browser::provision()?.0 } else { Browser::find()? };
    Ok(format!("{}, version {}", browser.program().display(), browser.version()?))
}
