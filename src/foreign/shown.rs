//! Text on its way to a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A text that a terminal shows and does not obey.
///
/// Control characters of both sets, except line ends and tabs, and marks that change the direction of writing become escapes such as
/// `\u001b`. JSON stays JSON with the same value, because it allows such characters in strings only.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(acts) else { return Cow::Borrowed(text) };
    let mut shown = String::with_capacity(text.len() + 16);
    shown.push_str(&text[..first]);
    for character in text[first..].chars() {
        if acts(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(shown, "\\u{unit:04x}").expect("writing to a string cannot fail");
            }
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal acts on a character instead of showing it.
fn acts(character: char) -> bool {
    let is_direction_mark = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}'
    );
    is_direction_mark || character.is_control() && !matches!(character, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::shown;

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_an_escape() {
        for (text, expected) in [
            ("\u{1b}[31mred\u{7}\r", r"\u001b[31mred\u0007\u000d"),
            ("\u{9b}31m \u{90}q \u{7f}", r"\u009b31m \u0090q \u007f"),
            ("\u{202e}cod\u{2066}x\u{200f}", r"\u202ecod\u2066x\u200f"),
            ("\u{e0041}", r"\udb40\udc41"),
            ("a\n\tb — ü 漢 👍🏽", "a\n\tb — ü 漢 👍🏽"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn json_keeps_its_value() {
        let value = Value::from("\u{1b}]0;x\u{7} \u{9b}m \u{202e} \u{e0041} ü\n");
        let text = value.to_string();
        let printed = shown(&text);
        assert_ne!(printed, text);
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), value);
    }
}
