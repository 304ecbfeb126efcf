//! Actions on the pipes.

use crate::script::family::Line;
use crate::server::clients::Clients;
use crate::server::effect::Effect;

/// A line that is not a message, for a flood of them.
const NOISE: &[u8] = b"mcp-mock is ready to serve\n";

/// Writes bytes that are not a message, or closes a pipe.
pub(super) fn deliver(line: Line<'_>, clients: &mut Clients) {
    let Some((lines, state)) = clients.lines() else { return };
    let effect = match line {
        Line::Noise(text) => Effect::Write(format!("{text}\n").into_bytes()),
        Line::NoiseFlood(times) => Effect::Write(NOISE.repeat(*times as usize)),
        Line::Bytes(bytes) => Effect::Write(bytes.0.clone()),
        Line::EndlessLine(n_bytes) => Effect::Write(vec![b'x'; *n_bytes as usize]),
        Line::CloseStdin => Effect::CloseStdin,
        Line::CloseStdout => return lines.close_output(&mut state.outbox),
    };
    state.outbox.push(effect);
}
