#!/usr/bin/env bash
# @ai-sdk/mcp ends a stdio server by a signal, so the server cannot finish what it does at the end of its input
#
# Package:  @ai-sdk/mcp 2.0.99 on npm (Experimental_StdioMCPTransport), beside @modelcontextprotocol/client 2.4.0
# Expected: client.close() closes the standard input of the server, waits for the server to exit, and sends SIGTERM only
#           when it does not. The MCP specification (basic/lifecycle, "Shutdown", stdio) gives this order.
# Happens:  close() sends SIGTERM at once and leaves the input open. A server that writes its state when its input ends
#           dies without doing so. close() resolves without an error.
# Output:   @modelcontextprotocol/client: server ended by end of input, notes saved: yes
#           @ai-sdk/mcp:                  server ended by SIGTERM, notes saved: no
# Matters:  a server that follows the specification loses the last work of each session, and only with this client.
#           Neither side reports an error.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts \
  @ai-sdk/mcp@2.0.99 @modelcontextprotocol/client@2.4.0 || exit 2

cat > server.mjs <<'JS'
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const folder = process.argv[2];
const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
process.on("SIGTERM", () => {
  writeFileSync(`${folder}/ended-by`, "SIGTERM");
  process.exit(1);
});
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method } = JSON.parse(line);
  if (id === undefined) continue;
  if (method === "initialize") {
    send({ id, result: { protocolVersion: "2025-06-18", capabilities: { tools: {} },
                         serverInfo: { name: "notes", version: "1" } } });
  } else if (method === "tools/list") {
    send({ id, result: { tools: [{ name: "note", inputSchema: { type: "object" } }] } });
  } else {
    send({ id, error: { code: -32601, message: "Method not found" } });
  }
}
writeFileSync(`${folder}/notes`, "saved");
writeFileSync(`${folder}/ended-by`, "end of input");
process.exit(0);
JS

cat > probe.mjs <<'JS'
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

async function outcome(label, folder, openAndClose) {
  mkdirSync(folder);
  await openAndClose({ command: process.execPath, args: ["server.mjs", folder] });
  for (let i = 0; i < 100 && !existsSync(`${folder}/ended-by`); i += 1) await wait(100);
  const ended = existsSync(`${folder}/ended-by`) ? readFileSync(`${folder}/ended-by`, "utf8") : "nothing yet";
  const saved = existsSync(`${folder}/notes`) ? "yes" : "no";
  console.log(`${`${label}:`.padEnd(29)} server ended by ${ended}, notes saved: ${saved}`);
  return `${ended}, ${saved}`;
}

const official = await outcome("@modelcontextprotocol/client", "official", async (server) => {
  const client = new Client({ name: "probe", version: "1" });
  await client.connect(new StdioClientTransport(server));
  await client.listTools();
  await client.close();
});
const aiSdk = await outcome("@ai-sdk/mcp", "ai-sdk", async (server) => {
  const client = await createMCPClient({ transport: new Experimental_StdioMCPTransport(server) });
  await client.tools();
  await client.close();
});
if (official !== "end of input, yes" || aiSdk !== "SIGTERM, no") {
  console.error("CHANGED: close() no longer ends the server by SIGTERM before its input ends");
  process.exitCode = 1;
}
JS
echo "--- seen now"
timeout 40 node probe.mjs
