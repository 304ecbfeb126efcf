//! What an event is about, more precisely than its kind.
//!
//! Dozens of rules subscribe to messages, and one message concerns few of them. A rule says in [`Hears`] which events of its
//! kinds may concern it, and the engine passes only those to it. The selection never decides a verdict: without it, each
//! judgement is the same. Where a message cannot be classified with certainty, every rule that subscribes to its kind gets it.

use crate::check::metadata::says_revision;
use crate::history::{Action, Event, EventKind, Kind, KnownMethod, Message};

/// The events of its kinds that may concern a rule.
#[derive(Debug, Clone, Copy)]
pub struct Hears {
    /// For some kinds, what may concern the rule; all events of the others may.
    only: &'static [Selection],
    sleep: Option<Sleep>,
    /// Whether the rule may find something in a history of which it heard nothing.
    judges_silence: bool,
}

/// Of one kind of events, those that are about one of these.
pub type Selection = (Kind, &'static [Of]);

/// A rule that nothing concerns before a certain event.
#[derive(Debug, Clone, Copy)]
struct Sleep {
    on: Plans,
    /// The first of these wakes it.
    until: &'static [Selection],
    /// What it hears before.
    hears: &'static [Selection],
}

/// The plans in which a rule sleeps at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plans {
    /// All.
    Every,
    /// Those whose connections are pairs of pipes.
    OnLines,
    /// Those of the generation with a handshake.
    WithHandshake,
}

impl Hears {
    /// Every event of its kinds.
    pub const ALL: Self = Self { only: &[], sleep: None, judges_silence: false };

    /// Of these kinds, only what is selected.
    #[must_use]
    pub const fn only(only: &'static [Selection]) -> Self {
        Self { only, sleep: None, judges_silence: false }
    }

    /// The same, and nothing before the first event that is selected here.
    #[must_use]
    pub const fn from(self, until: &'static [Selection]) -> Self {
        self.sleeping(until, &[])
    }

    /// The same, and before the first event of `until` only what `hears` selects.
    #[must_use]
    pub const fn sleeping(self, until: &'static [Selection], hears: &'static [Selection]) -> Self {
        Self { sleep: Some(Sleep { on: Plans::Every, until, hears }), ..self }
    }

    /// The same, but it sleeps in these plans only.
    #[must_use]
    pub const fn on(self, on: Plans) -> Self {
        match self.sleep {
            Some(sleep) => Self { sleep: Some(Sleep { on, ..sleep }), ..self },
            None => self,
        }
    }

    /// The same, for a rule that may find something in a history of which it heard nothing.
    #[must_use]
    pub const fn and_silence(self) -> Self {
        Self { judges_silence: true, ..self }
    }

    /// Whether the rule may find something in a history of which it heard nothing.
    pub(super) fn judges_silence(self) -> bool {
        self.judges_silence
    }

    /// The plans in which the rule sleeps at first.
    pub(super) fn sleeps(self) -> Option<Plans> {
        self.sleep.map(|sleep| sleep.on)
    }

    pub(super) fn has(self, topic: Topic) -> bool {
        let selected = self.only.iter().find(|(kind, _)| *kind == topic.kind);
        selected.is_none_or(|(_, of)| of.iter().any(|of| of.has(topic)) || topic.facet.is_anything())
    }

    pub(super) fn wakes(self, topic: Topic) -> bool {
        self.sleep.is_some_and(|sleep| is_selected(sleep.until, topic))
    }

    pub(super) fn has_asleep(self, topic: Topic) -> bool {
        self.sleep.is_none_or(|sleep| is_selected(sleep.hears, topic))
    }
}

/// The messages of a connection. Before the first that it hears, a rule of another generation than the plan's knows nothing.
pub(super) const FIRST_MESSAGE: &[Selection] = &[
    (Kind::HttpReceived, &[Of::Any]),
    (Kind::HttpStray, &[Of::Any]),
    (Kind::WireReceived, &[Of::Any]),
    (Kind::WireSent, &[Of::Any]),
];

fn is_selected(selections: &[Selection], topic: Topic) -> bool {
    let is_it = |(kind, of): &Selection| {
        *kind == topic.kind && (of.iter().any(|of| of.has(topic)) || topic.facet.is_anything())
    };
    selections.iter().any(is_it)
}

/// One thing that an event may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Anything.
    Any,
    /// A request with this method.
    Request(KnownMethod),
    /// A request with any method.
    AnyRequest,
    /// A request with a method that no revision has.
    OtherRequest,
    /// A request that carries its revision, as those of the stateless generation do.
    LoneRequest,
    /// A notification with this method.
    Notice(KnownMethod),
    /// A notification with a method that no revision has.
    OtherNotice,
    /// A notification with any method.
    AnyNotice,
    /// An answer to a request with this method, or to one that is not known.
    Answer(KnownMethod),
    /// An answer to a request with a method that no revision has.
    OtherAnswer,
    /// An answer to any request.
    AnyAnswer,
    /// A POST of HTTP.
    Post,
    /// A GET of HTTP.
    Get,
    /// A response of HTTP with a status from 200 to 299.
    Success,
    /// A response of HTTP with a status from 400 on.
    Failure,
    /// A response of HTTP with another status.
    OtherStatus,
    /// A response of HTTP that is a stream of events.
    Stream,
    /// An operation of this kind.
    Action(Action),
    /// A load of any kind.
    Loads,
}

impl Of {
    fn has(self, topic: Topic) -> bool {
        match topic.facet {
            Facet::Plain | Facet::Odd | Facet::Unknown => self == Self::Any,
            Facet::Request { method, is_lone } => match self {
                Self::Any | Self::AnyRequest => true,
                Self::Request(known) => method == Some(known),
                Self::OtherRequest => method.is_none(),
                Self::LoneRequest => is_lone,
                _ => false,
            },
            Facet::Notice(method) => match self {
                Self::Any | Self::AnyNotice => true,
                Self::Notice(known) => method == Some(known),
                Self::OtherNotice => method.is_none(),
                _ => false,
            },
            Facet::Answer(answered) => match (self, answered) {
                (Self::Any | Self::AnyAnswer, _) => true,
                (Self::Answer(_) | Self::OtherAnswer, Answered::Unknown) => true,
                (Self::Answer(known), Answered::Known(method)) => known == method,
                (Self::OtherAnswer, Answered::Other) => true,
                _ => false,
            },
            Facet::Verb(verb) => match self {
                Self::Any => true,
                Self::Post => verb == Verb::Post,
                Self::Get => verb == Verb::Get,
                _ => false,
            },
            Facet::Response { status, streams } => match self {
                Self::Any => true,
                Self::Success => status == Status::Success,
                Self::Failure => status == Status::Failure,
                Self::OtherStatus => status == Status::Other,
                Self::Stream => streams,
                _ => false,
            },
            Facet::Action(action) => match self {
                Self::Any => true,
                Self::Action(known) => known == action,
                Self::Loads => action.loads(),
                _ => false,
            },
        }
    }
}

/// The topic of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Topic {
    kind: Kind,
    facet: Facet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Facet {
    /// The kind has no topics.
    Plain,
    Request {
        method: Option<KnownMethod>,
        is_lone: bool,
    },
    Notice(Option<KnownMethod>),
    Answer(Answered),
    /// A batch, or what is neither a request nor a notification nor a response.
    Odd,
    Verb(Verb),
    Response {
        status: Status,
        streams: bool,
    },
    Action(Action),
    /// It names an operation that is not known.
    Unknown,
}

impl Facet {
    /// Whether it may be about anything that its kind can be about.
    fn is_anything(self) -> bool {
        matches!(self, Self::Odd | Self::Unknown)
    }
}

/// The request that a response answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Answered {
    /// One with this method.
    Known(KnownMethod),
    /// One with a method that no revision has.
    Other,
    /// None that was open, or one of several with one id.
    #[default]
    Unknown,
}

impl Answered {
    /// The answer to a request with this method.
    pub(super) fn of(method: Option<KnownMethod>) -> Self {
        method.map_or(Self::Other, Self::Known)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Post,
    Get,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Success,
    Failure,
    Other,
}

const VERBS: [Verb; 3] = [Verb::Post, Verb::Get, Verb::Other];
const STATUSES: [Status; 3] = [Status::Success, Status::Failure, Status::Other];
const ACTIONS: [Action; 8] = [
    Action::Load,
    Action::Rerun,
    Action::Reload,
    Action::List,
    Action::Call,
    Action::Close,
    Action::Collect,
    Action::Probe,
];

/// The place of an action in [`ACTIONS`].
fn place(action: Action) -> usize {
    match action {
        Action::Load => 0,
        Action::Rerun => 1,
        Action::Reload => 2,
        Action::List => 3,
        Action::Call => 4,
        Action::Close => 5,
        Action::Collect => 6,
        Action::Probe => 7,
    }
}

/// The known methods, and one for all others.
const N_METHODS: usize = KnownMethod::ALL.len() + 1;
/// Places of the facets of a message: requests, lone requests, notifications, answers, an unknown answer, and odd ones.
const N_MESSAGES: usize = 4 * N_METHODS + 2;
const SENT: usize = Kind::ALL.len() + N_MESSAGES;
const VERB: usize = SENT + N_MESSAGES;
const RESPONSE: usize = VERB + VERBS.len();
const INVOKED: usize = RESPONSE + 2 * STATUSES.len();
const COMPLETED: usize = INVOKED + ACTIONS.len();
/// An upper bound of every [`Topic::index`].
pub(super) const N_TOPICS: usize = COMPLETED + ACTIONS.len() + 1;

impl Topic {
    /// The topic of an event.
    ///
    /// `answered` is the request that a message of a server answers, and `completed` the operation that completes.
    pub(super) fn of(event: &Event, answered: Answered, completed: Option<Action>) -> Self {
        let facet = match &event.kind {
            EventKind::WireReceived { message, .. } => Facet::of(message, Answered::Unknown),
            EventKind::WireSent { message, .. } => Facet::of(message, answered),
            EventKind::HttpReceived { verb, .. } => Facet::Verb(match verb.as_str() {
                "POST" => Verb::Post,
                "GET" => Verb::Get,
                _ => Verb::Other,
            }),
            EventKind::HttpAnswered { status, streams, .. } => {
                let status = match status {
                    200..=299 => Status::Success,
                    400.. => Status::Failure,
                    _ => Status::Other,
                };
                Facet::Response { status, streams: *streams }
            }
            EventKind::OperationInvoked { action, .. } => Facet::Action(*action),
            EventKind::OperationCompleted { .. } => completed.map_or(Facet::Unknown, Facet::Action),
            _ => Facet::Plain,
        };
        Self { kind: event.kind.kind(), facet }
    }

    /// A place in a table of all topics.
    pub(super) fn index(self) -> usize {
        let of_message = if self.kind == Kind::WireSent { SENT } else { Kind::ALL.len() };
        let method = |method: Option<KnownMethod>| method.map_or(N_METHODS - 1, |method| method as usize);
        match self.facet {
            Facet::Plain => self.kind as usize,
            Facet::Request { method: asked, is_lone } => of_message + usize::from(is_lone) * N_METHODS + method(asked),
            Facet::Notice(told) => of_message + 2 * N_METHODS + method(told),
            Facet::Answer(Answered::Known(known)) => of_message + 3 * N_METHODS + method(Some(known)),
            Facet::Answer(Answered::Other) => of_message + 3 * N_METHODS + method(None),
            Facet::Answer(Answered::Unknown) => of_message + 4 * N_METHODS,
            Facet::Odd => of_message + 4 * N_METHODS + 1,
            Facet::Verb(verb) => VERB + verb as usize,
            Facet::Response { status, streams } => RESPONSE + 2 * status as usize + usize::from(streams),
            Facet::Action(action) if self.kind == Kind::OperationInvoked => INVOKED + place(action),
            Facet::Action(action) => COMPLETED + place(action),
            Facet::Unknown => COMPLETED + ACTIONS.len(),
        }
    }

    /// Every topic of a kind.
    pub(super) fn all_of(kind: Kind) -> Vec<Self> {
        let methods = || KnownMethod::ALL.iter().copied().map(Some).chain([None]);
        let facets: Vec<Facet> = match kind {
            Kind::WireReceived | Kind::WireSent => {
                let requests = [false, true]
                    .into_iter()
                    .flat_map(|is_lone| methods().map(move |method| Facet::Request { method, is_lone }));
                let answers = methods().map(|method| Facet::Answer(Answered::of(method)));
                let others = [Facet::Answer(Answered::Unknown), Facet::Odd];
                requests.chain(methods().map(Facet::Notice)).chain(answers).chain(others).collect()
            }
            Kind::HttpReceived => VERBS.map(Facet::Verb).into(),
            Kind::HttpAnswered => {
                let all = STATUSES.into_iter().flat_map(|status| [false, true].map(|streams| (status, streams)));
                all.map(|(status, streams)| Facet::Response { status, streams }).collect()
            }
            Kind::OperationInvoked => ACTIONS.map(Facet::Action).into(),
            Kind::OperationCompleted => ACTIONS.map(Facet::Action).into_iter().chain([Facet::Unknown]).collect(),
            _ => vec![Facet::Plain],
        };
        facets.into_iter().map(|facet| Self { kind, facet }).collect()
    }
}

impl Facet {
    fn of(message: &Message, answered: Answered) -> Self {
        let is_request = message.is_any_request();
        match message.known_method() {
            _ if message.is_response() => Self::Answer(answered),
            // A message that is a request and a response, too.
            _ if message.method().is_none() || message.has_outcome() => Self::Odd,
            // A request for which the protocol has a notification, and the other way round, are odd.
            Some(known) if known.is_notification() == is_request => Self::Odd,
            method if is_request => Self::Request { method, is_lone: says_revision(message) },
            method => Self::Notice(method),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_topic_has_a_place_of_its_own() {
        let all: Vec<Topic> = Kind::ALL.iter().flat_map(|kind| Topic::all_of(*kind)).collect();
        let places: BTreeSet<usize> = all.iter().map(|topic| topic.index()).collect();
        assert_eq!(places.len(), all.len());
        assert!(places.iter().all(|place| *place < N_TOPICS));
    }
}
