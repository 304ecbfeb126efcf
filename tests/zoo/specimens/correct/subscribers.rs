//! Subscriptions and lists that stay fresh, used in unusual ways.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::super::client::{Client, MODERN};
use super::super::subscribers::{BRIEF, ENDING, FRESH, TEARING, listen, listen_message};
use super::super::{Correct, POLITE, Script, http, stdio};
use super::row;

const CHANGING: Script = Script::Written(
    r#"about = "Tells its subscribers of a change after each call."
[[rule]]
on = { request = "tools/call" }
do = ["answer", { notify = "notifications/tools/list_changed" }]
"#,
);

pub(super) const SPECIMENS: &[Correct] = &[
    row(
        "subscribes-twice",
        "Holds two subscriptions at once, and ends one.",
        stdio(MODERN, CHANGING),
        subscribes_twice,
    ),
    row("subscribes-to-nothing", "Subscribes to no kind of change.", stdio(MODERN, POLITE), subscribes_to_nothing),
    row(
        "subscribes-in-each-call",
        "Subscribes to more than is granted, for one call at a time.",
        http(MODERN, POLITE),
        subscribes_in_each_call,
    ),
    row(
        "lists-before-each-call",
        "Lists before each call, with or without a notification.",
        stdio(MODERN, CHANGING),
        lists_before_each_call,
    ),
    row("ignores-changes", "Subscribes, and never lists again.", stdio(MODERN, CHANGING), ignores_changes),
    row(
        "crosses-a-tear-down",
        "Ends a subscription at the moment at which its server tears it down.",
        stdio(MODERN, TEARING),
        crosses,
    ),
    row("subscribes-again-once", "Subscribes again once it was told the end.", stdio(MODERN, ENDING), subscribes_again),
    row(
        "five-subscribe",
        "Five clients subscribe at once, and again at the end.",
        http(MODERN, ENDING),
        five_subscribe,
    ),
    row(
        "five-are-granted-less",
        "Five clients each leave a subscription that grants less.",
        http(MODERN, POLITE),
        five_are_granted_less,
    ),
    row("five-list", "Five clients list once each while the list is fresh.", http(MODERN, FRESH), five_list),
    row("lists-when-stale", "Lists again on use when the time is over.", stdio(MODERN, BRIEF), lists_when_stale),
    row("polls-with-backoff", "Polls a list ever more slowly, at random.", stdio(MODERN, BRIEF), polls_with_backoff),
];

fn subscribes_twice(client: &mut Client) {
    client.list();
    listen(client, &["toolsListChanged"]);
    let second = listen(client, &["toolsListChanged", "promptsListChanged"]);
    client.call(1);
    client.list();
    client.cancel(&second);
    client.call(2);
    client.list();
}

fn subscribes_to_nothing(client: &mut Client) {
    let id = listen(client, &[]);
    client.call(1);
    client.cancel(&id);
    client.call(2);
}

fn subscribes_in_each_call(client: &mut Client) {
    for n in 1..=6 {
        let message = listen_message(client, &["toolsListChanged"]);
        let mut pending = client.begin(&message);
        pending.head();
        pending.event();
        client.call(n);
        pending.abandon();
    }
}

fn lists_before_each_call(client: &mut Client) {
    listen(client, &["toolsListChanged"]);
    for n in 1..=6 {
        client.list();
        client.call(n);
    }
}

fn ignores_changes(client: &mut Client) {
    client.list();
    listen(client, &["toolsListChanged"]);
    (1..=6).for_each(|n| drop(client.call(n)));
}

fn crosses(client: &mut Client) {
    let message = listen_message(client, &["toolsListChanged"]);
    client.send(&message);
    client.cancel(&message["id"]);
    client.call(1);
    client.call(2);
}

fn subscribes_again(client: &mut Client) {
    for _ in 0..3 {
        let message = listen_message(client, &["toolsListChanged"]);
        client.exchange(&message);
    }
    client.call(1);
}

fn five_subscribe(client: &mut Client) {
    let mut clients: Vec<Client> = (0..5).map(|_| client.another()).collect();
    for round in 0..2 {
        let mut begun = Vec::new();
        for (n, one) in clients.iter_mut().enumerate() {
            one.last_id = 100 * (n as u64 + 1) + round;
            let message = listen_message(one, &["toolsListChanged"]);
            begun.push(one.begin(&message));
        }
        for (one, pending) in clients.iter_mut().zip(begun) {
            one.finish(pending);
        }
    }
    clients.iter_mut().for_each(Client::end);
}

fn five_are_granted_less(client: &mut Client) {
    for n in 1..=5 {
        let mut one = client.another();
        one.last_id = 100 * n;
        let message = listen_message(&mut one, &["toolsListChanged"]);
        let mut pending = one.begin(&message);
        pending.head();
        pending.event();
        pending.abandon();
        one.end();
    }
}

fn five_list(client: &mut Client) {
    for n in 1..=5 {
        let mut one = client.another();
        one.list();
        one.call(n);
        one.end();
    }
}

fn lists_when_stale(client: &mut Client) {
    for n in 1..=4 {
        client.list();
        client.call(n);
        sleep(Duration::from_millis(450));
    }
}

fn polls_with_backoff(client: &mut Client) {
    for pause_ms in [430, 720, 510, 1_150, 930, 1_900] {
        client.list();
        sleep(Duration::from_millis(pause_ms));
    }
    client.request("server/discover", json!({}));
}
