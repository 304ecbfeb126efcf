//! The checker's own tests: histories as files, rules as text, properties.

mod experiment;
mod fixtures;
mod host;
mod properties;
mod removal;

use serde_json::Value;

use crate::check::{Finding, Invariant, Judgement, judge};
use crate::history::{Event, Header, History, Seq, event_from_text, history_from_text};

/// Judges a history and gives verdict and reason of one invariant.
fn check(invariant: &Invariant, text: &str) -> String {
    let history = history_from_text("test", Header::new("test"), text).unwrap();
    describe(judge(&history).finding(invariant.id).unwrap())
}

fn describe(finding: &Finding) -> String {
    format!("{} {}", finding.verdict, finding.because)
}

/// A history of `tests/histories`, with what is expected of it.
struct Fixture {
    /// Name of its folder: the invariant it is about.
    invariant: String,
    /// Name of its file.
    name: String,
    /// The line behind `// expect:`.
    expected: String,
    header: Header,
    events: Vec<Event>,
}

impl Fixture {
    /// `// expect:` and `// with:` lines, then events; `with` overrides fields of the header.
    fn read(invariant: &str, name: &str, text: &str) -> Self {
        let directive = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("// {key}: ")));
        let header = Header::new("fixture");
        let header = directive("with").map_or(header.clone(), |with| overridden(&header, with));
        let lines = text.lines().filter(|line| !line.starts_with("//"));
        let events = lines.enumerate().map(|(index, line)| {
            let n = index as u64;
            event_from_text(name, index + 1, line, Seq(n + 1), n * 1_000).unwrap()
        });
        Self {
            invariant: invariant.to_owned(),
            name: name.to_owned(),
            expected: directive("expect").unwrap_or_default().to_owned(),
            events: events.collect(),
            header,
        }
    }

    fn all() -> Vec<Self> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
        let mut fixtures = Vec::new();
        for folder in sorted(&root) {
            for file in sorted(&folder) {
                let name = |path: &std::path::Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
                fixtures.push(Self::read(&name(&folder), &name(&file), &std::fs::read_to_string(&file).unwrap()));
            }
        }
        fixtures
    }

    /// The first `n` events.
    fn judge_first(&self, n: usize) -> Judgement {
        judge(&History::from_events(self.header.clone(), self.events[..n].to_vec()).unwrap())
    }

    fn judge(&self) -> Judgement {
        self.judge_first(self.events.len())
    }
}

fn sorted(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn overridden(header: &Header, with: &str) -> Header {
    let mut fields = serde_json::to_value(header).unwrap();
    let overrides: serde_json::Map<String, Value> = serde_json::from_str(with).unwrap();
    for (name, value) in overrides {
        match (&mut fields[&name], value) {
            (Value::Object(old), Value::Object(new)) => old.extend(new),
            (old, new) => *old = new,
        }
    }
    serde_json::from_value(fields).unwrap()
}
