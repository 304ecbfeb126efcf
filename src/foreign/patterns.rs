//! The forms that mark a text as a secret: the name before it, its place in a URL, its own beginning.

use std::ops::Range;

use crate::foreign::secrets::REDACTED;

/// Endings of names of secrets, in lower case and without `-` and `_`.
const NAME_ENDS: &[&str] = &[
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "licensekey",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "credentials",
];
/// Names with such an ending that the protocol, or a list of pages, gives to something else.
const OTHER_NAMES: &[&str] = &["progresstoken", "nexttoken", "pagetoken", "continuationtoken"];
/// Schemes of the field `Authorization` that come before the secret.
const SCHEMES: &[&str] = &["bearer", "basic", "digest", "token", "negotiate", "dpop", "apikey"];
/// Beginnings of tokens that well-known services hand out.
const TOKEN_STARTS: &[&str] = &[
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "hf_",
    "npm_",
    "pypi-",
    "eyJ",
];
/// Least length of what follows such a beginning.
const TOKEN_REST_MIN: usize = 14;
/// Least length of a value that is known by its look alone.
const SHAPED_MIN: usize = 8;
/// Least length of a user without a password in a URL that is taken for a token.
const USER_TOKEN_MIN: usize = 16;
/// Values that say that there is none.
const NO_VALUES: &[&str] =
    &["true", "false", "null", "none", "undefined", "required", "missing", "yes", "no", "0", "1"];

/// A secret in a text.
pub(super) struct Found {
    /// Its place in bytes.
    pub secret: Range<usize>,
}

/// Every secret that has the form of one, in order and apart.
pub(super) fn find(text: &str) -> Vec<Found> {
    let mut found: Vec<Range<usize>> = Vec::new();
    // One pass shows which forms are possible at all. A program may write many megabytes.
    let has = bytes_of(text);
    let has_any = |bytes: &[u8]| bytes.iter().any(|byte| has[usize::from(*byte)]);
    if has_any(b"@") && has_any(b"/") {
        find_in_urls(text, &mut found);
    }
    if has_any(b"=:") || has_any(b"-") && has_any(b" ") {
        find_named(text, &mut found);
    }
    if has_any(b"Bb") && has_any(b" ") {
        find_behind_schemes(text, &mut found);
    }
    if has_any(b"0123456789") && has_any(b"-_.AeP") {
        find_tokens(text, &mut found);
    }
    if has_any(b"K") && has_any(b"-") {
        find_key_blocks(text, &mut found);
    }
    found.retain(|place| !place.is_empty() && !text[place.start..].starts_with(REDACTED));
    // The longest first where two begin in one place.
    found.sort_by_key(|place| (place.start, std::cmp::Reverse(place.end)));
    let mut end = 0;
    found.retain(|place| {
        let is_apart = place.start >= end;
        end = end.max(place.end);
        is_apart
    });
    found.into_iter().map(|secret| Found { secret }).collect()
}

/// Which bytes occur in a text.
fn bytes_of(text: &str) -> [bool; 256] {
    let mut has = [false; 256];
    for byte in text.as_bytes() {
        has[usize::from(*byte)] = true;
    }
    has
}

/// Whether a name says that its value is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let plain = plain(name);
    !OTHER_NAMES.contains(&plain.as_str()) && NAME_ENDS.iter().any(|end| plain.ends_with(end))
}

/// The same for a variable of an environment, where a key is a secret.
pub(super) fn is_secret_variable(name: &str) -> bool {
    is_secret_name(name) || plain(name).ends_with("key")
}

/// Whether a word of a command is an option whose value is a secret and the next word.
pub(super) fn is_secret_option(word: &str) -> bool {
    word.starts_with('-') && !word.contains('=') && is_secret_name(word)
}

/// A name in lower case, without what joins its words.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// `user:SECRET@` and a token before the host of a URL.
fn find_in_urls(text: &str, found: &mut Vec<Range<usize>>) {
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let rest = &text[start..];
        let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'<>`".contains(c)).unwrap_or(rest.len());
        let Some(user) = rest[..end].rfind('@') else { continue };
        match rest[..user].split_once(':') {
            Some((name, _)) => found.push(start + name.len() + 1..start + user),
            None if user >= USER_TOKEN_MIN => found.push(start..start + user),
            None => {}
        }
    }
}

/// The text after a name that marks it as a secret: `name=SECRET`, `"name": "SECRET"`, `--name SECRET`,
/// `Authorization: Bearer SECRET`.
fn find_named(text: &str, found: &mut Vec<Range<usize>>) {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    for (at, _) in text.match_indices(['=', ':']) {
        let before = text[..at].trim_end_matches(' ');
        let before = before.strip_suffix(['"', '\'']).unwrap_or(before);
        let name = &before[before.trim_end_matches(is_of_name).len()..];
        found.extend(value_behind(text, name, before.len()));
    }
    for (at, _) in text.match_indices('-') {
        let is_word_start = text[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '\''));
        if is_word_start {
            let length = text[at..].find(|c| !is_of_name(c)).unwrap_or(text.len() - at);
            found.extend(value_behind(text, &text[at..at + length], at + length));
        }
    }
}

/// The text between a name and its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Equals,
    Colon,
    /// A colon followed by a blank, as in a sentence.
    SpacedColon,
    Blank,
}

fn value_behind(text: &str, name: &str, end: usize) -> Option<Range<usize>> {
    let plain = plain(name);
    let is_credentials = plain == "authorization" || plain == "proxyauthorization";
    let is_cookie = plain == "cookie" || plain == "setcookie";
    if !is_credentials && !is_cookie && !is_secret_name(name) {
        return None;
    }
    let rest = &text[end..];
    let unquoted = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
    let behind = unquoted.trim_start_matches(' ');
    let (separator, behind) = match behind.chars().next()? {
        '=' => (Separator::Equals, &behind[1..]),
        ':' if behind[1..].starts_with(' ') => (Separator::SpacedColon, &behind[1..]),
        ':' => (Separator::Colon, &behind[1..]),
        _ if name.starts_with('-') && behind.len() < unquoted.len() => (Separator::Blank, behind),
        _ => return None,
    };
    let behind = behind.trim_start_matches(' ');
    let start = text.len() - behind.len();
    if is_cookie {
        let is_field = matches!(separator, Separator::Colon | Separator::SpacedColon);
        return is_field.then(|| start..start + behind.find(['\r', '\n']).unwrap_or(behind.len()));
    }
    let quote = behind.chars().next().filter(|c| matches!(c, '"' | '\''));
    let start = start + quote.map_or(0, char::len_utf8);
    let value = value_at(&text[start..], quote);
    if is_credentials && let Some((scheme, credentials)) = value_with_scheme(&text[start..], quote) {
        return Some(start + scheme..start + credentials);
    }
    is_secret_value(value, &plain, separator, quote.is_some()).then(|| start..start + value.len())
}

/// The text up to the end of a value.
fn value_at(text: &str, quote: Option<char>) -> &str {
    let is_end = |c: char| match quote {
        Some(quote) => c == quote || c == '\n',
        None => c.is_whitespace() || "\"'`,;&)}]<>|".contains(c),
    };
    &text[..text.find(is_end).unwrap_or(text.len())]
}

/// Begin and end of the credentials after a scheme.
fn value_with_scheme(text: &str, quote: Option<char>) -> Option<(usize, usize)> {
    let (scheme, _) = text.split_once(' ')?;
    if !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
        return None;
    }
    let blanks = text[scheme.len()..].len() - text[scheme.len()..].trim_start_matches(' ').len();
    let start = scheme.len() + blanks;
    let credentials = value_at(&text[start..], quote);
    Some((start, start + credentials.len()))
}

fn is_secret_value(value: &str, name: &str, separator: Separator, is_quoted: bool) -> bool {
    let is_placeholder = value.starts_with(['$', '<', '{', '*']) || value.contains(['(', '[']) && !is_quoted;
    let is_none = NO_VALUES.iter().any(|none| value.eq_ignore_ascii_case(none));
    if value.is_empty() || is_placeholder || is_none || plain(value) == name {
        return false;
    }
    match separator {
        Separator::Equals | Separator::Colon => true,
        Separator::SpacedColon | Separator::Blank => is_quoted || is_shaped(value),
    }
}

/// Whether a word looks like no word of a language.
fn is_shaped(word: &str) -> bool {
    let has_digit = word.contains(|c: char| c.is_ascii_digit());
    let has_letter = word.contains(|c: char| c.is_ascii_alphabetic());
    let is_mixed = word.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    word.len() >= SHAPED_MIN && (has_digit && has_letter || is_mixed)
}

/// `Bearer SECRET` and `Basic SECRET` without a name.
fn find_behind_schemes(text: &str, found: &mut Vec<Range<usize>>) {
    for scheme in ["Bearer ", "bearer ", "Basic ", "basic "] {
        for (at, _) in text.match_indices(scheme) {
            let start = at + scheme.len();
            let value = value_at(&text[start..], None);
            let has_marks = scheme.eq_ignore_ascii_case("bearer ") && value.contains(['-', '_', '.']);
            let value = value.trim_end_matches(['.', ':']);
            if value.len() >= SHAPED_MIN && (is_shaped(value) || has_marks && value.contains(['-', '_', '.'])) {
                found.push(start..start + value.len());
            }
        }
    }
}

/// Tokens of well-known services.
fn find_tokens(text: &str, found: &mut Vec<Range<usize>>) {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    for start in TOKEN_STARTS {
        for (at, _) in text.match_indices(start) {
            let is_word_start = !text[..at].ends_with(is_of_token);
            let rest = &text[at + start.len()..];
            let length = rest.find(|c| !is_of_token(c)).unwrap_or(rest.len());
            if is_word_start && length >= TOKEN_REST_MIN && rest[..length].contains(|c: char| c.is_ascii_digit()) {
                found.push(at..at + start.len() + length);
            }
        }
    }
}

/// The text between the lines around a private key.
fn find_key_blocks(text: &str, found: &mut Vec<Range<usize>>) {
    for (at, head) in text.match_indices("PRIVATE KEY-----") {
        let start = at + head.len();
        let begins = text[..at].rfind("-----").is_some_and(|dashes| text[dashes..at].starts_with("-----BEGIN "));
        if begins {
            found.push(start..start + text[start..].find("-----END ").unwrap_or(text.len() - start));
        }
    }
}
