//! Linux: /proc, pidfds and the child subreaper.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, kill_process_group, pidfd_open, pidfd_send_signal,
    set_child_subreaper, set_parent_process_death_signal, setrlimit,
};
use rustix::system::sysinfo;
use rustix::time::Timespec;

use crate::process_table::{self, Stat};
use crate::supervise::protocol::{ProcessFacts, Sample, Signalled};

/// Maximum number of characters kept of a command line.
const COMMAND_CHARS_MAX: usize = 200;
/// Maximum size of a text of stacks, in bytes.
const STACKS_BYTES_MAX: usize = 64 << 10;
/// Microseconds of one clock tick. USER_HZ is 100 on every Linux that Rust's standard library supports.
const TICK_US: u64 = 10_000;

/// Makes orphans below this process its children from now on.
pub(in crate::supervise) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Makes the system kill the command's process when this thread ends. Forks of the process are not affected.
#[expect(unsafe_code, reason = "no safe function runs code in a child before its program")]
pub(in crate::supervise) fn end_with_parent(command: &mut Command) {
    // SAFETY: the closure makes one system call. It takes no lock and allocates nothing.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
}

/// Raises the soft limit of open descriptors to the hard limit. Returns the old soft limit.
pub(in crate::supervise) fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    // Without it, fewer plans can run at once.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    limit.current
}

/// Restores the soft limit of open descriptors from before [`raise_descriptor_limit`]. A loader that leaks descriptors
/// must reach the limit that its users have.
pub(in crate::supervise) fn lower_descriptor_limit(soft: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // The system never refuses to lower the limit.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum });
}

/// Every process below `root`, parents before children, without `root` itself.
///
/// Follows the list of children that the kernel keeps for each thread. The cost depends on the tree, not on the machine.
pub(in crate::supervise) fn descendants(root: u32) -> Vec<ProcessFacts> {
    process_table::descendants(root).into_iter().map(ProcessFacts::from).collect()
}

/// The number of processes and threads on the whole machine, modulo 2^16.
pub(in crate::supervise) fn n_tasks() -> usize {
    sysinfo().procs.into()
}

/// How many tasks of the whole machine run or wait for a core, without the caller; `None` where the system does not say.
pub(in crate::supervise) fn n_runnable() -> Option<usize> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let (running, _) = text.split_whitespace().nth(3)?.split_once('/')?;
    Some(running.parse::<usize>().ok()?.saturating_sub(1))
}

impl From<Stat> for ProcessFacts {
    /// Without the command line, which [`name_commands`] adds.
    fn from(stat: Stat) -> Self {
        let Stat { pid, parent, started, state, .. } = stat;
        Self { pid, parent, started, state, command: String::new() }
    }
}

/// The process table's entry of a process, without its command line; `None` if the process has ended.
pub(in crate::supervise) fn facts(pid: u32) -> Option<ProcessFacts> {
    process_table::stat(pid).map(ProcessFacts::from)
}

/// Fills in command lines. A separate step, because reading a command line takes a lock of that process.
pub(in crate::supervise) fn name_commands(processes: &mut [ProcessFacts]) {
    for process in processes {
        process.command = command_line(process.pid);
    }
}

/// The beginning of the command line of a process; empty if the process has ended.
pub(in crate::supervise) fn command_line(pid: u32) -> String {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    command.trim_end().chars().take(COMMAND_CHARS_MAX).collect()
}

/// Whether the process with this pid and start has ended or is a zombie.
pub(in crate::supervise) fn has_ended(process: &ProcessFacts) -> bool {
    facts(process.pid).is_none_or(|now| now.started != process.started || now.is_zombie())
}

/// Sends a signal to exactly this process. Another process that reuses its pid never receives it.
pub(in crate::supervise) fn send_signal(process: &ProcessFacts, signal: Signal) -> Signalled {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return Signalled::Gone };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return Signalled::Gone };
    // Opens the descriptor first and compares the start afterwards. A reused pid cannot pass both.
    if facts(process.pid).is_none_or(|now| now.started != process.started) {
        return Signalled::Gone;
    }
    match pidfd_send_signal(&pidfd, signal) {
        Ok(()) => Signalled::Sent,
        Err(_) => Signalled::Gone,
    }
}

/// Waits until exactly this process has ended, at most for this long. Only then are all its descriptors closed: it may close its link
/// before its pipes.
pub(in crate::supervise) fn await_end(process: &ProcessFacts, limit: Duration) {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let limit = Timespec::try_from(limit).ok();
    if !has_ended(process) {
        // An interrupted wait is only shorter.
        let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], limit.as_ref());
    }
}

/// Sends a signal to the process group that this child leads. The caller must not have waited for the child yet, so no
/// other group can have its number.
pub(in crate::supervise) fn send_group_signal(leader: &ProcessFacts, signal: Signal) -> Signalled {
    let Some(group) = i32::try_from(leader.pid).ok().and_then(Pid::from_raw) else { return Signalled::Gone };
    match kill_process_group(group, signal) {
        Ok(()) => Signalled::Sent,
        Err(_) => Signalled::Gone,
    }
}

/// CPU time of this process and of the children it has waited for, in milliseconds. The error is up to 40 ms.
pub(in crate::supervise) fn children_cpu_ms() -> u64 {
    let ticks = process_table::stat(std::process::id()).map_or(0, |stat| stat.cpu_ticks + stat.waited_cpu_ticks);
    ticks * TICK_US / 1_000
}

/// CPU time of a process so far, in microseconds.
pub(in crate::supervise) fn cpu_us(pid: u32) -> Option<u64> {
    Some(process_table::stat(pid)?.cpu_ticks * TICK_US)
}

/// For each thread of a process, the time so far for which it ran or waited for a processor, in microseconds. Empty if the kernel
/// does not show it.
pub(in crate::supervise) fn runnable_us(pid: u32) -> BTreeMap<u32, u64> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return BTreeMap::new() };
    let of_thread = |entry: fs::DirEntry| {
        let thread = entry.file_name().to_str()?.parse().ok()?;
        let (ran, waited) = ran_and_waited_ns(&entry.path())?;
        Some((thread, ran.saturating_add(waited) / 1_000))
    };
    threads.flatten().filter_map(of_thread).collect()
}

/// The time for which the main thread of a process has waited for a processor in its life, in microseconds. A zombie still shows it.
pub(in crate::supervise) fn waited_us(pid: u32) -> Option<u64> {
    let (_, waited) = ran_and_waited_ns(Path::new(&format!("/proc/{pid}")))?;
    Some(waited / 1_000)
}

/// For how long the thread of this folder of `/proc` ran, and waited for a processor, in nanoseconds.
fn ran_and_waited_ns(thread: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(thread.join("schedstat")).ok()?;
    let mut times_ns = text.split_whitespace().map_while(|time| time.parse::<u64>().ok());
    times_ns.next().zip(times_ns.next())
}

/// The current resource use of a process. `cpu_us` is the CPU time so far; the caller takes two samples and subtracts.
pub(in crate::supervise) fn sample(pid: u32) -> Option<Sample> {
    let cpu_us = cpu_us(pid)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
    };
    let threads = number("Threads").and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let rss_kib = number("VmRSS").unwrap_or(0);
    let (fds, waited_us) = (fds(pid), waited_us(pid));
    Some(Sample { window_us: 0, cpu_us, runnable_us: 0, waited_us, threads, fds, rss_kib })
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

/// The threads of these processes: state, wait channel and, if the kernel shows it, kernel stack.
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
            let state = Stat::parse(&read("stat")).map(|stat| stat.state.to_string());
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
    text.write_fmt(line).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_killed_process_has_ended_when_its_end_was_awaited() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = facts(child.id()).unwrap();
        assert!(!has_ended(&process));
        assert_eq!(send_signal(&process, Signal::KILL), Signalled::Sent);
        await_end(&process, Duration::from_secs(30));
        assert!(has_ended(&process));
        child.wait().unwrap();
    }
}
