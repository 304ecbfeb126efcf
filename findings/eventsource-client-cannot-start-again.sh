#!/usr/bin/env bash
# eventsource-client does not connect again after a 204, although connect() is there for that
#
# Package:  eventsource-client 1.2.0 on npm
# Expected: connect() opens the stream again. The package documents it (type declarations, EventSourceClient.connect)
#           for use after close(), and after the server has sent 204.
# Happens:  after a 204 the client still holds the finished request, and connect() does nothing, however long one waits.
#           After close() it does nothing either when it comes in the same turn of the event loop; a little later it
#           works. No error, no callback: readyState stays "closed".
# Output:   after 204, connect() half a second later: 0 new requests, readyState closed
#           after close(), connect() at once:         0 new requests, readyState closed
#           after close(), connect() a second later:  1 new request, readyState open
# Matters:  a client that closes and reopens its stream, as for a new session of MCP or new headers, may end without a
#           stream and miss every message of the server, and nothing tells it so.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts eventsource-client@1.2.0 || exit 2

cat > probe.mjs <<'JS'
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { createEventSource } from "eventsource-client";

async function outcome(label, firstStatus, stop) {
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    const status = requests === 1 ? firstStatus : 200;
    response.writeHead(status, status === 204 ? {} : { "Content-Type": "text/event-stream" });
    if (status === 204) response.end();
    else response.write("data: hello\n\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  let settled;
  const first = new Promise((resolve) => { settled = resolve; });
  const source = createEventSource({ url: `http://127.0.0.1:${server.address().port}/`,
                                     onMessage: settled, onDisconnect: settled });
  await first; // a message, or the end by 204
  await stop(source);
  source.connect();
  await wait(3000);
  const seen = `${requests - 1} new request${requests === 2 ? "" : "s"}, readyState ${source.readyState}`;
  console.log(`${`${label}:`.padEnd(41)} ${seen}`);
  source.close();
  server.closeAllConnections();
  server.close();
  return seen;
}

const seen = [
  await outcome("after 204, connect() half a second later", 204, () => wait(500)),
  await outcome("after close(), connect() at once", 200, (source) => source.close()),
  await outcome("after close(), connect() a second later", 200, (source) => { source.close(); return wait(1000); }),
];
const nothing = "0 new requests, readyState closed";
if (seen.join("; ") !== [nothing, nothing, "1 new request, readyState open"].join("; ")) {
  console.error("CHANGED: connect() opens the stream again");
  process.exitCode = 1;
}
JS
echo "--- seen now"
timeout 40 node probe.mjs
