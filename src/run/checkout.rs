//! The user's own interpreter, versions or checkout, on which a shipped adapter runs in place of its locked packages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::catalogue::extract_python;
use crate::plan::{Descriptor, Lane};
use crate::run::RunError;
use crate::run::select::{Launch, Notify, program};
use crate::stack::{Overlay, PipSpec, SpecError, import_program, python_stack};

/// Suffix of the name of a loader that runs on the user's own interpreter.
pub const OWN_PYTHON: &str = "@python";
/// Suffix of the name of a loader that runs on the user's own modules.
pub const OWN_MODULES: &str = "@node-modules";
/// Suffix of the name of a stack with more packages installed over it.
pub const WITH: &str = "+with";
/// The variable that forbids every installation.
pub const OFFLINE: &str = "MCP_LIFECHECK_OFFLINE";

/// The packages that replace the locked ones. Empty by default. Applies to the shipped loaders of one lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkout {
    /// An interpreter with every package that the adapter imports, in place of a stack. Absolute, with the links of a virtual environment.
    pub python: Option<PathBuf>,
    /// Packages that pip installs over the stack.
    pub with: Vec<PipSpec>,
    /// A folder of Node packages, in place of a stack. Absolute.
    pub node_modules: Option<PathBuf>,
}

impl Checkout {
    /// Reads the arguments of the command line.
    ///
    /// # Errors
    /// `Usage` when a path does not exist, a spec is malformed, or two arguments contradict each other.
    pub fn new(
        python: Option<&Path>,
        with: Option<&[String]>,
        editable: &[String],
        node_modules: Option<&Path>,
    ) -> Result<Self, RunError> {
        let refused = |flag: &'static str| move |error: SpecError| RunError::usage(format!("{flag}: {error}"));
        let mut specs = Vec::new();
        for text in with.unwrap_or_default() {
            specs.push(PipSpec::parse(text).map_err(refused("--with"))?);
        }
        for path in editable {
            specs.push(PipSpec::editable(path.trim()).map_err(refused("--editable"))?);
        }
        if with.is_some() && specs.is_empty() {
            return Err(RunError::usage("found --with without a value, expected a package for pip to install"));
        }
        let given =
            [(python.is_some(), "--python"), (!specs.is_empty(), "--with"), (node_modules.is_some(), "--node-modules")];
        let given: Vec<_> = given.into_iter().filter(|(is_given, _)| *is_given).map(|(_, flag)| flag).collect();
        if let [one, other, ..] = given[..] {
            return Err(RunError::usage(format!("found {one} and {other}, expected one of them")));
        }
        Ok(Self {
            python: python.map(interpreter).transpose()?,
            with: specs,
            node_modules: node_modules.map(folder_of_modules).transpose()?,
        })
    }

    /// Whether the user replaces nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same, as arguments of the command line that work from any folder.
    pub fn words(&self) -> Vec<String> {
        let shown = |flag: &str, path: &Option<PathBuf>| {
            path.iter().flat_map(|path| [flag.to_owned(), path.display().to_string()]).collect::<Vec<_>>()
        };
        let mut words = shown("--python", &self.python);
        for spec in &self.with {
            match spec {
                PipSpec::Named(_) | PipSpec::Local(_) => words.push("--with".to_owned()),
                PipSpec::Editable(_) => {}
            }
            words.extend(spec.words());
        }
        words.extend(shown("--node-modules", &self.node_modules));
        words
    }

    /// Refuses a loader that cannot run on it.
    ///
    /// # Errors
    /// `Usage`, with what was found and what was expected.
    pub fn check(&self, descriptor: &Descriptor, is_shipped: bool) -> Result<(), RunError> {
        let (flag, lane, word) = match self {
            one if one.is_empty() => return Ok(()),
            Self { python: Some(_), .. } => ("--python", Lane::Python, "python"),
            Self { node_modules: Some(_), .. } => ("--node-modules", Lane::Node, "node"),
            Self { .. } => ("--with", Lane::Python, "python"),
        };
        if is_shipped && descriptor.lane == lane {
            return Ok(());
        }
        let kind = if is_shipped { "of another lane" } else { "described by a file, whose command is its own" };
        Err(RunError::usage(format!(
            "found {flag} for loader {:?}, which is {kind}; expected a shipped loader of lane {word} (see `mcp-lifecheck list loaders`)",
            descriptor.name
        )))
    }

    /// How a shipped Python loader is started on the user's own interpreter. The inner error says why that is impossible.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn own_python(
        descriptor: &Descriptor,
        interpreter: &Path,
        folder: &Path,
    ) -> Result<Result<Launch, String>, RunError> {
        let helper = extract_python()?.join("adapters").join("python").display().to_string();
        // The inherited path may lead to the user's checkout.
        let path = match std::env::var("PYTHONPATH") {
            Ok(inherited) if !inherited.is_empty() => format!("{helper}:{inherited}"),
            Ok(_) | Err(_) => helper,
        };
        Ok(started_by(descriptor, interpreter, folder, &path))
    }

    /// How a shipped Python loader is started on a stack with the specs installed over it.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn overlaid(
        &self,
        descriptor: &Descriptor,
        stack: &str,
        folder: &Path,
        notify: Notify<'_>,
    ) -> Result<Result<Launch, String>, RunError> {
        let helper = extract_python()?.join("adapters").join("python").display().to_string();
        let Some(base) = python_stack(stack) else {
            return Ok(Err(format!("found stack {stack:?}, expected a shipped one")));
        };
        let overlay = Overlay { base, specs: self.with.clone() };
        let installs = |words: &str| notify(format_args!("installing {words} over stack {stack}, into the cache"));
        match overlay.provision(std::env::var_os(OFFLINE).is_none(), &installs) {
            Ok(interpreter) => Ok(started_by(descriptor, &interpreter, folder, &helper)),
            Err(error) => Ok(Err(error.to_string())),
        }
    }
}

/// Starts a loader only if all its imports succeed. A missing package would look like a loader that never says hello.
fn started_by(descriptor: &Descriptor, interpreter: &Path, folder: &Path, path: &str) -> Result<Launch, String> {
    let file = descriptor.command.iter().find(|word| word.ends_with(".py"));
    if let Some(file) = file {
        import_program(interpreter, folder, file, path).map_err(|error| error.to_string())?;
    }
    let env = BTreeMap::from([("PYTHONPATH".to_owned(), path.to_owned())]);
    Ok(Launch::Program(program(descriptor, Some(folder), Some(interpreter), env)))
}

/// An interpreter, or that of a virtual environment. Links stay, because Python finds the environment by the place of its link.
fn interpreter(path: &Path) -> Result<PathBuf, RunError> {
    let failed = RunError::system(path.display().to_string());
    let path = std::path::absolute(path).map_err(failed)?;
    let path = if path.is_dir() { path.join("bin").join("python") } else { path };
    if path.is_file() {
        return Ok(path);
    }
    let shown = path.display();
    Err(RunError::usage(format!("--python: found no file {shown}, expected an interpreter or a virtual environment")))
}

fn folder_of_modules(path: &Path) -> Result<PathBuf, RunError> {
    match std::fs::canonicalize(path) {
        Ok(folder) if folder.is_dir() => Ok(folder),
        Ok(_) | Err(_) => {
            let shown = path.display();
            Err(RunError::usage(format!("--node-modules: found no folder {shown}, expected one of Node packages")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_asked_for_again_by_its_own_words() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pyproject.toml"), "").unwrap();
        let path = folder.path().canonicalize().unwrap().display().to_string();
        let with = ["mcp==1.29.0".to_owned(), path.clone()];
        let checkout = Checkout::new(None, Some(&with), std::slice::from_ref(&path), None).unwrap();
        assert_eq!(checkout.words(), ["--with", "mcp==1.29.0", "--with", &path, "-e", &path]);
        assert!(Checkout::new(None, Some(&[]), &[], None).is_err());
        assert!(Checkout::new(None, Some(&[]), std::slice::from_ref(&path), None).is_ok());
        let both = Checkout::new(None, Some(&with), &[], Some(folder.path())).unwrap_err();
        assert!(both.to_string().contains("--with and --node-modules"), "{both}");
    }
}
