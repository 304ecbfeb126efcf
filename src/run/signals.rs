//! The signals that interrupt a run.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::Signal;

/// INT and TERM, and HUP unless this process was started with HUP ignored, as `nohup` does.
///
/// INT interrupts a run even if it was ignored at the start. A shell without job control ignores INT in every background process, but a
/// sender that names this very process means it.
#[must_use]
pub fn interrupting_signals() -> Vec<i32> {
    // Without /proc nothing else works here either, so all of them interrupt.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    // Signals count from 1, bits from 0.
    let is_hangup_ignored = ignored(&status) & (1 << (Signal::HUP.as_raw() - 1)) != 0;
    let mut signals = vec![Signal::INT.as_raw(), Signal::TERM.as_raw()];
    if !is_hangup_ignored {
        signals.push(Signal::HUP.as_raw());
    }
    signals
}

/// From now on, a write beyond a limit on the size of files is an error, as on a full disk, and does not end this process. What this
/// process starts is not affected.
///
/// # Errors
/// When the system refuses the handler.
pub fn survive_file_limit() -> std::io::Result<()> {
    // A handler that does nothing, because an ignored signal would stay ignored in every child.
    signal_hook::flag::register(Signal::XFSZ.as_raw(), Arc::new(AtomicBool::new(false))).map(drop)
}

/// The set of ignored signals, from the text of /proc/PID/status.
fn ignored(status: &str) -> u64 {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::ignored;

    #[test]
    fn the_set_of_ignored_signals_is_read() {
        assert_eq!(ignored("Name:\tx\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n"), 0x1001);
        assert_eq!(ignored(""), 0);
    }
}
