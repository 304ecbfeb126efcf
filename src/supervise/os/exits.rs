//! Processes that are held when they are about to exit, so that what they still have open can be seen.
//!
//! Once a process has exited, its system has closed its sockets, and nobody can tell that from a close of its own. So the
//! system is asked to stop every process of the tree at its last call, and to say so here; then it goes on. It is a filter of
//! system calls, which children inherit and which changes nothing else. Where the system refuses it, nothing is told.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc::UnboundedSender;

/// How long a process is held at most where nobody lets it go.
const HELD_MAX: Duration = Duration::from_secs(1);
/// State of a connection that neither side has closed, as /proc writes it.
const ESTABLISHED: &str = "01";

/// A process that is about to exit, and is held.
#[derive(Debug)]
pub(in crate::supervise) struct Held {
    /// Its pid.
    pub pid: u32,
    /// How many connections to the ports that matter it has open.
    pub n_sockets: u32,
    /// Lets it go when something is sent, or when it is dropped.
    pub let_go: mpsc::Sender<()>,
}

/// Runs `start` on a thread whose children are held when they exit. Each of them is told to `told`, one at a time.
///
/// The thread is one of its own, because a filter can never be taken off again.
pub(in crate::supervise) fn holding_exits<T: Send>(
    ports: &[u16],
    told: UnboundedSender<Held>,
    start: impl FnOnce() -> T + Send,
) -> T {
    std::thread::scope(|scope| {
        let started = scope.spawn(move || {
            if let Ok(listener) = install() {
                let ports = ports.to_vec();
                // Ends with the last process that has the filter.
                std::thread::spawn(move || listen(&listener, &ports, &told));
            }
            start()
        });
        match started.join() {
            Ok(started) => started,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Installs the filter on this thread: every call of exit_group waits for an answer of the listener.
#[expect(unsafe_code, reason = "no safe wrapper makes a listener; the program is a constant, and the kernel checks it")]
fn install() -> io::Result<OwnedFd> {
    let statement = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let exit_group = u32::try_from(libc::SYS_exit_group).map_err(io::Error::other)?;
    let mut filter = [
        // The number of the call is the first field of what a filter sees.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, exit_group, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF, 0, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as libc::c_ushort, filter: filter.as_mut_ptr() };
    // SAFETY: the first call takes numbers alone. The second reads the program, which lives until it returns, and gives a fresh
    // descriptor that nobody else owns, or -1.
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

fn listen(listener: &OwnedFd, ports: &[u16], told: &UnboundedSender<Held>) {
    loop {
        let mut ready = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut ready, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        let ready = ready[0].revents();
        if ready.contains(PollFlags::IN) {
            // One that was killed meanwhile is gone.
            if let Some((id, pid)) = receive(listener) {
                hold(pid, ports, told);
                answer(listener, id);
            }
        } else if ready.intersects(PollFlags::HUP | PollFlags::ERR) {
            return;
        }
    }
}

fn hold(pid: u32, ports: &[u16], told: &UnboundedSender<Held>) {
    let (let_go, gone) = mpsc::channel();
    let n_sockets = u32::try_from(connections(pid, ports)).unwrap_or(u32::MAX);
    if told.send(Held { pid, n_sockets, let_go }).is_ok() {
        // However that ends, the process goes on.
        let _ = gone.recv_timeout(HELD_MAX);
    }
}

#[expect(unsafe_code, reason = "no safe wrapper knows this call; the kernel fills in a structure of its own shape")]
fn receive(listener: &OwnedFd) -> Option<(u64, u32)> {
    // SAFETY: all fields are numbers, so all zeroes are a value of it, and the kernel demands them. It lives until the call returns.
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
    // SAFETY: it lives until the call returns. One that was killed meanwhile needs no answer.
    unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer);
    }
}

/// How many open connections to these ports a process has.
fn connections(pid: u32, ports: &[u16]) -> usize {
    let own: BTreeSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    // The tables are those of the whole machine.
    if own.is_empty() {
        return 0;
    }
    let tables = ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default());
    let inodes = tables.iter().flat_map(|table| table.lines()).filter_map(|line| connected_to(line, ports));
    inodes.filter(|inode| own.contains(*inode)).count()
}

/// The inode of a connection that is open and leads to one of these ports, from its line in /proc/PID/net/tcp.
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
        let (told, mut held) = tokio::sync::mpsc::unbounded_channel();
        let child = holding_exits(&[], told, || std::process::Command::new("true").spawn());
        let mut child = child.unwrap();
        match held.blocking_recv() {
            Some(Held { pid, n_sockets, let_go }) => {
                assert_eq!((pid, n_sockets), (child.id(), 0));
                assert_eq!(child.try_wait().unwrap(), None);
                let_go.send(()).unwrap();
            }
            None => eprintln!("UNAVAILABLE: this system holds no process at its exit"),
        }
        assert!(child.wait().unwrap().success());
    }
}
