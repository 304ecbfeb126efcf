//! Which signals are heeded.

use std::fs;

use rustix::process::Signal;

/// What asks for an end: INT and TERM, and HUP where it was not ignored when this process was started, as by `nohup`.
///
/// INT is heeded also where it was ignored: a shell without job control ignores it in whatever it starts in the background,
/// and who sends it to this very process means it.
pub(crate) fn heeded() -> Vec<i32> {
    // Without /proc nothing runs here anyway; then all of them are heeded.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    // Signals count from 1, bits from 0.
    let is_hangup_ignored = ignored(&status) & (1 << (Signal::HUP.as_raw() - 1)) != 0;
    let mut heeded = vec![Signal::INT.as_raw(), Signal::TERM.as_raw()];
    if !is_hangup_ignored {
        heeded.push(Signal::HUP.as_raw());
    }
    heeded
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
