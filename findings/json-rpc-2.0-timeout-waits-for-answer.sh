#!/usr/bin/env bash
# json-rpc-2.0 reports a timeout only after the late answer has come
#
# Package:  json-rpc-2.0 1.8.1 on npm (tmcp builds on it)
# Expected: client.timeout(500).request(...) fails after half a second. The README ("With timeout") says that it fails
#           automatically if it did not get a response within that time.
# Happens:  the timer only settles the wait for the answer. The request first waits for the function that sends. The
#           HTTP client of the same README reads the answer inside that function, so the timeout cannot end anything:
#           the caller waits as long as the server takes, and then gets "Request timeout" in place of the answer.
# Output:   send ends at once (as with a socket):       Request timeout, then the server answered
#           send reads the answer (README, with fetch): the server answered, then Request timeout
# Matters:  a loader over HTTP that relies on this timeout waits for a silent server as long as fetch itself does. When
#           the server answers late, the answer is thrown away, and the caller is told that the request failed. So it
#           may ask for the same work again.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts json-rpc-2.0@1.8.1 || exit 2

cat > probe.mjs <<'JS'
import { once } from "node:events";
import { createServer } from "node:http";
import { JSONRPCClient } from "json-rpc-2.0";

const TIMEOUT = 500, ANSWER = 3000; // milliseconds

async function order(makeSend) {
  const seen = [];
  let answered;
  const serverDone = new Promise((resolve) => { answered = resolve; });
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    setTimeout(() => {
      seen.push("the server answered");
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ jsonrpc: "2.0", id: JSON.parse(body).id, result: "paid" }), answered);
    }, ANSWER);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}/`;
  const post = async (message) => {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(message) });
    client.receive(await response.json());
  };
  const client = new JSONRPCClient(makeSend(post));
  const told = client.timeout(TIMEOUT).request("pay").then(
    (result) => seen.push(`result ${result}`), (error) => seen.push(error.message));
  await Promise.all([told, serverDone]);
  server.closeAllConnections();
  server.close();
  return seen.join(", then ");
}

const socket = await order((post) => async (message) => { void post(message); });
const http = await order((post) => (message) => post(message));
console.log(`send ends at once (as with a socket):       ${socket}`);
console.log(`send reads the answer (README, with fetch): ${http}`);
if (socket !== "Request timeout, then the server answered" || http !== "the server answered, then Request timeout") {
  console.error("CHANGED: the timeout no longer waits for the function that sends");
  process.exitCode = 1;
}
JS
echo "--- seen now"
timeout 40 node probe.mjs
