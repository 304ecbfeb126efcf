//! Faults of the process.

use crate::history::Impact;
use crate::script::fault::info::FaultInfo;

pub(super) const ROWS: &[FaultInfo] = &[
    FaultInfo {
        id: "stderr",
        about: "writes a line to stderr",
        impairs: Impact::Nothing,
        explain: "`{ stderr = \"warming up\" }`, at any trigger. A client must not treat it as a failure.",
    },
    FaultInfo {
        id: "stderr-flood",
        about: "writes many bytes to stderr",
        impairs: Impact::Nothing,
        explain: "`{ stderr-flood = 1048576 }`, at any trigger, at most 64 MiB: the following actions wait until it \
                  is written, so a client with a pipe on stderr must read it. The server handles everything else \
                  meanwhile.",
    },
    FaultInfo {
        id: "freeze",
        about: "stops reading and answering",
        impairs: Impact::Connection,
        explain: "`\"freeze\"`, at any trigger: the server neither reads nor answers, as in a deadlock. Signals \
                  still end it.",
    },
    FaultInfo {
        id: "stop",
        about: "stops its process",
        impairs: Impact::Connection,
        explain: "`\"stop\"`, at any trigger: as SIGSTOP does. It takes no signal but SIGKILL until another process \
                  lets it continue.",
    },
    FaultInfo {
        id: "grandchild",
        about: "starts a process of its own, which may outlive it",
        impairs: Impact::Ending,
        explain: "`{ grandchild = { holds-pipes = true, life = \"2s\" } }`, at any trigger, at most 60s: a process \
                  in its group that does nothing. If it holds the pipes, the output of the server ends when both \
                  have ended.",
    },
    FaultInfo {
        id: "exit",
        about: "exits gracefully, with a code",
        impairs: Impact::Connection,
        explain: "`{ exit = 3 }`: it records its end in the journal and exits.",
    },
    FaultInfo {
        id: "die",
        about: "dies abruptly: by a signal, or with a code",
        impairs: Impact::Connection,
        explain: "`{ die = { signal = \"KILL\" } }` or `{ die = { code = 101 } }`: without a last event in the journal, as in a crash.",
    },
    FaultInfo {
        id: "ignore",
        about: "keeps running when its input ends or a signal asks it to end",
        impairs: Impact::Ending,
        explain: "`\"ignore\"`, for `eof` and `signal`. It is optional by nature, so mark the rule as optional.",
    },
];
