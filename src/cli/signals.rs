//! Which signals are heeded.

use std::fs;

use rustix::process::Signal;

/// What asks for an end: INT, TERM and HUP, without those that were ignored when this process was started, as by `nohup`.
pub(super) fn heeded() -> Vec<i32> {
    // Without /proc nothing runs here anyway; then all of them are heeded.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    let all = [Signal::INT, Signal::TERM, Signal::HUP].map(Signal::as_raw);
    // Signals count from 1, bits from 0.
    all.into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0).collect()
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
