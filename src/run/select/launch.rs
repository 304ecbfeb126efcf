//! How a loader of each lane is started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::catalogue::extract_python;
use crate::drive::LoaderLaunch;
use crate::plan::{Descriptor, Lane};
use crate::run::RunError;
use crate::run::node::node_launch;
use crate::run::select::target::Launch;
use crate::stack::{StackError, python_stack};

/// How a loader is started. The inner error says why that is impossible here.
pub(super) fn launch(
    descriptor: &Descriptor,
    stack: Option<&str>,
    folder: Option<&Path>,
) -> Result<Result<Launch, String>, RunError> {
    match descriptor.lane {
        Lane::Rust => Ok(Ok(Launch::PlanProcess(descriptor.name.clone()))),
        Lane::Python => python_launch(descriptor, stack, folder),
        Lane::Node => node_launch(descriptor, stack, folder, None),
        Lane::Command => Ok(Ok(Launch::Program(program(descriptor, folder, None, BTreeMap::new())))),
    }
}

fn python_launch(
    descriptor: &Descriptor,
    stack: Option<&str>,
    folder: Option<&Path>,
) -> Result<Result<Launch, String>, RunError> {
    let interpreter = match stack {
        Some(name) => match python_stack(name) {
            Some(stack) => stack.interpreter().map_err(|error: StackError| error.to_string()),
            None => Err(format!("found stack {name:?}, expected a shipped one")),
        },
        None => Ok(PathBuf::from("python3")),
    };
    let helper = extract_python()?.join("adapters").join("python");
    let env = BTreeMap::from([("PYTHONPATH".to_owned(), helper.display().to_string())]);
    Ok(interpreter.map(|interpreter| Launch::Program(program(descriptor, folder, Some(&interpreter), env))))
}

pub(in crate::run) fn program(
    descriptor: &Descriptor,
    folder: Option<&Path>,
    interpreter: Option<&Path>,
    env: BTreeMap<String, String>,
) -> LoaderLaunch {
    let fill = |word: &String| match interpreter {
        Some(interpreter) => word.replace("{python}", &interpreter.display().to_string()),
        None => word.clone(),
    };
    let command = descriptor.command.iter().map(fill).collect();
    LoaderLaunch { command, directory: folder.map(Path::to_path_buf), env }
}
