//! Tests of the checker: the histories of the rules, the engine, and properties of both.

mod evidence;
mod experiment;
mod histories;
mod hostile;
mod invariance;
mod levels;
mod long_sessions;
mod mutations;
mod properties;
mod removal;
mod requirements;
mod schemas;
mod selection;

use std::sync::{LazyLock, OnceLock};

use serde_json::Value;

use crate::check::{Finding, Invariant, Judgement, judge};
use crate::history::{
    ApplicationFacts, Event, Header, History, HostFacts, Seq, ServerFacts, event_from_text, history_from_text,
};
use crate::plan::Promises;

/// Judges a history and gives verdict and reason of one invariant.
fn check(invariant: &Invariant, text: &str) -> String {
    let history = history_from_text("test", Header::new("test"), text).unwrap();
    describe(judge(&history).finding(invariant.id).unwrap())
}

fn describe(finding: &Finding) -> String {
    format!("{} {}", finding.verdict, finding.because)
}

/// A history of `tests/histories`, and the finding that its rule must give on it.
struct RuleHistory {
    /// Name of its folder: the id of the rule.
    invariant: String,
    /// Name of its file without `.txt`.
    name: String,
    /// Verdict and reason, from the line `// expect:`.
    expected: String,
    header: Header,
    events: Vec<Event>,
    judgement: OnceLock<Judgement>,
}

impl RuleHistory {
    /// Reads the lines `// expect:`, `// subject:` and `// with:`, then the events.
    ///
    /// `subject` is `loader` (the default), `client` or `application`; `with` overrides fields of the subject's header.
    fn read(invariant: &str, name: &str, text: &str) -> Self {
        let directive = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("// {key}: ")));
        let header = header_of(directive("subject").unwrap_or("loader"));
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
            judgement: OnceLock::new(),
        }
    }

    /// Every history. All tests share one copy.
    fn all() -> &'static [Self] {
        static ALL: LazyLock<Vec<RuleHistory>> = LazyLock::new(RuleHistory::read_all);
        &ALL
    }

    fn read_all() -> Vec<Self> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
        let mut histories = Vec::new();
        for folder in sorted(&root) {
            for file in sorted(&folder) {
                let name = |path: &std::path::Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
                histories.push(Self::read(&name(&folder), &name(&file), &std::fs::read_to_string(&file).unwrap()));
            }
        }
        histories
    }

    /// The first `n` events.
    fn judge_first(&self, n: usize) -> Judgement {
        judge(&History::from_events(self.header.clone(), self.events[..n].to_vec()).unwrap())
    }

    /// The judgement of the whole, which is made once.
    fn judge(&self) -> &Judgement {
        self.judgement.get_or_init(|| self.judge_first(self.events.len()))
    }
}

fn sorted(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The header of a subject's histories.
fn header_of(subject: &str) -> Header {
    let loader = Header::new("history");
    let started = |host: HostFacts| Header {
        transport: "http".to_owned(),
        promises: Promises::none(),
        host: Some(host),
        ..loader.clone()
    };
    match subject {
        "loader" => loader,
        "client" => {
            let exchange = ["initialize", "notifications/initialized", "tools/call"].map(str::to_owned);
            started(HostFacts { exchange: exchange.into(), retry_ms: Some(500), application: None })
        }
        "application" => {
            let application = ApplicationFacts { same_servers: true, status: None };
            let server = ServerFacts { name: "s".to_owned(), script: "polite".to_owned() };
            let host = HostFacts { application: Some(application), ..HostFacts::default() };
            Header { servers: vec![server], ..started(host) }
        }
        other => panic!("found subject {other}, expected loader, client or application"),
    }
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
