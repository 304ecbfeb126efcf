"""A loader over stdio on the standard library alone, in one event loop, correct but for the mistake that its argument names.

- `stale-tools`: a load hands out the tools of a server that has ended;
- `gives-up`: after one call without a usable answer, every later call to that server fails;
- `waits-for-ever`: a call has no bound;
- `lists-for-ever`: a list asks every server again, without a bound;
- `blocking-close`: none; its close is a plain function, as in a program that only signals its servers;
- `races`: none; loads do not wait for each other.
"""

import mcp_lifecheck_adapter as lifecheck  # isort: skip

import asyncio
import itertools
import json
import os
import signal
import sys

MISTAKE = sys.argv[1] if len(sys.argv) > 1 else ""
CALL_LIMIT = 2.0
GRACE = 1.0
LINE_MAX = 1 << 20
UNBOUNDED = {("tools/call", "waits-for-ever"), ("tools/list", "lists-for-ever")}


class Ended(ConnectionError):
    """The server or its session has ended."""


class Server:
    """One server: its process, its open requests and its tools."""

    def __init__(self, entry):
        self.entry = entry
        self.process = None
        self.numbers = itertools.count(1)
        self.waiting = {}
        self.tools = []
        self.has_ended = False
        self.is_given_up = False
        self.is_open = False

    async def open(self):
        env = {**os.environ, **(self.entry.get("env") or {})}
        self.process = await asyncio.create_subprocess_exec(
            self.entry["command"],
            *self.entry.get("args", []),
            env=env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_MAX,
            start_new_session=True,
        )
        self.reader = asyncio.create_task(self.read())
        client = {"name": "small", "version": "1"}
        offer = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        await self.request("initialize", offer)
        await self.send({"method": "notifications/initialized"})
        await self.fetch()
        self.is_open = True

    async def fetch(self):
        self.tools = [tool["name"] for tool in (await self.request("tools/list", {}))["tools"]]

    async def read(self):
        try:
            while line := await self.process.stdout.readline():
                await self.take(line)
        except ValueError:
            pass  # A line without an end: nothing after it can be read.
        self.has_ended = True
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(Ended("the server has ended"))

    async def take(self, line):
        try:
            message = json.loads(line)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        if message.get("method") == "ping":
            await self.send({"id": message["id"], "result": {}})
        elif "method" in message and "id" in message:
            await self.send({"id": message["id"], "error": {"code": -32601, "message": "not offered"}})
        elif type(message.get("id")) is int and message["id"] in self.waiting:
            future = self.waiting[message["id"]]
            if not future.done():
                future.set_result(message)

    async def send(self, message):
        if self.has_ended:
            raise Ended("the server has ended")
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        await self.process.stdin.drain()

    async def request(self, method, params):
        number = next(self.numbers)
        future = self.waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self.send({"id": number, "method": method, "params": params})
            is_unbounded = (method, MISTAKE) in UNBOUNDED and self.is_open
            if is_unbounded:
                answer = await future
            else:
                answer = await asyncio.wait_for(future, CALL_LIMIT)
        except (TimeoutError, asyncio.CancelledError):
            if method != "initialize" and not self.has_ended:
                reason = "it took too long" if MISTAKE != "blocking-close" else "given up"
                await self.send({"method": "notifications/cancelled", "params": {"requestId": number, "reason": reason}})
            raise
        finally:
            del self.waiting[number]
        if not isinstance(answer.get("result"), dict):
            raise RuntimeError(f"the server answered with an error: {answer.get('error')}")
        return answer["result"]

    async def call(self, tool, arguments):
        if self.is_given_up:
            raise Ended("the server is given up")
        try:
            result = await self.request("tools/call", {"name": tool, "arguments": arguments})
            blocks = result["content"]
            return "".join(block.get("text", "") for block in blocks), bool(result.get("isError"))
        except Exception:
            self.is_given_up = MISTAKE == "gives-up"
            raise

    async def close(self):
        if self.process is None:
            return
        self.process.stdin.close()
        for ask in (None, self.process.terminate, self.process.kill):
            if ask is not None and self.process.returncode is None:
                ask()
            try:
                await asyncio.wait_for(self.process.wait(), GRACE)
                break
            except TimeoutError:
                continue
        self.end_group()
        await self.reader

    def end_group(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Loader:
    version = "1"

    def __init__(self):
        self.servers = {}
        self.failed = {}
        self.turn = asyncio.Lock()
        self.opening = None

    async def load(self, config):
        if MISTAKE == "races":
            return await self.bring_to(config["mcpServers"])
        async with self.turn:
            self.opening = asyncio.ensure_future(self.bring_to(config["mcpServers"]))
            try:
                return await self.opening
            finally:
                self.opening = None

    async def bring_to(self, wanted):
        self.failed = {}
        kept = lambda name, server: wanted.get(name) == server.entry and (not server.has_ended or MISTAKE == "stale-tools")
        for name in [name for name, server in self.servers.items() if not kept(name, server)]:
            await self.servers.pop(name).close()
        for name in [name for name in wanted if name not in self.servers]:
            server = Server(wanted[name])
            try:
                await server.open()
            except asyncio.CancelledError:
                await server.close()
                raise
            except Exception as error:
                self.failed[name] = error
                await server.close()
            else:
                self.servers[name] = server
        return self.tools()

    def tools(self):
        return {name: server.tools for name, server in self.servers.items()}

    async def list(self):
        if MISTAKE == "lists-for-ever":
            for server in self.servers.values():
                await server.fetch()
        return self.tools()

    def errors(self):
        return self.failed

    async def call(self, server, tool, arguments):
        if server not in self.servers:
            raise Ended(f"server {server!r} is not loaded")
        return await self.servers[server].call(tool, arguments)

    async def close(self):
        opening = self.opening
        if opening is not None:
            opening.cancel()
            await asyncio.wait({opening})
        async with self.turn:
            for name in [*self.servers]:
                await self.servers.pop(name).close()


class Blocking(Loader):
    """Its close cannot wait: it kills every server."""

    def close(self):
        for server in self.servers.values():
            server.process.stdin.close()
            server.end_group()
        self.servers = {}


lifecheck.serve(Blocking if MISTAKE == "blocking-close" else Loader)
