//! Secrets in text: known by their form, or by their value.

use std::borrow::Cow;
use std::ffi::OsString;
use std::ops::Range;

use serde_json::Value;

use crate::foreign::patterns::{Found, find, is_secret_option, is_secret_variable};

/// The text that replaces a secret.
pub const REDACTED: &str = "[redacted]";
/// Shortest value that is searched for. A shorter one would be found where it is something else.
const VALUE_CHARS_MIN: usize = 6;
/// Longest text whose values are learned, in bytes.
const LEARNED_BYTES_MAX: usize = 1 << 20;

/// Values that are known to be secret in one life. Cheap to ask when there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// The longest first, so that no part of one stays.
    values: Vec<String>,
}

/// A text without its secrets.
#[derive(Debug, PartialEq, Eq)]
pub struct Redacted<'a> {
    /// The text, with [`REDACTED`] in place of each secret.
    pub text: Cow<'a, str>,
    /// Number of secrets in it.
    pub n_secrets: usize,
}

/// A text without what has the form of a secret.
#[must_use]
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    Secrets::default().redact(text).text
}

/// The words of a command without what has the form of a secret.
#[must_use]
pub fn words_without_secrets(words: &[String]) -> Vec<String> {
    Secrets::default().redact_words(words)
}

impl Secrets {
    /// Also the values of those variables of an environment whose names say that they are secret.
    #[must_use]
    pub fn and_of_environment(mut self, variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        for (name, value) in variables {
            let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
            let is_path = value.starts_with('/');
            if is_secret_variable(&name) && !name.starts_with("MCP_LIFECHECK_") && !is_path {
                self.add(&value);
            }
        }
        self
    }

    /// Also what has the form of a secret in a text, such as a configuration.
    #[must_use]
    pub fn and_of_text(mut self, text: &str) -> Self {
        let text = text.get(..text.len().min(LEARNED_BYTES_MAX)).unwrap_or_default();
        for Found { secret, .. } in find(text) {
            self.add(&text[secret]);
        }
        self
    }

    /// Also what has the form of a secret in a command.
    #[must_use]
    pub fn and_of_command(mut self, words: &[String]) -> Self {
        for pair in words.windows(2) {
            if is_secret_option(&pair[0]) && !pair[1].starts_with('-') {
                self.add(&pair[1]);
            }
        }
        words.iter().fold(self, |secrets, word| secrets.and_of_text(word))
    }

    fn add(&mut self, value: &str) {
        let value = value.trim();
        if value.chars().count() >= VALUE_CHARS_MIN
            && !value.contains(REDACTED)
            && !self.values.iter().any(|known| known == value)
        {
            self.values.push(value.to_owned());
            self.values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        }
    }

    /// A text without these secrets, and without what has the form of one.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Redacted<'a> {
        let by_value = self.redact_values(text);
        let found: Vec<Range<usize>> = find(&by_value.text).into_iter().map(|found| found.secret).collect();
        if found.is_empty() {
            return by_value;
        }
        let n_secrets = by_value.n_secrets + found.len();
        Redacted { text: Cow::Owned(replaced(&by_value.text, &found)), n_secrets }
    }

    /// The words of a command without these secrets, and without what has the form of one, also where it is a word of its own, as in
    /// `--token VALUE`.
    #[must_use]
    pub fn redact_words(&self, words: &[String]) -> Vec<String> {
        let mut shown: Vec<String> = Vec::with_capacity(words.len());
        for (index, word) in words.iter().enumerate() {
            let is_value =
                index > 0 && is_secret_option(&words[index - 1]) && !word.starts_with('-') && !word.is_empty();
            shown.push(if is_value { REDACTED.to_owned() } else { self.redact(word).text.into_owned() });
        }
        shown
    }

    /// A text without these secrets. What only has the form of one stays: in a message it may be data of the experiment.
    #[must_use]
    pub fn redact_values<'a>(&self, text: &'a str) -> Redacted<'a> {
        let mut redacted = Redacted { text: Cow::Borrowed(text), n_secrets: 0 };
        for value in &self.values {
            let n_found = redacted.text.matches(value.as_str()).count();
            if n_found > 0 {
                redacted.n_secrets += n_found;
                redacted.text = Cow::Owned(redacted.text.replace(value.as_str(), REDACTED));
            }
        }
        redacted
    }

    /// Whether a text may hold one of the values, also as JSON writes it.
    #[must_use]
    pub fn may_be_in(&self, json: &str) -> bool {
        self.values.iter().any(|value| {
            let written = Value::from(value.as_str()).to_string();
            json.contains(&written[1..written.len() - 1])
        })
    }

    /// Removes these secrets from every string of a value, and returns their number.
    pub fn redact_strings(&self, value: &mut Value) -> usize {
        match value {
            Value::String(text) => {
                let Redacted { text: without, n_secrets } = self.redact_values(text);
                if let Cow::Owned(without) = without {
                    *text = without;
                }
                n_secrets
            }
            Value::Array(values) => values.iter_mut().map(|value| self.redact_strings(value)).sum(),
            Value::Object(fields) => fields.values_mut().map(|value| self.redact_strings(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }
}

/// A text with the mark in place of some parts, which are in order and apart.
fn replaced(text: &str, parts: &[Range<usize>]) -> String {
    let mut without = String::with_capacity(text.len());
    let mut from = 0;
    for part in parts {
        without.push_str(&text[from..part.start]);
        without.push_str(REDACTED);
        from = part.end;
    }
    without.push_str(&text[from..]);
    without
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Secrets {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Secrets::default().and_of_environment(variables)
    }

    #[test]
    fn what_has_the_form_of_a_secret_is_redacted_and_the_rest_stays() {
        for (text, expected) in [
            ("--api-key=abc", "--api-key=[redacted]"),
            ("run --token s3cr3t-9 --verbose", "run --token [redacted] --verbose"),
            ("Authorization: Bearer my-token", "Authorization: Bearer [redacted]"),
            ("\"authorization\": \"Basic dXNlcjpw\"", "\"authorization\": \"Basic [redacted]\""),
            ("authorization=abcdef", "authorization=[redacted]"),
            ("X-Api-Key: 12ab34cd", "X-Api-Key: [redacted]"),
            ("Cookie: a=b; c=d\nnext", "Cookie: [redacted]\nnext"),
            ("git+https://user:pa55@host/x@1", "git+https://user:[redacted]@host/x@1"),
            ("https://ghp_0123456789abcdef0123@github.com/x", "https://[redacted]@github.com/x"),
            ("GET /x?access_token=abc&y=1", "GET /x?access_token=[redacted]&y=1"),
            ("{\"client_secret\":\"s p a c e\"}", "{\"client_secret\":\"[redacted]\"}"),
            ("used sk-proj-0123456789abcdefABCDEF here", "used [redacted] here"),
            ("Bearer eyJhbGciOi.eyJzdWIi.abc-DEF_1", "Bearer [redacted]"),
            ("OPENAI_API_KEY=abc", "OPENAI_API_KEY=[redacted]"),
            ("{'password': 'hunter2'}", "{'password': '[redacted]'}"),
        ] {
            let redacted = Secrets::default().redact(text);
            assert_eq!((redacted.text.as_ref(), redacted.n_secrets), (expected, 1), "{text}");
            assert_eq!(Secrets::default().redact(expected).text, expected, "twice: {text}");
        }
        let block = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\nBBBB\n-----END RSA PRIVATE KEY-----\nx";
        let expected = "-----BEGIN RSA PRIVATE KEY-----[redacted]-----END RSA PRIVATE KEY-----\nx";
        assert_eq!(without_secrets(block), expected);
    }

    #[test]
    fn what_only_sounds_like_a_secret_stays() {
        for text in [
            "{\"progressToken\": \"p-1\", \"nextCursor\": \"abc\", \"maxTokens\": 100}",
            "token: expired",
            "ValueError: the token is invalid",
            "    client = Client(token=token, api_key=settings.key())",
            "Bearer authentication is required",
            "Basic usage",
            "https://example.org/a:b@c and ssh://git@host/x and user@example.org",
            "sorted(x, key=lambda y: y)",
            "password=",
            "--token-file=/run/x",
            "tokenizer=fast",
            "KeyError: 'api_key'",
        ] {
            assert_eq!(Secrets::default().redact(text), Redacted { text: Cow::Borrowed(text), n_secrets: 0 });
        }
    }

    #[test]
    fn a_value_of_the_environment_or_of_a_configuration_is_redacted_wherever_it_is() {
        let secrets = environment(&[
            ("MY_API_KEY", "blue-horse"),
            ("GH_TOKEN", "blue-horse-2"),
            ("HOME_TOKEN", "/root"),
            ("DB_PASSWORD", "abc"),
            ("EDITOR", "blue-vim"),
        ]);
        let redacted = secrets.redact("got blue-horse-2 and blue-horse, abc, blue-vim");
        assert_eq!(redacted, Redacted { text: "got [redacted] and [redacted], abc, blue-vim".into(), n_secrets: 2 });
        let command = ["x", "--token", "red-horse", "--header=Authorization: Bearer grey-horse"].map(str::to_owned);
        let secrets = Secrets::default().and_of_command(&command).and_of_text("env = { API_KEY = \"pale-horse\" }");
        assert_eq!(secrets.redact("red-horse grey-horse pale-horse").n_secrets, 3);
        assert_eq!(words_without_secrets(&command)[2..], [REDACTED, "--header=Authorization: Bearer [redacted]"]);
        let mut message = json!({ "params": { "x": ["a red-horse", 1] }, "method": "y" });
        assert!(secrets.may_be_in(&message.to_string()));
        assert_eq!(secrets.redact_strings(&mut message), 1);
        assert_eq!(message, json!({ "params": { "x": ["a [redacted]", 1] }, "method": "y" }));
        assert!(!secrets.may_be_in(&message.to_string()));
    }

    #[test]
    fn any_text_is_redacted_without_an_end_in_the_middle_of_a_character() {
        for text in [
            "ü=ü token=ü–ü://ü@ü",
            "://",
            "://@",
            "=",
            "token=\u{1f600}",
            "--token \u{1f600}",
            "-----BEGIN PRIVATE KEY-----",
        ] {
            let _ = Secrets::default().redact(text);
        }
    }
}
