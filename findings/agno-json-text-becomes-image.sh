#!/usr/bin/env bash
# agno turns a JSON text answer of an MCP tool into an image and drops the text
#
# Package:  agno 3.1.10 (with mcp 2.3.0)
# Expected: a content item of type "text" reaches the agent as text. The MCP specification (server/tools, "Tool
#           Result") has a type of its own for images, and asks servers to send structured content as serialized JSON
#           in a text item too.
# Happens:  MCPTools parses each text item. When the JSON has "type": "image" and a "data" field that passes a lenient
#           base64 decoder, agno drops the whole text, makes an image from the decoded bytes and tells the agent that
#           an image was generated. A file path can pass that decoder.
# Output:   server sent:   {"type": "image", "data": "photos/cat001.png", "owner": "Ann"}
#           agent is told: Image has been generated and added to the response.
#           image:         12 bytes, not an image, mime type image/png
# Matters:  a server that describes assets or page blocks as JSON loses its answer ("owner" is gone), and the model is
#           sent twelve bytes that no decoder reads as a picture.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv --without-pip venv
python3 -m pip --python venv/bin/python install --quiet --no-compile --disable-pip-version-check \
  agno==3.1.10 mcp==2.3.0 || exit 2

cat > server.py <<'PY'
import json, sys

ASSET = {"type": "image", "data": "photos/cat001.png", "owner": "Ann"}
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] == "initialize":
        answer["result"] = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                            "serverInfo": {"name": "assets", "version": "1"}}
    elif message["method"] == "ping":
        answer["result"] = {}
    elif message["method"] == "tools/list":
        answer["result"] = {"tools": [{"name": "asset", "inputSchema": {"type": "object", "properties": {}}}]}
    elif message["method"] == "tools/call":
        answer["result"] = {"content": [{"type": "text", "text": json.dumps(ASSET)}]}
    else:
        answer["error"] = {"code": -32601, "message": "Method not found"}
    print(json.dumps(answer), flush=True)
PY

cat > probe.py <<'PY'
import asyncio, sys
from agno.tools.mcp import MCPTools
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

SENT = '{"type": "image", "data": "photos/cat001.png", "owner": "Ann"}'
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF")

async def main():
    server = StdioServerParameters(command=sys.executable, args=["server.py"])
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        async with MCPTools(session=session) as tools:
            result = await tools.functions["asset"].entrypoint()
    print(f"server sent:   {SENT}")
    print(f"agent is told: {result.content}")
    for image in result.images or []:
        kind = "an image" if image.content.startswith(MAGIC) else "not an image"
        print(f"image:         {len(image.content)} bytes, {kind}, mime type {image.mime_type}")
    if "Ann" not in result.content and len(result.images or []) == 1:
        return 0
    print("CHANGED: the text of the tool reaches the agent, or no image is made of it", file=sys.stderr)
    return 1

sys.exit(asyncio.run(asyncio.wait_for(main(), 40)))
PY
echo "--- seen now"
timeout 50 venv/bin/python probe.py
