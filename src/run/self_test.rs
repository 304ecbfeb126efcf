//! From a loader to the self-test of its adapter.

use std::collections::BTreeMap;

use crate::drive::LoaderLaunch;
use crate::life::RunEnvironment;
use crate::loader::registered::is_built;
use crate::plan::{Limits, Revision, Transport};
use crate::run::select::{Launch, Target};
use crate::run::{RunError, RunFolder};
use crate::selftest::{SelfTestInput, SelfTestTransport};

/// The input of the self-test of a loader's adapter. The inner error says why the test is impossible here.
///
/// # Errors
/// When the folder of the test cannot be made.
pub fn self_test_input(
    target: &Target,
    limits: &Limits,
    environment: &RunEnvironment,
    folder: &RunFolder,
) -> Result<Result<SelfTestInput, String>, RunError> {
    let launch = match &target.launch {
        Err(because) => return Ok(Err(because.clone())),
        Ok(Launch::Program(launch)) => launch.clone(),
        Ok(Launch::PlanProcess(name)) => {
            let executable = environment.executable.display().to_string();
            let command = vec![executable, "__plan".to_owned(), name.clone(), Revision::NEWEST_HANDSHAKE.to_string()];
            LoaderLaunch { command, directory: None, env: BTreeMap::new() }
        }
    };
    let transports: Vec<_> = target.descriptor.transports.iter().filter_map(|one| over(target, *one)).collect();
    if transports.is_empty() {
        return Ok(Err("none of its transports reaches a server that is a process".to_owned()));
    }
    let directory = folder.plan_folder(&target.name).map_err(RunError::system(target.name.clone()))?;
    Ok(Ok(SelfTestInput { launch, transports, limits: limits.clone(), directory }))
}

/// A transport that the self-test covers. It leaves out those whose servers live in the tested process.
fn over(target: &Target, transport: Transport) -> Option<SelfTestTransport> {
    if !transport.home().has_process() || target.descriptor.lacking(transport, is_built).is_some() {
        return None;
    }
    let promises = target.descriptor.promises(target.stack.as_deref(), transport.as_str());
    Some(SelfTestTransport { transport, closes_servers: promises.closes_servers })
}
