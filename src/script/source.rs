//! Scripts as data: from TOML, and to and from JSON.

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::DeTable;

use crate::plan::{InputError, OwnScript, ShutdownBehaviour};
use crate::script::generation::Generations;
use crate::script::rule::{Rule, RuleFile, is_false};
use crate::script::trigger::TriggerFile;
use crate::script::validation::{At, check_rules, check_tool_kinds, check_tools};
use crate::script::{
    Action, Defect, Features, Generation, LOG_MESSAGE, Many, OwnMessage, Signal, ToolKind, Trigger, When,
};

/// The deviations and delays of a mock server. Every rule of a script can act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ScriptJson", into = "ScriptJson")]
pub struct Script {
    name: String,
    about: String,
    generations: Generations,
    tools: Vec<String>,
    tasks: bool,
    tool_kinds: Vec<ToolKind>,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptToml {
    about: String,
    #[serde(default)]
    era: Generations,
    tools: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    tasks: bool,
    #[serde(default)]
    tool: Vec<Spanned<ToolKind>>,
    #[serde(default)]
    rule: Vec<RuleFile<Spanned<TriggerFile>, Spanned<Action>>>,
}

/// A script file, for its schema: without the places of its parts.
#[derive(Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schemas", schemars(title = "A script of a mock server"))]
#[expect(dead_code, reason = "only its schema is made")]
struct ScriptFile {
    /// Its purpose, in one sentence.
    about: String,
    /// The protocol generation that it speaks, or one for each start. By default that of the revision.
    #[serde(default)]
    era: Generations,
    /// The tools that it advertises at first. By default those of `tool`, or `read` if there are none.
    #[serde(default)]
    tools: Option<Vec<String>>,
    /// Whether it takes calls as tasks, which revision 2025-11-25 has.
    #[serde(default)]
    tasks: bool,
    /// The tools with answers of their own.
    #[serde(default)]
    tool: Vec<ToolKind>,
    /// The rules for its deviations.
    #[serde(default)]
    rule: Vec<RuleFile<TriggerFile, Action>>,
}

/// The JSON schema of script files, generated from the types that read them.
#[cfg(feature = "schemas")]
#[must_use]
pub fn script_schema() -> serde_json::Value {
    schemars::schema_for!(ScriptFile).to_value()
}

/// A script as a link carries it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptJson {
    name: String,
    about: String,
    #[serde(default, skip_serializing_if = "Generations::is_empty")]
    era: Generations,
    tools: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    tasks: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tool: Vec<ToolKind>,
    rule: Vec<RuleFile<TriggerFile, Action>>,
}

impl Script {
    /// Reads a script file.
    ///
    /// # Errors
    /// With the position of the defect, what was found and what was expected.
    pub fn from_toml(name: &str, file: &str, text: &str) -> Result<Self, InputError> {
        let table = DeTable::parse(text).map_err(|error| InputError::toml(file, text, &error))?;
        Self::from_table(name, file, text, table)
    }

    /// Reads a script in the file of a scenario.
    ///
    /// # Errors
    /// With the position of the defect in that file, what was found and what was expected.
    pub fn from_scenario(own: &OwnScript, file: &str) -> Result<Self, InputError> {
        let (text, table) = own.located();
        Self::from_table(own.name(), file, text, table)
    }

    /// Reads a table of `text`. The offsets in the table are those of `text`.
    fn from_table(name: &str, file: &str, text: &str, table: Spanned<DeTable<'_>>) -> Result<Self, InputError> {
        let parsed = ScriptToml::deserialize(toml::Deserializer::from(table));
        let parsed = parsed.map_err(|error| InputError::toml(file, text, &error))?;
        let at = |(offset, defect): At<Defect>| InputError::at(file, text, offset, defect.to_string());
        let tools = match parsed.tools {
            Some(tools) => {
                check_tools(tools.as_ref()).map_err(|defect| at((tools.span().start, defect)))?;
                tools.into_inner()
            }
            None => default_tools(parsed.tool.iter().map(|tool| &tool.as_ref().name)),
        };
        let rules = parsed.rule.into_iter().map(|rule| rule.map(located, located)).collect();
        let rules = check_rules(rules, &tools).map_err(at)?;
        let kinds: Vec<At<ToolKind>> = parsed.tool.into_iter().map(located).collect();
        check_tool_kinds(&kinds, &rules, &tools).map_err(at)?;
        let (name, tool_kinds) = (name.to_owned(), kinds.into_iter().map(|(_, kind)| kind).collect());
        Ok(Self { name, about: parsed.about, generations: parsed.era, tools, tool_kinds, tasks: parsed.tasks, rules })
    }

    /// Its name: the file name without its extension.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its purpose, in one sentence.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The protocol generation of its server at the n-th start, counted from 1. None if the revision decides.
    #[must_use]
    pub fn generation(&self, start: u64) -> Option<Generation> {
        self.generations.at(start)
    }

    /// The tools that it advertises at first.
    #[must_use]
    pub fn tools(&self) -> &[String] {
        &self.tools
    }

    /// The tools with answers of their own.
    #[must_use]
    pub fn tool_kinds(&self) -> &[ToolKind] {
        &self.tool_kinds
    }

    /// Its rules. All that a cause triggers act, in this order. The first one that settles an answer or an end wins.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// This script with a shutdown behaviour added. The script's own rules come first.
    #[must_use]
    pub fn with(mut self, shutdown_behaviour: ShutdownBehaviour) -> Self {
        match shutdown_behaviour {
            ShutdownBehaviour::Polite => {}
            ShutdownBehaviour::Stubborn => {
                for when in [When::Eof, When::Signal(Signal::Term), When::Signal(Signal::Int)] {
                    let on = Trigger::every(when);
                    let already = |rule: &Rule| rule.on == on && rule.actions.contains(&Action::Ignore);
                    if !self.rules.iter().any(already) {
                        self.rules.push(Rule { on, actions: vec![Action::Ignore], optional: true });
                    }
                }
            }
        }
        self
    }

    /// The names, as in `fault.delivered`, of the faults that the experiment needs. Each once, in script order.
    #[must_use]
    pub fn required_faults(&self) -> Vec<String> {
        let mut names = Vec::new();
        for rule in self.rules.iter().filter(|rule| !rule.optional) {
            for (name, _) in rule.actions.iter().filter_map(|action| action.fault(&rule.on.when)) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// The names of the gates that hold an action, in script order. A gate that holds no action only shows progress.
    #[must_use]
    pub fn gates(&self) -> Vec<&str> {
        self.rules.iter().flat_map(gates_of).collect()
    }

    /// The capabilities that a conforming server must announce for this script.
    #[must_use]
    pub fn features(&self) -> Features {
        let announces =
            |action: &Action| matches!(action, Action::Notify(method) if method == "notifications/tools/list_changed");
        let logs = |action: &Action| matches!(action, Action::NotifyWith(OwnMessage { method, .. }) | Action::NotifyMany(Many { method, .. }) if method == LOG_MESSAGE);
        let actions = || self.rules.iter().flat_map(|rule| &rule.actions);
        Features { tools_change: actions().any(announces), logs: actions().any(logs), tasks: self.tasks }
    }
}

fn gates_of(rule: &Rule) -> impl Iterator<Item = &str> {
    let last = rule.actions.len().saturating_sub(usize::from(!rule.on.when.has_default_handling()));
    rule.actions.iter().enumerate().filter_map(move |(index, action)| match action {
        Action::Hold(gate) if index < last => Some(gate.as_str()),
        _ => None,
    })
}

fn located<T>(spanned: Spanned<T>) -> At<T> {
    (spanned.span().start, spanned.into_inner())
}

fn nowhere<T>(value: T) -> At<T> {
    (0, value)
}

/// The described tools, or else `read`.
fn default_tools<'a>(described: impl Iterator<Item = &'a String>) -> Vec<String> {
    let described: Vec<String> = described.cloned().collect();
    if described.is_empty() { vec!["read".to_owned()] } else { described }
}

impl TryFrom<ScriptJson> for Script {
    type Error = Defect;

    fn try_from(json: ScriptJson) -> Result<Self, Self::Error> {
        let ScriptJson { name, about, era, tools, tasks, tool, rule } = json;
        check_tools(&tools)?;
        let rules = rule.into_iter().map(|rule| rule.map(nowhere, nowhere)).collect();
        let rules = check_rules(rules, &tools).map_err(|(_, defect)| defect)?;
        let kinds: Vec<At<ToolKind>> = tool.into_iter().map(nowhere).collect();
        check_tool_kinds(&kinds, &rules, &tools).map_err(|(_, defect)| defect)?;
        let tool = kinds.into_iter().map(|(_, kind)| kind).collect();
        Ok(Self { name, about, generations: era, tools, tool_kinds: tool, tasks, rules })
    }
}

impl From<Script> for ScriptJson {
    fn from(script: Script) -> Self {
        let written = |rule: Rule| RuleFile { on: (&rule.on).into(), actions: rule.actions, optional: rule.optional };
        Self {
            name: script.name,
            about: script.about,
            era: script.generations,
            tools: script.tools,
            tasks: script.tasks,
            tool: script.tool_kinds,
            rule: script.rules.into_iter().map(written).collect(),
        }
    }
}
