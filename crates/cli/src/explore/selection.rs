//! What the arguments of `explore` select: two campaigns with one selection and one seed have the same lives.

use std::collections::BTreeMap;

use mcp_lifecheck::foreign::words_without_secrets;

use crate::explore::ExploreArgs;

/// The options that decide which lives there are and how they are judged, each with its value. Those of a default are left out.
pub(super) fn selection(arguments: &ExploreArgs) -> BTreeMap<String, String> {
    let joined = |values: Vec<String>| (!values.is_empty()).then(|| values.join(","));
    let flag = |is_set: bool| is_set.then(|| "yes".to_owned());
    let plans = &arguments.plans;
    let checkout = &arguments.checkout;
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let options = [
        ("tier", arguments.tier.map(|tier| tier.tier().as_str().to_owned())),
        ("transport", joined(plans.transport.iter().map(ToString::to_string).collect())),
        ("revision", plans.revision.map(|revision| revision.to_string())),
        ("limit", joined(plans.limit.iter().map(|(name, value)| format!("{name}={}ms", value.as_millis())).collect())),
        ("script", joined(arguments.script.clone())),
        ("scenario", joined(arguments.scenario.clone())),
        ("sweep", joined(arguments.sweep.iter().map(|event| event.name().to_owned()).collect())),
        ("depth", (arguments.depth > 1).then(|| arguments.depth.to_string())),
        ("polite-only", flag(arguments.polite_only)),
        ("strict", flag(arguments.strict)),
        ("python", path(&checkout.python)),
        ("node-modules", path(&checkout.node_modules)),
        ("with", joined(words_without_secrets(checkout.with.as_deref().unwrap_or_default()))),
        ("editable", joined(checkout.editable.clone())),
    ];
    options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
