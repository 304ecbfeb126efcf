//! How a loader of the Node lane is started.

use std::collections::BTreeMap;
use std::path::Path;

use crate::catalogue::{extract_node, extract_node_helper};
use crate::drive::LoaderLaunch;
use crate::plan::Descriptor;
use crate::run::RunError;
use crate::run::select::Launch;
use crate::stack::{NODE_VARIABLES, StackError, node, node_stack};

/// The variable with the URL of the helper's file, for a user's loader that has not installed the helper as a package.
const HELPER_VARIABLE: &str = "MCP_LIFECHECK_ADAPTER";

/// How a Node loader is started. The inner error says why that is impossible here.
///
/// A shipped one runs from its own folder next to the modules of its stack, or next to `node_modules`, those of the user's
/// checkout. One of the user's (`folder` is that of its description) runs where it is.
pub fn node_launch(
    descriptor: &Descriptor,
    stack: Option<&str>,
    folder: Option<&Path>,
    node_modules: Option<&Path>,
) -> Result<Result<Launch, String>, RunError> {
    let node = match node() {
        Ok(node) => node,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let modules = match (node_modules, stack) {
        (Some(modules), _) => {
            let modules = modules.canonicalize().map_err(RunError::system(modules.display().to_string()))?;
            Some(modules)
        }
        (None, None) => None,
        (None, Some(name)) => {
            let Some(stack) = node_stack(name) else {
                return Ok(Err(format!("found stack {name:?}, expected a shipped one")));
            };
            match stack.modules() {
                Ok(modules) => Some(modules),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
    };
    let own = folder.map(|folder| folder.join("node_modules"));
    let (directory, modules) = match (folder, modules) {
        (None, Some(modules)) => (Some(extract_node(&modules)?), Some(modules)),
        (folder, modules) => (folder.map(Path::to_path_buf), modules.or(own)),
    };
    let fill = |word: &String| {
        let word = word.replace("{node}", &node.display().to_string());
        modules.iter().fold(word, |word, modules| word.replace("{modules}", &modules.display().to_string()))
    };
    let command = descriptor.command.iter().map(fill).collect();
    let helper = format!("file://{}", extract_node_helper()?.display());
    let mut env = BTreeMap::from([(HELPER_VARIABLE.to_owned(), helper)]);
    if stack.is_some() {
        // Inherited variables must not change a stack. Node ignores empty ones.
        env.extend(NODE_VARIABLES.map(|name| (name.to_owned(), String::new())));
    }
    Ok(Ok(Launch::Program(LoaderLaunch { command, directory, env })))
}

/// How a shipped Node loader is started on the modules of the user's checkout. The inner error says why that is impossible, for
/// example because a package of its stack is missing there.
pub fn own_modules_launch(
    descriptor: &Descriptor,
    stack: Option<&str>,
    modules: &Path,
) -> Result<Result<Launch, String>, RunError> {
    let launch = match node_launch(descriptor, None, None, Some(modules))? {
        Ok(Launch::Program(launch)) => launch,
        other => return Ok(other),
    };
    if let (Some(stack), Some(folder)) = (stack.and_then(node_stack), &launch.directory)
        && let Err(error) = stack.import_from(folder)
    {
        return Ok(Err(format!("{}: {}", modules.display(), because(&error))));
    }
    Ok(Ok(Launch::Program(launch)))
}

/// The output of a failed import. It leaves out the stack, because the loader runs on the user's modules.
fn because(error: &StackError) -> String {
    match error {
        StackError::Step { step, output, .. } => format!("{step} failed: {output}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::shipped_loader;

    #[test]
    fn a_shipped_loader_runs_beside_the_modules_of_a_checkout() {
        if node().is_err() {
            eprintln!("UNAVAILABLE: a checkout of a Node package was not tested: no node");
            return;
        }
        let descriptor = shipped_loader("typescript-sdk").unwrap().unwrap();
        let launch = |modules: &Path| node_launch(&descriptor, None, None, Some(modules));
        let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let folders = [&one, &other].map(|modules| {
            let Launch::Program(launch) = launch(modules.path()).unwrap().unwrap() else { panic!("a program") };
            assert!(launch.command[0].ends_with("/node"), "{:?}", launch.command);
            assert!(launch.env.keys().eq([HELPER_VARIABLE]), "a checkout keeps what is inherited");
            let folder = launch.directory.unwrap();
            assert_eq!(folder.join("node_modules").canonicalize().unwrap(), modules.path().canonicalize().unwrap());
            for file in ["typescript_sdk.mjs", "clients.mjs", "mcp_lifecheck_adapter.mjs", "package.json"] {
                assert!(folder.join(file).is_file(), "{file}");
            }
            folder
        });
        assert_ne!(folders[0], folders[1], "two checkouts at once do not share a folder");
        for folder in folders {
            std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
        }
        assert!(launch(Path::new("/there/is/no/such/folder")).is_err());
    }
}
