//! Validation: refuses scripts that cannot do what they say.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::script::family::{Event, Line, LongMessage, MalformedLine, Message, Process, Response, Session};
use crate::script::rule::{Rule, RuleFile};
use crate::script::trigger::TriggerFile;
use crate::script::{Action, Defect, Family, LISTEN, Span, ToolKind, When};

/// Longest delay of an action.
const DELAY_MAX: Duration = Duration::from_secs(60);
/// Most bytes that an action writes.
const BYTES_MAX: u32 = 64 << 20;
/// Most repetitions of an action.
const TIMES_MAX: u32 = 100_000;

/// A part of a script, with its offset in the file.
pub(super) type At<T> = (usize, T);

/// Checks the rules of a file. `tools` are those that the server advertises at first.
pub(super) fn check_rules(
    files: Vec<RuleFile<At<TriggerFile>, At<Action>>>,
    tools: &[String],
) -> Result<Vec<Rule>, At<Defect>> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut places = Vec::new();
    for file in files {
        let (place, trigger) = file.on;
        let on = trigger.check().map_err(|defect| (place, defect))?;
        let actions = check_actions(&on.when, place, file.actions)?;
        let rule = Rule { on, actions, optional: file.optional };
        if let Some(index) = rules.iter().position(|earlier| ends_before(earlier, &rule)) {
            return Err((place, Defect::NeverReached { rule: index + 1 }));
        }
        rules.push(rule);
        places.push(place);
    }
    check_framings(&rules, &places)?;
    let offered = offered_tools(&rules, tools);
    for (rule, place) in rules.iter().zip(places) {
        if let When::Request { tool: Some(tool), .. } = &rule.on.when
            && !offered.contains(tool.as_str())
        {
            return Err((place, Defect::ToolNotOffered(tool.clone())));
        }
    }
    Ok(rules)
}

/// Refuses a script that needs two framings.
fn check_framings(rules: &[Rule], places: &[usize]) -> Result<(), At<Defect>> {
    let mut needed = None;
    for (rule, place) in rules.iter().zip(places) {
        for (second, second_needs) in rule.needs() {
            match needed {
                None => needed = Some((second, second_needs)),
                Some((first, first_needs)) if first_needs != second_needs => {
                    return Err((*place, Defect::NoTransport { first, first_needs, second, second_needs }));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// Checks a list of tool names.
pub(super) fn check_tools(tools: &[String]) -> Result<(), Defect> {
    let mut seen = BTreeSet::new();
    match tools.iter().find(|tool| tool.is_empty() || !seen.insert(tool.as_str())) {
        Some(tool) => Err(Defect::ToolTwice(tool.clone())),
        None => Ok(()),
    }
}

/// Checks the tools with answers of their own: the server advertises each at some time, and their names are unique.
pub(super) fn check_tool_kinds(kinds: &[At<ToolKind>], rules: &[Rule], tools: &[String]) -> Result<(), At<Defect>> {
    let offered = offered_tools(rules, tools);
    let mut seen = BTreeSet::new();
    for (place, kind) in kinds {
        if !seen.insert(kind.name.as_str()) {
            return Err((*place, Defect::ToolTwice(kind.name.clone())));
        }
        if !offered.contains(kind.name.as_str()) {
            return Err((*place, Defect::ToolNotOffered(kind.name.clone())));
        }
    }
    Ok(())
}

fn offered_tools<'a>(rules: &'a [Rule], tools: &'a [String]) -> BTreeSet<&'a str> {
    let mut offered: BTreeSet<&str> = tools.iter().map(String::as_str).collect();
    for action in rules.iter().flat_map(|rule| &rule.actions) {
        if let Action::Tools(tools) = action {
            offered.extend(tools.iter().map(String::as_str));
        }
    }
    offered
}

/// Whether the server is certain to have ended before `later`, which must act, could act for the first time.
fn ends_before(earlier: &Rule, later: &Rule) -> bool {
    // A frozen mock still takes signals.
    let survives = |action: &Action| *action == Action::Freeze && matches!(later.on.when, When::Signal(_));
    let is_end = |action: &Action| action.ends() && !survives(action);
    let ends = earlier.actions.iter().any(is_end) && !earlier.actions.iter().any(Action::holds);
    let same_or_start = earlier.on.when == When::Start || earlier.on.when == later.on.when;
    // If the earlier rule acts on some connections or in some phase, the later one may act on others.
    let is_wherever = earlier.on.connection.is_none_or(|number| later.on.connection == Some(number))
        && earlier.on.phase.is_none_or(|phase| later.on.phase == Some(phase));
    // The n-th trigger of the earlier rule comes at or before the first one of the later rule.
    let is_first = earlier.on.nth.unwrap_or(1) <= later.on.nth.unwrap_or(1);
    ends && !later.optional && same_or_start && is_wherever && is_first
}

fn check_actions(when: &When, place: usize, found: Vec<At<Action>>) -> Result<Vec<Action>, At<Defect>> {
    if found.is_empty() {
        return Err((place, Defect::NoAction));
    }
    let mut actions: Vec<Action> = Vec::new();
    for (place, action) in found {
        check_action(when, &action, &actions).map_err(|defect| (place, defect))?;
        actions.push(action);
    }
    Ok(actions)
}

fn check_action(when: &When, action: &Action, earlier: &[Action]) -> Result<(), Defect> {
    let trigger = || when.detail();
    let name = action.name();
    if let Some(end) = earlier.iter().find(|earlier| earlier.ends()) {
        return Err(Defect::AfterTheEnd { end: end.name(), next: name });
    }
    if action.answers() {
        if !is_answered_by(when, action) {
            return Err(Defect::NothingToAnswer { action: name, trigger: trigger() });
        }
        if let Some(first) = earlier.iter().find(|earlier| earlier.answers())
            && !stays_open(when, first, action)
        {
            return Err(Defect::AnswerSettled { first: first.name(), second: name });
        }
    }
    check_http(when, action, earlier)?;
    check_trigger(when, action)?;
    check_amount(action)?;
    match action {
        action if earlier.contains(&Action::CloseStdout) && action.writes() => Err(Defect::OutputClosed(name)),
        Action::Hold(gate) if gate.is_empty() => Err(Defect::GateWithoutName),
        Action::Delay(Span(delay)) | Action::ProgressForever(Span(delay)) if *delay > DELAY_MAX => {
            Err(Defect::DelayTooLong { found_ms: delay.as_millis(), max_ms: DELAY_MAX.as_millis() })
        }
        Action::Tools(tools) => check_tools(tools),
        Action::Exit(_) | Action::Die(_) | Action::Ignore if earlier.contains(&Action::Ignore) => {
            Err(Defect::IgnoreAndEnd(name))
        }
        _ => check_text(action),
    }
}

/// Checks texts that the server writes unchanged.
fn check_text(action: &Action) -> Result<(), Defect> {
    let is_one_line = |text: &str| !text.is_empty() && !text.contains(['\n', '\r', '\0']);
    match action.family() {
        Family::Message(message) => check_method(message),
        Family::Line(line) => match line {
            Line::Noise(text) if text.contains('\n') => Err(Defect::NoiseOfManyLines),
            Line::Noise(_) | Line::NoiseFlood(_) | Line::EndlessLine(_) | Line::Bytes(_) => Ok(()),
            Line::CloseStdin | Line::CloseStdout => Ok(()),
        },
        Family::Event(event) => match event {
            Event::EventId(text) | Event::OtherEvent(text) if !is_one_line(text) => {
                Err(Defect::TextOfManyLines { action: action.name(), found: text.clone() })
            }
            Event::OtherEvent(kind) if kind == "message" => {
                Err(Defect::TextOfManyLines { action: action.name(), found: kind.clone() })
            }
            Event::EventId(_) | Event::OtherEvent(_) | Event::Retry(_) | Event::Comments(_) => Ok(()),
        },
        // No text of these decides where a message begins or ends.
        Family::Pause(_) | Family::Answer(_) | Family::MalformedMessage(_) | Family::LongMessage(_) => Ok(()),
        Family::MalformedLine(_) | Family::MalformedEvent(_) | Family::Silence(_) | Family::Endless(_) => Ok(()),
        Family::Response(_) | Family::Raw(_) | Family::Session(_) | Family::Process(_) => Ok(()),
    }
}

/// Checks that a request of the server's own has the method of a request, and a notification that of a notification.
fn check_method(message: Message<'_>) -> Result<(), Defect> {
    let is_request = |method: &str| !method.is_empty() && !method.starts_with("notifications/");
    match message {
        Message::Ask(method) | Message::AskAgain(method) if !is_request(method) => {
            Err(Defect::NotARequest(method.clone()))
        }
        Message::AskWith(told) if !is_request(&told.method) => Err(Defect::NotARequest(told.method.clone())),
        Message::Notify(method) if is_request(method) || method.is_empty() => {
            Err(Defect::NotANotification(method.clone()))
        }
        Message::NotifyWith(told) if is_request(&told.method) => Err(Defect::NotANotification(told.method.clone())),
        Message::NotifyMany(many) if is_request(&many.method) => Err(Defect::NotANotification(many.method.clone())),
        Message::Ask(_) | Message::AskAgain(_) | Message::AskWith(_) => Ok(()),
        Message::Notify(_) | Message::NotifyWith(_) | Message::NotifyMany(_) => Ok(()),
        Message::Progress(_) | Message::CancelRequest | Message::StrayAnswer(_) | Message::StrayError => Ok(()),
    }
}

/// Checks actions that make sense for one kind of trigger only.
fn check_trigger(when: &When, action: &Action) -> Result<(), Defect> {
    let is_initialize = matches!(when, When::Request { method, .. } if method == "initialize");
    let is_request = matches!(when, When::Request { .. });
    let expected = match action {
        Action::Ignore if !matches!(when, When::Eof | When::Signal(_)) => {
            return Err(Defect::NothingToIgnore(when.detail()));
        }
        Action::EchoVersion | Action::SameSession if !is_initialize => "request = \"initialize\"",
        Action::NameSession(_) if is_initialize || !is_request => "request other than initialize",
        Action::Progress(_) | Action::CancelRequest | Action::Reorder if !is_request => "request",
        Action::AnswerOnReturn | Action::AwaitResponse if !is_request => "request",
        _ => return Ok(()),
    };
    Err(Defect::OtherTrigger { action: action.name(), trigger: when.detail(), expected })
}

/// Checks counts, sizes and status codes.
fn check_amount(action: &Action) -> Result<(), Defect> {
    match action.family() {
        Family::LongMessage(LongMessage::Pad(n_bytes)) => in_range(action, *n_bytes, BYTES_MAX),
        Family::LongMessage(LongMessage::Deep(depth)) => in_range(action, *depth, TIMES_MAX),
        Family::MalformedLine(defect) => match defect {
            MalformedLine::BlankLines(times) => in_range(action, *times, TIMES_MAX),
            MalformedLine::CarriageReturn | MalformedLine::ByteOrderMark | MalformedLine::Split => Ok(()),
            MalformedLine::HalfLine | MalformedLine::BrokenJson | MalformedLine::BadUtf8 => Ok(()),
            MalformedLine::Glued | MalformedLine::Pretty | MalformedLine::LengthHeader => Ok(()),
        },
        Family::Line(line) => match line {
            Line::EndlessLine(n_bytes) => in_range(action, *n_bytes, BYTES_MAX),
            Line::NoiseFlood(times) => in_range(action, *times, TIMES_MAX),
            // The file itself bounds these.
            Line::Noise(_) | Line::Bytes(_) => Ok(()),
            Line::CloseStdin | Line::CloseStdout => Ok(()),
        },
        Family::Event(event) => match event {
            Event::Comments(times) => in_range(action, *times, TIMES_MAX),
            Event::EventId(_) | Event::Retry(_) | Event::OtherEvent(_) => Ok(()),
        },
        Family::Message(message) => match message {
            Message::Progress(times) => in_range(action, *times, TIMES_MAX),
            Message::NotifyMany(many) => in_range(action, many.times, TIMES_MAX),
            Message::Ask(_) | Message::AskWith(_) | Message::AskAgain(_) => Ok(()),
            Message::Notify(_) | Message::NotifyWith(_) => Ok(()),
            Message::CancelRequest | Message::StrayAnswer(_) | Message::StrayError => Ok(()),
        },
        Family::Process(change) => match change {
            Process::StderrFlood(n_bytes) => in_range(action, *n_bytes, BYTES_MAX),
            Process::Grandchild(grandchild) => check_life(grandchild.life),
            Process::Tools(_) | Process::Stderr(_) | Process::Freeze | Process::Stop => Ok(()),
            Process::Exit(_) | Process::Die(_) | Process::Ignore => Ok(()),
        },
        Family::Response(response) => check_status(response),
        Family::Pause(_) | Family::Answer(_) | Family::MalformedMessage(_) | Family::MalformedEvent(_) => Ok(()),
        Family::Silence(_) | Family::Endless(_) | Family::Raw(_) | Family::Session(_) => Ok(()),
    }
}

fn in_range(action: &Action, found: u32, max: u32) -> Result<(), Defect> {
    if (1..=max).contains(&found) { Ok(()) } else { Err(Defect::OutOfRange { action: action.name(), found, max }) }
}

fn check_life(Span(life): Span) -> Result<(), Defect> {
    if life <= DELAY_MAX {
        return Ok(());
    }
    Err(Defect::DelayTooLong { found_ms: life.as_millis(), max_ms: DELAY_MAX.as_millis() })
}

/// Checks the status code of an unusual response.
fn check_status(response: Response<'_>) -> Result<(), Defect> {
    match response {
        Response::Redirect(status) | Response::RedirectLoop(status) if ![301, 302, 303, 307, 308].contains(status) => {
            Err(Defect::StatusNoRedirect(*status))
        }
        Response::Status(status) | Response::BareStatus(status) if !(400..=599).contains(status) => {
            Err(Defect::StatusNoFailure(*status))
        }
        Response::Status(_) | Response::BareStatus(_) | Response::Redirect(_) | Response::RedirectLoop(_) => Ok(()),
        Response::Unauthorized | Response::RetryAfter(_) | Response::ContentType(_) | Response::EmptyBody => Ok(()),
        Response::Accepted | Response::AcceptedBody | Response::WrongStream | Response::Trickle => Ok(()),
        Response::Reset => Ok(()),
    }
}

/// Whether a text fits into a header field.
fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Checks actions on HTTP exchanges and streams against the earlier actions of their rule.
fn check_http(when: &When, action: &Action, earlier: &[Action]) -> Result<(), Defect> {
    let begins = |action: &Action| *action == Action::Sse || matches!(action.family(), Family::Event(_));
    let has_begun = earlier.iter().any(begins) || *when == When::Get && earlier.contains(&Action::Answer);
    let unless_begun = || match has_begun {
        true => Err(Defect::ExchangeOver { first: "sse", second: action.name() }),
        false => Ok(()),
    };
    match action.family() {
        Family::Response(response) => match response {
            Response::ContentType(kind) if !is_visible(kind) => Err(Defect::ContentType(kind.clone())),
            // A reset ends a stream as well.
            Response::Reset => Ok(()),
            Response::Status(_) | Response::BareStatus(_) | Response::Redirect(_) => unless_begun(),
            Response::RedirectLoop(_) | Response::Unauthorized | Response::RetryAfter(_) => unless_begun(),
            Response::ContentType(_) | Response::EmptyBody | Response::Accepted => unless_begun(),
            Response::AcceptedBody | Response::WrongStream | Response::Trickle => unless_begun(),
        },
        Family::Raw(_) => unless_begun(),
        Family::Event(_) => check_stream(when, action, has_begun),
        Family::Session(session) => match session {
            Session::EndStream | Session::CutStream => check_stream(when, action, has_begun),
            Session::NameSession(id) if !is_visible(id) || id.contains(' ') => Err(Defect::SessionId(id.clone())),
            Session::NameSession(_) => unless_begun().and_then(|()| check_session(when, action, session, earlier)),
            Session::Sse | Session::SameSession | Session::ExpireSession | Session::AnswerOnReturn => {
                check_session(when, action, session, earlier)
            }
        },
        Family::Pause(_) | Family::Answer(_) | Family::MalformedMessage(_) | Family::LongMessage(_) => Ok(()),
        Family::MalformedLine(_) | Family::MalformedEvent(_) | Family::Silence(_) | Family::Endless(_) => Ok(()),
        Family::Message(_) | Family::Line(_) | Family::Process(_) => Ok(()),
    }
}

/// Checks that there is a stream on which the action can act.
fn check_stream(when: &When, action: &Action, has_begun: bool) -> Result<(), Defect> {
    let name = action.name();
    match when {
        When::Start | When::Eof | When::Delete => Err(Defect::NoStream { action: name, trigger: when.detail() }),
        When::Get if !has_begun => Err(Defect::StreamNotBegun(name)),
        When::Get | When::Request { .. } | When::Notification(_) | When::Response | When::Initialized => Ok(()),
        When::Signal(_) | When::Gate(_) | When::Elapsed(_) => Ok(()),
    }
}

/// Checks that an action on a session comes before the answer that settles it.
fn check_session(when: &When, action: &Action, session: Session<'_>, earlier: &[Action]) -> Result<(), Defect> {
    let name = action.name();
    let is_before_answer = !earlier.iter().any(Action::answers);
    let is_initialize = matches!(when, When::Request { method, .. } if method == "initialize");
    match session {
        Session::Sse if !matches!(when, When::Request { .. }) => Err(Defect::NoStreamOfAnswers(when.detail())),
        Session::Sse | Session::SameSession | Session::NameSession(_) if !is_before_answer => {
            Err(Defect::ExchangeOver { first: "the answer", second: name })
        }
        Session::Sse if earlier.contains(&Action::Sse) => Err(Defect::AnswerSettled { first: name, second: name }),
        Session::ExpireSession if is_initialize && is_before_answer => Err(Defect::NoSessionYet),
        Session::Sse | Session::SameSession | Session::NameSession(_) | Session::ExpireSession => Ok(()),
        Session::EndStream | Session::CutStream | Session::AnswerOnReturn => Ok(()),
    }
}

/// Whether the first action leaves a subscription open for the second to end.
fn stays_open(when: &When, first: &Action, second: &Action) -> bool {
    let is_listen = matches!(when, When::Request { method, .. } if method == LISTEN);
    is_listen && *first == Action::Answer && *second == Action::AnswerAnyway
}

/// Whether this action can answer the trigger.
fn is_answered_by(when: &When, action: &Action) -> bool {
    match when {
        When::Request { .. } => *action != Action::AcceptedBody,
        When::Notification(_) => action.is_of_exchange() || *action == Action::AcceptedBody,
        When::Response => action.is_of_exchange(),
        When::Get | When::Delete => action.is_of_exchange() || matches!(action, Action::Answer | Action::Drop),
        When::Start | When::Initialized | When::Eof | When::Signal(_) | When::Gate(_) | When::Elapsed(_) => false,
    }
}
