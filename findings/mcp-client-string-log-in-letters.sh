#!/usr/bin/env bash
# mcp-client (Node) delivers a log text letter by letter, and loses a number
#
# Package:  mcp-client 1.13.1 on npm
# Expected: the event "loggingMessage" carries what the server sent. The README calls it equivalent to a handler for
#           LoggingMessageNotification of the TypeScript SDK, which gets level, logger and data. The MCP specification
#           (server/utilities/logging) allows any JSON value as data, and a text is the usual one.
# Happens:  the client spreads data into the event. A text becomes one property per letter, a number disappears, the
#           name of the logger is dropped, and a field "level" inside data replaces the severity.
# Output:   data "ready"             -> {"0":"r","1":"e","2":"a","3":"d","4":"y","level":"warning"}
#           data 42                  -> {"level":"warning"}
#           data {"level":3,"lift":"B"} -> {"level":3,"lift":"B"}
# Matters:  a program that prints or filters the log of its servers shows letters, misses values, and takes a field of
#           the payload for the severity.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts mcp-client@1.13.1 || exit 2

cat > server.mjs <<'JS'
import { createInterface } from "node:readline";

const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method } = JSON.parse(line);
  if (id === undefined) continue;
  if (method === "initialize") {
    send({ id, result: { protocolVersion: "2025-06-18", capabilities: { tools: {}, logging: {} },
                         serverInfo: { name: "lift", version: "1" } } });
  } else if (method === "tools/list") {
    send({ id, result: { tools: [{ name: "work", inputSchema: { type: "object" } }] } });
  } else if (method === "tools/call") {
    for (const data of ["ready", 42, { level: 3, lift: "B" }]) {
      send({ method: "notifications/message", params: { level: "warning", logger: "lift", data } });
    }
    send({ id, result: { content: [{ type: "text", text: "done" }] } });
  } else {
    send({ id, error: { code: -32601, message: "Method not found" } });
  }
}
JS

cat > probe.mjs <<'JS'
import { MCPClient } from "mcp-client";

const client = new MCPClient({ name: "probe", version: "1" });
const seen = [];
client.on("loggingMessage", (event) => seen.push(JSON.stringify(event)));
await client.connect({ type: "stdio", command: process.execPath, args: ["server.mjs"] });
await client.callTool({ name: "work", arguments: {} });
await client.close();

const sent = ['"ready"', "42", '{"level":3,"lift":"B"}'];
sent.forEach((data, i) => console.log(`data ${data.padEnd(19)} -> ${seen[i]}`));
const stated = [
  '{"0":"r","1":"e","2":"a","3":"d","4":"y","level":"warning"}',
  '{"level":"warning"}',
  '{"level":3,"lift":"B"}',
];
if (JSON.stringify(seen) !== JSON.stringify(stated)) {
  console.error("CHANGED: log messages are no longer spread into the event");
  process.exitCode = 1;
}
JS
echo "--- seen now"
timeout 40 node probe.mjs
