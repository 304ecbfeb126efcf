//! Actions that are treated alike.

use crate::script::Carriage;

/// Which others an action is treated like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Puts off what follows.
    Pause,
    /// Sends the honest answer, or an error.
    Answer,
    /// Sends the honest answer with something wrong in the message.
    ForgedMessage,
    /// Sends the honest answer with something wrong in its text, which is more than a reader may want.
    ForgedText,
    /// Writes the honest answer with something wrong in the line.
    ForgedLine,
    /// Sends the honest answer with something odd in its event.
    ForgedEvent,
    /// Sends no answer.
    Silence,
    /// Sends messages for ever in place of an answer.
    Endless,
    /// Sends a message that is no answer.
    Message,
    /// Does something to the pipes that is no message.
    Line,
    /// Answers an HTTP request in a way of its own.
    Response,
    /// Answers an HTTP request with bytes that no HTTP server writes.
    Raw,
    /// Sends an event that is no message.
    Event,
    /// Does something to an HTTP session or its streams.
    Session,
    /// Changes the server or its process, or ends it.
    Server,
}

impl Family {
    /// Whether such an action decides about the answer to a request.
    pub(super) fn answers(self) -> bool {
        match self {
            Self::Answer | Self::ForgedMessage | Self::ForgedText | Self::ForgedLine | Self::ForgedEvent => true,
            Self::Silence | Self::Endless | Self::Response | Self::Raw => true,
            Self::Pause | Self::Message | Self::Line | Self::Event | Self::Session | Self::Server => false,
        }
    }

    /// Whether it needs an output.
    pub(super) fn writes(self) -> bool {
        match self {
            Self::Answer | Self::ForgedMessage | Self::ForgedText | Self::ForgedLine => true,
            Self::Endless | Self::Message | Self::Line => true,
            Self::ForgedEvent | Self::Pause | Self::Silence | Self::Response | Self::Raw => false,
            Self::Event | Self::Session | Self::Server => false,
        }
    }

    /// What it needs to be carried out over, where not anything will do.
    pub(super) fn needs(self) -> Option<Carriage> {
        match self {
            Self::ForgedLine | Self::Line => Some(Carriage::Lines),
            Self::ForgedEvent | Self::Response | Self::Raw | Self::Event | Self::Session => Some(Carriage::Http),
            Self::Pause | Self::Answer | Self::ForgedMessage | Self::ForgedText => None,
            Self::Silence | Self::Endless | Self::Message | Self::Server => None,
        }
    }
}
