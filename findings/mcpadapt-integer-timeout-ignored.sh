#!/usr/bin/env bash
# mcpadapt drops a timeout that is a whole number, and its own default of 5 seconds with it
#
# Package:  mcpadapt 0.1.19 (with mcp 1.30.0)
# Expected: client_session_timeout_seconds=1 ends a call after one second: the docstring of MCPAdapt says that it is the
#           limit of calls of the session. Its type is "float | timedelta | None", which takes whole numbers too
#           (PEP 484), and its default is the whole number 5. The MCP specification (basic/lifecycle, "Timeouts") asks
#           for a timeout on every request.
# Happens:  only a float or a timedelta is taken over. A whole number becomes "no timeout", without a warning. So the
#           default of 5 never works either.
# Output:   timeout 1.0: McpError before the answer
#           timeout 1:   answer "done" from a tool that takes 3 s
#           default (5): answer "done" from a tool that takes 7 s
# Matters:  a program that sets the timeout to 30, or relies on the default, waits for a slow server without limit.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv --without-pip venv
python3 -m pip --python venv/bin/python install --quiet --no-compile --disable-pip-version-check \
  mcpadapt==0.1.19 mcp==1.30.0 || exit 2

cat > server.py <<'PY'
import json, sys, time

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] == "initialize":
        answer["result"] = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                            "serverInfo": {"name": "slow", "version": "1"}}
    elif message["method"] == "tools/list":
        answer["result"] = {"tools": [{"name": "work", "inputSchema": {
            "type": "object", "properties": {"seconds": {"type": "integer"}}}}]}
    elif message["method"] == "tools/call":
        time.sleep(message["params"]["arguments"]["seconds"])
        answer["result"] = {"content": [{"type": "text", "text": "done"}]}
    else:
        answer["error"] = {"code": -32601, "message": "Method not found"}
    print(json.dumps(answer), flush=True)
PY

cat > probe.py <<'PY'
import asyncio, sys
from mcp import StdioServerParameters
from mcpadapt.core import MCPAdapt, ToolAdapter

class Plain(ToolAdapter):
    def adapt(self, func, mcp_tool):
        return func

    def async_adapt(self, afunc, mcp_tool):
        return afunc

async def outcome(seconds, **options):
    server = StdioServerParameters(command=sys.executable, args=["server.py"])
    async with MCPAdapt(server, Plain(), **options) as (work,):
        try:
            result = await work({"seconds": seconds})
        except Exception as error:
            await asyncio.sleep(seconds)  # the late answer arrives before the session closes
            return type(error).__name__
        return result.content[0].text

async def main():
    as_float = await outcome(3, client_session_timeout_seconds=1.0)
    print(f"timeout 1.0: {as_float} before the answer" if as_float != "done" else 'timeout 1.0: answer "done"')
    as_int = await outcome(3, client_session_timeout_seconds=1)
    print(f'timeout 1:   answer "{as_int}" from a tool that takes 3 s')
    default = await outcome(7)
    print(f'default (5): answer "{default}" from a tool that takes 7 s')
    if (as_float, as_int, default) == ("McpError", "done", "done"):
        return 0
    print("CHANGED: whole numbers and floats are no longer treated in this way", file=sys.stderr)
    return 1

sys.exit(asyncio.run(asyncio.wait_for(main(), 45)))
PY
echo "--- seen now"
timeout 50 venv/bin/python probe.py
