//! One host, ready to be run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::foreign::Secrets;
use crate::history::{Header, HostFacts, Origin, SCHEMA, ServerFacts};
use crate::host::config::ConfigShape;
use crate::life::{Setup, mock_setup};
use crate::plan::{HostPlan, Limits, Promises, Revision, ShutdownBehaviour, Transport};
use crate::script::Script;

/// How much longer than the host the supervisor and the mocks may live. By then the driver has killed the host.
pub(super) const LIFE_MARGIN: Duration = Duration::from_secs(30);

/// A host, with the mocks it runs against.
#[derive(Debug, Clone)]
pub struct HostInput {
    /// Its name in reports: the name of its program, or `client`.
    pub name: String,
    /// Name of its plan, or of its client scenario.
    pub scenario: String,
    /// Revision of the protocol the servers speak.
    pub revision: Revision,
    /// How the host reaches its servers: stdio or streamable HTTP.
    pub transport: Transport,
    /// Shutdown behaviour of the servers that the host starts.
    pub shutdown: ShutdownBehaviour,
    /// The script of each server, by name.
    pub servers: BTreeMap<String, Script>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Variables that are added to the inherited environment, or replace those in it.
    pub env: BTreeMap<String, String>,
    /// The expectations of the rules for the host.
    pub facts: HostFacts,
    /// Limits in force.
    pub limits: Limits,
    /// Longest life of the host and of every process below it.
    pub life: Duration,
    /// An existing folder for the history and the output of the host; absolute.
    pub directory: PathBuf,
    /// Conformance client or application.
    pub kind: HostKind,
}

/// The two kinds of hosts.
#[derive(Debug, Clone)]
pub enum HostKind {
    /// A conformance client: the URL of each server is appended to its command, and it ends by itself.
    Client,
    /// A finished application.
    Application(Application),
}

/// A finished application: how it learns of its servers, and the plan it goes through.
#[derive(Debug, Clone)]
pub struct Application {
    /// The steps that the driver carries out.
    pub plan: HostPlan,
    /// The source of its configuration.
    pub config: ConfigSource,
    /// The command of the page driver. `None` where the plan has no page step, or where there is no browser.
    pub page: Option<Vec<String>>,
}

/// The source of a configuration.
#[derive(Debug, Clone)]
pub enum ConfigSource {
    /// One of the known shapes.
    Shape(ConfigShape),
    /// A file of the user, with placeholders.
    Template {
        /// The text with its placeholders.
        text: String,
        /// Name of the file that the driver writes.
        file: String,
    },
}

impl HostInput {
    /// The id of its plan.
    fn plan(&self) -> String {
        let Self { name, scenario, revision, transport, shutdown, kind, .. } = self;
        match kind {
            HostKind::Client => format!("{scenario}.{name}.{transport}.{revision}"),
            HostKind::Application(_) => format!("{scenario}.{name}.{transport}.{revision}.{shutdown}"),
        }
    }

    pub(super) fn setup(&self) -> Setup {
        // A mock must outlive its client.
        let limits = Limits { plan: self.life + LIFE_MARGIN, ..self.limits.clone() };
        let setup = |script| mock_setup(script, self.shutdown.to_string(), self.revision.to_string(), &limits);
        let mocks = self.servers.iter().map(|(name, script)| (name.clone(), setup(script))).collect();
        Setup {
            header: self.header(),
            directory: self.directory.clone(),
            transport: self.transport,
            framing: self.transport.usual_framing(),
            mocks,
            secrets: self.secrets(),
        }
    }

    /// The secrets in its command, its own environment and its configuration.
    fn secrets(&self) -> Secrets {
        let variables = self.env.iter().map(|(name, value)| (name.into(), value.into()));
        let secrets = Secrets::default().and_of_environment(variables).and_of_command(&self.command);
        match &self.kind {
            HostKind::Application(Application { config: ConfigSource::Template { text, .. }, .. }) => {
                secrets.and_of_text(text)
            }
            HostKind::Application(_) | HostKind::Client => secrets,
        }
    }

    fn header(&self) -> Header {
        Header {
            schema: SCHEMA,
            plan: self.plan(),
            scenario: self.scenario.clone(),
            loader: self.name.clone(),
            revision: self.revision.to_string(),
            transport: self.transport.to_string(),
            seed: 0,
            promises: Promises::none(),
            limits: self.limits.clone(),
            servers: self
                .servers
                .iter()
                .map(|(name, script)| ServerFacts { name: name.clone(), script: script.name().to_owned() })
                .collect(),
            host: Some(self.facts.clone()),
            origin: Origin::Harness,
        }
    }
}
