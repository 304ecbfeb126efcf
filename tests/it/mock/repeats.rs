//! The same script and the same client give the same journal, event by event, and the same bytes, each time.
//!
//! Against processes as often as `MCP_LIFECHECK_REPEATS` says, through the interpreter alone at least twenty times. What differs
//! between two runs by its nature is left out or named: times, pids, ports and session ids. The client takes one step at a
//! time, and never decides by a clock: whether an answer comes it reads in the journal.

use std::sync::Mutex;

use mcp_lifecheck::mock::DriverKind;
use mcp_lifecheck::plan::{Framing, ServerHome, ShutdownBehaviour};
use mcp_lifecheck::script::{Action, Family, Script, When, shipped, shipped_names};
use mcp_lifecheck::server::{
    Effect, Endpoint, ExchangeNo, HttpSetup, HttpStyle, Input, Machine, Request, Setup, SocketNo, TimerId,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::mock::client::{Client, INITIALIZE, INITIALIZED, LIST, call};
use crate::mock::home::Home;
use crate::mock::http_client::{Chunk, Mock, Socket};
use crate::stability::wanted_repeats;

/// How often the interpreter alone is asked, at least.
const N_IN_MEMORY: usize = 20;
/// How often where a script sends megabytes.
const N_HEAVY: usize = 2;

fn n_repeats() -> usize {
    wanted_repeats().unwrap_or(2)
}

/// What the client says in one life.
fn life() -> [String; 5] {
    [INITIALIZE.to_owned(), INITIALIZED.to_owned(), LIST.to_owned(), call(3), call(4)]
}

/// The shipped scripts that a mock in a process of its own can carry out with this framing.
fn carried(framing: Framing) -> Vec<Script> {
    let all = shipped_names().into_iter().map(|name| shipped(name).unwrap());
    all.filter(|script| script.fits(ServerHome::OwnProcess, framing).is_ok()).collect()
}

fn actions(script: &Script) -> impl Iterator<Item = &Action> {
    script.rules().iter().flat_map(|rule| &rule.actions)
}

/// Every gate is open from the start: a driver that opens them at certain moments is another subject.
fn open_gates(script: &Script, home: &Home) {
    for action in actions(script) {
        if let Action::Hold(gate) = action {
            home.open_gate(gate);
        }
    }
}

/// Whether a client that waits for answers can live with it, and nothing is decided by a clock or by the system.
///
/// Left out, because a test of their own sees to each: what never answers again, what keeps the pipes of a mock open, what is written to stderr while the rest goes on,
/// responses that are not HTTP, and messages that take longer than all the others together.
fn can_be_lived_with(script: &Script) -> bool {
    let is_apart = |action: &Action| match action {
        Action::Delay(_) | Action::ProgressForever(_) | Action::Stderr(_) | Action::StderrFlood(_) => true,
        Action::Freeze | Action::Stop | Action::CloseStdin | Action::Grandchild(_) => true,
        action => matches!(action.family(), Family::Raw(_)) || is_heavy(action),
    };
    !actions(script).any(is_apart)
}

/// Whether it sends megabytes.
fn is_heavy(action: &Action) -> bool {
    matches!(action, Action::Pad(n_bytes) | Action::EndlessLine(n_bytes) if *n_bytes > 1 << 20)
}

/// Whether the server ignores the end of its input, and so SIGTERM as well.
fn ignores_eof(script: &Script) -> bool {
    script.rules().iter().any(|rule| rule.on.when == When::Eof && rule.actions.contains(&Action::Ignore))
}

/// Lives with a mock over pipes: everything it wrote, then its journal.
fn over_pipes(script: &Script) -> String {
    let home = Home::new(script, ShutdownBehaviour::Polite);
    open_gates(script, &home);
    let mut client = Client::linked_over(DriverKind::Stdio, &home);
    let mut told = String::new();
    for (step, message) in life().into_iter().enumerate() {
        client.send(&message);
        // Whatever the script makes of a message, it is done when what came after it is answered, or the mock has ended.
        let sync = format!("sync {step}");
        client.send(&format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{sync}\",\"method\":\"ping\"}}"));
        loop {
            let line = client.line_lossy();
            told.push_str(&line);
            if line.is_empty() || line.contains(&sync) {
                break;
            }
        }
    }
    client.close_stdin();
    if ignores_eof(script) {
        home.wait_for_short("fault.delivered ignore:eof");
        client.signal(Signal::KILL);
    }
    told.push_str(&client.rest());
    told.push_str(&format!("{}\n", client.wait()));
    told + &lines_of(&events(&home))
}

/// A client over HTTP, with a socket for each exchange.
struct Web {
    mock: Mock,
    session: Option<String>,
    n_exchanges: usize,
    told: String,
}

/// An exchange that has come as far as it comes by itself.
struct Exchanged {
    name: String,
    socket: Socket,
}

/// The mock has ended, or is about to.
struct Gone;

impl Web {
    /// Whether the journal has an event that begins so.
    fn has(&self, event: &str) -> bool {
        self.mock.home.journal().iter().any(|one| one.starts_with(event))
    }

    /// Sends a request on a socket of its own; goes on when it has arrived.
    fn send(&mut self, session: Option<String>, send: impl Fn(&mut Socket)) -> Result<Exchanged, Gone> {
        let mut socket = Socket::try_to(&self.mock.host, &self.mock.path).ok_or(Gone)?;
        socket.session = session;
        self.n_exchanges += 1;
        send(&mut socket);
        Ok(Exchanged { name: format!("x{}", self.n_exchanges), socket })
    }

    /// Waits until whatever came before is done.
    fn sync(&mut self) -> Result<(), Gone> {
        let ping = |socket: &mut Socket| socket.ask(r#"{"jsonrpc":"2.0","id":"sync","method":"ping"}"#);
        let mut exchanged = self.send(None, ping)?;
        if !exchanged.socket.is_answered() {
            return Err(Gone);
        }
        self.close(exchanged);
        Ok(())
    }

    /// One request, and what was answered to it, if anything.
    fn exchange(&mut self, send: impl Fn(&mut Socket)) -> Result<Exchanged, Gone> {
        let mut exchanged = self.send(self.session.clone(), send)?;
        let name = exchanged.name.clone();
        self.mock.home.wait_for_short(&format!("http.received {name} "));
        self.sync()?;
        if self.has(&format!("http.answered {name} ")) {
            self.read_answer(&name, &mut exchanged.socket);
        }
        Ok(exchanged)
    }

    fn read_answer(&mut self, name: &str, socket: &mut Socket) {
        let head = socket.head();
        self.told.push_str(&format!("{} {:?}\n", head.status, head.headers.get("content-type")));
        self.session = head.headers.get("mcp-session-id").cloned().or(self.session.take());
        if let Some(length) = head.headers.get("content-length") {
            let body = socket.body(length.parse().unwrap());
            self.told.push_str(&format!("{body}\n"));
        } else if head.status == 200 && self.has(&format!("http.ended {name} ")) {
            let mut chunk = socket.chunk();
            while let Chunk::Data(data) = chunk {
                self.told.push_str(&data);
                chunk = socket.chunk();
            }
            self.told.push_str(&format!("{chunk:?}\n"));
        }
    }

    /// Closes a socket, and waits until the mock has seen that.
    fn close(&self, Exchanged { name, socket }: Exchanged) {
        drop(socket);
        let is = |event: &Value, kind: &str| event["event"] == kind;
        self.mock.home.wait_until("end of a socket", |events| {
            let received = events.iter().find(|event| is(event, "http.received") && event["exchange"] == name.as_str());
            let of_it = |event: &&Value| received.is_some_and(|received| received["socket"] == event["socket"]);
            events.iter().any(|event| is(event, "socket.closed") && of_it(&event))
        });
    }

    /// One request on a socket that is closed afterwards.
    fn say(&mut self, send: impl Fn(&mut Socket)) -> Result<(), Gone> {
        let exchanged = self.exchange(send)?;
        self.close(exchanged);
        Ok(())
    }

    fn live(&mut self) -> Result<(), Gone> {
        // A mock that ends at once may still have a port.
        self.sync()?;
        let [initialize, initialized, list, first, second] = life();
        self.say(|socket| socket.ask(&initialize))?;
        self.say(|socket| socket.ask(&initialized))?;
        let stream = self.exchange(Socket::get)?;
        for message in [list, first, second] {
            self.say(|socket| socket.ask(&message))?;
        }
        self.say(Socket::delete)?;
        self.close(stream);
        Ok(())
    }
}

/// Lives with a mock over HTTP: everything it answered, then its journal.
fn over_http(script: &Script) -> String {
    let home = Home::new(script, ShutdownBehaviour::Polite);
    open_gates(script, &home);
    let mut web = Web { mock: Mock::of(home), session: None, n_exchanges: 0, told: String::new() };
    if web.live().is_ok() {
        web.mock.process.signal(if ignores_eof(script) { Signal::KILL } else { Signal::TERM });
    }
    let status = web.mock.process.wait();
    let Web { mock, mut told, .. } = web;
    told.push_str(&format!("{status}\n"));
    // When a socket ends, beside what is said on others, is the system's doing.
    let (mut sockets, others): (Vec<_>, Vec<_>) =
        events(&mock.home).into_iter().partition(|event| event["event"].as_str().unwrap().starts_with("socket."));
    sockets.sort_by_key(|event| event["socket"].to_string());
    told.push_str(&lines_of(&[others, sockets].concat()));
    let told = told.replace(&mock.host, "HOST");
    let session = mock.home.events().into_iter().find_map(|event| Some(event["session"].as_str()?.to_owned()));
    // All begin alike, and end with the number of their connection.
    session.iter().fold(told, |told, session| told.replace(session.rsplit_once('-').unwrap().0, "SESSION"))
}

/// The journal without what differs by its nature, and without the numbers by which home tells what it acknowledges.
fn events(home: &Home) -> Vec<Value> {
    let mut events = home.events();
    for event in &mut events {
        event.as_object_mut().unwrap().remove("n");
    }
    events
}

fn lines_of(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

/// Lives again and again with each script; the first that differs from its first time fails.
fn repeat(scripts: Vec<Script>, live: fn(&Script) -> String) {
    let n_repeats = n_repeats();
    let waiting = Mutex::new(scripts.iter());
    let next = || waiting.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(script) = next() {
                    let first = live(script);
                    for n_time in 2..=n_repeats {
                        let now = live(script);
                        assert_same(&first, &now, &format!("script {}, time {n_time} of {n_repeats}", script.name()));
                    }
                }
            });
        }
    });
    println!("{} scripts, each {n_repeats} times the same", scripts.len());
}

/// Tells the first line in which two lives differ.
fn assert_same(first: &str, now: &str, what: &str) {
    let lines = |text: &str| text.lines().map(str::to_owned).chain(["(the end)".to_owned()]).collect::<Vec<_>>();
    let differing = lines(first).into_iter().zip(lines(now)).find(|(first, now)| first != now);
    assert!(
        differing.is_none(),
        "{what}: first and now\n{}",
        differing.map_or_else(String::new, |(a, b)| a + "\n" + &b)
    );
}

#[test]
fn over_pipes_every_script_repeats_its_journal_and_its_bytes() {
    let mut scripts = carried(Framing::Lines);
    scripts.retain(can_be_lived_with);
    repeat(scripts, over_pipes);
}

#[test]
fn over_http_every_script_repeats_its_journal_and_its_answers() {
    let mut scripts = carried(Framing::Http);
    scripts.retain(can_be_lived_with);
    repeat(scripts, over_http);
}

/// A life as the inputs that a driver makes of it, every gate and timer included.
fn inputs(script: &Script, framing: Framing) -> Vec<Input> {
    let said = |(index, text): (usize, String)| match framing {
        Framing::Lines => Input::Line(text.into_bytes()),
        Framing::Http | Framing::Sse => request(index as u64, "POST", (index > 0).then_some("s-1"), text),
    };
    let mut inputs = vec![Input::Started];
    if framing == Framing::Http {
        inputs.push(Input::SocketOpened(SocketNo(1)));
        inputs.push(request(100, "GET", Some("s-1"), String::new()));
    }
    inputs.extend(life().into_iter().enumerate().map(said));
    let gates = actions(script).filter_map(|action| match action {
        Action::Hold(gate) => Some(Input::GateOpened(gate.clone())),
        _ => None,
    });
    inputs.extend(gates);
    inputs.extend((0..4).map(|timer| Input::Timer(TimerId(timer))));
    if framing == Framing::Http {
        inputs.push(request(101, "DELETE", Some("s-1"), String::new()));
    }
    inputs.push(Input::Eof);
    inputs
}

fn request(exchange: u64, verb: &str, session: Option<&str>, body: String) -> Input {
    let accept = if verb == "GET" { "text/event-stream" } else { "application/json, text/event-stream" };
    let headers = [("accept", Some(accept)), ("content-type", Some("application/json")), ("mcp-session-id", session)];
    Input::Request(Request {
        exchange: ExchangeNo(exchange),
        socket: SocketNo(1),
        verb: verb.to_owned(),
        path: "/t/mcp".to_owned(),
        query: String::new(),
        shown_query: String::new(),
        headers: headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect(),
        is_pipelined: false,
        body: mcp_lifecheck::server::Body::Whole(body.into_bytes()),
    })
}

fn effects(script: &Script, framing: Framing) -> Vec<Effect> {
    let endpoint = match framing {
        Framing::Lines => Endpoint::Lines,
        Framing::Http | Framing::Sse => Endpoint::Http(HttpSetup {
            url: "http://h/t/mcp".to_owned(),
            path: "/t/mcp".to_owned(),
            style: HttpStyle::Streamable,
            session_prefix: "s".to_owned(),
        }),
    };
    let mut mock =
        Machine::new(Setup::alone(script.clone(), mcp_lifecheck::plan::Revision::NEWEST_HANDSHAKE, endpoint));
    inputs(script, framing).into_iter().flat_map(|input| mock.handle(input)).collect()
}

#[test]
fn the_interpreter_repeats_its_effects_for_every_script() {
    let mut n_scripts = 0;
    for framing in [Framing::Lines, Framing::Http] {
        for script in carried(framing) {
            let first = effects(&script, framing);
            assert!(first.len() > 1, "{} does nothing over {framing}", script.name());
            let n_times = if actions(&script).any(is_heavy) { N_HEAVY } else { N_IN_MEMORY.max(n_repeats()) };
            for n_time in 2..=n_times {
                let name = script.name();
                assert_eq!(first, effects(&script, framing), "{name} over {framing}, time {n_time} of {n_times}");
            }
            n_scripts += 1;
        }
    }
    println!("{n_scripts} scripts and carriages, each {N_IN_MEMORY} times or more the same");
}
