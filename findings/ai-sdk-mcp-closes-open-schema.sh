#!/usr/bin/env bash
# @ai-sdk/mcp tells the model that a tool with free-form arguments takes none
#
# Package:  @ai-sdk/mcp 2.0.99 on npm
# Expected: client.tools() hands on the inputSchema of the server. The MCP specification (server/tools, "Tool") makes it
#           the schema of the arguments; additionalProperties with a schema is the standard way to accept a map with
#           keys that nobody knows beforehand. The README of the package speaks of no change.
# Happens:  the client sets additionalProperties to false on every tool. Here the server asks for at least one label,
#           and the model gets a schema that no value satisfies: at least one property, and no property allowed. The
#           server itself takes the labels without complaint.
# Output:   server declared: {"type":"object","additionalProperties":{"type":"string"},"minProperties":1}
#           model is shown:  {"type":"object","additionalProperties":false,"minProperties":1,"properties":{}}
#           call with {"team":"red"}: server stored {"team":"red"}
# Matters:  tools for labels, headers, environment variables or query filters cannot be used: a model that obeys the
#           schema never fills them in. The same server works with other clients, so its author sees no fault.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @ai-sdk/mcp@2.0.99 || exit 2

cat > server.mjs <<'JS'
import { createInterface } from "node:readline";

const inputSchema = { type: "object", additionalProperties: { type: "string" }, minProperties: 1 };
const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  if (method === "initialize") {
    send({ id, result: { protocolVersion: "2025-06-18", capabilities: { tools: {} },
                         serverInfo: { name: "labels", version: "1" } } });
  } else if (method === "tools/list") {
    send({ id, result: { tools: [{ name: "set_labels", inputSchema }] } });
  } else if (method === "tools/call") {
    send({ id, result: { content: [{ type: "text", text: "stored " + JSON.stringify(params.arguments) }] } });
  } else {
    send({ id, error: { code: -32601, message: "Method not found" } });
  }
}
JS

cat > probe.mjs <<'JS'
import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";

const transport = new Experimental_StdioMCPTransport({ command: process.execPath, args: ["server.mjs"] });
const client = await createMCPClient({ transport });
const declared = (await client.listTools()).tools[0].inputSchema;
const tool = (await client.tools()).set_labels;
const shown = await tool.inputSchema.jsonSchema;
const result = await tool.execute({ team: "red" }, { toolCallId: "1", messages: [] });
await client.close();

console.log(`server declared: ${JSON.stringify(declared)}`);
console.log(`model is shown:  ${JSON.stringify(shown)}`);
console.log(`call with {"team":"red"}: server ${result.content[0].text}`);
if (declared.additionalProperties?.type !== "string" || shown.additionalProperties !== false) {
  console.error("CHANGED: the open schema reaches the model");
  process.exitCode = 1;
}
JS
echo "--- seen now"
timeout 40 node probe.mjs
