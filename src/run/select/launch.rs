//! How a loader of each lane is started.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::catalogue::extract_python;
use crate::drive::LoaderLaunch;
use crate::plan::{Descriptor, InputError, Lane};
use crate::run::RunError;
use crate::run::node::node_launch;
use crate::run::select::target::Launch;
use crate::stack::{StackError, python_stack};

/// How a loader is started. The inner error says why that is impossible here.
pub(super) fn launch(
    descriptor: &Descriptor,
    stack: Option<&str>,
    folder: Option<&Path>,
    file: Option<&Path>,
) -> Result<Result<Launch, String>, RunError> {
    match descriptor.lane {
        Lane::Rust => Ok(Ok(Launch::PlanProcess(descriptor.name.clone()))),
        Lane::Python => python_launch(descriptor, stack, folder),
        Lane::Node => node_launch(descriptor, stack, folder, None),
        Lane::Command => command_launch(descriptor, folder, file),
    }
}

/// A program that speaks the adapter protocol. One that is named by its path must be there; one in PATH may be missing on this machine.
fn command_launch(
    descriptor: &Descriptor,
    folder: Option<&Path>,
    file: Option<&Path>,
) -> Result<Result<Launch, String>, RunError> {
    let word = descriptor.command.first().map(String::as_str).unwrap_or_default();
    if find_program(word, folder).is_some() {
        return Ok(Ok(Launch::Program(program(descriptor, folder, None, BTreeMap::new()))));
    }
    if !word.contains('/') {
        return Ok(Err(format!("found no program {word:?} in PATH, expected one that can be run")));
    }
    let file = file.map_or_else(|| descriptor.name.clone(), |file| file.display().to_string());
    let path = folder.map_or_else(|| PathBuf::from(word), |folder| folder.join(word));
    let message = format!("found no program {}, expected one that can be run: see `command`", path.display());
    Err(InputError::whole(&file, message).into())
}

/// The program that a word of a command names: a path, from `folder` if it is relative, or a name in PATH. None if no file there can be
/// run.
pub fn find_program(word: &str, folder: Option<&Path>) -> Option<PathBuf> {
    let is_program =
        |path: &PathBuf| path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if word.contains('/') {
        let path = folder.map_or_else(|| PathBuf::from(word), |folder| folder.join(word));
        return Some(path).filter(is_program);
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).map(|folder| folder.join(word)).find(is_program)
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
