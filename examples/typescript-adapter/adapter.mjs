// @ts-check
import lifecheck from "mcp-lifecheck-adapter";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

lifecheck.observe(Client); // reports a scope for each client, from connect to close

class Loader {
  clients = new Map();
  failed = new Map();
  turn = Promise.resolve();

  constructor() {
    process.once("SIGINT", () => this.close().finally(() => process.exit(130))); // some servers ignore SIGINT
  }

  load({ mcpServers }) {
    const loaded = this.turn.then(() => this.bringTo(mcpServers)); // a program may load twice at once
    this.turn = loaded.catch(() => {});
    return loaded;
  }

  async bringTo(mcpServers) {
    this.failed.clear();
    for (const [name, { entry }] of this.clients) {
      if (JSON.stringify(mcpServers[name]) !== JSON.stringify(entry)) await this.disconnect(name);
    }
    for (const [name, entry] of Object.entries(mcpServers)) {
      if (!this.clients.has(name)) await this.connect(name, entry);
    }
    return this.list();
  }

  async connect(name, entry) {
    const client = new Client({ name: "example", version: "0.1.0" });
    client.onclose = () => this.clients.delete(name); // the next load connects to a lost server again
    try {
      await client.connect(new StdioClientTransport(entry));
      const { tools } = await client.listTools();
      this.clients.set(name, { entry, client, tools });
    } catch (error) {
      this.failed.set(name, error);
      await client.close();
    }
  }

  async disconnect(name) {
    const { client } = this.clients.get(name);
    this.clients.delete(name);
    await client.close();
  }

  list() {
    return new Map([...this.clients].map(([name, { tools }]) => [name, tools]));
  }

  errors() {
    return this.failed;
  }

  async call(server, name, args, { signal }) {
    return this.clients.get(server).client.callTool({ name, arguments: args }, undefined, { signal });
  }

  async close() {
    for (const name of [...this.clients.keys()]) await this.disconnect(name);
  }
}

await lifecheck.serve(Loader);
