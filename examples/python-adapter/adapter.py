import mcp_lifecheck_adapter as lifecheck  # first: it watches what the loader's imports define

import asyncio

from fastmcp import Client


class Loader:
    version = "4.2.3"

    def __init__(self):
        self.clients = {}  # name of a server: its entry in the configuration, and the client that is connected to it
        self.failed = {}
        self.turn = asyncio.Lock()  # a program may load from two tasks at once

    async def load(self, config):
        async with self.turn:
            wanted = config["mcpServers"]
            self.failed = {}
            for name, (entry, client) in [*self.clients.items()]:
                if wanted.get(name) != entry or not await self.works(client):
                    await self.disconnect(name)
            for name, entry in wanted.items():
                if name not in self.clients:
                    client = Client({"mcpServers": {name: entry}})
                    try:
                        await client.__aenter__()
                        await client.ping()
                        self.clients[name] = (entry, client)
                    except Exception as error:
                        self.failed[name] = error
                        await asyncio.gather(client.close(), return_exceptions=True)  # it failed already
            return await self.list()

    async def works(self, client):
        try:
            return await client.ping()
        except Exception:
            return False

    async def list(self):
        return {name: await client.list_tools() for name, (_, client) in self.clients.items()}

    def errors(self):
        return self.failed

    async def call(self, server, tool, arguments):
        result = await self.clients[server][1].call_tool(tool, arguments, raise_on_error=False)
        return result.content[0].text, result.is_error

    async def disconnect(self, name):
        _, client = self.clients.pop(name)
        await client.close()

    async def close(self):
        for _, client in [*self.clients.values()]:  # they stay known: a call after close, and a second close, reach them
            await client.close()


lifecheck.serve(Loader)
