#!/usr/bin/env bash
# a tmcp server over stdio answers no ping while a tool runs
#
# Package:  tmcp 1.20.0 with @tmcp/transport-stdio 0.5.0 on npm, beside @modelcontextprotocol/server 2.4.0
# Expected: a ping is answered while a tool waits for something. The MCP specification 2025-06-18 (basic/utilities/ping)
#           says that the receiver MUST respond promptly, and that the sender may take silence for a dead connection.
# Happens:  the transport carries out the requests of a session one after the other. Everything that comes during a call
#           waits for its end: a ping, and a second call too. The README speaks of concurrent calls; that is true only
#           of requests that name their protocol version in _meta, which the revisions with initialize do not have.
# Output:   @modelcontextprotocol/server: answers in the order ping, quick, slow
#           tmcp:                         answers in the order slow, ping, quick
# Matters:  a client that checks its servers by ping ends a healthy server in the middle of a long call, and the call
#           fails. Calls that an agent starts together take the sum of their times.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts \
  tmcp@1.20.0 @tmcp/transport-stdio@0.5.0 @modelcontextprotocol/server@2.4.0 || exit 2

cat > tools.mjs <<'JS'
import { setTimeout as wait } from "node:timers/promises";

export const info = { name: "kitchen", version: "1" };
export const tools = [["slow", 3000], ["quick", 0]].map(([name, milliseconds]) => [name, async () => {
  await wait(milliseconds);
  return { content: [{ type: "text", text: name }] };
}]);
JS
cat > tmcp-server.mjs <<'JS'
import { McpServer } from "tmcp";
import { StdioTransport } from "@tmcp/transport-stdio";
import { info, tools } from "./tools.mjs";

const server = new McpServer(info, { adapter: undefined, capabilities: { tools: {} } });
for (const [name, run] of tools) server.tool({ name, description: name }, run);
new StdioTransport(server).listen();
JS
cat > official-server.mjs <<'JS'
import { McpServer } from "@modelcontextprotocol/server";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { info, tools } from "./tools.mjs";

const server = new McpServer(info);
for (const [name, run] of tools) server.registerTool(name, { description: name }, run);
await server.connect(new StdioServerTransport());
JS

cat > probe.mjs <<'JS'
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

async function outcome(label, file) {
  const server = spawn(process.execPath, [file], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(server, "exit");
  const send = (message) => server.stdin.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
  send({ id: "initialize", method: "initialize", params: { protocolVersion: "2025-06-18", capabilities: {},
                                                           clientInfo: { name: "probe", version: "1" } } });
  const order = [];
  for await (const line of createInterface({ input: server.stdout })) {
    const message = JSON.parse(line);
    if (message.error) throw new Error(line);
    if (message.id === "initialize") {
      send({ method: "notifications/initialized" });
      send({ id: "slow", method: "tools/call", params: { name: "slow" } });
      send({ id: "ping", method: "ping" });
      send({ id: "quick", method: "tools/call", params: { name: "quick" } });
    } else if (message.id !== undefined) {
      order.push(message.id);
      if (order.length === 3) break;
    }
  }
  server.stdin.end();
  await ended;
  console.log(`${`${label}:`.padEnd(29)} answers in the order ${order.join(", ")}`);
  return order.join();
}

const official = await outcome("@modelcontextprotocol/server", "official-server.mjs");
const tmcp = await outcome("tmcp", "tmcp-server.mjs");
if (!official.endsWith("slow") || tmcp !== "slow,ping,quick") {
  console.error("CHANGED: tmcp no longer keeps a ping waiting until the tool has ended");
  process.exitCode = 1;
}
JS
echo "--- seen now"
timeout 60 node probe.mjs
