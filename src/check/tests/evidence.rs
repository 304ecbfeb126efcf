//! Each history as other recorders would have kept it: the verdicts are those of the whole history, or not observable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::RuleHistory;
use crate::check::{HOST_RULES, Judgement, Verdict, judge};
use crate::history::{Event, EventKind, Header, History, Origin, Seq, Source, UNKNOWN_TRANSPORT};

/// Histories of which a part gives another verdict: the rule, the history, and why that is right.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("stale-session-unused", "lost-session-renewed-once/violated-renewed-twice", "a call may not know of the loss yet"),
    ("stale-session-unused", "stale-session-unused/inconclusive-loaded-machine", "no journal shows a slow machine"),
    ("stale-session-unused", "stale-session-unused/violated-used-behind-its-answer", "no journal shows operations"),
    ("stale-session-unused", "stale-session-unused/violated-used-by-the-next-call", "no journal shows operations"),
    (
        "stdin-carries-messages-only",
        "stdin-carries-messages-only/holds-cut-off-by-signal",
        "no journal shows the signal",
    ),
    ("handshake-order", "handshake-order/violated-stream-before-answer", "no trace shows a GET"),
    ("messages-well-formed", "messages-well-formed/violated-name-twice", "a trace has one value for each name"),
    ("eof-before-signal", "eof-before-signal/vacuous-group-signal", "no journal shows who else got the signal"),
    ("eof-before-signal", "eof-before-signal/vacuous-parent-death", "no journal shows the end of a program"),
    ("eof-before-signal", "eof-before-signal/vacuous-parent-ended-by-signal", "no journal shows the end of a program"),
    (
        "eof-before-signal",
        "eof-before-signal/vacuous-launcher-outlives-program",
        "no journal shows the end of a program",
    ),
    ("eof-before-signal", "signal-ends-process/violated-orphan-left-child", "no journal shows the end of a program"),
    (
        "eof-before-signal",
        "signal-ends-process/violated-orphan-left-child-promised",
        "no journal shows the end of a program",
    ),
    ("time-before-signal", "time-before-signal/vacuous-signalled-at-exit", "no journal shows the end of a program"),
    (
        "modern-parameters-mirrored",
        "modern-parameters-mirrored/violated-missing-after-load",
        "only the load shows that the list was read",
    ),
    ("sent-back-call-keeps-state", "sent-back-call-keeps-state/holds-without-a-state", "only a driver numbers calls"),
    ("sent-back-call-keeps-state", "sent-back-call-keeps-state/violated-other-state", "only a driver numbers calls"),
    ("sent-back-call-keeps-state", "sent-back-call-keeps-state/violated-without-state", "only a driver numbers calls"),
    ("changed-list-fetched", "changed-list-fetched/vacuous-loader", "no journal shows whose the loads are"),
    ("methods-known", "methods-known/violated-cancel-posted", "no trace shows that a notice was posted"),
    ("one-message-at-a-time", "one-message-at-a-time/violated-batch-taken", "no trace shows what came in one POST"),
    (
        "stdin-carries-messages-only",
        "stdin-carries-messages-only/violated-noise",
        "no journal shows how its client ended",
    ),
    ("session-ended", "session-ended/violated-not-deleted-loader", "the excerpt lacks the end of the mock"),
    ("resumed-from-last-event", "resumed-from-last-event/violated-older-event-returned", "no journal shows operations"),
    ("ping-answered", "ping-answered/violated-never", "only the call shows that the loader read on"),
    (
        "server-requests-answered",
        "server-requests-answered/violated-never",
        "only the transport shows in which order the messages were read",
    ),
    (
        "unknown-version-left",
        "unknown-version-left/violated-went-on-refused",
        "this trace lacks what the server refused",
    ),
];

/// The events that a recorder of this origin keeps.
fn kept(history: &RuleHistory, header: Header, keeps: fn(&Event) -> bool) -> History {
    let mut events: Vec<Event> = history.events.iter().filter(|event| keeps(event)).cloned().collect();
    for (index, event) in events.iter_mut().enumerate() {
        event.seq = Seq(index as u64 + 1);
    }
    History::from_events(header, events).unwrap()
}

fn is_about_the_experiment(event: &Event) -> bool {
    matches!(
        event.kind,
        EventKind::PlanEnded {} | EventKind::EvidenceTruncated { .. } | EventKind::PlanNotApplicable { .. }
    )
}

fn is_of_a_mock(event: &Event) -> bool {
    matches!(event.source, Source::Mock { .. }) || is_about_the_experiment(event)
}

fn is_of_a_trace(event: &Event) -> bool {
    let is_message = matches!(
        event.kind,
        EventKind::ConnectionOpened { .. } | EventKind::WireReceived { .. } | EventKind::WireSent { .. }
    );
    is_message || is_about_the_experiment(event)
}

const TRACE: Origin = Origin::Trace { has_times: true, has_beginnings: true };

/// A history of the corpus, as another recorder would have written it.
fn views(history: &RuleHistory) -> Vec<(&'static str, History)> {
    let header = |origin, transport: &str| Header { origin, transport: transport.to_owned(), ..history.header.clone() };
    let transport = history.header.transport.as_str();
    let mut views = vec![("journal", kept(history, header(Origin::Mock, transport), is_of_a_mock))];
    // A fault is a sabotage by a script. A trace has the messages of servers without one.
    if !history.events.iter().any(|event| matches!(event.kind, EventKind::FaultDelivered { .. })) {
        views.push(("trace", kept(history, header(TRACE, transport), is_of_a_trace)));
        views.push(("trace without transport", kept(history, header(TRACE, UNKNOWN_TRANSPORT), is_of_a_trace)));
    }
    views
}

/// The judgement of what another recorder would have seen, and which recorder that is.
type JudgedView = (&'static str, Judgement);

/// The histories of loaders, each with the judgements of its views.
static JUDGED: LazyLock<Vec<(&RuleHistory, Vec<JudgedView>)>> = LazyLock::new(|| {
    let histories = RuleHistory::all().iter().filter(|history| history.header.host.is_none());
    let judged = |history| views(history).into_iter().map(|(what, part)| (what, judge(&part))).collect();
    histories.map(|history| (history, judged(history))).collect()
});

fn verdict(judgement: &Judgement, id: &str) -> Verdict {
    judgement.finding(id).unwrap().verdict
}

#[test]
fn another_recorder_gives_the_same_verdict_or_none() {
    let mut wrong = String::new();
    for (history, views) in JUDGED.iter() {
        let whole = history.judge();
        for (what, judgement) in views {
            for finding in judgement.findings.iter().filter(|finding| finding.invariant != "experiment") {
                let of_whole = verdict(whole, finding.invariant);
                let is_same = finding.verdict == of_whole;
                let says_nothing = matches!(finding.verdict, Verdict::NotObservable | Verdict::NotApplicable);
                let is_own = finding.invariant == history.invariant || is_alarm(finding.verdict);
                let name = format!("{}/{}", history.invariant, history.name);
                let is_listed = OTHERWISE.iter().any(|(id, of, _)| (*id, *of) == (finding.invariant, name.as_str()));
                if is_own && !is_same && !says_nothing && !is_listed {
                    wrong.push_str(&format!(
                        "{name} as {what}: {} is {} ({}), and {of_whole} of the whole\n",
                        finding.invariant, finding.verdict, finding.because
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn is_alarm(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Fail | Verdict::Warn)
}

/// Rules that a plain trace shows.
const OF_PLAIN_TRACES: &str = "
    capabilities-respected cursor-of-session features-declared fields-of-revision handshake-order
    initialize-complete messages-well-formed methods-known older-era-kept one-message-at-a-time params-match-schema
    request-id-unique server-requests-answered task-support-followed unknown-version-left
";
/// Rules that a trace with its transport shows as well.
const OF_TRACES: &str = "
    cancelled-task-over ended-subscription-calm fresh-list-kept list-not-polled modern-client-named modern-era-kept
    modern-features-declared modern-metadata-sent progress-tokens-valid refused-version-dropped
    responses-match-requests sent-back-call-bounded sent-back-call-has-inputs sent-back-call-keeps-state
    smaller-filter-accepted untyped-result-complete
";
/// Rules that a journal shows as well.
const OF_JOURNALS: &str = "
    accept-offers-both bearer-token-used changed-list-fetched changed-roots-told cut-stream-resumed
    declared-features-served deleted-session-silent endpoint-used era-remembered event-id-known fallback-after-refusal
    forbidden-not-repeated input-matches-request mismatched-call-listed-again modern-fallback-after-refusal
    modern-parameters-mirrored modern-without-session notifications-unanswered old-transport-alone ping-answered
    pings-modest posted-to-endpoint posts-say-json protocol-version-sent refused-generation-left
    refused-stream-accepted requests-served-meanwhile results-match-schema resume-stops resumed-by-get resumed-from-last-event
    retry-honoured session-ended session-id-in-header-only session-id-sent silent-connection-left
    stale-session-unused stdin-carries-messages-only strange-notice-ignored stream-reopened-slowly
    taken-back-request-unanswered task-answers-related task-input-awaited tasks-followed token-sent
    cut-subscription-calm torn-down-subscription-left unauthorized-not-repeated closed-stream-silent
";

#[test]
fn each_recorder_shows_the_rules_that_its_events_can_show() {
    let mut shown: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (history, views) in JUDGED.iter() {
        for (what, judgement) in views {
            if judgement.finding(&history.invariant).is_some_and(|finding| finding.verdict == Verdict::Pass) {
                shown.entry(what).or_default().insert(history.invariant.clone());
            }
        }
    }
    let rules = |of: &[&str]| of.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect();
    let expected = BTreeMap::from([
        ("trace without transport", rules(&[OF_PLAIN_TRACES])),
        ("trace", rules(&[OF_PLAIN_TRACES, OF_TRACES])),
        ("journal", rules(&[OF_PLAIN_TRACES, OF_TRACES, OF_JOURNALS])),
    ]);
    assert_eq!(shown, expected);
}

#[test]
fn a_journal_of_a_mock_says_nothing_about_rules_of_the_loader() {
    let history = RuleHistory::all().iter().find(|history| history.header.host.is_none()).unwrap();
    let (_, journal) = views(history).swap_remove(0);
    let judgement = judge(&journal);
    for id in
        ["scope-exit-explicit", "nothing-survives", "load-succeeds", "closed-stays-silent", "error-channels-silent"]
    {
        let finding = judgement.finding(id).unwrap();
        assert_eq!(finding.verdict, Verdict::NotObservable, "{finding:?}");
        assert!(finding.because.starts_with("a mock server does not show"), "{}", finding.because);
    }
    assert!(HOST_RULES.iter().any(|rule| rule.id == "nothing-survives"));
}
