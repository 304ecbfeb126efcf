//! The process table of Linux: the running processes, with their parents and states.
//!
//! There are two ways to find processes, and their costs differ. [`descendants`] follows the lists of children that threads
//! keep, so its cost is that of the tree. [`processes`] reads every process of the machine: it serves questions about which
//! no list exists, such as the members of a process group.

use std::fs;

/// The facts in `/proc/PID/stat` about one process or thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Process id; of a thread, its thread id.
    pub pid: u32,
    /// One letter, as in `/proc`: R, S, D, T, Z …
    pub state: char,
    /// Process id of the parent.
    pub parent: u32,
    /// Id of the process group. It is 0 for threads of the kernel and -1 for a process that is being removed.
    pub group: i32,
    /// Start in clock ticks since boot. No two processes share both this and their pid.
    pub started: u64,
    /// CPU time so far in clock ticks, over all threads, dead ones included.
    pub cpu_ticks: u64,
    /// CPU time in clock ticks of the children that the process has waited for.
    pub waited_cpu_ticks: u64,
}

impl Stat {
    /// Reads the text of a `stat` file. `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // `pid (command) state parent group ...`: the command itself may contain blanks and parentheses.
        let (pid, rest) = text.split_once(" (")?;
        let fields: Vec<&str> = rest.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            pid: pid.parse().ok()?,
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            started: ticks(19)?,
            cpu_ticks: ticks(11)? + ticks(12)?,
            waited_cpu_ticks: ticks(13)? + ticks(14)?,
        })
    }

    /// Whether the process has ended: it is a zombie or is being removed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// The entry of one process. `None` when there is no such process.
#[must_use]
pub fn stat(pid: u32) -> Option<Stat> {
    Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// A variable of the environment with which a process was started. `None` if it has none, or belongs to another user.
#[must_use]
pub fn variable(pid: u32, name: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.split('\0').find_map(|entry| entry.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}

/// Every process of the machine. Empty when `/proc` cannot be read.
pub fn processes() -> impl Iterator<Item = Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?))
}

/// The processes that the threads of this one have started or adopted.
///
/// The kernel promises a whole list only while no child ends: one that ends meanwhile may hide another.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// Every process below `root`, parents before children, without `root` itself.
#[must_use]
pub fn descendants(root: u32) -> Vec<Stat> {
    let mut found: Vec<Stat> = Vec::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for pid in children(parent) {
            // A tree that changes while it is read may show a process twice.
            if found.iter().any(|process| process.pid == pid) {
                continue;
            }
            if let Some(process) = stat(pid) {
                found.push(process);
                next.push(pid);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_command_may_look_like_the_rest_of_its_line() {
        let fields = "1 7 7 0 -1 0 0 0 0 0 30 12 5 6 20 0 1 0 4242 0 0";
        let stat = Stat::parse(&format!("9 (a) b) Z (c) S {fields}\n")).unwrap();
        assert_eq!((stat.pid, stat.state, stat.parent, stat.group), (9, 'S', 1, 7));
        assert_eq!((stat.cpu_ticks, stat.waited_cpu_ticks, stat.started), (42, 11, 4242));
        assert!(!stat.has_ended());
        for text in ["", "9 (a) S 1 7", "x (a) S 1 7 7 0", "9"] {
            assert_eq!(Stat::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_process_shows_the_environment_it_was_started_with() {
        let mut child = Command::new("cat");
        child.env("ONE", "1=2").env("ONE_MORE", "3").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().unwrap();
        // What it echoes shows that it runs its own program: before that its environment may not be there yet.
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let value = |name: &str| variable(child.id(), name);
        assert_eq!((value("ONE").as_deref(), value("ONE_MORE").as_deref()), (Some("1=2"), Some("3")));
        assert_eq!(value("MORE"), None);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_child_is_found_in_every_way_until_it_was_waited_for() {
        let mut parent = Command::new("sh");
        // The shell stays, because a command follows the one that lasts.
        parent.args(["-c", "cat; true"]).stdin(Stdio::piped());
        let mut parent = parent.spawn().unwrap();
        let (me, pid) = (std::process::id(), parent.id());
        let started = stat(pid).unwrap().started;
        // Children of other tests may end meanwhile and hide this one.
        while !children(me).contains(&pid) {}
        assert!(processes().any(|process| (process.pid, process.parent, process.started) == (pid, me, started)));
        let grandchild = loop {
            if let Some(found) = descendants(me).into_iter().find(|process| process.parent == pid) {
                break found;
            }
        };
        assert_ne!(grandchild.pid, pid);
        drop(parent.stdin.take());
        parent.wait().unwrap();
        assert!(stat(pid).is_none_or(|process| process.started != started));
    }
}
