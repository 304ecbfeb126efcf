//! Values of header fields that cannot show them as they are.

use std::borrow::Cow;

const BEGIN: &str = "=?base64?";
const END: &str = "?=";

/// The text that a header field of the stateless generation shows: as it is, or encoded as `=?base64?...?=`. `None` if the
/// encoding is broken.
///
/// Source: revision 2026-07-28, basic/transports/streamable-http, Standard Request Headers.
#[must_use]
pub fn header_text(field: &str) -> Option<Cow<'_, str>> {
    let begins = field.get(..BEGIN.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(BEGIN));
    let encoded = if begins { field[BEGIN.len()..].strip_suffix(END) } else { None };
    match encoded {
        Some(encoded) => String::from_utf8(base64(encoded)?).ok().map(Cow::Owned),
        None => Some(Cow::Borrowed(field)),
    }
}

/// Whether a header field can show this text as it is.
#[must_use]
pub fn is_header_text(text: &str) -> bool {
    text.trim() == text && text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
}

/// The bytes of a text in base64, with or without its padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut n_bits) = (0_u32, 0_u32);
    for letter in text.trim_end_matches('=').bytes() {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(six)) & 0xFFFF;
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits & 0xFF) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_shows_its_text_as_it_is_or_in_base64() {
        for (field, text) in [
            ("read", Some("read")),
            ("=?base64?csOpc3Vtw6k=?=", Some("r\u{e9}sum\u{e9}")),
            ("=?base64?csOpc3Vtw6k?=", Some("r\u{e9}sum\u{e9}")),
            ("=?BASE64?cmVhZA==?=", Some("read")),
            ("=?base64?", Some("=?base64?")),
            ("=?base64?%%?=", None),
            ("=?base64?/w==?=", None),
        ] {
            assert_eq!(header_text(field).as_deref(), text, "{field}");
        }
        for (text, is_plain) in [("read file", true), ("r\u{e9}sum\u{e9}", false), (" read", false), ("a\nb", false)] {
            assert_eq!(is_header_text(text), is_plain, "{text:?}");
        }
    }
}
