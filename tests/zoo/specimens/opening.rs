//! Opening: the order and the content of the handshake.

use serde_json::{Value, json};

use super::client::{Client, On};
use super::{Life, POLITE, Script, Specimen, http, sse, stdio};

/// Answers `initialize` late, so that a client can send more before the answer.
const LATE: Script = Script::Written(
    r#"about = "Answers initialize late."
[[rule]]
on = { request = "initialize" }
do = [{ delay = "250ms" }]
"#,
);
/// Answers with a revision of the future.
const FUTURE: Script = Script::Written(
    r#"about = "Answers initialize with a revision of the future."
[[rule]]
on = { request = "initialize" }
do = [{ alter-result = { protocolVersion = "2099-01-01" } }]
"#,
);
const REFUSING: Script = Script::Shipped("initialize-error");
const ANCIENT: Script = Script::Shipped("initialize-unknown-version");

pub(super) const SPECIMENS: &[Specimen] = &[
    Specimen {
        name: "list-before-initialize",
        about: "Lists the tools before it initializes.",
        breaks: &["LC-INIT-01"],
        caught_by: "handshake-order",
        stage: stdio("2025-11-25", POLITE),
        life: Life::Wire(list_before_initialize),
    },
    Specimen {
        name: "post-before-initialize",
        about: "Posts a call before it has a session.",
        breaks: &["LC-INIT-01"],
        caught_by: "handshake-order",
        stage: http("2025-06-18", POLITE),
        life: Life::Wire(list_before_initialize),
    },
    Specimen {
        name: "stream-before-initialize",
        about: "Asks for the stream of a session before it initializes.",
        breaks: &["LC-INIT-01"],
        caught_by: "handshake-order",
        stage: http("2025-11-25", POLITE),
        life: Life::Wire(stream_before_initialize),
    },
    Specimen {
        name: "initialize-twice",
        about: "Initializes a second time on the same connection.",
        breaks: &["LC-INIT-01"],
        caught_by: "handshake-order",
        stage: stdio("2024-11-05", POLITE),
        life: Life::Wire(initialize_twice),
    },
    Specimen {
        name: "initialized-before-the-answer",
        about: "Says that it is initialized before it has the answer.",
        breaks: &["LC-INIT-03"],
        caught_by: "handshake-order",
        stage: stdio("2025-03-26", LATE),
        life: Life::Wire(initialized_early),
    },
    Specimen {
        name: "initialized-twice",
        about: "Says twice that it is initialized.",
        breaks: &["LC-INIT-03"],
        caught_by: "handshake-order",
        stage: http("2025-03-26", POLITE),
        life: Life::Wire(initialized_twice),
    },
    Specimen {
        name: "list-before-initialized",
        about: "Lists the tools before it says that it is initialized.",
        breaks: &["LC-INIT-03"],
        caught_by: "handshake-order",
        stage: sse("2024-11-05", POLITE),
        life: Life::Wire(list_before_initialized),
    },
    Specimen {
        name: "list-after-refusal",
        about: "Lists the tools although initialize was refused.",
        breaks: &["LC-INIT-04"],
        caught_by: "handshake-order",
        stage: stdio("2025-06-18", REFUSING),
        life: Life::Wire(list_after_refusal),
    },
    Specimen {
        name: "initialized-after-refusal",
        about: "Says that it is initialized although initialize was refused.",
        breaks: &["LC-INIT-04"],
        caught_by: "handshake-order",
        stage: stdio("2025-11-25", REFUSING),
        life: Life::Wire(initialized_after_refusal),
    },
    Specimen {
        name: "list-during-initialize",
        about: "Lists the tools while initialize is not answered.",
        breaks: &["LC-INIT-05"],
        caught_by: "handshake-order",
        stage: stdio("2025-11-25", LATE),
        life: Life::Wire(list_during_initialize),
    },
    Specimen {
        name: "initialize-without-capabilities",
        about: "Leaves its capabilities out of initialize.",
        breaks: &["LC-INIT-02"],
        caught_by: "initialize-complete",
        stage: stdio("2025-11-25", POLITE),
        life: Life::Wire(without_capabilities),
    },
    Specimen {
        name: "initialize-without-a-name",
        about: "Leaves its name out of initialize.",
        breaks: &["LC-INIT-02"],
        caught_by: "initialize-complete",
        stage: http("2025-06-18", POLITE),
        life: Life::Wire(without_name),
    },
    Specimen {
        name: "initialize-without-a-version",
        about: "Leaves the version of its program out of initialize.",
        breaks: &["LC-INIT-02"],
        caught_by: "initialize-complete",
        stage: sse("2024-11-05", POLITE),
        life: Life::Wire(without_program_version),
    },
    Specimen {
        name: "initialize-without-a-revision",
        about: "Offers no revision.",
        breaks: &["LC-INIT-02"],
        caught_by: "initialize-complete",
        stage: http("2025-11-25", POLITE),
        life: Life::Wire(without_revision),
    },
    Specimen {
        name: "offer-of-latest",
        about: "Offers the revision latest, which does not exist.",
        breaks: &["LC-INIT-07"],
        caught_by: "initialize-complete",
        stage: http("2025-11-25", POLITE),
        life: Life::Wire(offer_of_latest),
    },
    Specimen {
        name: "offer-of-a-number",
        about: "Offers the revision 1.0, which does not exist.",
        breaks: &["LC-INIT-07"],
        caught_by: "initialize-complete",
        stage: stdio("2024-11-05", POLITE),
        life: Life::Wire(offer_of_a_number),
    },
    Specimen {
        name: "ancient-revision-accepted",
        about: "Goes on although the server answered with a revision from before the first.",
        breaks: &["LC-INIT-09"],
        caught_by: "unknown-version-left",
        stage: stdio("2025-11-25", ANCIENT),
        life: Life::Wire(unknown_revision_accepted),
    },
    Specimen {
        name: "ancient-revision-accepted-http",
        about: "Goes on over HTTP although the server answered with a revision from before the first.",
        breaks: &["LC-INIT-09"],
        caught_by: "unknown-version-left",
        stage: http("2025-03-26", ANCIENT),
        life: Life::Wire(unknown_revision_accepted),
    },
    Specimen {
        name: "future-revision-accepted",
        about: "Is not ready for a server of the future, and goes on under its revision.",
        breaks: &["LC-INIT-13"],
        caught_by: "unknown-version-left",
        stage: stdio("2025-06-18", FUTURE),
        life: Life::Wire(unknown_revision_accepted),
    },
    Specimen {
        name: "future-revision-named-http",
        about: "Goes on over HTTP and names a revision of the future, which its server refuses.",
        breaks: &["LC-INIT-13"],
        caught_by: "unknown-version-left",
        stage: http("2025-11-25", FUTURE),
        life: Life::Wire(unknown_revision_accepted),
    },
];

fn list_before_initialize(client: &mut Client, is_broken: bool) {
    if is_broken {
        client.list();
    }
    client.open();
    client.list();
}

fn stream_before_initialize(client: &mut Client, is_broken: bool) {
    if is_broken {
        let fields = client.http().fields_of_get(None);
        // The server refuses it, because it names no session.
        client.http().exchange(On::Main, "GET", &fields, None);
    }
    client.open();
    if !is_broken {
        drop(client.http().listen(None));
    }
    client.call(1);
}

fn initialize_twice(client: &mut Client, is_broken: bool) {
    client.open();
    if is_broken {
        client.initialize();
    }
    client.list();
}

fn initialized_early(client: &mut Client, is_broken: bool) {
    let about = client.about();
    let message = client.message("initialize", about);
    let pending = client.begin(&message);
    if is_broken {
        client.initialized();
    }
    client.finish(pending);
    if !is_broken {
        client.initialized();
    }
    client.list();
}

fn initialized_twice(client: &mut Client, is_broken: bool) {
    client.open();
    if is_broken {
        client.initialized();
    }
    client.list();
}

fn list_before_initialized(client: &mut Client, is_broken: bool) {
    client.initialize();
    if is_broken {
        client.list();
    }
    client.initialized();
    client.call(1);
}

fn list_after_refusal(client: &mut Client, is_broken: bool) {
    client.initialize();
    if is_broken {
        client.list();
    }
}

fn initialized_after_refusal(client: &mut Client, is_broken: bool) {
    client.initialize();
    if is_broken {
        client.initialized();
    }
}

fn list_during_initialize(client: &mut Client, is_broken: bool) {
    let about = client.about();
    let message = client.message("initialize", about);
    let pending = client.begin(&message);
    if is_broken {
        let list = client.message("tools/list", json!({}));
        client.send(&list);
    }
    client.finish(pending);
    client.initialized();
    client.list();
}

/// Opens a session with changed parameters, and uses it if the server agreed.
fn open_with(client: &mut Client, is_broken: bool, change: impl Fn(&mut Value)) {
    let mut about = client.about();
    if is_broken {
        change(&mut about);
    }
    let message = client.message("initialize", about);
    let answer = client.exchange(&message);
    client.agree(&answer);
    if answer.is_result() {
        client.initialized();
        client.list();
    }
}

fn remove(value: &mut Value, name: &str) {
    value.as_object_mut().unwrap().remove(name);
}

fn without_capabilities(client: &mut Client, is_broken: bool) {
    open_with(client, is_broken, |about| remove(about, "capabilities"));
}

fn without_name(client: &mut Client, is_broken: bool) {
    open_with(client, is_broken, |about| remove(about, "clientInfo"));
}

fn without_program_version(client: &mut Client, is_broken: bool) {
    open_with(client, is_broken, |about| remove(&mut about["clientInfo"], "version"));
}

fn without_revision(client: &mut Client, is_broken: bool) {
    open_with(client, is_broken, |about| remove(about, "protocolVersion"));
}

fn offer_of_latest(client: &mut Client, is_broken: bool) {
    open_with(client, is_broken, |about| about["protocolVersion"] = json!("latest"));
}

fn offer_of_a_number(client: &mut Client, is_broken: bool) {
    open_with(client, is_broken, |about| about["protocolVersion"] = json!("1.0"));
}

fn unknown_revision_accepted(client: &mut Client, is_broken: bool) {
    client.initialize();
    if is_broken {
        client.initialized();
        client.list();
    }
}
