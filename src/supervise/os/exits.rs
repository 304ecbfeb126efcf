//! Holds processes that are about to exit, so that their open connections can be counted.
//!
//! When a process exits, the kernel closes its sockets. An observer cannot distinguish this from an explicit close. A
//! seccomp filter therefore stops every process of the tree at `exit_group` and notifies this module, which then
//! releases the process. Children inherit the filter, and it changes nothing else. If the system refuses the filter,
//! this module reports no exits.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc::UnboundedSender;

/// Maximum time for which a process is held.
const HELD_MAX: Duration = Duration::from_secs(1);
/// State of an established connection, as /proc writes it.
const ESTABLISHED: &str = "01";

/// A process that waits to exit.
#[derive(Debug)]
pub(in crate::supervise) struct Held {
    /// Pid of the process.
    pub pid: u32,
    /// Number of its open connections to the given ports.
    pub n_sockets: u32,
    /// Releases the process when a value is sent, or when the sender is dropped.
    pub let_go: mpsc::Sender<()>,
}

/// Runs `start` on a new thread and holds its child processes when they exit. Sends each of them to `exits`, one at a
/// time.
///
/// The thread is new because a filter can never be removed from a thread.
pub(in crate::supervise) fn holding_exits<T: Send>(
    ports: &[u16],
    exits: UnboundedSender<Held>,
    start: impl FnOnce() -> T + Send,
) -> T {
    std::thread::scope(|scope| {
        let started = scope.spawn(move || {
            if let Ok(listener) = install() {
                let ports = ports.to_vec();
                // This thread ends with the last process that has the filter.
                std::thread::spawn(move || listen(&listener, &ports, &exits));
            }
            start()
        });
        match started.join() {
            Ok(started) => started,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Installs the filter on this thread: every call of exit_group waits for the listener's answer.
#[expect(unsafe_code, reason = "no safe wrapper makes a listener; the program is a constant, and the kernel checks it")]
fn install() -> io::Result<OwnedFd> {
    let statement = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let exit_group = u32::try_from(libc::SYS_exit_group).map_err(io::Error::other)?;
    let mut filter = [
        // The filter's input starts with the number of the system call.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, exit_group, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF, 0, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as libc::c_ushort, filter: filter.as_mut_ptr() };
    // SAFETY: the first call takes only numbers. The second call reads the program, which lives until the call returns.
    // It returns a new descriptor with no other owner, or -1.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
        let listener = libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program);
        let listener = i32::try_from(listener).map_err(io::Error::other)?;
        if listener < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(listener)) }
    }
}

fn listen(listener: &OwnedFd, ports: &[u16], exits: &UnboundedSender<Held>) {
    loop {
        let mut ready = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut ready, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        let ready = ready[0].revents();
        if ready.contains(PollFlags::IN) {
            // A process that was killed in the meantime yields nothing.
            if let Some((id, pid)) = receive(listener) {
                hold(pid, ports, exits);
                answer(listener, id);
            }
        } else if ready.intersects(PollFlags::HUP | PollFlags::ERR) {
            return;
        }
    }
}

fn hold(pid: u32, ports: &[u16], exits: &UnboundedSender<Held>) {
    let (let_go, gone) = mpsc::channel();
    let n_sockets = u32::try_from(connections(pid, ports)).unwrap_or(u32::MAX);
    if exits.send(Held { pid, n_sockets, let_go }).is_ok() {
        // The process continues after a release and after a timeout.
        let _ = gone.recv_timeout(HELD_MAX);
    }
}

#[expect(unsafe_code, reason = "no safe wrapper knows this call; the kernel fills in a structure of its own shape")]
fn receive(listener: &OwnedFd) -> Option<(u64, u32)> {
    // SAFETY: every field is a number, so all zeroes are a valid value, as the kernel requires. It lives until the call
    // returns.
    unsafe {
        let mut notice: libc::seccomp_notif = zeroed();
        let received = libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notice);
        (received == 0).then_some((notice.id, notice.pid))
    }
}

#[expect(unsafe_code, reason = "no safe wrapper knows this call; the kernel reads a structure of its own shape")]
fn answer(listener: &OwnedFd, id: u64) {
    let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
    let mut answer = libc::seccomp_notif_resp { id, val: 0, error: 0, flags };
    // SAFETY: it lives until the call returns. A process that was killed in the meantime needs no answer.
    unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer);
    }
}

/// The number of open connections from a process to these ports.
fn connections(pid: u32, ports: &[u16]) -> usize {
    let own: BTreeSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    // Skips the tables below, because they list the whole machine.
    if own.is_empty() {
        return 0;
    }
    let tables = ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default());
    let inodes = tables.iter().flat_map(|table| table.lines()).filter_map(|line| connected_to(line, ports));
    inodes.filter(|inode| own.contains(*inode)).count()
}

/// The inode of an open connection to one of these ports, from its line in /proc/PID/net/tcp.
fn connected_to<'a>(line: &'a str, ports: &[u16]) -> Option<&'a str> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (remote, state, inode) = (fields.get(2)?, fields.get(3)?, fields.get(9)?);
    let port = u16::from_str_radix(remote.rsplit(':').next()?, 16).ok()?;
    (*state == ESTABLISHED && ports.contains(&port)).then_some(*inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_while_it_is_open_and_leads_to_the_port() {
        let line =
            "   1: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 20";
        assert_eq!(connected_to(line, &[8080]), Some("4711"));
        assert_eq!(connected_to(line, &[8081]), None);
        assert_eq!(connected_to(&line.replace(" 01 ", " 04 "), &[8080]), None);
        assert_eq!(connected_to("  sl  local_address rem_address   st", &[8080]), None);
    }

    #[test]
    fn a_process_is_held_at_its_exit_and_goes_on() {
        let (exits, mut held) = tokio::sync::mpsc::unbounded_channel();
        let child = holding_exits(&[], exits, || std::process::Command::new("true").spawn());
        let mut child = child.unwrap();
        match held.blocking_recv() {
            Some(Held { pid, n_sockets, let_go }) => {
                assert_eq!((pid, n_sockets), (child.id(), 0));
                assert_eq!(child.try_wait().unwrap(), None);
                let_go.send(()).unwrap();
            }
            None => eprintln!("UNAVAILABLE: this system cannot hold processes at their exit"),
        }
        assert!(child.wait().unwrap().success());
    }
}
