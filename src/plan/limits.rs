//! The limits of a plan: a name, a default and a meaning for every wait of the harness.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One limit: its name on the command line, its default and what it bounds.
#[derive(Debug, Clone, Copy)]
pub struct LimitInfo {
    /// Name in `--limit NAME=DURATION` and in reports.
    pub name: &'static str,
    /// Default in milliseconds.
    pub default_ms: u64,
    /// The wait that it bounds, in one sentence.
    pub about: &'static str,
}

macro_rules! limits {
    ($($field:ident, $name:literal, $default_ms:literal, $about:literal;)*) => {
        /// The limits in force for one plan. All in milliseconds when written.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct Limits {
            $(#[doc = $about] #[serde(with = "millis")] pub $field: Duration,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: Duration::from_millis($default_ms),)* }
            }
        }

        /// Every limit of a plan, in the order of reports.
        pub const LIMITS: &[LimitInfo] = &[$(LimitInfo { name: $name, default_ms: $default_ms, about: $about },)*];

        impl Limits {
            /// Sets a limit by name. `None` when no limit has that name.
            pub fn set(&mut self, name: &str, value: Duration) -> Option<()> {
                match name {
                    $($name => self.$field = value,)*
                    _ => return None,
                }
                Some(())
            }
        }
    };
}

limits! {
    start, "start", 60_000, "From the start of the loader's process to its hello, including interpreter and imports.";
    listen, "listen", 10_000, "From starting a server over HTTP until it listens.";
    operation, "operation", 10_000, "One operation, from its invocation, or its start if it waited for its thread, to its completion.";
    cleanup, "cleanup", 15_000, "One cleanup (close), from its invocation to its completion.";
    connect, "connect", 15_000, "One load or reload, from its invocation to its completion.";
    in_flight, "in-flight", 10_000, "From the invocation of an operation until it is in flight, in a step with `until = \"in-flight\"`.";
    gate, "gate", 10_000, "From the start of a wait for a gate until a mock has reached the gate.";
    exit, "exit", 10_000, "From the request or signal that ends the program to the end of its process.";
    grace, "grace", 2_000, "How long servers may still take to vanish after cleanup, and after the end of the process.";
    failure, "failure", 2_000, "From a server's death to the failure of the calls that were in flight on it.";
    settle, "settle", 2_000, "How long the supervisor may take to kill and reap a whole process tree.";
    stacks, "stacks", 2_000, "How long the harness may take to collect stacks after a limit passed.";
    acknowledge, "acknowledge", 10_000, "From an event sent over a link to its acknowledgement.";
    hello, "hello", 5_000, "From an accepted connection to its hello.";
    plan, "plan", 300_000, "One plan as a whole.";
}

/// Durations as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        u64::try_from(value.as_millis()).unwrap_or(u64::MAX).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {found:?}, expected a duration such as 250ms, 10s or 2m")]
pub struct DurationError {
    found: String,
}

/// Reads a whole number with a unit, such as `250ms`, `10s` or `2m`.
///
/// The grammar is a contract. General duration parsers also accept `1h`, `10s 5ms` or `1.5s`, which are errors here.
///
/// # Errors
/// When the text has another shape.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError { found: text.to_owned() };
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| error())?;
    let ms_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err(error()),
    };
    number.checked_mul(ms_per_unit).map(Duration::from_millis).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "10", "s", "1h", "-1s", "99999999999999999999s", "18446744073709551615m"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_limit_can_be_set_by_its_name() {
        for limit in LIMITS {
            let mut limits = Limits::default();
            assert!(limits.set(limit.name, Duration::from_millis(1)).is_some(), "{}", limit.name);
            assert_ne!(limits, Limits::default(), "{}", limit.name);
        }
    }
}
