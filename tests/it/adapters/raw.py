"""An adapter without a helper, and a loader that speaks MCP over stdio, both in plain Python.

Its first argument names one mistake, which it then makes; without one it keeps every rule. For the tests of `doctor --adapter`.
"""

import itertools
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time

MISTAKE = sys.argv[1] if len(sys.argv) > 1 else ""
if MISTAKE == "writes-before-hello":
    print("connecting", flush=True)
LINK, TOKEN = os.environ["MCP_LIFECHECK_LINK"], os.environ["MCP_LIFECHECK_TOKEN"]
if MISTAKE != "server-environment":
    del os.environ["MCP_LIFECHECK_LINK"], os.environ["MCP_LIFECHECK_TOKEN"]


class Link:
    def __init__(self):
        host, port = LINK.split(":")
        self.socket = socket.create_connection((host, int(port)))
        self.lines = self.socket.makefile("rb")
        self.lock = threading.Lock()
        self.n = 1 if MISTAKE == "numbers-rise" else 0
        self.acks = {}

    def send(self, message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def tell(self, message):
        """Sends an event or a completion, and waits until it is acknowledged."""
        with self.lock:
            self.n += 1
            ack = self.acks[self.n] = threading.Event()
            now = time.time_ns() if MISTAKE == "times-are-monotonic" else time.monotonic_ns()
            self.send({"n": self.n, "at_us": now // 1000, **message})
        if MISTAKE != "waits-for-acks":
            ack.wait()


class Server:
    """One server over stdio: requests and the threads that wait for their answers."""

    def __init__(self, entry):
        env = {**os.environ, **entry.get("env", {})}
        self.process = subprocess.Popen(
            [entry["command"], *entry["args"]], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.ids, self.waiting, self.lock = itertools.count(1), {}, threading.Lock()
        threading.Thread(target=self.read, daemon=True).start()
        about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        self.ask("initialize", about)
        self.send({"method": "notifications/initialized"})
        self.tools = [tool["name"] for tool in self.ask("tools/list", {})["tools"]]

    def read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") in self.waiting and "method" not in message:
                self.waiting.pop(message["id"]).put(message)

    def send(self, message):
        with self.lock:
            self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            self.process.stdin.flush()

    def ask(self, method, params, started=None):
        answer, number = queue.SimpleQueue(), next(self.ids)
        self.waiting[number] = answer
        if started is not None:
            started(lambda: answer.put(None))
        self.send({"id": number, "method": method, "params": params})
        found = answer.get()
        if found is None:
            self.send({"method": "notifications/cancelled", "params": {"requestId": number}})
            raise InterruptedError("cancelled")
        return found["result"]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Adapter:
    def __init__(self):
        self.link = Link()
        self.servers, self.contexts, self.cancels = {}, {}, {}
        self.numbers = {"thread": {}, "loop": {}, "task": {}}
        self.counters = {kind: itertools.count(1) for kind in self.numbers}

    def hello(self):
        operations = ["load", "call", "list", "cancel", "reload", "close", "collect", "probe", "drop-context"]
        if MISTAKE == "hello-fields":
            operations.append("fly")
        self.link.send({
            "hello": 2 if MISTAKE == "hello-version" else 1,
            "token": "guessed" if MISTAKE == "hello-token" else TOKEN,
            "adapter": "raw", "version": "1", "language": "python", "pid": os.getpid(),
            "contexts": ["task", "thread", "loop"], "operations": operations, "observes": ["thread-exception-hook"], "provokes": ["thread-exception-hook"],
        })
        if MISTAKE == "waits-for-welcome":
            self.link.send({"at_us": time.monotonic_ns() // 1000, "event": "error.reported", "channel": "panic", "text": "early"})
        if "welcome" not in json.loads(self.link.lines.readline() or b"{}"):
            os._exit(86)

    def serve(self):
        """Reads what comes, and hands each command to the thread of its context; never waits for one."""
        try:
            for line in self.link.lines:
                message = json.loads(line)
                if "ack" in message:
                    self.link.acks.pop(message["ack"]).set()
                elif "do" in message:
                    self.take(message)
        except OSError:
            pass
        if MISTAKE == "link-end":
            threading.Event().wait()
        os._exit(86)

    def take(self, command):
        do, place = command["do"], command.get("in", {})
        names = (place.get("thread"), place.get("loop"), place.get("task"))
        if MISTAKE == "concurrent":
            names = "one for all"
        # Whatever tells something waits for its acknowledgement, which this thread reads.
        if do in ("cancel", "stacks", "exit", "drop-context"):
            threading.Thread(target=self.perform, args=(command,), daemon=True).start()
            return
        if names not in self.contexts:
            commands = self.contexts[names] = queue.SimpleQueue()
            threading.Thread(target=lambda: [self.perform(each) for each in iter(commands.get, None)], daemon=True).start()
        self.contexts[names].put(command)

    def number(self, kind, name):
        known = self.numbers[kind]
        if MISTAKE == f"contexts-{kind}" and "hop" in str(name):
            return 1 if kind == "thread" else next(self.counters[kind])
        if name not in known:
            known[name] = next(self.counters[kind])
        return known[name]

    def context(self, place):
        thread, loop, task = place["thread"], (place["thread"], place["loop"]), tuple(sorted(place.items()))
        return {kind: self.number(kind, name) for kind, name in [("thread", thread), ("loop", loop), ("task", task)]}

    def perform(self, command):
        do, number = command["do"], command["id"]
        known = hasattr(self, do.replace("-", "_"))
        if known and do not in ("cancel", "stacks", "exit", "drop-context") and not (MISTAKE == "started-once" and do == "list"):
            self.link.tell({"event": "operation.started", "operation": number, "context": self.context(command["in"])})
        try:
            if not known and MISTAKE != "unknown-command":
                raise NotImplementedError(do)
            outcome = {"ok": getattr(self, do.replace("-", "_"))(command) if known else {}}
        except InterruptedError:
            outcome = {"cancelled": True}
            if MISTAKE == "cancel":
                outcome = {"failed": {"type": "InterruptedError", "message": "cancelled"}}
        except Exception as error:
            outcome = {"failed": {"type": type(error).__name__, "message": str(error)}}
        self.link.tell({"id": number, **outcome})
        if MISTAKE == "completes-once" and do == "collect":
            self.link.tell({"id": number, **outcome})
        if do == "exit":
            os._exit(3 if MISTAKE == "exit" else 0)

    def load(self, command):
        wanted = command["config"]["mcpServers"]
        if MISTAKE == "reload" and command["do"] == "reload":
            wanted = {}
        for name, entry in wanted.items():
            if name not in self.servers:
                self.servers[name] = Server(entry)
        return {"tools": []} if MISTAKE == "load" else self.tools()

    reload = load

    def tools(self):
        tools = [{"server": name, "name": tool} for name, server in self.servers.items() for tool in server.tools]
        return {"tools": tools, "errors": {}}

    def list(self, command):
        return {"tools": [], "errors": {}} if MISTAKE == "list" else self.tools()

    def call(self, command):
        params = {"name": command["tool"], "arguments": command["arguments"]}
        server, started = self.servers[command["server"]], lambda cancel: self.cancels.update({command["id"]: cancel})
        if MISTAKE == "call" and command["server"] == "files":
            server.ask("tools/call", params)
        return {"text": server.ask("tools/call", params, started)["content"][0]["text"]}

    def close(self, command):
        for name in [] if MISTAKE == "close" else [*self.servers]:
            self.servers.pop(name).end()
        return {}

    def probe(self, command):
        if MISTAKE == "lines-are-of-protocol":
            self.link.socket.sendall(b"no JSON at all\n")
        if MISTAKE == "probe":
            raise RuntimeError("no probe today")
        return {}

    def collect(self, command):
        if MISTAKE == "quiet-streams":
            print("collecting", flush=True)
        if MISTAKE == "collect":
            raise RuntimeError("no collector")
        return {}

    def cancel(self, command):
        cancel = self.cancels.pop(command["operation"], None)
        if cancel is not None:
            cancel()
        return {"delivered": cancel is not None}

    def stacks(self, command):
        return {"text": "" if MISTAKE == "stacks" else "\n".join(map(str, sys._current_frames().values()))}

    def drop_context(self, command):
        place = command["in"]
        self.contexts.pop((place["thread"], place["loop"], place["task"]), queue.SimpleQueue()).put(None)
        if MISTAKE != "drop-context":
            self.numbers["thread"].pop(place["thread"], None)
            self.numbers["task"].pop(tuple(sorted(place.items())), None)
        return {}

    def provoke(self, command):
        def report(error):
            if MISTAKE != "error-channels":
                self.link.tell({"event": "error.reported", "channel": "thread-exception-hook", "text": str(error.exc_value)})

        threading.excepthook = report
        lost = threading.Thread(target=lambda: 1 // 0)
        lost.start()
        lost.join()
        return {}

    def exit(self, command):
        for server in self.servers.values():
            server.end()
        return {}


if MISTAKE == "dials-home":
    sys.exit(7)
adapter = Adapter()
if MISTAKE == "hello-in-time":
    threading.Event().wait()
adapter.hello()
adapter.serve()
