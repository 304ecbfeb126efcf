//! Process control and the process table, behind functions that do not name the operating system.

mod exits;
mod linux;

pub(super) use exits::{Held, holding_exits};
pub(super) use linux::{
    adopt_orphans, await_end, children_cpu_ms, command_line, cpu_us, descendants, end_with_parent, facts, has_ended,
    lower_descriptor_limit, n_runnable, n_tasks, name_commands, raise_descriptor_limit, runnable_us, sample,
    send_group_signal, send_signal, stacks, waited_us,
};

pub(super) use crate::process_table::{children, variable};
