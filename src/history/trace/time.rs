//! The times of a trace: RFC 3339, or seconds or milliseconds as a number.

use serde_json::Value;

/// A time as one line gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum RawTime {
    /// Microseconds since 1970, or since an unknown moment.
    Micros(i64),
    /// A number whose unit the other lines may show.
    Number(f64),
}

/// A value that is not a time.
pub(super) struct RawTimeError {
    pub expected: &'static str,
}

/// Numbers from here on are milliseconds since 1970; as seconds they would be after the year 5138.
const FROM_MS: f64 = 1e11;
/// Numbers from here on are since 1970.
const FROM_EPOCH: f64 = 1e8;
/// No time is as late as this, in microseconds.
const MICROS_MAX: f64 = 9e15;

impl RawTime {
    pub(super) fn of(value: &Value) -> Result<Self, RawTimeError> {
        let expected = "RFC 3339, such as 2026-07-28T09:30:00.250Z, or a number of seconds or milliseconds";
        let time = match value {
            Value::String(text) => rfc3339(text).map(Self::Micros),
            Value::Number(number) => number.as_f64().filter(|number| *number < MICROS_MAX / 1e3).map(Self::Number),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        time.filter(|time| !matches!(time, Self::Number(number) if *number < 0.0)).ok_or(RawTimeError { expected })
    }

    pub(super) fn of_ms(value: &Value) -> Result<Self, RawTimeError> {
        let micros = value.as_f64().map(|ms| ms * 1e3).filter(|micros| (0.0..MICROS_MAX).contains(micros));
        micros.map(|micros| Self::Micros(micros as i64)).ok_or(RawTimeError { expected: "a number of milliseconds" })
    }
}

/// The times of all events.
#[derive(Default)]
pub(super) struct Times(Vec<Option<RawTime>>);

impl Times {
    pub(super) fn push(&mut self, time: Option<RawTime>) {
        self.0.push(time);
    }

    /// Microseconds from the first event, and whether they can be relied on: each event has one, none goes back, and
    /// the unit is known.
    pub(super) fn end(self) -> (Vec<u64>, bool) {
        let numbers = || {
            self.0.iter().filter_map(|time| if let Some(RawTime::Number(number)) = time { Some(*number) } else { None })
        };
        let largest = numbers().fold(0.0, f64::max);
        let is_mixed = numbers().next().is_some() && self.0.iter().any(|time| matches!(time, Some(RawTime::Micros(_))));
        let (micros_per_unit, is_known) = if largest >= FROM_MS {
            (1e3, true)
        } else if largest >= FROM_EPOCH || numbers().any(|number| number.fract() != 0.0) {
            (1e6, true)
        } else {
            // Whole numbers from a moment of their own. As milliseconds they make no wait longer than it was.
            (1e3, largest == 0.0)
        };
        let mut is_reliable = is_known && !is_mixed;
        let mut first = None;
        let mut newest = 0;
        let mut at_us = Vec::with_capacity(self.0.len());
        for time in &self.0 {
            let micros = match time {
                Some(RawTime::Micros(micros)) => *micros,
                Some(RawTime::Number(number)) => (number * micros_per_unit) as i64,
                None => {
                    is_reliable = false;
                    at_us.push(newest);
                    continue;
                }
            };
            let since = micros.saturating_sub(*first.get_or_insert(micros));
            is_reliable &= i64::try_from(newest).is_ok_and(|newest| since >= newest);
            newest = newest.max(u64::try_from(since).unwrap_or_default());
            at_us.push(newest);
        }
        (at_us, is_reliable)
    }
}

/// Microseconds since 1970 of a time as RFC 3339 writes it; the offset may be left out.
fn rfc3339(text: &str) -> Option<i64> {
    let (date, time) = (text.get(..10)?, text.get(11..)?);
    if !matches!(text.as_bytes()[10], b'T' | b't' | b' ') {
        return None;
    }
    let [year, month, day] = numbers(date, '-')?;
    let zone = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone);
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':')?;
    let offset = match zone {
        "" | "Z" | "z" => 0,
        _ => {
            let [hours, minutes] = numbers(&zone[1..], ':')?;
            (hours * 60 + minutes) * if zone.starts_with('-') { -60 } else { 60 }
        }
    };
    let is_valid = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !is_valid || fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Some(seconds * 1_000_000 + micros)
}

/// Whole numbers with this separator.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()) && (1..=4).contains(&part.len());
    let parts: Option<Vec<i64>> =
        text.split(separator).map(|part| if digits(part) { part.parse().ok() } else { None }).collect();
    parts?.try_into().ok()
}

/// Days of the Gregorian calendar. The year begins in March, so that the leap day is the last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}
