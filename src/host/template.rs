//! Texts with placeholders: a host's arguments, the strings of its plan, and the user's configuration file.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::host::config::{ConfigShape, ServerEntry};
use crate::plan::did_you_mean;

/// A placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hole {
    /// `{config}`: path of the configuration.
    Config,
    /// `{port}`: a free port on loopback, the same everywhere.
    Port,
    /// `{url}` and `{url:NAME}`: the URL of a server.
    Url(Option<String>),
    /// `{servers}`: every server, as a JSON object by name.
    Servers,
    /// `{command:NAME}`: the program of a server.
    Command(String),
    /// `{args:NAME}`: its arguments, as a JSON array.
    Args(String),
    /// `{env:NAME}`: its environment, as a JSON object.
    Env(String),
}

/// The words that placeholders begin with.
const WORDS: [&str; 7] = ["config", "port", "url", "servers", "command", "args", "env"];
/// Every placeholder, for messages.
const KNOWN: &str = "{config}, {port}, {url}, {url:NAME}, {servers}, {command:NAME}, {args:NAME} or {env:NAME}";

/// How a parser treats braces around an unknown word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// They stay in the text. An argument may be a program of its own.
    Lenient,
    /// They are an error.
    Strict,
}

/// A parsed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// With its offset in the text.
    Hole(Hole, usize),
}

/// A mistake in a text, with its byte offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    pub offset: usize,
    pub message: String,
}

/// The values of all placeholders.
#[derive(Debug, Clone)]
pub struct Values {
    pub config: String,
    pub port: u16,
    pub servers: BTreeMap<String, ServerEntry>,
}

impl Template {
    /// Parses a text. A placeholder is a word of small letters in braces, with a colon and a name if it needs one. Doubled braces mean
    /// single braces.
    pub fn parse(text: &str, strictness: Strictness) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let (mut plain, mut at) = (String::new(), 0);
        while let Some(found) = text[at..].find('{') {
            let open = at + found;
            plain.push_str(&text[at..open]);
            let Some((word, name, end)) = word_at(text, open) else {
                plain.push('{');
                at = open + 1;
                continue;
            };
            let is_doubled = plain.ends_with('{') && text[end..].starts_with('}');
            match hole(word, name) {
                _ if is_doubled => {
                    plain.push_str(&text[open + 1..end]);
                    at = end + 1;
                    continue;
                }
                Ok(hole) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Hole(hole, open));
                }
                Err(_) if strictness == Strictness::Lenient => plain.push_str(&text[open..end]),
                Err(message) => return Err(TemplateError { offset: open, message }),
            }
            at = end;
        }
        plain.push_str(&text[at..]);
        pieces.push(Piece::Text(plain));
        Ok(Self { pieces })
    }

    fn holes(&self) -> impl Iterator<Item = (&Hole, usize)> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Hole(hole, at) => Some((hole, *at)),
            Piece::Text(_) => None,
        })
    }

    /// Whether the text needs servers with a URL.
    pub fn needs_url(&self) -> bool {
        self.holes().any(|(hole, _)| matches!(hole, Hole::Url(_)))
    }

    /// Checks that every placeholder has a value: each server exists, and is reached as the placeholder demands.
    pub fn check(&self, servers: &[&str], listen: bool) -> Result<(), TemplateError> {
        for (hole, offset) in self.holes() {
            let wrong = |message: String| Err(TemplateError { offset, message });
            let (name, needs_listening) = match hole {
                Hole::Config | Hole::Port | Hole::Servers => continue,
                Hole::Url(None) if listen && servers.len() != 1 => {
                    return wrong(format!("found {{url}} with {} servers, expected {{url:NAME}}", servers.len()));
                }
                Hole::Url(name) => (name.as_ref(), true),
                Hole::Command(name) | Hole::Args(name) | Hole::Env(name) => (Some(name), false),
            };
            if let Some(name) = name.filter(|name| !servers.contains(&name.as_str())) {
                let near = did_you_mean(name, servers);
                return wrong(format!("found server {name:?}, expected one of {}{near}", servers.join(", ")));
            }
            if needs_listening != listen {
                let (found, expected) = if listen { ("http", "stdio") } else { ("stdio", "http") };
                return wrong(format!("found a placeholder that needs transport {expected}, and this is {found}"));
            }
        }
        Ok(())
    }

    /// The text with all values filled in. [`check`](Self::check) has refused every placeholder without a value.
    pub fn fill(&self, values: &Values) -> String {
        let filled = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Hole(hole, _) => values.of(hole).unwrap_or_default(),
        });
        filled.collect()
    }
}

impl Values {
    fn of(&self, hole: &Hole) -> Option<String> {
        let command = |name: &String| match self.servers.get(name)? {
            ServerEntry::Command { command, args, env } => Some((command, args, env)),
            ServerEntry::Url(_) => None,
        };
        let json = |value: Value| value.to_string();
        Some(match hole {
            Hole::Config => self.config.clone(),
            Hole::Port => self.port.to_string(),
            Hole::Url(name) => {
                let entry = name.as_ref().map_or_else(|| self.servers.values().next(), |name| self.servers.get(name));
                match entry? {
                    ServerEntry::Url(url) => url.clone(),
                    ServerEntry::Command { .. } => return None,
                }
            }
            Hole::Servers => {
                let entries = self.servers.iter().map(|(name, entry)| (name.clone(), ConfigShape::Claude.entry(entry)));
                json(Value::Object(entries.collect()))
            }
            // The placeholder is inside quotes.
            Hole::Command(name) => {
                let quoted = json(command(name)?.0.as_str().into());
                quoted.strip_prefix('"')?.strip_suffix('"')?.to_owned()
            }
            Hole::Args(name) => json(command(name)?.1.clone().into()),
            Hole::Env(name) => serde_json::to_string(command(name)?.2).ok()?,
        })
    }
}

/// The word in braces at `open`, the name after its colon, and the end of the placeholder.
fn word_at(text: &str, open: usize) -> Option<(&str, Option<&str>, usize)> {
    let inner = &text[open + 1..];
    let close = inner.find(['}', '{', '\n'])?;
    let (word, name) = match inner[..close].split_once(':') {
        Some((word, name)) => (word, Some(name)),
        None => (&inner[..close], None),
    };
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
    let is_name = name.is_none_or(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-'))
    });
    (inner[close..].starts_with('}') && is_word && is_name).then_some((word, name, open + close + 2))
}

fn hole(word: &str, name: Option<&str>) -> Result<Hole, String> {
    let owned = |name: &str| name.to_owned();
    match (word, name) {
        ("config", None) => Ok(Hole::Config),
        ("port", None) => Ok(Hole::Port),
        ("servers", None) => Ok(Hole::Servers),
        ("url", name) => Ok(Hole::Url(name.map(owned))),
        ("command", Some(name)) => Ok(Hole::Command(owned(name))),
        ("args", Some(name)) => Ok(Hole::Args(owned(name))),
        ("env", Some(name)) => Ok(Hole::Env(owned(name))),
        _ => {
            let name = name.map(|name| format!(":{name}")).unwrap_or_default();
            let near = did_you_mean(word, WORDS);
            Err(format!("found placeholder {{{word}{name}}}, expected {KNOWN}{near}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let command = ServerEntry::Command {
            command: "a \"mock\"".to_owned(),
            args: vec!["x".to_owned(), "y".to_owned()],
            env: BTreeMap::from([("K".to_owned(), "v".to_owned())]),
        };
        let url = ServerEntry::Url("http://127.0.0.1:2/x".to_owned());
        let servers = BTreeMap::from([("a".to_owned(), command), ("b".to_owned(), url)]);
        Values { config: "/c.json".to_owned(), port: 7, servers }
    }

    fn fill(text: &str) -> String {
        Template::parse(text, Strictness::Lenient).unwrap().fill(&values())
    }

    #[test]
    fn each_placeholder_stands_for_its_value() {
        for (text, expected) in [
            ("--config={config}:{port}", "--config=/c.json:7"),
            ("{url:b}/", "http://127.0.0.1:2/x/"),
            ("\"{command:a}\" {args:a}", "\"a \\\"mock\\\"\" [\"x\",\"y\"]"),
            ("{env:a}", "{\"K\":\"v\"}"),
            ("{{port}} {port}", "{port} 7"),
            ("{print} ${x} {\"a\":1} {} {Url} { port } {port", "{print} ${x} {\"a\":1} {} {Url} { port } {port"),
            ("{{\"a\":{port}}}", "{{\"a\":7}}"),
            ("ü{port}ü", "ü7ü"),
        ] {
            assert_eq!(fill(text), expected, "{text}");
        }
        let servers: Value = serde_json::from_str(&fill("{servers}")).unwrap();
        assert_eq!(servers["b"], serde_json::json!({ "type": "http", "url": "http://127.0.0.1:2/x" }));
        assert_eq!(servers["a"]["args"][1], "y");
    }

    #[test]
    fn what_is_unknown_is_told_with_its_place() {
        let error = Template::parse("a {\"b\": {nope:x}}", Strictness::Strict).unwrap_err();
        assert_eq!(error.offset, 8);
        assert!(error.message.starts_with("found placeholder {nope:x}, expected {config}"), "{}", error.message);
        for text in ["{command}", "{port:x}", "{servers:a}"] {
            assert!(Template::parse(text, Strictness::Strict).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_before_anything_runs() {
        let check = |text: &str, servers: &[&str], listen: bool| {
            Template::parse(text, Strictness::Lenient).unwrap().check(servers, listen)
        };
        assert_eq!(check("{url} {config}", &["a"], true), Ok(()));
        assert_eq!(check("{command:a}{args:a}", &["a", "b"], false), Ok(()));
        assert!(check("x {url}", &["a", "b"], true).unwrap_err().message.contains("expected {url:NAME}"));
        assert!(check("{url:c}", &["a"], true).unwrap_err().message.contains("expected one of a"));
        assert!(check("{url:a}", &["a"], false).unwrap_err().message.contains("needs transport http"));
        assert!(check("{args:a}", &["a"], true).unwrap_err().message.contains("needs transport stdio"));
        assert_eq!(check("12{url:c}", &["a"], true).unwrap_err().offset, 2);
    }
}
