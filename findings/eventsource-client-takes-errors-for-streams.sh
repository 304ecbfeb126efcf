#!/usr/bin/env bash
# eventsource-client takes every error page for a stream, and asks for it for ever
#
# Package:  eventsource-client 1.2.0 on npm
# Expected: an answer with 404 or 405 ends the client. The standard for server-sent events (WHATWG HTML, "The
#           EventSource interface") says that a status other than 200 fails the connection, which is then not tried
#           again. The type declarations of the package say that connect() is needed after "a non-retryable error".
# Happens:  the client looks at no status but 204. It calls onConnect, reads the error page as events, and asks again
#           every two seconds without end. No callback tells the status.
# Output:   200: 1 request,  onConnect 1, onDisconnect 0, readyState open
#           404: 3 requests, onConnect 3, onDisconnect 3, readyState connecting
#           405: 3 requests, onConnect 3, onDisconnect 3, readyState connecting
# Matters:  in MCP over HTTP, 405 to a GET means that the server has no such stream, and 404 that the session has ended.
#           A loader on this package believes that it is connected, and troubles the server for as long as it runs.
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

const LONGEST = 15000; // milliseconds for three requests

async function outcome(status) {
  const counts = { requests: 0, connects: 0, disconnects: 0 };
  const server = createServer((request, response) => {
    counts.requests += 1;
    if (status === 200) {
      response.writeHead(200, { "Content-Type": "text/event-stream" }).write("data: hello\n\n");
    } else {
      response.writeHead(status, { "Content-Type": "application/json" }).end('{"error": "no stream here"}\n');
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  let third;
  const enough = new Promise((resolve) => { third = resolve; });
  const source = createEventSource({
    url: `http://127.0.0.1:${server.address().port}/`,
    onConnect: () => { counts.connects += 1; },
    onDisconnect: () => { if ((counts.disconnects += 1) === 3) third(); },
  });
  await Promise.race([enough, wait(status === 200 ? 5000 : LONGEST, undefined, { ref: true })]);
  const requests = `${counts.requests} request${counts.requests === 1 ? "" : "s"},`;
  const seen = `${requests.padEnd(11)} onConnect ${counts.connects}, onDisconnect ${counts.disconnects}, ` +
    `readyState ${source.readyState}`;
  console.log(`${status}: ${seen}`);
  source.close();
  server.closeAllConnections();
  server.close();
  return seen;
}

const seen = [await outcome(200), await outcome(404), await outcome(405)];
const again = "3 requests, onConnect 3, onDisconnect 3, readyState connecting";
if (seen.join("; ") !== ["1 request,  onConnect 1, onDisconnect 0, readyState open", again, again].join("; ")) {
  console.error("CHANGED: an error status ends the client");
  process.exitCode = 1;
}
process.exit();
JS
echo "--- seen now"
timeout 50 node probe.mjs
