//! The calls of one operating system, behind one set of functions.

mod linux;

pub(super) use linux::{
    adopt_orphans, children_cpu_ms, descendants, has_ended, lower_descriptor_limit, name_commands,
    raise_descriptor_limit, sample, send_signal, stacks,
};
