//! Faults of the process.

use super::FaultInfo;
use crate::history::Impact;

pub(super) const ROWS: &[FaultInfo] = &[
    FaultInfo {
        id: "stderr",
        about: "writes a line to stderr",
        impairs: Impact::Nothing,
        explain: "`{ stderr = \"warming up\" }`, on any occasion. It may mean anything; a client takes it for no \
                  failure.",
    },
    FaultInfo {
        id: "stderr-flood",
        about: "writes a lot to stderr",
        impairs: Impact::Nothing,
        explain: "`{ stderr-flood = 1048576 }`, on any occasion, at most 64 MiB: what follows is held until it is \
                  written, so a client that has stderr in a pipe has to read that. Everything else is handled \
                  meanwhile.",
    },
    FaultInfo {
        id: "freeze",
        about: "does nothing any more",
        impairs: Impact::Connection,
        explain: "`\"freeze\"`, on any occasion: what comes is neither read nor answered, as in a deadlock. Signals \
                  end it as they end any process.",
    },
    FaultInfo {
        id: "stop",
        about: "stops its process",
        impairs: Impact::Connection,
        explain: "`\"stop\"`, on any occasion: as SIGSTOP does. It takes no signal but SIGKILL, until somebody lets \
                  it go on.",
    },
    FaultInfo {
        id: "grandchild",
        about: "starts a process of its own, which may outlive it",
        impairs: Impact::Ending,
        explain: "`{ grandchild = { holds-pipes = true, life = \"2s\" } }`, on any occasion, at most 60s: a process \
                  in its group that does nothing. With its pipes, the output of the server ends when both have ended.",
    },
    FaultInfo {
        id: "exit",
        about: "exits with a code, in order",
        impairs: Impact::Connection,
        explain: "`{ exit = 3 }`: says farewell to the journal and exits.",
    },
    FaultInfo {
        id: "die",
        about: "dies abruptly: by a signal, or with a code",
        impairs: Impact::Connection,
        explain: "`{ die = { signal = \"KILL\" } }` or `{ die = { code = 101 } }`: no farewell, as in a crash.",
    },
    FaultInfo {
        id: "ignore",
        about: "goes on when its input ends or a signal asks it to end",
        impairs: Impact::Ending,
        explain: "`\"ignore\"`, for `eof` and `signal`. By nature optional: mark the rule so.",
    },
];
