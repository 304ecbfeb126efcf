//! Valid JSON that the JSON library refuses: nested too deeply, with half a surrogate pair in a text, or with a number
//! that is too large for a float. The client may send such JSON, so the server replaces these parts and reads the
//! message.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

/// Deepest nesting that is kept: with the event around it, a message stays below the limit of the library.
const DEPTH_MAX: usize = 100;
/// Replaces half a surrogate pair.
const REPLACEMENT: &[u8] = br"\ufffd";

/// Reads JSON. None if it is none.
pub(super) fn parse(bytes: &[u8]) -> Option<Value> {
    let read = serde_json::from_slice(bytes).ok();
    read.or_else(|| serde_json::from_slice(&readable(bytes)?).ok())
}

/// Whether JSON can be kept unchanged.
pub(super) fn is_readable(bytes: &[u8]) -> bool {
    matches!(readable(bytes), Some(Cow::Borrowed(_)))
}

/// JSON without what the library refuses. None if it is not JSON.
fn readable(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    std::str::from_utf8(bytes).ok()?;
    let mut scan = Scan { bytes, at: 0, edits: Vec::new() };
    scan.document()?;
    if scan.edits.is_empty() {
        return Some(Cow::Borrowed(bytes));
    }
    let mut copied = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for (range, with) in scan.edits {
        copied.extend_from_slice(&bytes[from..range.start]);
        copied.extend_from_slice(with);
        from = range.end;
    }
    copied.extend_from_slice(&bytes[from..]);
    Some(Cow::Owned(copied))
}

/// A pass over JSON that keeps no call for each level.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The replaced parts, in order.
    edits: Vec<(Range<usize>, &'static [u8])>,
}

/// The tokens that may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// A value, or the end of an empty array.
    ValueOrEnd,
    Key,
    /// A key, or the end of an empty object.
    KeyOrEnd,
    /// A comma or the end of what encloses the value.
    AfterValue,
}

impl Scan<'_> {
    fn document(&mut self) -> Option<()> {
        let mut open: Vec<u8> = Vec::new();
        // The beginning of the first level that is too deep.
        let mut too_deep = 0;
        let mut next = Next::Value;
        loop {
            self.skip_space();
            let Some(&byte) = self.bytes.get(self.at) else {
                return (open.is_empty() && next == Next::AfterValue).then_some(());
            };
            let is_end = match (open.last(), byte) {
                (Some(b'{'), b'}') => matches!(next, Next::KeyOrEnd | Next::AfterValue),
                (Some(b'['), b']') => matches!(next, Next::ValueOrEnd | Next::AfterValue),
                _ => false,
            };
            if is_end {
                self.at += 1;
                open.pop();
                if open.len() == DEPTH_MAX {
                    self.edits.retain(|(range, _)| range.start < too_deep);
                    self.edits.push((too_deep..self.at, b"null"));
                }
                next = Next::AfterValue;
                continue;
            }
            next = match next {
                Next::Value | Next::ValueOrEnd if matches!(byte, b'{' | b'[') => {
                    if open.len() == DEPTH_MAX {
                        too_deep = self.at;
                    }
                    open.push(byte);
                    self.at += 1;
                    if byte == b'{' { Next::KeyOrEnd } else { Next::ValueOrEnd }
                }
                Next::Value | Next::ValueOrEnd => {
                    self.scalar(byte)?;
                    Next::AfterValue
                }
                Next::Key | Next::KeyOrEnd => {
                    self.text()?;
                    self.skip_space();
                    self.take(b":")?;
                    Next::Value
                }
                Next::AfterValue => {
                    let enclosing = *open.last()?;
                    self.take(b",")?;
                    if enclosing == b'{' { Next::Key } else { Next::Value }
                }
            };
        }
    }

    fn scalar(&mut self, first: u8) -> Option<()> {
        match first {
            b'"' => self.text(),
            b't' => self.take(b"true"),
            b'f' => self.take(b"false"),
            b'n' => self.take(b"null"),
            _ => self.number(),
        }
    }

    fn text(&mut self) -> Option<()> {
        self.take(b"\"")?;
        loop {
            match *self.bytes.get(self.at)? {
                b'"' => return self.take(b"\""),
                b'\\' => self.escape()?,
                0..=0x1F => return None,
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let Some(unit) = self.unit_at(self.at) else {
            let is_known =
                matches!(self.bytes.get(self.at + 1)?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't');
            self.at += 2;
            return is_known.then_some(());
        };
        let low = self.unit_at(self.at + 6).filter(|low| (0xDC00..0xE000).contains(low));
        match (unit, low) {
            (0xD800..0xDC00, Some(_)) => self.at += 12,
            (0xD800..0xE000, _) => {
                self.edits.push((self.at..self.at + 6, REPLACEMENT));
                self.at += 6;
            }
            _ => self.at += 6,
        }
        Some(())
    }

    /// The unit of an escape such as `\ud83d`.
    fn unit_at(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(br"\u")?;
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Option<()> {
        let from = self.at;
        let is_negative = self.skip_one(b"-");
        if !self.skip_one(b"0") {
            self.digits()?;
        }
        if self.skip_one(b".") {
            self.digits()?;
        }
        if self.skip_one(b"eE") {
            self.skip_one(b"+-");
            self.digits()?;
        }
        let text = std::str::from_utf8(&self.bytes[from..self.at]).ok()?;
        if text.parse::<f64>().is_ok_and(f64::is_infinite) {
            self.edits.push((from..self.at, if is_negative { b"-1e308" } else { b"1e308" }));
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while self.skip_one(b"0123456789") {}
        (self.at > from).then_some(())
    }

    fn skip_space(&mut self) {
        while self.skip_one(b" \t\r\n") {}
    }

    /// Skips one byte if it is one of these.
    fn skip_one(&mut self, these: &[u8]) -> bool {
        let is_one = self.bytes.get(self.at).is_some_and(|byte| these.contains(byte));
        self.at += usize::from(is_one);
        is_one
    }

    fn take(&mut self, bytes: &[u8]) -> Option<()> {
        let is_next = self.bytes[self.at..].starts_with(bytes);
        self.at += bytes.len();
        is_next.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        parse(text.as_bytes()).map(|value| value.to_string())
    }

    #[test]
    fn what_the_library_refuses_is_left_out() {
        assert_eq!(
            read(r#"{"a":"x\ud800y","b":1e999,"c":-1e999}"#).unwrap(),
            "{\"a\":\"x\u{fffd}y\",\"b\":1e+308,\"c\":-1e+308}"
        );
        let deep = ["{\"a\":", &"[".repeat(5_000), "\"\\udc00\"", &"]".repeat(5_000), ",\"b\":[2]}"].concat();
        let expected =
            ["{\"a\":", &"[".repeat(DEPTH_MAX - 1), "null", &"]".repeat(DEPTH_MAX - 1), ",\"b\":[2]}"].concat();
        assert_eq!(read(&deep).unwrap(), expected);
        assert!(!is_readable(deep.as_bytes()) && is_readable(expected.as_bytes()));
    }

    #[test]
    fn a_pair_of_surrogates_and_deep_nesting_below_the_limit_are_kept() {
        let kept = [r#"{"a":"\ud83d\ude00"}"#.to_owned(), "[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX)];
        assert!(kept.iter().all(|text| is_readable(text.as_bytes())));
    }

    #[test]
    fn what_is_no_json_stays_none() {
        let wrong = [
            "",
            "hello",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "[1}",
            "01",
            "1.",
            "\"\\x\"",
            "\"\u{1}\"",
            "nul",
            "1 2",
            "[] ]",
            "\"\\ud8\"",
        ];
        for text in wrong {
            assert_eq!(read(text), None, "{text}");
            assert!(!is_readable(text.as_bytes()), "{text}");
        }
        assert!(!is_readable(b"\"\xFF\""));
    }

    #[test]
    fn the_scan_agrees_with_the_library() {
        let right = ["[]", "{}", " [1, -2.5e-3, true, null, \"\\\"\"] ", "{\"a\":{},\"b\":[[]]}", "0", "\"\\u00e9\""];
        assert!(right.iter().all(|text| is_readable(text.as_bytes()) && read(text).is_some()));
    }
}
