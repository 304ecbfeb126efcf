//! What every part of the driver reads.

use crate::drive::input::PlanInput;
use crate::drive::program::Program;
use crate::history::EventKind;
use crate::life::Stage;
use crate::plan::Limits;

/// The plan, the stage it runs on, and the program that hosts its loader.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub input: &'a PlanInput,
    pub stage: &'a Stage<'a>,
    pub program: Program<'a>,
}

impl<'a> Context<'a> {
    pub(super) fn limits(self) -> &'a Limits {
        &self.input.plan.limits
    }

    /// Records an event of the driver.
    pub(super) fn note(self, kind: EventKind) {
        self.stage.note(kind);
    }
}
