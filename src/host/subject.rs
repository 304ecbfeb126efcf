//! A host as the subject of one plan.

use std::time::Duration;

use crate::host::app::ApplicationLife;
use crate::host::ending::Ending;
use crate::host::input::{HostInput, HostKind};
use crate::host::launch::{application_spec, client_spec, write_configuration};
use crate::life::{Led, LifeError, Servers, Setup, Stage, Subject};
use crate::supervise::{LaunchSpec, StartKind, Supervised};

impl Subject for HostInput {
    fn setup(&self) -> Setup {
        HostInput::setup(self)
    }

    async fn live(&self, stage: &Stage<'_>, servers: &mut Servers) -> Result<Led, LifeError> {
        servers.start(stage.mock_link(), &stage.recorder, self.servers.keys(), self.limits.listen).await?;
        let addresses = servers.addresses();
        let supervised = match &self.kind {
            HostKind::Client => {
                let supervised = start(stage, client_spec(self, stage, servers)).await?;
                let ending = Ending { stage, supervised: &supervised, servers: &addresses };
                ending.await_end(self.life).await;
                supervised
            }
            HostKind::Application(application) => {
                let values = write_configuration(self, application, stage, servers)?;
                let supervised = start(stage, application_spec(self, stage, servers, &values)).await?;
                let ending = Ending { stage, supervised: &supervised, servers: &addresses };
                ApplicationLife::new(self, application, ending, servers, &values).lead().await;
                supervised
            }
        };
        Ok(Led { cpu: supervised.end().await.map(Duration::from_millis), start: StartKind::Fresh })
    }
}

async fn start(stage: &Stage<'_>, spec: LaunchSpec) -> Result<Supervised, LifeError> {
    let environment = stage.environment;
    let recorder = stage.recorder.clone();
    Ok(Supervised::start(&environment.executable, spec, recorder, &environment.reaper).await?)
}
