//! Runs programs with a timeout.
//!
//! Each program leads a process group, and its stdin is a lifeline: a pipe that carries no data and ends when this
//! process ends, for any reason. [`PYTHON_WATCHES_LIFELINE`] makes a Python program watch it; [`watching_lifeline`]
//! does so for any other.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::process_table::descendants;
use crate::stack::interruption::signalled;

/// Python statements that kill the program's process group when its lifeline ends.
///
/// Without them, a pip left behind by a killed run would keep writing into the folder that the next run clears.
pub(super) const PYTHON_WATCHES_LIFELINE: &str = "\
import os as _os, signal as _signal, threading as _threading
def _watch():
    while _os.read(0, 1):
        pass
    _os.killpg(0, _signal.SIGKILL)
_threading.Thread(target=_watch, daemon=True).start()
";

/// Shell script: waits in the background for the end of the lifeline, then kills the process group. The program's stdin
/// is empty.
const WATCH: &str = "exec 3<&0 </dev/null; (while read -r line; do :; done <&3; kill -KILL 0) & exec \"$@\" 3<&-";

/// A command that is killed, with its descendants, when its lifeline ends.
pub(super) fn watching_lifeline(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", WATCH, "sh"]).arg(program).args(arguments);
    command
}

/// How a program ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It ended by itself. The text is its stderr.
    ByItself(ExitStatus, String),
    /// The timeout passed, and the program was killed with its descendants.
    Killed,
    /// A signal asked this process to end, and the program was killed with its descendants.
    Interrupted,
}

/// Runs a program with a timeout, and discards its stdout.
pub(super) fn run_with_timeout(command: &mut Command, limit: Duration) -> io::Result<Ended> {
    finish_with_timeout(command.stdout(Stdio::null()), limit)
}

/// Runs a program with a timeout, and returns its stdout.
pub(super) fn output_with_timeout(command: &mut Command, limit: Duration) -> io::Result<(Ended, String)> {
    let stdout = unnamed_file("stdout")?;
    let ended = finish_with_timeout(command.stdout(stdout.try_clone()?), limit)?;
    Ok((ended, whole_text(stdout)?))
}

/// Creates an unnamed file. A pipe would stay open as long as any descendant of the program holds it.
fn unnamed_file(name: &str) -> io::Result<File> {
    Ok(File::from(memfd_create(name, MemfdFlags::CLOEXEC)?))
}

fn whole_text(mut file: File) -> io::Result<String> {
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn finish_with_timeout(command: &mut Command, limit: Duration) -> io::Result<Ended> {
    let stderr = unnamed_file("stderr")?;
    command.stdin(Stdio::piped()).stderr(stderr.try_clone()?).process_group(0);
    let mut child = command.spawn()?;
    // Keep the lifeline open until the program has ended. Waiting for the child would close it first.
    let _lifeline = child.stdin.take();
    match await_end(&child, limit)? {
        Awaited::End => {}
        Awaited::Limit => {
            kill_tree(&mut child);
            return Ok(Ended::Killed);
        }
        Awaited::Signal => {
            kill_tree(&mut child);
            return Ok(Ended::Interrupted);
        }
    }
    let status = child.wait()?;
    Ok(Ended::ByItself(status, whole_text(stderr)?))
}

/// The first event: the end or the timeout.
enum Awaited {
    End,
    Limit,
    Signal,
}

fn await_end(child: &Child, limit: Duration) -> io::Result<Awaited> {
    let deadline = Instant::now() + limit;
    let pidfd = pidfd_open(pid_of(child.id()).ok_or(io::ErrorKind::NotFound)?, PidfdFlags::empty())?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        let ended = PollFd::new(&pidfd, PollFlags::IN);
        let signalled = signalled();
        let mut awaited: Vec<PollFd<'_>> = Vec::from([ended]);
        awaited.extend(signalled.as_ref().map(|signalled| PollFd::new(signalled, PollFlags::IN)));
        match poll(&mut awaited, Some(&left)) {
            Ok(0) => return Ok(Awaited::Limit),
            Ok(_) if !awaited[0].revents().is_empty() => return Ok(Awaited::End),
            Ok(_) => return Ok(Awaited::Signal),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Kills a child and its descendants, and waits for the child.
fn kill_tree(child: &mut Child) {
    // These pids belonged to descendants a moment ago. A process that has ended since needs no signal.
    for pid in descendants(child.id()).iter().filter_map(|process| pid_of(process.pid)) {
        let _ = kill_process(pid, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_ends_tells_how_and_what_it_printed() {
        let ended = run_with_timeout(&mut sh("echo out; echo no >&2; exit 3"), Duration::from_secs(30)).unwrap();
        let Ended::ByItself(status, stderr) = ended else { panic!("{ended:?}") };
        assert_eq!((status.code(), stderr.as_str()), (Some(3), "no\n"));
    }

    /// Closes a program's lifeline. The program writes the pid of its child into a file.
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
        command.args(["-c", &format!("{PYTHON_WATCHES_LIFELINE}{program}")]).arg(file.path());
        let Ok(child) = command.stdin(Stdio::piped()).process_group(0).spawn() else {
            eprintln!("UNAVAILABLE: lifelines of Python programs were not tested: no python3");
            return;
        };
        assert_ends_with_its_lifeline(child, file.path());
    }

    #[test]
    fn any_program_can_be_made_to_watch_its_lifeline() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = format!("sleep 60 & echo $! > {}; wait", file.path().display());
        let mut command = watching_lifeline(Path::new("sh"), &["-c", &script]);
        let child = command.stdin(Stdio::piped()).process_group(0).spawn().unwrap();
        assert_ends_with_its_lifeline(child, file.path());
        let ended =
            run_with_timeout(&mut watching_lifeline(Path::new("sh"), &["-c", "exit 3"]), Duration::from_secs(30));
        assert!(matches!(ended, Ok(Ended::ByItself(status, _)) if status.code() == Some(3)));
    }

    #[test]
    fn a_program_that_goes_on_is_killed_with_what_it_has_started() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = format!("sleep 60 & echo $! > {}; wait", file.path().display());
        let began = Instant::now();
        // Long enough for a shell to start a program, short of the sixty seconds that it sleeps.
        let ended = run_with_timeout(&mut sh(&script), Duration::from_secs(2)).unwrap();
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
