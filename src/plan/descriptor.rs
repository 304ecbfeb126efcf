//! Loader descriptions: how a loader is started and what it promises.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::plan::input::check_name;
use crate::plan::{InputError, Promises, Transport};

/// A way to run loaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// In a plan process, from a factory.
    Rust,
    /// A Python process, on a locked stack.
    Python,
    /// A Node process.
    Node,
    /// Any command that speaks the adapter protocol.
    Command,
}

/// A loader description (`fixtures/loaders/*.toml`, or a file of the user's).
#[derive(Debug, Clone, PartialEq)]
pub struct Descriptor {
    /// Name of the loader.
    pub name: String,
    /// What it is, in one sentence.
    pub about: String,
    /// How it is run.
    pub lane: Lane,
    /// The command, for lanes that start one; `{python}` stands for the stack's interpreter.
    pub command: Vec<String>,
    /// Stacks it runs on; empty for lanes without stacks.
    pub stacks: Vec<String>,
    /// How it can reach servers; stdio alone where it does not say.
    pub transports: Vec<Transport>,
    /// What is known of it over suite `core`; read by our own tests only.
    pub known: Known,
    promises: toml::Table,
    on: BTreeMap<String, toml::Table>,
}

/// Which invariants are known to fail, and which must not. Others may do either.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Known {
    /// These fail, each in at least one scenario.
    pub must_fail: Vec<String>,
    /// These never fail.
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
    command: Vec<String>,
    #[serde(default)]
    stacks: Vec<Spanned<String>>,
    #[serde(default = "stdio_alone")]
    transports: Spanned<Vec<Transport>>,
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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct OnStack {
    promises: toml::Table,
    known: toml::Table,
}

/// What is wrong with the promises, merged for one stack and transport.
#[derive(Debug, thiserror::Error)]
#[error("in [promises]: {}", .0.message())]
struct PromisesError(#[from] toml::de::Error);

impl Descriptor {
    /// Reads a loader description.
    ///
    /// # Errors
    /// With the position of what is wrong, what was found and what was expected.
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
        let known = Known::deserialize(parsed.known.clone())
            .map_err(|error| InputError::whole(file, format!("in [known]: {}", error.message())))?;
        let descriptor = Self {
            name,
            about: parsed.about,
            lane: parsed.lane,
            command: parsed.command,
            stacks,
            transports: read_transports(file, text, parsed.transports)?,
            known,
            promises: parsed.promises,
            on: parsed.on.iter().map(|(stack, on)| (stack.clone(), on.promises.clone())).collect(),
        };
        for (stack, on) in &parsed.on {
            descriptor.merged(Some(stack), "").map_err(|error| InputError::whole(file, error.to_string()))?;
            Known::deserialize(on.known.clone())
                .map_err(|error| InputError::whole(file, format!("in [on.{stack:?}.known]: {}", error.message())))?;
        }
        descriptor.merged(None, "").map_err(|error| InputError::whole(file, error.to_string()))?;
        Ok(descriptor)
    }

    /// The description of a Rust loader that has no file.
    ///
    /// # Errors
    /// When the name is none.
    pub fn of_rust(name: &str, promises: &Promises) -> Result<Self, InputError> {
        check_name("loader", name).map_err(|error| InputError::whole(name, error.to_string()))?;
        let promises = toml::Table::try_from(promises).expect("promises are a table of plain values");
        Ok(Self {
            name: name.to_owned(),
            about: String::new(),
            lane: Lane::Rust,
            command: Vec::new(),
            stacks: Vec::new(),
            known: Known::default(),
            promises,
            on: BTreeMap::new(),
        })
    }

    /// What the loader promises on this stack and transport: the general promises, overridden by those of
    /// `[on."STACK"]` and then by those of `[on."STACK/TRANSPORT"]`.
    #[must_use]
    pub fn promises(&self, stack: Option<&str>, transport: &str) -> Promises {
        self.merged(stack, transport).expect("from_toml has read every combination once")
    }

    fn merged(&self, stack: Option<&str>, transport: &str) -> Result<Promises, PromisesError> {
        let mut table = self.promises.clone();
        if let Some(stack) = stack {
            for key in [stack.to_owned(), format!("{stack}/{transport}")] {
                let overrides = self.on.get(&key).into_iter().flatten();
                table.extend(overrides.map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        Ok(Promises::deserialize(table)?)
    }
}

fn read_transports(file: &str, text: &str, found: Spanned<Vec<Transport>>) -> Result<Vec<Transport>, InputError> {
    let start = found.span().start;
    let transports = found.into_inner();
    let is_unique = |(index, transport): (usize, &Transport)| !transports[..index].contains(transport);
    if transports.is_empty() || !transports.iter().enumerate().all(is_unique) {
        let message = "found no transport or one twice, expected some of \"stdio\" and \"http\", each once";
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
