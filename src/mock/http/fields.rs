//! The parts of a request's head that the mock records: header fields and query, with a digest in place of each secret.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use crate::server::Request;

/// Most characters of a header field, and of a path or a query, that are kept.
pub(super) const FIELD_CHARS_MAX: usize = 4_096;

/// Parts of a parameter's name that say that its value is a secret.
const SECRET_NAMES: &[&str] = &["token", "key", "secret", "auth", "password", "code", "sig"];

/// Makes digests of secrets. Its key is drawn for one mock and written nowhere, so a digest shows only whether two secrets of
/// that mock are equal.
#[derive(Debug, Default)]
pub(super) struct Digests(RandomState);

impl Digests {
    fn of(&self, secret: &str) -> String {
        format!("~{:016x}", self.0.hash_one(secret))
    }

    /// Credentials with their scheme in clear text.
    fn of_credentials(&self, credentials: &str) -> String {
        match credentials.trim().split_once(' ') {
            Some((scheme, secret)) => format!("{scheme} {}", self.of(secret.trim())),
            // The name of the scheme alone is no secret, and shows that the token is missing.
            None if credentials.trim().eq_ignore_ascii_case("bearer") => credentials.trim().to_owned(),
            None => self.of(credentials.trim()),
        }
    }

    /// A query with the digests of its secrets.
    pub(super) fn of_query(&self, query: &str) -> String {
        let parts = query.split('&').map(|part| match part.split_once('=') {
            Some((name, value)) if is_secret(name) => format!("{name}={}", self.of(value)),
            Some(_) | None => part.to_owned(),
        });
        parts.collect::<Vec<_>>().join("&")
    }

    /// The header fields that the protocol defines or uses. Several lines of one field are joined by commas.
    pub(super) fn of_headers(&self, headers: &hyper::HeaderMap) -> BTreeMap<String, String> {
        let known = headers.keys().map(hyper::header::HeaderName::as_str).filter(|name| Request::keeps(name));
        let fields = known.map(|name| {
            let lines = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            let values: Vec<String> = match name {
                "authorization" => lines.map(|line| self.of_credentials(&line)).collect(),
                _ => lines.map(|line| line.into_owned()).collect(),
            };
            (name.to_owned(), shortened(&values.join(", ")))
        });
        fields.collect()
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// The beginning of a text from a client.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(FIELD_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::{HeaderName, HeaderValue};

    use super::Digests;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn several_lines_of_one_field_are_one_value() {
        let lines =
            [("accept", "application/json"), ("accept", "text/event-stream"), ("x-other", "1"), ("mcp-param-a", "b")];
        let mut all = HeaderMap::new();
        for (name, value) in lines {
            all.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let found = Digests::default().of_headers(&all);
        assert_eq!(found["accept"], "application/json, text/event-stream");
        assert_eq!(found["mcp-param-a"], "b");
        assert!(!found.contains_key("x-other"));
    }

    #[test]
    fn secrets_are_digests_that_only_show_equality() {
        let digests = Digests::default();
        let given = |value| digests.of_headers(&headers(&[("authorization", value)]))["authorization"].clone();
        assert_eq!(given("Bearer one"), given("Bearer one"));
        assert_ne!(given("Bearer one"), given("Bearer other"));
        assert!(given("Bearer one").starts_with("Bearer ~") && !given("Bearer one").contains("one"));
        assert_eq!((given("Bearer ").as_str(), given("bearer").as_str()), ("Bearer", "bearer"));
        assert_ne!(given("one"), Digests::default().of_headers(&headers(&[("authorization", "one")]))["authorization"]);
        let query = digests.of_query("session=s-1&access_token=one&x");
        assert!(query.starts_with("session=s-1&access_token=~") && query.ends_with("&x"), "{query}");
        assert!(!query.contains("one"), "{query}");
    }
}
