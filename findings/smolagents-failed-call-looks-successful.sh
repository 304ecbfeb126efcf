#!/usr/bin/env bash
# smolagents returns the text of a failed MCP call as if the call had succeeded
#
# Package:  smolagents 1.26.0 (with mcpadapt 0.1.19, which it uses for MCP, and mcp 1.30.0)
# Expected: a result with isError: true is told apart from a success. The MCP specification (server/tools, "Error
#           Handling") has this flag so that a client learns that the tool failed. In smolagents a tool that fails
#           raises, and the agent then records an error for that step.
# Happens:  MCPClient drops the flag, with structured_output off and on. The tool returns the text of the failure like
#           any other value.
# Output:   structured_output=False  read_balance() -> '0'   failed pay_bill() -> '0'   told apart: no
#           structured_output=True   read_balance() -> 0   failed pay_bill() -> 0   told apart: no
# Matters:  code that an agent writes uses the return value at once, so a failed action counts as done. No exception,
#           log line or attribute says otherwise.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv --without-pip venv
python3 -m pip --python venv/bin/python install --quiet --no-compile --disable-pip-version-check \
  smolagents==1.26.0 mcpadapt==0.1.19 mcp==1.30.0 || exit 2

cat > server.py <<'PY'
import json, sys

SCHEMA = {"type": "object", "properties": {}}
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] == "initialize":
        answer["result"] = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                            "serverInfo": {"name": "bank", "version": "1"}}
    elif message["method"] == "tools/list":
        answer["result"] = {"tools": [{"name": "read_balance", "inputSchema": SCHEMA},
                                      {"name": "pay_bill", "inputSchema": SCHEMA}]}
    elif message["method"] == "tools/call":
        failed = message["params"]["name"] == "pay_bill"
        answer["result"] = {"content": [{"type": "text", "text": "0"}], "isError": failed}
    else:
        answer["error"] = {"code": -32601, "message": "Method not found"}
    print(json.dumps(answer), flush=True)
PY

cat > probe.py <<'PY'
import sys
from mcp import StdioServerParameters
from smolagents import MCPClient

def call(tool):
    try:
        return repr(tool())
    except Exception as error:
        return f"raised {type(error).__name__}"

same = []
for structured in (False, True):
    server = StdioServerParameters(command=sys.executable, args=["server.py"])
    with MCPClient(server, structured_output=structured) as tools:
        by_name = {tool.name: tool for tool in tools}
        good, failed = call(by_name["read_balance"]), call(by_name["pay_bill"])
    same.append(good == failed)
    print(f"structured_output={structured!s:<5}  read_balance() -> {good}   failed pay_bill() -> {failed}   "
          f"told apart: {'no' if good == failed else 'yes'}")
if not all(same):
    print("CHANGED: a failed call is told apart from a success", file=sys.stderr)
    sys.exit(1)
PY
echo "--- seen now"
timeout 50 venv/bin/python probe.py
