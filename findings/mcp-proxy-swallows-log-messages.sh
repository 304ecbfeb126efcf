#!/usr/bin/env bash
# mcp-proxy (Python) offers the logging capability and delivers no log message
#
# Package:  mcp-proxy 0.13.0 on PyPI (with mcp 1.30.0)
# Expected: a client behind the proxy gets the log messages that the server sends. The proxy declares the capability
#           "logging" itself, and answers logging/setLevel. In the MCP specification (server/utilities/logging,
#           "Capabilities") this capability is for servers that emit notifications/message.
# Happens:  the proxy passes the level on to the server, and the server logs at that level. The proxy then drops every
#           notifications/message.
# Output:   directly:          logging offered: yes   setLevel: ok   messages: ['a quarter done', 'half done']
#           through mcp-proxy: logging offered: yes   setLevel: ok   messages: []
# Matters:  a program that checks the capability, as the specification asks, concludes that the server had nothing to
#           say. Warnings of a long-running tool are lost without a trace.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv --without-pip venv
python3 -m pip --python venv/bin/python install --quiet --no-compile --disable-pip-version-check \
  mcp-proxy==0.13.0 mcp==1.30.0 || exit 2

cat > server.py <<'PY'
import json, sys

def send(message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    method, result = message["method"], None
    if method == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}, "logging": {}},
                  "serverInfo": {"name": "worker", "version": "1"}}
    elif method in ("ping", "logging/setLevel"):
        result = {}
    elif method == "tools/list":
        result = {"tools": [{"name": "work", "inputSchema": {"type": "object", "properties": {}}}]}
    elif method == "tools/call":
        for text in ("a quarter done", "half done"):
            send({"method": "notifications/message", "params": {"level": "warning", "data": text}})
        result = {"content": [{"type": "text", "text": "done"}]}
    if result is None:
        send({"id": message["id"], "error": {"code": -32601, "message": "Method not found"}})
    else:
        send({"id": message["id"], "result": result})
PY

cat > probe.py <<'PY'
import asyncio, contextlib, sys
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

LONGEST = 2  # seconds for the first message to come

async def observe(streams):
    messages, heard = [], asyncio.Event()

    async def on_log(params):
        messages.append(params.data)
        heard.set()

    async with ClientSession(streams[0], streams[1], logging_callback=on_log) as session:
        offered = (await session.initialize()).capabilities.logging is not None
        if offered:
            await session.set_logging_level("debug")
        await session.call_tool("work", {})
        with contextlib.suppress(TimeoutError):  # a message on a stream of its own may come after the answer
            await asyncio.wait_for(heard.wait(), LONGEST)
    return offered, messages

def show(label, seen):
    offered = "yes   setLevel: ok" if seen[0] else "no"
    print(f"{label:<18} logging offered: {offered}   messages: {seen[1]}")

async def listening(proxy):
    async for line in proxy.stderr:
        if b"running on" in line:
            return
    raise SystemExit("mcp-proxy ended before it listened")

async def main(port):
    async with stdio_client(StdioServerParameters(command=sys.executable, args=["server.py"])) as streams:
        direct = await observe(streams)
    show("directly:", direct)
    command = ["-m", "mcp_proxy", "--host", "127.0.0.1", "--port", str(port), "--", sys.executable, "server.py"]
    proxy = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
    try:
        await listening(proxy)
        rest = asyncio.create_task(proxy.stderr.read())
        async with streamable_http_client(f"http://127.0.0.1:{port}/mcp") as streams:
            proxied = await observe(streams)
    finally:
        if proxy.returncode is None:
            proxy.terminate()
        await proxy.wait()
    await rest
    show("through mcp-proxy:", proxied)
    if direct == (True, ["a quarter done", "half done"]) and proxied == (True, []):
        return 0
    print("CHANGED: log messages pass the proxy, or the proxy no longer offers logging", file=sys.stderr)
    return 1

sys.exit(asyncio.run(asyncio.wait_for(main(int(sys.argv[1])), 45)))
PY
port=$(venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
echo "--- seen now"
timeout 50 venv/bin/python probe.py "$port"
