//! One plan, ready to be run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Map;

use crate::drive::launch::LoaderLaunch;
use crate::history::{Header, Origin, SCHEMA, ServerFacts};
use crate::life::{Setup, mock_setup};
use crate::plan::{Framing, Plan, Scenario};
use crate::record::MockSetup;
use crate::script::{Script, framing_of_plan};

/// A plan, with everything it names.
#[derive(Clone)]
pub struct PlanInput {
    /// The plan. Its limits apply.
    pub plan: Plan,
    /// The scenario that the plan names.
    pub scenario: Scenario,
    /// The script of each server of the scenario, by name of the server.
    pub scripts: BTreeMap<String, Script>,
    /// How the loader that the plan names is started.
    pub launch: LoaderLaunch,
    /// An existing folder for the history and the output of the loader; absolute.
    pub directory: PathBuf,
    /// Whether the loader's process may be a fork of one that has imported its modules already.
    pub may_start_warm: bool,
}

impl PlanInput {
    /// The framing of the servers' messages.
    pub(super) fn framing(&self) -> Framing {
        framing_of_plan(self.plan.transport, &self.scenario, self.scripts.values())
    }

    pub(super) fn setup(&self) -> Setup {
        self.setup_with(self.mock_setups())
    }

    /// The setup where the mocks of the plan are on the thread of the recorder. They get no welcome, and nothing of the launch counts.
    pub(crate) fn near_setup(&self) -> Setup {
        let none = |name: &String| (name.clone(), MockSetup { welcome: Map::new() });
        self.setup_with(self.scripts.keys().map(none).collect())
    }

    fn setup_with(&self, mocks: BTreeMap<String, MockSetup>) -> Setup {
        Setup {
            header: self.header(),
            directory: self.directory.clone(),
            transport: self.plan.transport,
            framing: self.framing(),
            mocks,
            secrets: self.launch.secrets(),
        }
    }

    fn header(&self) -> Header {
        let Self { plan, scenario, .. } = self;
        let servers = scenario.servers.iter();
        Header {
            schema: SCHEMA,
            plan: plan.id.clone(),
            scenario: plan.scenario.clone(),
            loader: plan.loader.clone(),
            revision: plan.revision.to_string(),
            transport: plan.transport.recorded(self.framing()),
            seed: plan.seed,
            promises: plan.promises.clone(),
            limits: plan.limits.clone(),
            servers: servers
                .map(|server| ServerFacts { name: server.name.clone(), script: server.script.clone() })
                .collect(),
            host: None,
            origin: Origin::Harness,
        }
    }

    fn mock_setups(&self) -> BTreeMap<String, MockSetup> {
        let plan = &self.plan;
        let setups = self.scripts.iter().map(|(name, script)| {
            let server = self.scenario.server(name);
            let shutdown = server.map_or(plan.server, |server| server.shutdown_behaviour(plan.transport, plan.server));
            (name.clone(), mock_setup(script, shutdown.to_string(), plan.revision.to_string(), &plan.limits))
        });
        setups.collect()
    }
}
