//! Node stacks.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::stack::bounded::{Ended, heeding_lifeline, run_within};
use crate::stack::limits::{IMPORT, NODE, NPM};
use crate::stack::python::{Provisioned, StackError};
use crate::stack::site::{LOCKS, Site};

/// The oldest major version of Node that the helper runs on.
const OLDEST_MAJOR: u32 = 20;

/// Prints its version to where it is read.
const TELL_VERSION: &str = "process.stderr.write(process.versions.node)";

/// Imports what a `package.json`, its only argument, names, from the modules of its folder. What is missing is told in one line.
const IMPORT_ALL: &str = "Promise.all(JSON.parse(process.argv[1]).mcpLifecheck.imports.map((name) => import(name)))\
    .catch((error) => { console.error(String(error).split('\\n')[0]); process.exit(1); })";

/// Variables of the environment that change what a Node program imports or does.
pub const NODE_VARIABLES: [&str; 2] = ["NODE_OPTIONS", "NODE_PATH"];

/// A locked set of Node packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStack {
    /// Its name, such as `sdk-1.32`.
    pub name: &'static str,
    package: &'static str,
    lock: &'static str,
}

/// Every Node stack, by name.
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

/// The Node stack of that name.
#[must_use]
pub fn node_stack(name: &str) -> Option<NodeStack> {
    node_stacks().into_iter().find(|stack| stack.name == name)
}

/// The `node` of PATH, where it is new enough. Looked at once in the life of this process.
///
/// # Errors
/// `NoNode`, with what was found.
pub fn node() -> Result<PathBuf, StackError> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(look_for_node).clone().map_err(|because| StackError::NoNode { because })
}

fn look_for_node() -> Result<PathBuf, String> {
    let expected = format!("expected node {OLDEST_MAJOR} or newer in PATH");
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("node")).find(|file| file.is_file());
    let program = found.ok_or_else(|| format!("found none, {expected}"))?;
    let mut command = Command::new(&program);
    command.args(["-e", TELL_VERSION]);
    let version = match run_within(without_options(&mut command), NODE.default) {
        Ok(Ended::Itself(status, version)) if status.success() => version,
        Ok(Ended::Itself(status, _)) => return Err(format!("found one that ends with {status}, {expected}")),
        Ok(Ended::Killed) => return Err(format!("it told no version within limit {}, {expected}", NODE.name)),
        Err(error) => return Err(format!("found one that can not be run ({error}), {expected}")),
    };
    match version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= OLDEST_MAJOR => Ok(program),
        _ => Err(format!("found version {:?}, {expected}", version.chars().take(40).collect::<String>())),
    }
}

/// What runs the tool may point Node somewhere else; a stack is only what its lock says.
fn without_options(command: &mut Command) -> &mut Command {
    for name in NODE_VARIABLES {
        command.env_remove(name);
    }
    command
}

impl NodeStack {
    fn site(&self) -> Result<Site, StackError> {
        Site::of(self.name, &[self.package, self.lock])
    }

    /// Its `node_modules`, when it is installed.
    ///
    /// # Errors
    /// `NotInstalled`, or when there is no cache.
    pub fn modules(&self) -> Result<PathBuf, StackError> {
        let site = self.site()?;
        let modules = site.folder.join("node_modules");
        if site.is_complete() && modules.is_dir() {
            return Ok(modules);
        }
        Err(StackError::NotInstalled { name: self.name })
    }

    /// Imports the stack now.
    ///
    /// # Errors
    /// When there is no Node, or the stack is not installed or can not be imported.
    pub fn import(&self) -> Result<(), StackError> {
        let node = node()?;
        self.modules()?;
        self.import_with(&node)
    }

    fn import_with(&self, node: &Path) -> Result<(), StackError> {
        let site = self.site()?;
        let mut import = heeding_lifeline(node, &["-e", IMPORT_ALL, self.package]);
        site.run("import", IMPORT, without_options(&mut import).current_dir(&site.folder))
    }

    /// Imports what the stack imports, from other modules: those that a file in `folder` finds.
    ///
    /// # Errors
    /// When there is no Node, or something can not be imported.
    pub fn import_from(&self, folder: &Path) -> Result<(), StackError> {
        let mut import = heeding_lifeline(&node()?, &["-e", IMPORT_ALL, self.package]);
        self.site()?.run("import", IMPORT, import.current_dir(folder))
    }

    /// Installs the stack from its lock, with hashes and without resolution or scripts, and imports it.
    ///
    /// # Errors
    /// With the step that failed and the end of what it printed.
    pub fn provision(&self) -> Result<Provisioned, StackError> {
        let node = node()?;
        self.site()?.provision(|| self.modules().is_ok(), |folder| self.install(&node, folder))
    }

    fn install(&self, node: &Path, folder: &Path) -> Result<(), StackError> {
        let site = self.site()?;
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text);
        write("package.json", self.package).map_err(|source| site.failed(source))?;
        write("package-lock.json", self.lock).map_err(|source| site.failed(source))?;
        npm_ci(&site, folder)?;
        self.import_with(node)
    }
}

/// Installs what the lock in a folder says, with hashes and without resolution or scripts.
pub(super) fn npm_ci(site: &Site, folder: &Path) -> Result<(), StackError> {
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--loglevel=error"];
    let mut npm = heeding_lifeline(Path::new("npm"), &arguments);
    site.run("npm ci", NPM, without_options(&mut npm).current_dir(folder))
}
