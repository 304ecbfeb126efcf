//! From names and files of loaders to targets.

use std::path::{Path, PathBuf};

use crate::catalogue::{LoaderName, extract_python, shipped_loader, shipped_loaders};
use crate::loader::registered::is_built;
use crate::plan::{Descriptor, Lane, Transport, did_you_mean, read_text};
use crate::run::RunError;
use crate::run::checkout::{Checkout, OFFLINE, OWN_MODULES, OWN_PYTHON, WITH};
use crate::run::node::own_modules_launch;
use crate::run::select::launch::launch;
use crate::run::select::names::{is_file_name, same_name};
use crate::run::select::target::{Notify, Target};
use crate::stack::{Stack, StackError, is_interrupted};

/// Loaders by name or file, each on its selected or installed stacks, or on the user's own checkout.
pub fn targets(names: &[String], checkout: &Checkout, notify: Notify<'_>) -> Result<Vec<Target>, RunError> {
    let mut found: Vec<Target> = Vec::new();
    for name in names {
        let more = match is_file_name(name) {
            true => file_targets(Path::new(name), checkout)?,
            false => shipped_targets(name, checkout, notify)?,
        };
        for target in more {
            match found.iter().find(|other| other.name == target.name) {
                None => found.push(target),
                Some(other) if other.file == target.file => {}
                Some(other) => return Err(same_name("loader", &target.name, other.file.clone(), target.file)),
            }
        }
    }
    Ok(found)
}

/// Every shipped loader that is not broken on purpose and whose lane is available. `notify` receives the others.
pub fn available_targets(notify: Notify<'_>) -> Result<Vec<Target>, RunError> {
    let is_meant = |loader: &Descriptor| loader.adapter || loader.known.must_fail.is_empty();
    let names: Vec<_> = shipped_loaders()?.into_iter().filter(is_meant).map(|loader| loader.name).collect();
    let mut available = targets(&names, &Checkout::default(), notify)?;
    available.retain_mut(|Target { name, launch, descriptor, .. }| {
        if let Err(because) = launch {
            notify(format_args!("UNAVAILABLE {name}: {because}"));
        }
        for transport in Transport::ALL {
            if let Some(because) = descriptor.lacking(transport, is_built) {
                notify(format_args!("UNAVAILABLE {name} over {transport}: {because}"));
                descriptor.transports.retain(|one| *one != transport);
            }
        }
        launch.is_ok()
    });
    Ok(available)
}

/// The two loaders of a comparison.
#[derive(Debug, Clone)]
pub struct Versus {
    pub of: String,
    pub against: String,
}

/// Adds the loader of `--against`.
pub fn versus(found: &mut Vec<Target>, against: &str, notify: Notify<'_>) -> Result<Versus, RunError> {
    let [of] = found.as_slice() else {
        return Err(not_one("--loader", found));
    };
    let more = targets(&[against.to_owned()], &Checkout::default(), notify)?;
    let [other] = more.as_slice() else {
        return Err(not_one("--against", &more));
    };
    if other.name == of.name {
        let message = format!("found loader {:?} compared with itself, expected another one", of.name);
        return Err(RunError::usage(message));
    }
    let versus = Versus { of: of.name.clone(), against: other.name.clone() };
    found.extend(more);
    Ok(versus)
}

fn not_one(what: &str, found: &[Target]) -> RunError {
    let names: Vec<_> = found.iter().map(|target| target.name.as_str()).collect();
    RunError::usage(format!("found {} for {what}, expected one loader to compare: name its stack", names.join(" and ")))
}

fn shipped_targets(text: &str, checkout: &Checkout, notify: Notify<'_>) -> Result<Vec<Target>, RunError> {
    let name = LoaderName::parse(text);
    let Some(descriptor) = shipped_loader(&name.name)? else {
        let known: Vec<_> = shipped_loaders()?.into_iter().map(|loader| loader.name).collect();
        let near = did_you_mean(&name.name, &known);
        let known = known.join(", ");
        let message = format!("found loader {text:?}, expected a description file or one of {known}{near}");
        return Err(RunError::usage(message));
    };
    checkout.check(&descriptor, true)?;
    if !checkout.is_empty() {
        return Ok(vec![on_checkout(&descriptor, name.stack, checkout, notify)?]);
    }
    let folder = match descriptor.lane {
        Lane::Python => {
            provision_first(&descriptor, name.stack.as_deref(), notify);
            Some(shipped_folder()?)
        }
        Lane::Node => {
            provision_first(&descriptor, name.stack.as_deref(), notify);
            None
        }
        Lane::Rust | Lane::Command => None,
    };
    on_stacks(&descriptor, name.stack, folder.as_deref(), None)
}

/// A shipped loader on the user's own checkout: one target, with the promises of the named stack or of the newest one.
fn on_checkout(
    descriptor: &Descriptor,
    stack: Option<String>,
    checkout: &Checkout,
    notify: Notify<'_>,
) -> Result<Target, RunError> {
    check_stack(descriptor, stack.as_deref())?;
    // The description lists stacks from the oldest to the newest.
    let stack = stack.or_else(|| descriptor.stacks.last().cloned());
    let (suffix, launch) = match (checkout, &stack) {
        (Checkout { python: Some(interpreter), .. }, _) => {
            (OWN_PYTHON.to_owned(), Checkout::own_python(descriptor, interpreter, &shipped_folder()?)?)
        }
        (Checkout { node_modules: Some(modules), .. }, _) => {
            (OWN_MODULES.to_owned(), own_modules_launch(descriptor, stack.as_deref(), modules)?)
        }
        (_, Some(stack)) => {
            provision_first(descriptor, Some(stack), notify);
            (format!("@{stack}{WITH}"), checkout.overlaid(descriptor, stack, &shipped_folder()?, notify)?)
        }
        (_, None) => {
            let message = format!("found --with, expected a loader with stacks: {:?} has none", descriptor.name);
            return Err(RunError::usage(message));
        }
    };
    let name = format!("{}{suffix}", descriptor.name);
    Ok(Target { name, descriptor: descriptor.clone(), stack, file: None, checkout: checkout.words(), launch })
}

/// The folder with the files of shipped Python loaders.
fn shipped_folder() -> Result<PathBuf, RunError> {
    Ok(extract_python()?.join("loaders").join("python"))
}

/// Installs the stacks of a named loader if none of them is installed yet. Does nothing if `MCP_LIFECHECK_OFFLINE` is set.
fn provision_first(descriptor: &Descriptor, wanted: Option<&str>, notify: Notify<'_>) {
    let is_wanted = |stack: &&String| wanted.is_none_or(|wanted| *stack == wanted);
    let stacks: Vec<_> = descriptor.stacks.iter().filter(is_wanted).filter_map(|name| Stack::named(name)).collect();
    let is_first_time = stacks.iter().all(|stack| !stack.is_installed());
    if !is_first_time || std::env::var_os(OFFLINE).is_some() {
        return;
    }
    for stack in stacks {
        if is_interrupted() {
            return;
        }
        notify(format_args!("installing stack {} into the cache, once", stack.name()));
        match stack.provision() {
            // The command ends with one line.
            Err(StackError::Interrupted { .. }) => return,
            // The plans on this stack will be UNAVAILABLE, with the reason that the import reports.
            Err(error) => notify(format_args!("{error}")),
            Ok(_) => {}
        }
    }
}

fn file_targets(path: &Path, checkout: &Checkout) -> Result<Vec<Target>, RunError> {
    let text = read_text(path)?;
    let shown = path.display().to_string();
    let descriptor = Descriptor::from_toml(&shown, &text)?;
    checkout.check(&descriptor, false)?;
    let path = path.canonicalize().map_err(RunError::system(shown))?;
    on_stacks(&descriptor, None, path.parent(), Some(&path))
}

fn on_stacks(
    descriptor: &Descriptor,
    stack: Option<String>,
    folder: Option<&Path>,
    file: Option<&Path>,
) -> Result<Vec<Target>, RunError> {
    check_stack(descriptor, stack.as_deref())?;
    if descriptor.stacks.is_empty() {
        let name = descriptor.name.clone();
        let launch = launch(descriptor, None, folder, file)?;
        let file = file.map(Path::to_path_buf);
        let descriptor = descriptor.clone();
        return Ok(vec![Target { name, descriptor, stack: None, file, checkout: Vec::new(), launch }]);
    }
    let wanted = stack.as_ref().map_or_else(|| descriptor.stacks.clone(), |stack| vec![stack.clone()]);
    let mut found = Vec::new();
    for stack in wanted {
        found.push(Target {
            name: format!("{}@{stack}", descriptor.name),
            descriptor: descriptor.clone(),
            launch: launch(descriptor, Some(&stack), folder, file)?,
            stack: Some(stack),
            file: file.map(Path::to_path_buf),
            checkout: Vec::new(),
        });
    }
    // Without a stack on the command line, run every installed one. If there is none, report all as missing.
    if stack.is_none() && found.iter().any(|target| target.launch.is_ok()) {
        found.retain(|target| target.launch.is_ok());
    }
    Ok(found)
}

/// Refuses a stack that a loader does not have.
fn check_stack(descriptor: &Descriptor, stack: Option<&str>) -> Result<(), RunError> {
    let Some(stack) = stack.filter(|stack| descriptor.stacks.iter().all(|known| known != stack)) else { return Ok(()) };
    let name = &descriptor.name;
    Err(RunError::usage(match descriptor.stacks.is_empty() {
        true => format!("found stack {stack:?}, expected none: loader {name:?} has no stacks"),
        false => {
            let near = did_you_mean(stack, &descriptor.stacks);
            let known = descriptor.stacks.join(", ");
            format!("found stack {stack:?} for loader {name:?}, expected one of {known}{near}")
        }
    }))
}
