//! Linux: /proc, pidfds and the subreaper.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;

use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, kill_process_group, pidfd_open, pidfd_send_signal,
    set_child_subreaper, setrlimit,
};
use rustix::system::sysinfo;

use crate::supervise::protocol::{ProcessFacts, Sample, Signalled};

/// Longest command line that is kept, in characters.
const COMMAND_CHARS_MAX: usize = 200;
/// Longest text of stacks, in bytes.
const STACKS_BYTES_MAX: usize = 64 << 10;
/// Microseconds of one clock tick: USER_HZ is 100 on every Linux that Rust's standard library supports.
const TICK_US: u64 = 10_000;

/// From now on orphans below this process become its children.
pub(in crate::supervise) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Raises the soft limit of open descriptors to the hard one; gives the old soft one.
pub(in crate::supervise) fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, fewer plans fit in at once.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    limit.current
}

/// Gives this process and its children the soft limit of open descriptors that there was before it was raised: a loader
/// that leaks descriptors must meet the limit its users have.
pub(in crate::supervise) fn lower_descriptor_limit(soft: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Lowering is never refused.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum });
}

/// Every process below `root`, parents before children, without `root` itself.
///
/// Read from the list of children that each thread keeps: its cost is that of the tree, not that of the machine.
pub(in crate::supervise) fn descendants(root: u32) -> Vec<ProcessFacts> {
    let mut found: Vec<ProcessFacts> = Vec::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for pid in children(parent) {
            // A tree that changes while it is read may show a process twice.
            if found.iter().any(|process| process.pid == pid) {
                continue;
            }
            if let Some(facts) = facts(pid) {
                found.push(facts);
                next.push(pid);
            }
        }
    }
    found
}

/// The processes that the threads of this one have started, or that it has adopted.
pub(in crate::supervise) fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// How many processes and threads the whole machine has, as far as 16 bits tell it.
pub(in crate::supervise) fn n_tasks() -> usize {
    sysinfo().procs.into()
}

/// The fields of /proc/PID/stat behind the command, which may itself hold blanks and parentheses.
fn stat_fields(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace().collect())
}

/// What the process table says of a process, without its command; `None` when it is gone.
pub(in crate::supervise) fn facts(pid: u32) -> Option<ProcessFacts> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat_fields(&stat)?;
    let state = fields.first()?.chars().next()?;
    let parent = fields.get(1)?.parse().ok()?;
    let started = fields.get(19)?.parse().ok()?;
    Some(ProcessFacts { pid, parent, started, state, command: String::new() })
}

/// Fills in command lines. Apart from the rest, because reading one takes a lock of the process it belongs to.
pub(in crate::supervise) fn name_commands(processes: &mut [ProcessFacts]) {
    for process in processes {
        let command = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        process.command = command.trim_end().chars().take(COMMAND_CHARS_MAX).collect();
    }
}

/// Whether the process with this pid and start is gone or a zombie.
pub(in crate::supervise) fn has_ended(process: &ProcessFacts) -> bool {
    facts(process.pid).is_none_or(|now| now.started != process.started || now.is_zombie())
}

/// Sends a signal to exactly this process, never to another that took over its pid.
pub(in crate::supervise) fn send_signal(process: &ProcessFacts, signal: Signal) -> Signalled {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return Signalled::Gone };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return Signalled::Gone };
    // The descriptor is taken first and the start compared after, so a recycled pid can not slip in between.
    if facts(process.pid).is_none_or(|now| now.started != process.started) {
        return Signalled::Gone;
    }
    match pidfd_send_signal(&pidfd, signal) {
        Ok(()) => Signalled::Sent,
        Err(_) => Signalled::Gone,
    }
}

/// Sends a signal to the process group that this child of ours leads. It has to be one that was not waited for, so that no other group
/// can have taken over its number.
pub(in crate::supervise) fn send_group_signal(leader: &ProcessFacts, signal: Signal) -> Signalled {
    let Some(group) = i32::try_from(leader.pid).ok().and_then(Pid::from_raw) else { return Signalled::Gone };
    match kill_process_group(group, signal) {
        Ok(()) => Signalled::Sent,
        Err(_) => Signalled::Gone,
    }
}

/// CPU time of a process so far, in microseconds, all its threads, dead ones included.
fn cpu_us(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat_fields(&stat)?;
    let ticks = |index: usize| fields.get(index).and_then(|ticks| ticks.parse::<u64>().ok());
    Some((ticks(11)? + ticks(12)?) * TICK_US)
}

/// CPU time of this process and of the children it has waited for, in milliseconds; exact to 40.
pub(in crate::supervise) fn children_cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat_fields(&stat).unwrap_or_default();
    let ticks =
        (11..=14).filter_map(|index| fields.get(index).and_then(|ticks| ticks.parse::<u64>().ok())).sum::<u64>();
    ticks * TICK_US / 1_000
}

/// What a process uses now; `window_us` and `cpu_us` hold the CPU time so far, for a caller that takes two.
pub(in crate::supervise) fn sample(pid: u32) -> Option<Sample> {
    let cpu_us = cpu_us(pid)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
    };
    let threads = number("Threads").and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    Some(Sample { window_us: 0, cpu_us, threads, fds: fds(pid), rss_kib: number("VmRSS").unwrap_or(0) })
}

fn fds(pid: u32) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return counts };
    for entry in entries.flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy();
        let kind = match target.split_once(":[") {
            Some(("pipe", _)) => "pipe",
            Some(("socket", _)) => "socket",
            _ if target.starts_with('/') => "file",
            _ => "other",
        };
        *counts.entry(kind.to_owned()).or_insert(0) += 1;
    }
    counts
}

/// Threads of the given processes with their state, wait channel and, where the kernel shows it, their stack.
pub(in crate::supervise) fn stacks(pids: &[u32]) -> String {
    let mut text = String::new();
    for pid in pids {
        let Some(process) = facts(*pid) else { continue };
        let mut process = [process];
        name_commands(&mut process);
        let [process] = process;
        push(&mut text, format_args!("process {pid}: {}\n", process.command));
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten() {
            let read = |name: &str| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            let stat = read("stat");
            let state = stat_fields(&stat).and_then(|fields| fields.first().map(|state| (*state).to_owned()));
            let name = read("comm");
            let wait = read("wchan");
            let state = state.unwrap_or_default();
            push(&mut text, format_args!("  thread {} {state} waits in {wait}\n", name.trim()));
            for frame in read("stack").lines().take(12) {
                push(&mut text, format_args!("    {frame}\n"));
            }
        }
        if text.len() > STACKS_BYTES_MAX {
            break;
        }
    }
    text
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("writing to a string can not fail");
}
