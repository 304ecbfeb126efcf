//! A drawn life before its choices are resolved: everything in it is a choice among what the life has at that point.

use std::time::Duration;

use proptest::sample::Index;

/// Choices for a whole life. Every value gives a valid life.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub ground: Index,
    /// At least one.
    pub servers: Vec<DraftServer>,
    pub moves: Vec<Move>,
    /// How the life ends after its moves.
    pub end: End,
}

/// Choices for one server.
#[derive(Debug, Clone)]
pub(super) struct DraftServer {
    /// `None`: a server that conforms.
    pub script: Option<Index>,
    pub is_late: bool,
    pub is_stubborn: bool,
    pub is_wrapped: bool,
}

/// How long the driver stays with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    ToTheEnd,
    UntilInFlight,
    NotAtAll,
}

/// One choice of a step. Where a life has nothing to choose from, the move is left out.
#[derive(Debug, Clone)]
pub(super) enum Move {
    Load { place: Index, stay: Stay },
    Rerun { place: Index, stay: Stay },
    Reload { place: Index, stay: Stay, server: Index },
    Call { place: Index, stay: Stay, server: Index, times: u32 },
    List { place: Index, stay: Stay },
    Close { place: Index, stay: Stay },
    Collect,
    Cancel { operation: Index },
    Await { operation: Index },
    OpenGate { gate: Index },
    DropContext { place: Index },
    KillServer { server: Index },
    Idle { window: Duration },
}

/// How a life ends.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// Cleanup in this context, and then the program ends by itself.
    Close { place: Index, opens_gates_first: bool },
    /// The program ends by itself.
    Exit,
    /// A signal ends the program.
    Signal(&'static str),
}
