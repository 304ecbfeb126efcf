//! The calls of one operating system, behind one set of functions.

mod exits;
mod linux;

pub(super) use exits::{Held, holding_exits};
pub(super) use linux::{
    adopt_orphans, children, children_cpu_ms, descendants, facts, has_ended, lower_descriptor_limit, n_tasks,
    name_commands, raise_descriptor_limit, sample, send_group_signal, send_signal, stacks,
};
