//! Selects a recorded plan again.

use std::path::Path;

use crate::plan::{Plan, Scenario};
use crate::run::RunError;
use crate::run::checkout::{Checkout, OWN_MODULES, OWN_PYTHON, WITH};
use crate::run::repeat::shell_words;
use crate::run::select::chosen::Chosen;
use crate::run::select::plans::{Selected, misfit, over};
use crate::run::select::scripts::scripts_of;
use crate::run::select::target::Notify;
use crate::run::select::targets::targets;

/// Selects a recorded plan again. The text of `file` is untrusted input and may name no folder and no executable.
pub fn recorded_plan(
    file: &Path,
    mut plan: Plan,
    loaders: &[String],
    checkout: &Checkout,
    notify: Notify<'_>,
) -> Result<Selected, RunError> {
    let scenario = match &plan.scenario_text {
        Some(text) => Scenario::from_toml(&plan.scenario, &file.display().to_string(), text)?,
        None => Chosen::shipped(&plan.scenario)?.scenario,
    };
    if !plan.checkout.is_empty() && checkout.is_empty() {
        let words = shell_words(&plan.checkout);
        let message = format!(
            "found a plan of a loader on a checkout, which a plan cannot start by itself; expected the same \
             arguments on the command line: {words}"
        );
        return Err(RunError::usage(message));
    }
    let targets = match (loaders, &plan.loader_file) {
        ([], None) => targets(&[recorded_name(&plan.loader, checkout)], checkout, notify)?,
        ([], Some(described)) => {
            let message = format!(
                "found a plan of the loader described in {described}, which a plan cannot start by itself; \
                 expected that file on the command line: --loader {described}"
            );
            return Err(RunError::usage(message));
        }
        (named, _) => targets(named, checkout, notify)?,
    };
    let target = targets.into_iter().find(|target| target.name == plan.loader).ok_or_else(|| {
        RunError::usage(format!("found no loader {:?} among those that are named, expected the plan's", plan.loader))
    })?;
    plan.loader_file = target.file.as_ref().map(|file| file.display().to_string());
    plan.checkout.clone_from(&target.checkout);
    plan.rebuild_id();
    let scripts = scripts_of(&scenario, &file.display().to_string())?;
    let misfit = misfit(&target, &scenario, &scripts, plan.transport);
    let target = over(&target, plan.transport);
    let scenario = scenario.moved(&plan.places);
    Ok(Selected { plan, scenario, scripts, target, misfit })
}

/// The name of a recorded loader on the command line, without the suffix of its checkout.
fn recorded_name(loader: &str, checkout: &Checkout) -> String {
    if checkout.is_empty() {
        return loader.to_owned();
    }
    let name = loader.strip_suffix(OWN_PYTHON).or_else(|| loader.strip_suffix(OWN_MODULES));
    name.or_else(|| loader.strip_suffix(WITH)).unwrap_or(loader).to_owned()
}
