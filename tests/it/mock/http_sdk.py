"""A client on the Python SDK over HTTP or SSE: opens a session, lists, calls, hears of a change, closes. Warnings are failures."""

import asyncio
import logging
import sys
import warnings

from mcp import ClientSession
from mcp.client.sse import sse_client

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


async def live(connect, url):
    changed = asyncio.Event()

    async def on_message(message):
        if "ToolListChanged" in type(getattr(message, "root", message)).__name__:
            changed.set()

    async with connect(url) as streams:
        async with ClientSession(streams[0], streams[1], message_handler=on_message) as session:
            await session.initialize()
            tools = await session.list_tools()
            assert [tool.name for tool in tools.tools] == ["read"], tools
            answer = await session.call_tool("read", {"path": "/a"})
            assert answer.content[0].text == 'read {"path":"/a"}', answer
            await asyncio.wait_for(changed.wait(), 20)
            tools = await session.list_tools()
            assert [tool.name for tool in tools.tools] == ["read", "write"], tools


complaints = Complaints()
logging.getLogger().addHandler(complaints)
asyncio.run(live({"http": http_client, "sse": sse_client}[sys.argv[1]], sys.argv[2]))
assert not complaints.seen, complaints.seen
print("no complaint")
