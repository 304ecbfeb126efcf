//! Shutdown over pipes: the end of the input comes first, and a signal later.

use super::client::{Client, MODERN};
use super::{Life, POLITE, Script, Specimen, stdio};

/// Says something when its input ends, and goes on until it gets a signal.
const LINGERING: Script = Script::Written(
    r#"about = "Says something when its input ends, and goes on until it gets a signal."
[[rule]]
on = { eof = true }
do = [{ notify-with = { method = "notifications/message", params = { level = "info", data = "ending" } } }, "ignore"]
"#,
);

const FIRST: (&[&str], &str) = (&["LC-STD-06"], "eof-before-signal");
const TIME: (&[&str], &str) = (&["LC-STD-07"], "time-before-signal");

const fn row(
    (name, about): (&'static str, &'static str),
    (revision, script): (&'static str, Script),
    (breaks, caught_by): (&'static [&'static str], &'static str),
    life: fn(&mut Client, bool),
) -> Specimen {
    Specimen { name, about, breaks, caught_by, stage: stdio(revision, script), life: Life::Wire(life) }
}

pub(super) const SPECIMENS: &[Specimen] = &[
    row(
        ("signal-with-an-open-input", "Signals its server and leaves the input open."),
        ("2025-11-25", POLITE),
        FIRST,
        signal_first,
    ),
    row(
        ("signal-without-handshake", "Signals a server without a handshake and leaves the input open."),
        (MODERN, POLITE),
        FIRST,
        signal_first,
    ),
    row(
        ("signal-at-once", "Closes the input of its server and signals it in the same moment."),
        ("2025-06-18", LINGERING),
        TIME,
        signal_at_once,
    ),
];

fn signal_first(client: &mut Client, is_broken: bool) {
    client.begin_life();
    client.call(1);
    if is_broken {
        client.pipes().terminate();
        client.pipes().wait();
    }
}

/// What the server says shows that it has read the end of its input.
fn signal_at_once(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    client.pipes().close_input();
    client.pipes().receive();
    if !is_broken {
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    client.pipes().terminate();
    client.pipes().wait();
}
