"""A small web application that calls a tool of its MCP server for each POST. Usage: app.py CONFIG PORT."""

import http.server
import json
import os
import signal
import subprocess
import sys


class Server:
    """One MCP server over stdio, connected from start to close."""

    def __init__(self, entry):
        command = [entry["command"], *entry.get("args", [])]
        env = {**os.environ, **entry.get("env", {})}
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.last_id = 0
        client = {"name": "example-application", "version": "0.1.0"}
        self.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client})
        self.write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.tools = [tool["name"] for tool in self.request("tools/list", {})["tools"]]

    def write(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def request(self, method, params):
        self.last_id += 1
        self.write({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params})
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") == self.last_id:
                return message["result"]
        raise EOFError("the server exited before it answered")

    def close(self):
        """Closes the input of the server, then sends SIGTERM, then SIGKILL."""
        self.process.stdin.close()
        for escalate in (self.process.terminate, self.process.kill):
            try:
                self.process.wait(timeout=0.5)
                return
            except subprocess.TimeoutExpired:
                escalate()
        self.process.wait()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer("ready")

    def do_POST(self):
        for server in self.server.mcp:
            server.request("tools/call", {"name": server.tools[0], "arguments": {}})
        self.answer("done")

    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def main():
    config, port = sys.argv[1:]
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    with open(config) as file:
        entries = json.load(file)["mcpServers"]
    web = http.server.HTTPServer(("127.0.0.1", int(port)), Handler)
    web.mcp = []
    try:
        for entry in entries.values():
            web.mcp.append(Server(entry))
        web.serve_forever()
    finally:
        for server in web.mcp:
            server.close()


main()
