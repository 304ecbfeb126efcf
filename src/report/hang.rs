//! The facts about an operation that hangs: where the loader waits, the last messages of its servers, and the
//! operations that ran at the same time.

use std::collections::BTreeMap;

use crate::check::{Finding, Judgement, Verdict};
use crate::history::{Action, CodeLine, Context, Event, EventKind, History, LinkPeer, Message, OpId, Seq};

/// Most servers, and most operations, that one reason names.
const NAMED_MAX: usize = 3;
/// Longest words about a message, in characters.
const WORDS_CHARS_MAX: usize = 80;

/// Adds to the reason of each finding about an operation that hangs what a reader needs to find the cause.
pub fn tell_hangs(history: &History, judgement: &mut Judgement) {
    for finding in &mut judgement.findings {
        if !matches!(finding.verdict, Verdict::Fail | Verdict::Warn) {
            continue;
        }
        if let Some((operation, at)) = overdue_in(history, finding) {
            let hang = Hang::of(history, operation, at);
            hang.sentences(history).for_each(|sentence| finding.because.to_mut().push_str(&format!("; {sentence}")));
        }
    }
}

/// The operation in the witness of a finding whose limit passed, and where it passed.
fn overdue_in(history: &History, finding: &Finding) -> Option<(OpId, Seq)> {
    finding.witness.iter().find_map(|seq| match history.event(*seq)?.kind {
        EventKind::OperationOverdue { operation, .. } => Some((operation, *seq)),
        _ => None,
    })
}

/// The running operations and the last messages when the limit of an operation passed.
struct Hang {
    operation: OpId,
    /// The servers of the operation, in their order; of a cleanup, those that are loaded.
    servers: Vec<String>,
    /// When it started, and its context.
    started: Option<(u64, Context)>,
    /// The lines of the loader's own code that wait, innermost first.
    waits: Vec<CodeLine>,
    /// The line that last entered or left a scope in the context of the operation, and what it did.
    last_seen: Option<(CodeLine, String)>,
    wires: BTreeMap<String, Wire>,
    /// The other operations that have not completed, in words.
    beside: BTreeMap<OpId, String>,
    /// The last cleanup that was invoked before it.
    cleanup: Option<(OpId, Seq)>,
}

/// The last messages of one server.
#[derive(Default)]
struct Wire {
    received: Option<Seq>,
    sent: Option<Seq>,
    /// Where its last process or listener ended.
    ended: Option<Seq>,
}

impl Hang {
    fn of(history: &History, operation: OpId, at: Seq) -> Self {
        let mut hang = Self {
            operation,
            servers: Vec::new(),
            started: None,
            waits: Vec::new(),
            last_seen: None,
            wires: BTreeMap::new(),
            beside: BTreeMap::new(),
            cleanup: None,
        };
        let (before, after) = history.events().split_at(history.events().partition_point(|event| event.seq < at));
        before.iter().for_each(|event| hang.see(event));
        let waits = after.iter().find_map(|event| match &event.kind {
            EventKind::StacksTaken { operations, .. } => operations.iter().find(|one| one.operation == operation),
            _ => None,
        });
        hang.waits = waits.map(|waits| waits.code.clone()).unwrap_or_default();
        hang
    }

    fn see(&mut self, event: &Event) {
        match &event.kind {
            EventKind::OperationInvoked { operation, action, server, tool, servers, .. } => {
                if *operation == self.operation {
                    let loaded = || if *action == Action::Close { self.servers.clone() } else { servers.clone() };
                    self.servers = server.clone().map_or_else(loaded, |server| vec![server]);
                } else {
                    let called = tool.iter().zip(server).map(|(tool, server)| format!(" of {tool} on {server}"));
                    let what = format!("{}{} ({operation})", action.name(), called.collect::<String>());
                    self.beside.insert(*operation, what);
                    if action.loads() {
                        self.servers.clone_from(servers);
                    } else if *action == Action::Close {
                        self.cleanup = Some((*operation, event.seq));
                    }
                }
            }
            EventKind::OperationStarted { operation, context } if *operation == self.operation => {
                self.started = Some((event.at_us, *context));
            }
            EventKind::OperationCompleted { operation, .. } | EventKind::OperationAbandoned { operation, .. } => {
                self.beside.remove(operation);
            }
            EventKind::CancelRequested { operation } => {
                if let Some(what) = self.beside.get_mut(operation) {
                    what.push_str(&format!(", to be cancelled since {}", event.seq));
                }
            }
            EventKind::ScopeEntered { name, context, code, .. } => {
                self.seen_at(code, *context, || format!("entered {name}"));
            }
            EventKind::ScopeLeft { scope, context, code, .. } => {
                self.seen_at(code, *context, || format!("left scope {scope}"));
            }
            EventKind::LinkOpened { peer: LinkPeer::Mock { server, .. } } => self.wire_of(server).ended = None,
            EventKind::LinkClosed { peer: LinkPeer::Mock { server, .. }, .. } => {
                self.wire_of(server).ended = Some(event.seq);
            }
            EventKind::WireReceived { .. } => self.wire_of(source_of(event)).received = Some(event.seq),
            EventKind::WireSent { .. } => self.wire_of(source_of(event)).sent = Some(event.seq),
            _ => {}
        }
    }

    fn wire_of(&mut self, server: &str) -> &mut Wire {
        if !self.wires.contains_key(server) {
            self.wires.insert(server.to_owned(), Wire::default());
        }
        self.wires.get_mut(server).expect("it was inserted")
    }

    fn seen_at(&mut self, code: &[CodeLine], context: Context, what: impl FnOnce() -> String) {
        let is_its = self.started.is_some_and(|(_, own)| own == context);
        if let Some(line) = code.first().filter(|_| is_its) {
            self.last_seen = Some((line.clone(), what()));
        }
    }

    fn sentences(&self, history: &History) -> impl Iterator<Item = String> {
        let wire = |server: &String| wire_sentence(history, server, self.wires.get(server));
        let wires: Vec<String> = self.servers.iter().take(NAMED_MAX).map(wire).collect();
        let n_more = self.servers.len().saturating_sub(NAMED_MAX);
        let more = (n_more > 0).then(|| format!("{n_more} more servers are in history.jsonl"));
        let all = [self.code_sentence(), self.beside_sentence(), self.cleanup_sentence()];
        let [code, beside, cleanup] = all;
        code.into_iter().chain(wires).chain(more).chain(beside).chain(cleanup)
    }

    fn code_sentence(&self) -> Option<String> {
        let Some((at_us, _)) = self.started else {
            return Some("its context never started it".to_owned());
        };
        let since = format!("it began at {} ms", at_us / 1_000);
        match (self.waits.as_slice(), &self.last_seen) {
            ([], Some((line, what))) => Some(format!("{since}, and last {what} at {line}")),
            ([], None) => Some(since),
            ([first, callers @ ..], _) => {
                let callers: String = callers.iter().map(|line| format!(", called at {line}")).collect();
                Some(format!("{since}, and waits at {first}{callers}"))
            }
        }
    }

    fn beside_sentence(&self) -> Option<String> {
        let named: Vec<&str> = self.beside.values().take(NAMED_MAX).map(String::as_str).collect();
        let more = self.beside.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        (!named.is_empty()).then(|| format!("running at the same time: {}{more}", named.join(", ")))
    }

    fn cleanup_sentence(&self) -> Option<String> {
        self.cleanup.map(|(operation, seq)| format!("a close ({operation}) had been invoked at {seq}"))
    }
}

/// The server whose mock reported an event.
fn source_of(event: &Event) -> &str {
    event.source.server().unwrap_or_default()
}

fn wire_sentence(history: &History, server: &str, wire: Option<&Wire>) -> String {
    let told = |last: Option<Seq>| match last.and_then(|seq| history.event(seq)) {
        Some(Event {
            seq,
            kind: EventKind::WireReceived { message, .. } | EventKind::WireSent { message, .. },
            ..
        }) => {
            format!("{} at {seq}", words(message).chars().take(WORDS_CHARS_MAX).collect::<String>())
        }
        _ => "nothing".to_owned(),
    };
    match wire {
        None => format!("{server} received nothing and sent nothing"),
        Some(wire) => {
            let ended = wire.ended.map(|seq| format!(", and ended at {seq}")).unwrap_or_default();
            format!("{server} last received {} and last sent {}{ended}", told(wire.received), told(wire.sent))
        }
    }
}

/// A message in a few words: `tools/call 3 (read {"n":2})`, `the answer to 3`.
fn words(message: &Message) -> String {
    let called = message.at(&["params", "name"]).and_then(|name| name.as_str());
    match (message.method(), message.id()) {
        (Some(method @ "tools/call"), Some(id)) => {
            let arguments = message.at(&["params", "arguments"]).map(|given| format!(" {given}")).unwrap_or_default();
            format!("{method} {id} ({}{arguments})", called.unwrap_or("without a name"))
        }
        (Some(method), Some(id)) => format!("{method} {id}"),
        (Some(method), None) => method.to_owned(),
        (None, Some(id)) if message.is_error() => format!("an error to {id}"),
        (None, Some(id)) => format!("the answer to {id}"),
        (None, None) => "something that is not a message".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::judge;
    use crate::history::{Header, history_from_text};

    /// The events of a successful load, up to event 9.
    const LOADED: &str = r#"loader loader.ready adapter=t language=t operations=["load","call","close"]
driver operation.invoked operation=1 action=load in=task:a servers=["files"]
loader operation.started operation=1 context={"thread":1,"loop":1,"task":1}
mock:files#1 connection.opened connection=c1
mock:files#1 wire.received connection=c1 message={"jsonrpc":"2.0","id":0,"method":"tools/list"}
mock:files#1 wire.sent connection=c1 message={"jsonrpc":"2.0","id":0,"result":{"tools":[]}}
loader operation.completed operation=1 outcome={"ok":{}}
driver operation.invoked operation=2 action=call in=task:a server=files tool=read
loader operation.started operation=2 context={"thread":1,"loop":1,"task":1}
"#;

    fn told(after: &str) -> String {
        let text = format!("{LOADED}{after}driver plan.ended\n");
        let history = history_from_text("t", Header::new("t"), &text).unwrap();
        let mut judgement = judge(&history);
        tell_hangs(&history, &mut judgement);
        let findings = judgement.findings.into_iter();
        findings.filter(|finding| finding.invariant == "operation-completes").map(|finding| finding.because).collect()
    }

    #[test]
    fn a_hang_names_the_waiting_line_the_last_messages_and_what_ran_beside_it() {
        let because = told(
            r#"driver operation.invoked operation=3 action=call in=task:b server=files tool=write
driver cancel.requested operation=3
mock:files#1 wire.received connection=c1 message={"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{"n":2}}}
driver operation.overdue operation=2 limit=operation bound_ms=10000
loader stacks.taken of=loader text=t operations=[{"operation":2,"code":[{"file":"loader.py","line":77,"in":"call"},{"file":"adapter.py","line":9,"in":"run"}]}]
"#,
        );
        insta::assert_snapshot!(because, @r#"call of read on files (operation 2), invoked at #8, had not completed within 10000 ms at #13; it began at 8 ms, and waits at loader.py:77 in call, called at adapter.py:9 in run; files last received tools/call 1 (read {"n":2}) at #12 and last sent the answer to 0 at #6; running at the same time: call of write on files (operation 3), to be cancelled since #11"#);
    }

    #[test]
    fn without_a_waiting_line_it_tells_the_last_one_that_used_a_scope() {
        let because = told(
            r#"loader scope.enter scope=s1 name=Client form=context-manager context={"thread":1,"loop":1,"task":1} code=[{"file":"loader.mjs","line":41}]
loader scope.enter scope=s2 name=Client form=context-manager context={"thread":1,"loop":1,"task":2} code=[{"file":"other.mjs","line":1}]
driver operation.overdue operation=2 limit=operation bound_ms=10000
"#,
        );
        insta::assert_snapshot!(because, @"call of read on files (operation 2), invoked at #8, had not completed within 10000 ms at #12; it began at 8 ms, and last entered Client at loader.mjs:41; files last received tools/list 0 at #5 and last sent the answer to 0 at #6");
    }
}
