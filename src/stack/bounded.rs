//! Programs that are run to their end, or ended.
//!
//! Each is the leader of a process group and has a lifeline as its stdin: nothing is ever written to it, and it ends when this
//! process does, in whichever way. [`PYTHON_HEEDS_LIFELINE`] makes a Python program heed it, [`heeding_lifeline`] any other.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// Statements of Python: from here on the program's whole process group is killed when its lifeline ends.
///
/// A pip that a killed run leaves behind would go on writing into the folder that the next run clears.
pub(super) const PYTHON_HEEDS_LIFELINE: &str = "\
import os as _os, signal as _signal, threading as _threading
def _heed():
    while _os.read(0, 1):
        pass
    _os.killpg(0, _signal.SIGKILL)
_threading.Thread(target=_heed, daemon=True).start()
";

/// Waits for the end of the lifeline beside the program, which has its stdin from nowhere; then kills the process group.
const HEED: &str = "exec 3<&0 </dev/null; (while read -r line; do :; done <&3; kill -KILL 0) & exec \"$@\" 3<&-";

/// A program that is killed, with whatever it has started, when its lifeline ends.
pub(super) fn heeding_lifeline(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", HEED, "sh"]).arg(program).args(arguments);
    command
}

/// How a program ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// By itself, with what it printed to stderr.
    Itself(ExitStatus, String),
    /// It was killed, and whatever it had started, because its limit had passed.
    Killed,
}

/// Runs a program to its end, at most for `limit`. What it prints to stdout is lost.
pub(super) fn run_within(command: &mut Command, limit: Duration) -> io::Result<Ended> {
    end_within(command.stdout(Stdio::null()), limit)
}

/// Runs a program to its end, at most for `limit`, and gives what it printed to stdout.
pub(super) fn output_within(command: &mut Command, limit: Duration) -> io::Result<(Ended, String)> {
    let stdout = unnamed_file("stdout")?;
    let ended = end_within(command.stdout(stdout.try_clone()?), limit)?;
    Ok((ended, whole_text(stdout)?))
}

/// A file, not a pipe: the end of a pipe is that of everything that inherited it.
fn unnamed_file(name: &str) -> io::Result<File> {
    Ok(File::from(memfd_create(name, MemfdFlags::CLOEXEC)?))
}

fn whole_text(mut file: File) -> io::Result<String> {
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn end_within(command: &mut Command, limit: Duration) -> io::Result<Ended> {
    let stderr = unnamed_file("stderr")?;
    command.stdin(Stdio::piped()).stderr(stderr.try_clone()?).process_group(0);
    let mut child = command.spawn()?;
    // Open until the program has ended; a wait for the child would close it first.
    let _lifeline = child.stdin.take();
    if !has_ended_within(&child, limit)? {
        kill_tree(&mut child);
        return Ok(Ended::Killed);
    }
    let status = child.wait()?;
    Ok(Ended::Itself(status, whole_text(stderr)?))
}

fn has_ended_within(child: &Child, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    let pidfd = pidfd_open(pid_of(child.id()).ok_or(io::ErrorKind::NotFound)?, PidfdFlags::empty())?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Ok(n_ready) => return Ok(n_ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Kills a child and what is below it; the child is waited for.
fn kill_tree(child: &mut Child) {
    // Their pids were children of a living process a moment ago; one that has ended meanwhile needs no signal.
    for pid in descendants(child.id()).into_iter().filter_map(pid_of) {
        let _ = kill_process(pid, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn descendants(root: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for list in threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok()) {
            let children: Vec<u32> = list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
            next.extend(&children);
            found.extend(children);
        }
    }
    found
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_ends_tells_how_and_what_it_printed() {
        let ended = run_within(&mut sh("echo out; echo no >&2; exit 3"), Duration::from_secs(30)).unwrap();
        let Ended::Itself(status, stderr) = ended else { panic!("{ended:?}") };
        assert_eq!((status.code(), stderr.as_str()), (Some(3), "no\n"));
    }

    /// Takes a program's lifeline away; it writes the pid of what it has started into a file.
    fn assert_ends_with_its_lifeline(mut child: Child, file: &Path) {
        let began = Instant::now();
        let await_that = |what: &str, holds: &dyn Fn() -> bool| {
            while !holds() {
                assert!(began.elapsed() < Duration::from_secs(30), "{what}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        let pid = || fs::read_to_string(file).unwrap().trim().to_owned();
        await_that("nothing was started", &|| !pid().is_empty());
        drop(child.stdin.take());
        assert!(!child.wait().unwrap().success());
        let command = || fs::read(format!("/proc/{}/cmdline", pid())).unwrap_or_default();
        await_that("what it had started lives on", &|| command().is_empty());
    }

    #[test]
    fn a_python_program_ends_with_its_lifeline_and_takes_along_what_it_has_started() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let program = "import subprocess, sys\n\
                       print(subprocess.Popen(['sleep', '60']).pid, file=open(sys.argv[1], 'w'), flush=True)\n\
                       subprocess.run(['sleep', '60'])";
        let mut command = Command::new("python3");
        command.args(["-c", &format!("{PYTHON_HEEDS_LIFELINE}{program}")]).arg(file.path());
        let Ok(child) = command.stdin(Stdio::piped()).process_group(0).spawn() else {
            eprintln!("UNAVAILABLE: lifelines of Python programs were not tested: no python3");
            return;
        };
        assert_ends_with_its_lifeline(child, file.path());
    }

    #[test]
    fn any_program_can_be_made_to_heed_its_lifeline() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = format!("sleep 60 & echo $! > {}; wait", file.path().display());
        let mut command = heeding_lifeline(Path::new("sh"), &["-c", &script]);
        let child = command.stdin(Stdio::piped()).process_group(0).spawn().unwrap();
        assert_ends_with_its_lifeline(child, file.path());
        let ended = run_within(&mut heeding_lifeline(Path::new("sh"), &["-c", "exit 3"]), Duration::from_secs(30));
        assert!(matches!(ended, Ok(Ended::Itself(status, _)) if status.code() == Some(3)));
    }

    #[test]
    fn a_program_that_goes_on_is_killed_with_what_it_has_started() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = format!("sleep 60 & echo $! > {}; wait", file.path().display());
        let began = Instant::now();
        // Long enough for a shell to start a program, short of the sixty seconds that it sleeps.
        let ended = run_within(&mut sh(&script), Duration::from_secs(2)).unwrap();
        assert!(matches!(ended, Ended::Killed), "{ended:?}");
        assert!(began.elapsed() < Duration::from_secs(30));
        let pid = fs::read_to_string(file.path()).unwrap().trim().to_owned();
        let command = || fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        while !command().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(30), "process {pid} lives on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
