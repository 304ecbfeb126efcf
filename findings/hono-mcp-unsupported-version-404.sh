#!/usr/bin/env bash
# @hono/mcp answers an unknown protocol version with 404, the status of a lost session
#
# Package:  @hono/mcp 0.3.2 on npm (with hono 4.11.4), beside the server transport of @modelcontextprotocol/sdk 1.29.0
# Expected: a request with an MCP-Protocol-Version that the server does not support gets 400 (MCP specification
#           2025-06-18, basic/transports, "Protocol Version Header": MUST). 404 is for a session that has ended
#           ("Session Management"), and a client MUST answer it with a new initialize.
# Happens:  @hono/mcp sends 404 with the text "Bad Request: Unsupported protocol version". The session is in order, and
#           the next request with a supported version is carried out.
# Output:   @modelcontextprotocol/sdk: known version 200   unknown version 400   known version 200
#           @hono/mcp:                 known version 200   unknown version 404   known version 200
# Matters:  a client that obeys the specification throws a good session away, with all that the server remembers in it,
#           and opens a new one. The fault it should report, a wrong header, stays hidden, and may come again with each
#           new session.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts \
  @hono/mcp@0.3.2 hono@4.11.4 hono-rate-limiter@0.5.3 @modelcontextprotocol/sdk@1.29.0 zod@4.1.13 || exit 2

cat > probe.mjs <<'JS'
import { Hono } from "hono";
import { StreamableHTTPTransport } from "@hono/mcp";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as official from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";

async function outcome(label, makeTransport, handle) {
  const server = new McpServer({ name: "notes", version: "1" });
  server.registerTool("note", {}, () => ({ content: [{ type: "text", text: "noted" }] }));
  const transport = makeTransport({ sessionIdGenerator: () => "session-1", enableJsonResponse: true });
  await server.connect(transport);
  const app = new Hono();
  app.all("/mcp", (c) => handle(transport, c));
  const post = (headers, message) => app.request("/mcp", {
    method: "POST", body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream", ...headers } });

  const clientInfo = { name: "probe", version: "1" };
  const opened = await post({}, { id: 0, method: "initialize",
    params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo } });
  const session = { "Mcp-Session-Id": opened.headers.get("mcp-session-id") };
  await post({ ...session, "MCP-Protocol-Version": "2025-06-18" }, { method: "notifications/initialized" });
  const statuses = [];
  for (const [id, version] of [[1, "2025-06-18"], [2, "2099-01-01"], [3, "2025-06-18"]]) {
    const answer = await post({ ...session, "MCP-Protocol-Version": version }, { id, method: "tools/list" });
    const text = await answer.text();
    statuses.push(answer.status);
    if (answer.ok !== text.includes('"note"')) throw new Error(`unexpected answer: ${text}`);
  }
  const [before, unknown, after] = statuses;
  const seen = `known version ${before}   unknown version ${unknown}   known version ${after}`;
  console.log(`${`${label}:`.padEnd(26)} ${seen}`);
  await server.close();
  return statuses.join();
}

const sdk = await outcome("@modelcontextprotocol/sdk",
  (options) => new official.WebStandardStreamableHTTPServerTransport(options),
  (transport, c) => transport.handleRequest(c.req.raw));
const hono = await outcome("@hono/mcp",
  (options) => new StreamableHTTPTransport(options), (transport, c) => transport.handleRequest(c));
if (sdk !== "200,400,200" || hono !== "200,404,200") {
  console.error("CHANGED: an unknown version no longer gets 404 from @hono/mcp alone");
  process.exitCode = 1;
}
JS
echo "--- seen now"
timeout 40 node probe.mjs
