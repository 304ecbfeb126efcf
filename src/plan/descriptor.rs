//! Loader descriptions: how a loader is started, and its promises.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::plan::input::check_name;
use crate::plan::suggest::with_suggestion;
use crate::plan::{InputError, Promises, Transport};

/// A way to run loaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// A Rust loader, which a plan process makes with its factory.
    Rust,
    /// A Python process on a locked stack.
    Python,
    /// A Node process on a locked stack.
    Node,
    /// Any program that speaks the adapter protocol.
    Command,
}

/// A cargo feature of an executable. Without it, some of its loaders cannot use some transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// rmcp's own transport for streamable HTTP.
    RmcpReqwest,
}

impl Feature {
    /// Its name in `Cargo.toml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RmcpReqwest => "rmcp-reqwest",
        }
    }
}

/// A loader description (`fixtures/loaders/*.toml`, or a file of the user's).
#[derive(Debug, Clone, PartialEq)]
pub struct Descriptor {
    /// Name on the command line and in reports.
    pub name: String,
    /// One sentence for `list loaders`.
    pub about: String,
    /// The way to start it.
    pub lane: Lane,
    /// Whether it is a published client, used as its documentation shows. All others are designs of this project, good or
    /// broken.
    pub adapter: bool,
    /// The command, for every lane but `rust`. `{python}` stands for the interpreter of the stack, `{node}` for the Node
    /// that was found, and `{modules}` for the folder of its packages.
    pub command: Vec<String>,
    /// The stacks on which it runs; empty for lanes without stacks.
    pub stacks: Vec<String>,
    /// The transports that it speaks; stdio when the file names none.
    pub transports: Vec<Transport>,
    /// The cargo feature without which it cannot use a transport.
    pub needs: BTreeMap<Transport, Feature>,
    /// Known results over suite `core`; see [`Self::known_on`]. Only the tests of this project read it.
    pub known: Known,
    promises: toml::Table,
    on: BTreeMap<String, OnStack>,
}

/// Invariants that are known to fail, and invariants that must not. All others may do either.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Known {
    /// Ids of invariants that fail in at least one scenario.
    pub must_fail: Vec<String>,
    /// Ids of invariants that never fail.
    pub must_not: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescriptorFile {
    name: Spanned<String>,
    #[serde(default)]
    about: String,
    lane: Lane,
    #[serde(default)]
    adapter: bool,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    stacks: Vec<Spanned<String>>,
    #[serde(default = "stdio_alone")]
    transports: Spanned<Vec<Transport>>,
    #[serde(default)]
    needs: BTreeMap<Transport, Feature>,
    #[serde(default)]
    promises: toml::Table,
    #[serde(default)]
    known: toml::Table,
    #[serde(default)]
    on: BTreeMap<String, OnStack>,
}

fn stdio_alone() -> Spanned<Vec<Transport>> {
    Spanned::new(0..0, vec![Transport::Stdio])
}

#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct OnStack {
    promises: toml::Table,
    known: toml::Table,
}

/// A defect of the promises that result for one stack and transport.
#[derive(Debug, thiserror::Error)]
#[error("in [promises]: {}", with_suggestion(.0.message()))]
struct PromisesError(#[from] toml::de::Error);

impl Descriptor {
    /// Reads a loader description.
    ///
    /// # Errors
    /// With the position of the defect.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, InputError> {
        let parsed: DescriptorFile = toml::from_str(text).map_err(|error| InputError::toml(file, text, &error))?;
        let name = read_name(file, text, "loader", parsed.name)?;
        let stacks = parsed.stacks.into_iter().map(|stack| read_name(file, text, "stack", stack));
        let stacks = stacks.collect::<Result<_, _>>()?;
        let needs_command = match parsed.lane {
            Lane::Rust => false,
            Lane::Python | Lane::Node | Lane::Command => true,
        };
        if needs_command && parsed.command.is_empty() {
            return Err(InputError::whole(file, "found no `command`, expected the command that starts the adapter"));
        }
        let mut promises = parsed.promises;
        if parsed.lane == Lane::Node {
            // Node has one thread and one event loop.
            let tasks = toml::Value::Array(vec![toml::Value::from("task")]);
            promises.entry("contexts").or_insert(tasks);
        }
        let known = Known::deserialize(parsed.known.clone())
            .map_err(|error| InputError::whole(file, format!("in [known]: {}", with_suggestion(error.message()))))?;
        let descriptor = Self {
            name,
            about: parsed.about,
            lane: parsed.lane,
            adapter: parsed.adapter,
            command: parsed.command,
            stacks,
            transports: read_transports(file, text, parsed.transports)?,
            needs: parsed.needs,
            known,
            promises,
            on: parsed.on,
        };
        for (key, on) in &descriptor.on {
            let merged = match descriptor.stacks.is_empty() {
                true => descriptor.merged(None, key),
                false => descriptor.merged(Some(key), ""),
            };
            merged.map_err(|error| InputError::whole(file, error.to_string()))?;
            Known::deserialize(on.known.clone())
                .map_err(|error| format!("in [on.{key:?}.known]: {}", with_suggestion(error.message())))
                .map_err(|message| InputError::whole(file, message))?;
        }
        descriptor.merged(None, "").map_err(|error| InputError::whole(file, error.to_string()))?;
        Ok(descriptor)
    }

    /// The description of a Rust loader that has no file.
    ///
    /// # Errors
    /// When the name is not allowed.
    pub fn of_rust(name: &str, promises: &Promises, transports: &[Transport]) -> Result<Self, InputError> {
        check_name("loader", name).map_err(|error| InputError::whole(name, error.to_string()))?;
        let promises = toml::Table::try_from(promises).expect("promises are a table of plain values");
        Ok(Self {
            name: name.to_owned(),
            about: String::new(),
            lane: Lane::Rust,
            adapter: false,
            command: Vec::new(),
            stacks: Vec::new(),
            transports: transports.to_vec(),
            needs: BTreeMap::new(),
            known: Known::default(),
            promises,
            on: BTreeMap::new(),
        })
    }

    /// Why an executable cannot run the loader over a transport that the loader speaks; `None` when it can. `is_built` says which
    /// features the executable has.
    #[must_use]
    pub fn lacking(&self, transport: Transport, is_built: impl Fn(Feature) -> bool) -> Option<String> {
        let feature = self.needs.get(&transport).filter(|feature| !is_built(**feature))?;
        Some(format!("built without the feature {}", feature.name()))
    }

    /// The promises of the loader on this stack and transport.
    ///
    /// `[on."STACK"]` overrides the general promises, and `[on."STACK/TRANSPORT"]` overrides both. For a loader without
    /// stacks, `[on."TRANSPORT"]` overrides the general promises.
    #[must_use]
    pub fn promises(&self, stack: Option<&str>, transport: &str) -> Promises {
        self.merged(stack, transport).expect("from_toml has read every combination once")
    }

    /// The known results on this stack and transport, overridden in the same way as the promises.
    #[must_use]
    pub fn known_on(&self, stack: Option<&str>, transport: &str) -> Known {
        let mut known = self.known.clone();
        for on in self.overrides(stack, transport) {
            let read = |name: &str| {
                let ids = on.known.get(name).cloned();
                ids.map(|ids| Vec::deserialize(ids).expect("from_toml has read every table once"))
            };
            known.must_fail = read("must-fail").unwrap_or(known.must_fail);
            known.must_not = read("must-not").unwrap_or(known.must_not);
        }
        known
    }

    /// Whether the description itself makes a session promise for this stack and transport. Otherwise the default applies.
    #[must_use]
    pub fn declares_session(&self, stack: Option<&str>, transport: &str) -> bool {
        let says = |promises: &toml::Table| promises.contains_key("session");
        says(&self.promises) || self.overrides(stack, transport).any(|on| says(&on.promises))
    }

    fn merged(&self, stack: Option<&str>, transport: &str) -> Result<Promises, PromisesError> {
        let mut table = self.promises.clone();
        for on in self.overrides(stack, transport) {
            table.extend(on.promises.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        Ok(Promises::deserialize(table)?)
    }

    /// The overrides in the order in which they apply: of the stack, then of stack and transport; without stacks, of the transport.
    fn overrides<'a>(&'a self, stack: Option<&str>, transport: &str) -> impl Iterator<Item = &'a OnStack> {
        let keys = match stack {
            Some(stack) => vec![stack.to_owned(), format!("{stack}/{transport}")],
            None => vec![transport.to_owned()],
        };
        keys.into_iter().filter_map(|key| self.on.get(&key))
    }
}

fn read_transports(file: &str, text: &str, found: Spanned<Vec<Transport>>) -> Result<Vec<Transport>, InputError> {
    let start = found.span().start;
    let transports = found.into_inner();
    let is_unique = |(index, transport): (usize, &Transport)| !transports[..index].contains(transport);
    if transports.is_empty() || !transports.iter().enumerate().all(is_unique) {
        let message = "found no transport or one twice, expected some of \"stdio\", \"http\" and \"sse\", each once";
        return Err(InputError::at(file, text, start, message));
    }
    Ok(transports)
}

fn read_name(file: &str, text: &str, what: &str, name: Spanned<String>) -> Result<String, InputError> {
    let start = name.span().start;
    let name = name.into_inner();
    check_name(what, &name).map_err(|error| InputError::at(file, text, start, error.to_string()))?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOADER: &str = r#"
        name = "l"
        lane = "rust"
        [known]
        must-fail = ["a"]
        must-not = ["b"]
        [on."s".promises]
        session = "per-call"
        [on."s".known]
        must-not = []
        [on."s/http".known]
        must-fail = []
    "#;

    #[test]
    fn what_is_known_on_a_stack_and_transport_overrides_what_is_known_in_general() {
        let loader = Descriptor::from_toml("l.toml", LOADER).unwrap();
        let known = |stack, transport| {
            let known = loader.known_on(stack, transport);
            (known.must_fail.concat(), known.must_not.concat())
        };
        assert_eq!(known(None, "http"), ("a".to_owned(), "b".to_owned()));
        assert_eq!(known(Some("s"), "stdio"), ("a".to_owned(), String::new()));
        assert_eq!(known(Some("s"), "http"), (String::new(), String::new()));
    }

    #[test]
    fn a_loader_without_stacks_says_what_is_different_over_a_transport() {
        let text = r#"
            name = "l"
            lane = "rust"
            transports = ["stdio", "http"]
            [needs]
            http = "rmcp-reqwest"
            [promises]
            session = "persistent"
            [known]
            must-fail = ["a"]
            [on."http".promises]
            session = "per-call"
            [on."http".known]
            must-fail = []
        "#;
        let loader = Descriptor::from_toml("l.toml", text).unwrap();
        assert_eq!(loader.known_on(None, "stdio").must_fail, ["a"]);
        assert!(loader.known_on(None, "http").must_fail.is_empty());
        assert_ne!(loader.promises(None, "stdio"), loader.promises(None, "http"));
        assert_eq!(loader.lacking(Transport::Stdio, |_| false), None);
        assert_eq!(loader.lacking(Transport::Http, |feature| feature == Feature::RmcpReqwest), None);
        let lacking = loader.lacking(Transport::Http, |_| false);
        assert_eq!(lacking.as_deref(), Some("built without the feature rmcp-reqwest"));
        let wrong = Descriptor::from_toml("l.toml", &text.replace("per-call", "nightly")).unwrap_err();
        assert!(wrong.to_string().contains("session") || wrong.to_string().contains("nightly"), "{wrong}");
        let wrong = Descriptor::from_toml("l.toml", &text.replace("rmcp-reqwest", "rmcp-curl")).unwrap_err();
        assert!(wrong.to_string().contains("rmcp-curl"), "{wrong}");
    }

    #[test]
    fn a_session_promise_counts_as_declared_only_where_it_is_made() {
        let loader = Descriptor::from_toml("l.toml", LOADER).unwrap();
        assert!(!loader.declares_session(None, "stdio"));
        assert!(!loader.declares_session(Some("other"), "stdio"));
        assert!(loader.declares_session(Some("s"), "stdio"));
    }
}
