"""A client on the Python SDK: with each server it opens a session, lists, calls, and closes. Warnings are failures.

The argument is a JSON list of servers, each as in an `mcpServers` configuration. Where `changes` is true, the server offers
another tool after its first call, and says so.
"""

import asyncio
import json
import logging
import sys
import warnings

from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client

try:
    from mcp.client.streamable_http import streamable_http_client as http_client
except ImportError:
    from mcp.client.streamable_http import streamablehttp_client as http_client

warnings.simplefilter("error", ResourceWarning)


class Complaints(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.seen = []

    def emit(self, record):
        self.seen.append(record.getMessage())


def connect(server):
    if server.get("type") == "sse":
        return sse_client(server["url"])
    if "url" in server:
        return http_client(server["url"])
    return stdio_client(StdioServerParameters(command=server["command"], args=server["args"]))


async def live(server):
    changed = asyncio.Event()

    async def on_message(message):
        # The SDK delivers a malformed message as an exception.
        if isinstance(message, Exception):
            raise message
        if "ToolListChanged" in type(getattr(message, "root", message)).__name__:
            changed.set()

    async with connect(server) as streams:
        async with ClientSession(streams[0], streams[1], message_handler=on_message) as session:
            await session.initialize()
            tools = await session.list_tools()
            assert [tool.name for tool in tools.tools] == ["read"], tools
            for _ in range(2):
                answer = await session.call_tool("read", {"path": "/a"})
                assert answer.content[0].text == 'read {"path":"/a"}', answer
            await session.send_ping()
            if server["changes"]:
                await asyncio.wait_for(changed.wait(), 20)
                tools = await session.list_tools()
                assert [tool.name for tool in tools.tools] == ["read", "write"], tools


async def main():
    for server in json.loads(sys.argv[1]):
        await live(server)


complaints = Complaints()
logging.getLogger().addHandler(complaints)
asyncio.run(main())
assert not complaints.seen, complaints.seen
print("no complaint")
