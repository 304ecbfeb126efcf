#!/usr/bin/env bash
# chuk-mcp throws answers away when two calls are open at once
#
# Package:  chuk-mcp 0.9.4 on PyPI
# Expected: two calls over one connection each get their own answer, in whatever order the server sends them. The MCP
#           specification (basic, "Responses") ties an answer to its request by the id. The README of the package runs
#           send_tools_call in a task group beside other work on the same streams.
# Happens:  each call reads the shared stream itself and drops every message with another id, answers to other calls of
#           the same client included. When the server answers the second call first, both answers are lost, and both
#           calls fail by their timeout (60 s unless set; 3 s here).
# Output:   one after the other: first: answer "first"     second: answer "second"
#           both at once:        first: TimeoutError       second: TimeoutError
#           server answered:     first, second, second, first
# Matters:  an agent that runs tools in parallel sees failures of tools that did their work. Tests with one call at a
#           time never show it.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv --without-pip venv
python3 -m pip --python venv/bin/python install --quiet --no-compile --disable-pip-version-check \
  chuk-mcp==0.9.4 pydantic==2.12.5 || exit 2

cat > server.py <<'PY'
import json, sys

def send(request, result):
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)

def answer(call):
    name = call["params"]["name"]
    with open("answered", "a") as log:
        print(name, file=log)
    send(call, {"content": [{"type": "text", "text": name}]})

held = []
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    if message["method"] == "initialize":
        send(message, {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                       "serverInfo": {"name": "pair", "version": "1"}})
    elif message["method"] == "tools/call":
        if not message["params"]["arguments"]["hold"]:
            answer(message)
            continue
        held.append(message)  # two calls that are open at once end in reverse order
        if len(held) == 2:
            for call in sorted(held, key=lambda call: call["params"]["name"], reverse=True):
                answer(call)
PY

cat > probe.py <<'PY'
import sys
import anyio
from chuk_mcp import StdioServerParameters, stdio_client
from chuk_mcp.protocol.messages import send_initialize, send_tools_call

NAMES = ("first", "second")

async def main():
    seen = {}
    async with stdio_client(StdioServerParameters(command=sys.executable, args=["server.py"])) as (read, write):
        await send_initialize(read, write)

        async def call(name, hold):
            try:
                result = await send_tools_call(read, write, name, {"hold": hold}, timeout=3)
                seen[name] = f'answer "{result.content[0]["text"]}"'
            except TimeoutError:
                seen[name] = "TimeoutError"

        for name in NAMES:
            await call(name, False)
        apart = [seen[name] for name in NAMES]
        async with anyio.create_task_group() as group:
            for name in NAMES:
                group.start_soon(call, name, True)
        at_once = [seen[name] for name in NAMES]
    with open("answered") as log:
        answered = log.read().split()
    print(f"one after the other: first: {apart[0]:<18} second: {apart[1]}")
    print(f"both at once:        first: {at_once[0]:<18} second: {at_once[1]}")
    print("server answered:    ", ", ".join(answered))
    expected = (['answer "first"', 'answer "second"'], ["TimeoutError"] * 2, ["first", "second", "second", "first"])
    if (apart, at_once, answered) != expected:
        print("CHANGED: calls that are open at once get their answers", file=sys.stderr)
        return 1
    return 0

sys.exit(anyio.run(main))
PY
echo "--- seen now"
timeout 40 venv/bin/python probe.py
