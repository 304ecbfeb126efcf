#!/usr/bin/env bash
# mcp-lite answers with 200 for a session that is gone, so a client never opens a new one
#
# Package:  mcp-lite 0.10.0 on npm
# Expected: after a session has ended, a request with its Mcp-Session-Id gets 404. The MCP specification (2025-06-18,
#           basic/transports, "Session Management") makes this a MUST, and a client MUST answer a 404 with a new
#           initialize. The README of mcp-lite promises sessions that last over requests, with an adapter.
# Happens:  a POST with the id of a session that the client deleted, or that a restart of the server lost, is carried
#           out with 200. Only what the session remembered is gone: the server now believes that the client cannot
#           answer questions (elicitation), although the client said at initialize that it can.
# Output:   session open:          POST 200, elicitation available: true
#           after DELETE (200):    POST 200, elicitation available: false
#           after server restart:  POST 200, elicitation available: false
# Matters:  each deployment restarts the server. Clients that obey the specification then go on in a half-dead session
#           for good: calls succeed, but every tool that asks the user something takes its fallback path.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts mcp-lite@0.10.0 || exit 2

cat > probe.mjs <<'JS'
import { createServer } from "node:http";
import { once } from "node:events";
import { InMemorySessionAdapter, McpServer, StreamableHttpTransport } from "mcp-lite";

async function start(port = 0) {
  const server = new McpServer({ name: "forms", version: "1" });
  server.tool("ask", {
    description: "Tells whether the client answers questions",
    inputSchema: { type: "object", properties: {} },
    handler: (_args, context) => ({
      content: [{ type: "text", text: `elicitation available: ${context.client.supports("elicitation")}` }],
    }),
  });
  const sessionAdapter = new InMemorySessionAdapter({ maxEventBufferSize: 16 });
  const handle = new StreamableHttpTransport({ sessionAdapter }).bind(server);
  const http = createServer(async (req, res) => {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const body = chunks.length > 0 ? Buffer.concat(chunks) : undefined;
    const url = `http://${req.headers.host}${req.url}`;
    const answer = await handle(new Request(url, { method: req.method, headers: req.headers, body }));
    const headers = { ...Object.fromEntries(answer.headers), connection: "close" };
    res.writeHead(answer.status, headers).end(await answer.text());
  });
  http.listen(port, "127.0.0.1");
  await once(http, "listening");
  return http;
}

let http = await start();
const { port } = http.address();
const url = `http://127.0.0.1:${port}/mcp`;
const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
const signal = AbortSignal.timeout(30_000);
const post = (message, extra) =>
  fetch(url, { method: "POST", headers: { ...headers, ...extra }, signal,
               body: JSON.stringify({ jsonrpc: "2.0", ...message }) });

async function open() {
  const answer = await post({ id: 1, method: "initialize", params: {
    protocolVersion: "2025-06-18", capabilities: { elicitation: {} }, clientInfo: { name: "probe", version: "1" } } });
  await answer.text();
  const session = { "mcp-session-id": answer.headers.get("mcp-session-id"), "mcp-protocol-version": "2025-06-18" };
  await (await post({ method: "notifications/initialized" }, session)).text();
  return session;
}

const seen = [];
async function call(label, session) {
  const answer = await post({ id: 2, method: "tools/call", params: { name: "ask", arguments: {} } }, session);
  const said = (await answer.text()).match(/elicitation available: \w+/)?.[0] ?? "no answer of the tool";
  seen.push(`${answer.status} ${said}`);
  console.log(`${label.padEnd(22)} POST ${answer.status}, ${said}`);
}

const first = await open();
await call("session open:", first);
const deleted = await fetch(url, { method: "DELETE", headers: first, signal });
await call(`after DELETE (${deleted.status}):`, first);

const second = await open();
http.closeAllConnections();
http.close();
await once(http, "close");
http = await start(port);
await call("after server restart:", second);
http.closeAllConnections();
http.close();

const stated = ["true", "false", "false"].map((supported) => `200 elicitation available: ${supported}`);
if (JSON.stringify(seen) !== JSON.stringify(stated)) {
  console.error("CHANGED: requests for a session that is gone are no longer carried out in this way");
  process.exitCode = 1;
}
JS
echo "--- seen now"
timeout 40 node probe.mjs
