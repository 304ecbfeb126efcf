//! Stacks of Node packages.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::stack::error::{Provisioned, StackError};
use crate::stack::folder::{LOCKS, StackFolder};
use crate::stack::limits::{IMPORT, NODE, NPM};
use crate::stack::run_with_timeout::{Ended, run_with_timeout, watching_lifeline};

/// The oldest major version of Node that the adapter helper supports.
const OLDEST_MAJOR: u32 = 20;

/// Prints Node's version to stderr, which the caller reads.
const PRINT_VERSION: &str = "process.stderr.write(process.versions.node)";

/// Imports every package that a `package.json` lists, from the modules of the working directory. The argument is the
/// text of the `package.json`. Prints the first error on one line.
const IMPORT_ALL: &str = "Promise.all(JSON.parse(process.argv[1]).mcpLifecheck.imports.map((name) => import(name)))\
    .catch((error) => { console.error(String(error).split('\\n')[0]); process.exit(1); })";

/// Environment variables that change how a Node program behaves or imports.
pub const NODE_VARIABLES: [&str; 2] = ["NODE_OPTIONS", "NODE_PATH"];

/// A locked set of Node packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStack {
    /// Name of the stack, such as `sdk-1.32`.
    pub name: &'static str,
    package: &'static str,
    lock: &'static str,
}

/// Every Node stack, sorted by name.
#[must_use]
pub fn node_stacks() -> Vec<NodeStack> {
    let stack = |folder: &'static include_dir::Dir<'static>| {
        let text = |file: &str| folder.get_file(folder.path().join(file))?.contents_utf8();
        let name = folder.path().file_name()?.to_str()?;
        Some(NodeStack { name, package: text("package.json")?, lock: text("package-lock.json")? })
    };
    let mut stacks: Vec<_> = LOCKS.dirs().filter_map(stack).collect();
    stacks.sort_by_key(|stack| stack.name);
    stacks
}

/// The Node stack of this name.
#[must_use]
pub fn node_stack(name: &str) -> Option<NodeStack> {
    node_stacks().into_iter().find(|stack| stack.name == name)
}

/// The `node` from PATH, if it is new enough. Searched once per process.
///
/// # Errors
/// `NoNode`, with the reason.
pub fn node() -> Result<PathBuf, StackError> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(find_node).clone().map_err(|because| StackError::NoNode { because })
}

fn find_node() -> Result<PathBuf, String> {
    let expected = format!("expected node {OLDEST_MAJOR} or newer in PATH");
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("node")).find(|file| file.is_file());
    let program = found.ok_or_else(|| format!("found none, {expected}"))?;
    let mut command = Command::new(&program);
    command.args(["-e", PRINT_VERSION]);
    let version = match run_with_timeout(without_options(&mut command), NODE.default) {
        Ok(Ended::ByItself(status, version)) if status.success() => version,
        Ok(Ended::ByItself(status, _)) => return Err(format!("found a node that ends with {status}, {expected}")),
        Ok(Ended::Interrupted) => return Err("the search was interrupted".to_owned()),
        Ok(Ended::Killed) => return Err(format!("node printed no version within limit {}, {expected}", NODE.name)),
        Err(error) => return Err(format!("cannot run node ({error}), {expected}")),
    };
    match version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= OLDEST_MAJOR => Ok(program),
        _ => Err(format!("found version {:?}, {expected}", version.chars().take(40).collect::<String>())),
    }
}

/// Removes variables of the caller's environment that could redirect Node. A stack must contain only what its lock
/// lists.
fn without_options(command: &mut Command) -> &mut Command {
    for name in NODE_VARIABLES {
        command.env_remove(name);
    }
    command
}

impl NodeStack {
    fn folder(&self) -> Result<StackFolder, StackError> {
        StackFolder::of(self.name, &[self.package, self.lock])
    }

    /// Its `node_modules`, if it is installed.
    ///
    /// # Errors
    /// `NotInstalled`, or when there is no cache.
    pub fn modules(&self) -> Result<PathBuf, StackError> {
        let stack_folder = self.folder()?;
        let modules = stack_folder.path.join("node_modules");
        if stack_folder.is_complete() && modules.is_dir() {
            return Ok(modules);
        }
        Err(StackError::NotInstalled { name: self.name })
    }

    /// Imports the stack now.
    ///
    /// # Errors
    /// When Node is missing, or the stack is not installed or fails to import.
    pub fn import(&self) -> Result<(), StackError> {
        let node = node()?;
        self.modules()?;
        self.import_with(&node)
    }

    fn import_with(&self, node: &Path) -> Result<(), StackError> {
        let stack_folder = self.folder()?;
        let mut import = watching_lifeline(node, &["-e", IMPORT_ALL, self.package]);
        stack_folder.run("import", IMPORT, without_options(&mut import).current_dir(&stack_folder.path))
    }

    /// Imports the stack's packages from the modules that a file in `folder` finds.
    ///
    /// # Errors
    /// When Node is missing or an import fails.
    pub fn import_from(&self, folder: &Path) -> Result<(), StackError> {
        let mut import = watching_lifeline(&node()?, &["-e", IMPORT_ALL, self.package]);
        self.folder()?.run("import", IMPORT, import.current_dir(folder))
    }

    /// Installs the stack from its lock and imports it. Checks hashes; resolves no versions and runs no scripts.
    ///
    /// # Errors
    /// With the step that failed and the end of its output.
    pub fn provision(&self) -> Result<Provisioned, StackError> {
        let node = node()?;
        self.folder()?.provision(|| self.modules().is_ok(), |folder| self.install(&node, folder))
    }

    /// Installs the stack again, because it fails its import.
    ///
    /// # Errors
    /// With the step that failed and the end of its output.
    pub fn rebuild(&self) -> Result<Provisioned, StackError> {
        let node = node()?;
        self.folder()?.rebuild(|| self.import(), |folder| self.install(&node, folder))
    }

    fn install(&self, node: &Path, folder: &Path) -> Result<(), StackError> {
        let stack_folder = self.folder()?;
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text);
        write("package.json", self.package).map_err(|source| stack_folder.failed(source))?;
        write("package-lock.json", self.lock).map_err(|source| stack_folder.failed(source))?;
        npm_ci(&stack_folder, folder)?;
        self.import_with(node)
    }
}

/// Installs the lock in a folder. Checks hashes; resolves no versions and runs no scripts.
pub(super) fn npm_ci(stack_folder: &StackFolder, folder: &Path) -> Result<(), StackError> {
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--loglevel=error"];
    let mut npm = watching_lifeline(Path::new("npm"), &arguments);
    stack_folder.run("npm ci", NPM, without_options(&mut npm).current_dir(folder))
}
