//! Plans for applications: the steps that `mcp-lifecheck host` takes while a finished application runs.
//!
//! Start at [`HostPlan`]. It is not a scenario, because an application runs no operations on request: a step can only wait
//! for something that its servers see, or do something that its user does.

mod limits;
mod step;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::de::DeTable;

pub use limits::{HOST_LIMITS, host_limit};
pub use step::{HostDo, HostStep, PageAction};

use crate::plan::input::check_name;
use crate::plan::tagged::{StepTable, take_steps};
use crate::plan::{InputError, Transport, did_you_mean};

/// A plan for an application. When no step ends the application, an interrupt (as by Ctrl-C) does after the last step.
#[derive(Debug, Clone, PartialEq)]
pub struct HostPlan {
    /// Its name: the file name without its extension.
    pub name: String,
    /// The purpose of the plan, in one sentence.
    pub about: String,
    /// The script of each server, by name; empty: the command line names them.
    pub servers: BTreeMap<String, String>,
    /// The only transport for which the plan is made; `None`: stdio and http.
    pub transport: Option<Transport>,
    /// Whether the application must keep its first connections to its end, even when a step makes it run again.
    pub same_servers: bool,
    /// The steps, in file order.
    pub steps: Vec<HostStep>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PlanFile {
    about: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transport: Option<Transport>,
    #[serde(default)]
    same_servers: bool,
    #[serde(default)]
    servers: BTreeMap<String, String>,
    /// Written only: [`take_steps`] removes the steps before the rest is read.
    #[serde(default)]
    step: Vec<toml::Table>,
}

impl HostPlan {
    /// Reads a plan.
    ///
    /// # Errors
    /// With the position of the defect.
    pub fn from_toml(name: &str, file: &str, text: &str) -> Result<Self, InputError> {
        check_name("plan", name).map_err(|error| InputError::whole(file, error.to_string()))?;
        let toml = |error: toml::de::Error| InputError::toml(file, text, &error);
        let mut table = DeTable::parse(text).map_err(toml)?;
        let tables = take_steps(table.get_mut()).map_err(|flaw| flaw.in_file(file, text))?;
        let parsed = PlanFile::deserialize(toml::Deserializer::from(table)).map_err(toml)?;
        if tables.is_empty() {
            return Err(InputError::whole(file, "found no step, expected at least one"));
        }
        let PlanFile { about, transport, same_servers, servers, step: _ } = parsed;
        if let Some(other) = transport.filter(|transport| !matches!(transport, Transport::Stdio | Transport::Http)) {
            return Err(InputError::whole(file, format!("found transport {other}, expected stdio or http")));
        }
        let read = |table: StepTable<'_>| {
            let line = InputError::at(file, text, table.offset, "").line;
            HostStep::read(table, line).map_err(|flaw| flaw.in_file(file, text))
        };
        let steps = tables.into_iter().map(read).collect::<Result<_, _>>()?;
        let plan = Self { name: name.to_owned(), about, servers, transport, same_servers, steps };
        plan.check_servers(file, plan.servers.keys())?;
        Ok(plan)
    }

    /// The plan with these servers instead of its own; unchanged when `servers` is empty.
    ///
    /// # Errors
    /// When a name is not allowed, or a step names a server that is not there. `file` is the name of the plan in messages.
    pub fn with_servers(self, file: &str, servers: BTreeMap<String, String>) -> Result<Self, InputError> {
        if servers.is_empty() {
            return Ok(self);
        }
        self.check_servers(file, servers.keys())?;
        let mut plan = Self { servers, ..self };
        plan.servers.retain(|_, script| !script.is_empty());
        Ok(plan)
    }

    /// Checks the names of the servers, and that every server that a step names exists. A plan without servers leaves them open.
    fn check_servers<'a>(&self, file: &str, names: impl Iterator<Item = &'a String> + Clone) -> Result<(), InputError> {
        for name in names.clone() {
            check_name("server", name).map_err(|error| InputError::whole(file, error.to_string()))?;
        }
        if names.clone().next().is_none() {
            return Ok(());
        }
        for step in &self.steps {
            if let Some(of) = step.does.server().filter(|of| !names.clone().any(|name| name == of)) {
                let known: Vec<&str> = names.map(String::as_str).collect();
                let near = did_you_mean(of, &known);
                let message = format!("found server {of:?}, expected one of {}{near}", known.join(", "));
                return Err(InputError::line(file, step.line, message));
            }
        }
        Ok(())
    }

    /// A file that reads as the same plan.
    ///
    /// # Panics
    /// Never: everything in it has a shape in TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let steps = self.steps.iter().map(HostStep::to_table);
        let file = PlanFile {
            about: self.about.clone(),
            transport: self.transport,
            same_servers: self.same_servers,
            servers: self.servers.clone(),
            step: steps.collect(),
        };
        toml::to_string(&file).expect("a plan is a table of plain values")
    }

    /// The exit status that a step expects.
    #[must_use]
    pub fn status(&self) -> Option<i32> {
        self.steps.iter().find_map(|step| match step.does {
            HostDo::Exit { status } => status,
            _ => None,
        })
    }

    /// Whether it needs a browser.
    #[must_use]
    pub fn needs_page(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.does, HostDo::Page { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<HostPlan, InputError> {
        HostPlan::from_toml("p", "p.toml", text)
    }

    #[test]
    fn a_plan_reads_the_same_after_it_was_written() {
        let text = r#"
about = "x"
transport = "http"
same-servers = true
servers = { files = "polite", search = "polite" }
[[step]]
do = "tools"
at-least = 3
of = "files"
within = "5s"
[[step]]
do = "request"
url = "http://127.0.0.1:{port}/run"
[[step]]
do = "page"
action = "open"
url = "http://127.0.0.1:{port}/"
expect = "ready"
absent = "sorry"
[[step]]
do = "exit"
status = 0
"#;
        let plan = read(text).unwrap();
        assert_eq!((plan.steps.len(), plan.status(), plan.needs_page()), (4, Some(0), true));
        let again = read(&plan.to_toml()).unwrap();
        let without_lines =
            |plan: &HostPlan| plan.steps.iter().map(|step| HostStep { line: 0, ..step.clone() }).collect::<Vec<_>>();
        assert_eq!(without_lines(&again), without_lines(&plan));
        assert_eq!((again.servers, again.transport, again.same_servers), (plan.servers, plan.transport, true));
    }

    #[test]
    fn the_plans_that_are_shown_can_be_read() {
        let shown = [
            (include_str!("../../../docs/src/applications.md"), 6),
            (include_str!("../../../docs/src/reference/application-plans.md"), 14),
        ];
        for (text, n_steps) in shown {
            let plan = text.split("```toml,plan\n").nth(1).unwrap().split("```").next().unwrap();
            assert_eq!(read(plan).unwrap().steps.len(), n_steps, "{plan}");
        }
    }

    #[test]
    fn what_is_wrong_has_a_position() {
        let step = |step: &str| format!("about = \"x\"\nservers = {{ a = \"polite\" }}\n[[step]]\n{step}\n");
        for (text, expected) in [
            ("about = \"x\"\nstep = []\n".to_owned(), "p.toml: found no step"),
            ("about = 1\n".to_owned(), "p.toml:1:9"),
            (step("do = \"dance\""), "p.toml:4:6: unknown variant `dance`"),
            (step("do = \"tool\""), "; did you mean \"tools\"?"),
            (step("at-least = 1"), "p.toml:3:1: missing field `do`"),
            (step("do = \"tools\"\ncolour = 1"), "p.toml:5:1: in step `tools`: unknown field `colour`"),
            (step("do = \"tools\"\nof = \"b\""), "p.toml:3: found server \"b\", expected one of a"),
            (step("do = \"tools\"\nwithin = \"soon\""), "p.toml:5:10: found \"soon\", expected a duration"),
            (step("do = \"tools\"\nat-least = -1"), "p.toml:5:12: in step `tools`: invalid value: integer `-1`"),
            (step("do = \"tools\"\nwithin = \"2000m\""), "expected at most"),
            (step("do = \"close-stdin\"\nwithin = \"1s\""), "found `within`"),
            (step("do = \"signal\"\nsignal = \"KILL\""), "found signal \"KILL\""),
            (step("do = \"request\"\nurl = \"https://example.org\""), "expected http:// and a loopback address"),
            (step("do = \"page\"\naction = \"open\""), "expected `url`"),
            (step("do = \"page\"\naction = \"click\""), "expected `text`"),
            (step("do = \"page\"\naction = \"click\"\ntext = \"a\"\nabsent = \"b\""), "expected `expect` as well"),
            (step("do = \"line\"\ntext = \"a\\nb\""), "expected one line"),
            (step("do = \"idle\"\nfor = \"1h\""), "expected a duration"),
            (step("do = \"connections\""), "expected `at-least` or `open`"),
            (format!("transport = \"sse\"\n{}", step("do = \"tools\"")), "expected stdio or http"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn servers_of_the_command_line_take_the_place_of_those_of_the_file() {
        let text = "about = \"x\"\nservers = { a = \"polite\" }\n[[step]]\ndo = \"tools\"\nof = \"a\"\n";
        let plan = read(text).unwrap();
        let servers = |name: &str| BTreeMap::from([(name.to_owned(), "stubborn".to_owned())]);
        assert_eq!(plan.clone().with_servers("p.toml", servers("a")).unwrap().servers["a"], "stubborn");
        let error = plan.with_servers("p.toml", servers("b")).unwrap_err().to_string();
        assert!(error.starts_with("p.toml:3: found server \"a\", expected one of b"), "{error}");
    }
}
