//! The table of requirements: complete, consistent, and named by findings.

use std::collections::BTreeSet;

use serde_json::json;

use super::RuleHistory;
use crate::check::{DeferredKind, HOST_RULES, INVARIANTS, Requirement, Verdict, covered_by, judge, requirements};
use crate::history::{ConnectionId, EventKind, History, Impact, Message};

/// Rows of the specification, rows that no client can break, and rows that may be deferred.
const OF_SPECIFICATION: usize = 202;
const UNBREAKABLE_MAX: usize = 23;
const DEFERRED_MAX: usize = 12;

fn rows() -> &'static [Requirement] {
    requirements().unwrap()
}

#[test]
fn the_table_is_complete_and_each_row_is_marked() {
    let ids: BTreeSet<&str> = rows().iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), rows().len(), "an id is there twice");
    assert_eq!(rows().iter().filter(|row| !row.is_own()).count(), OF_SPECIFICATION);
    assert!(rows().iter().filter(|row| row.unbreakable.is_some()).count() <= UNBREAKABLE_MAX);
    let deferred: Vec<_> = rows().iter().filter(|row| row.deferred.is_some()).collect();
    assert!(deferred.len() <= DEFERRED_MAX);
    for row in deferred {
        let may_be = !row.is_must() || row.deferred.as_ref().unwrap().kind == DeferredKind::Authorisation;
        assert!(may_be && covered_by(row).is_empty() && row.unbreakable.is_none(), "{}", row.id);
    }
    for row in rows() {
        let texts = [&row.about, &row.source, &row.who, &row.level];
        assert!(texts.iter().all(|text| !text.is_empty()), "{}", row.id);
        assert!(!row.revisions.is_empty() && !row.channel.is_empty(), "{}", row.id);
    }
}

#[test]
fn rules_and_rows_name_each_other() {
    let ids: BTreeSet<&str> = rows().iter().map(|row| row.id.as_str()).collect();
    for rule in INVARIANTS.iter().chain(HOST_RULES) {
        for id in rule.requirement {
            assert!(ids.contains(id), "{} names {id}, which is not a row of fixtures/requirements", rule.id);
        }
    }
    let rules: BTreeSet<&str> = INVARIANTS.iter().chain(HOST_RULES).map(|rule| rule.id).collect();
    for row in rows() {
        for judged in &row.judged {
            let is_odd = [judged.scripts.is_empty(), judged.faults.is_empty(), judged.sent.is_empty()].contains(&false);
            assert!(is_odd || !judged.transports.is_empty(), "{}: where?", row.id);
            assert!(judged.by.iter().all(|id| rules.contains(id.as_str())), "{}: {:?}", row.id, judged.by);
        }
    }
}

#[test]
fn every_row_that_a_client_can_break_is_judged_or_deferred() {
    let is_open =
        |row: &&Requirement| row.unbreakable.is_none() && row.deferred.is_none() && covered_by(row).is_empty();
    let open: Vec<&str> = rows().iter().filter(is_open).map(|row| row.id.as_str()).collect();
    assert!(open.is_empty(), "no rule judges {open:?}");
}

/// The requirements that a finding names where the server of a failed call did something else than to start.
fn named(make_odd: impl Fn(&mut EventKind)) -> Vec<&'static str> {
    let rule = "call-after-load-succeeds";
    let history =
        RuleHistory::all().iter().find(|one| one.invariant == rule && one.name == "violated-cancelled-unasked");
    let RuleHistory { header, events, .. } = history.unwrap();
    let mut events = events.clone();
    for event in &mut events {
        if matches!(event.kind, EventKind::MockStarted { .. }) {
            make_odd(&mut event.kind);
        }
    }
    let judgement = judge(&History::from_events(header.clone(), events).unwrap());
    let finding = judgement.finding(rule).unwrap();
    assert_eq!(finding.verdict, Verdict::Fail);
    finding.requirement.to_vec()
}

#[test]
fn a_finding_names_what_the_script_of_its_server_puts_to_the_test() {
    let started = |script: &str| {
        named(|kind| {
            if let EventKind::MockStarted { script: played, .. } = kind {
                script.clone_into(played);
            }
        })
    };
    assert_eq!(started("polite"), ["VG-04"]);
    assert_eq!(started("log-flood-in-call"), ["VG-04", "LC-PROG-03"]);
}

#[test]
fn a_finding_names_what_the_faults_and_messages_of_its_server_put_to_the_test_in_any_script() {
    let delivered = |fault: &str| {
        named(|kind| *kind = EventKind::FaultDelivered { fault: fault.to_owned(), impairs: Impact::Nothing })
    };
    assert_eq!(delivered("delay:tools/call"), ["VG-04"]);
    assert_eq!(delivered("stray-error:tools/call"), ["VG-04", "LC-MSG-07"]);
    assert_eq!(delivered("duplicate:tools/call"), ["VG-04", "LC-CAN-07"]);
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 7}});
    let sent = EventKind::WireSent { connection: ConnectionId::from("c1"), message: Message::new(progress) };
    assert_eq!(named(|kind| kind.clone_from(&sent)), ["VG-04", "LC-PROG-03"]);
}
