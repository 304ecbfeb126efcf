//! A loader as the subject of one plan.

use std::time::Duration;

use crate::drive::context::Context;
use crate::drive::driver::Driver;
use crate::drive::hello::await_hello;
use crate::drive::input::PlanInput;
use crate::drive::launch::LoaderLaunch;
use crate::drive::program::{Program, TaskProgram};
use crate::life::{Led, LifeError, Servers, Setup, Stage, Subject};
use crate::record::AdapterLink;
use crate::supervise::Supervised;

/// Drives a loader whose program is tasks of this thread, from its hello to its end.
pub(crate) async fn drive_tasks(
    input: &PlanInput,
    stage: &Stage<'_>,
    servers: &mut Servers,
    link: AdapterLink,
    program: &TaskProgram,
) {
    let context = Context { input, stage, program: Program::Tasks(program) };
    Driver::new(context, link, servers).run().await;
}

impl Subject for PlanInput {
    fn setup(&self) -> Setup {
        PlanInput::setup(self)
    }

    async fn live(&self, stage: &Stage<'_>, servers: &mut Servers) -> Result<Led, LifeError> {
        let environment = stage.environment;
        let (link, token) = (stage.endpoint.addr(), &stage.adapter_token);
        let mut spec = self.launch.supervised(environment, link, token, &self.directory, &self.plan.limits);
        spec.warm = self.may_start_warm.then(|| LoaderLaunch::warm(&self.plan.limits));
        let (recorder, reaper) = (stage.recorder.clone(), &environment.reaper);
        let interruption = async {
            environment.interruption().await;
            // Recorded before the launch ends: no rule blames the loader for the end of its process.
            stage.note_kill();
        };
        let supervised =
            Supervised::start_unless(interruption, &environment.executable, spec, recorder, reaper).await?;
        let start = supervised.start_kind();
        match await_hello(self, stage, &supervised).await {
            Ok(link) => {
                let context = Context { input: self, stage, program: Program::Process(&supervised) };
                Driver::new(context, link, servers).run().await;
            }
            Err(error) => {
                // Recorded before the tree is killed: no rule blames the loader for what follows.
                stage.note_failed(error.to_string());
                stage.note_kill();
            }
        }
        Ok(Led { cpu: supervised.end().await.map(Duration::from_millis), start })
    }
}
