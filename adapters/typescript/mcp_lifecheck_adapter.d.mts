/** An `mcpServers` configuration, as mcp-lifecheck passes it to a loader. */
export interface Config {
  mcpServers: Record<
    string,
    | { command: string; args?: string[]; env?: Record<string, string> }
    | { url: string; type?: string; headers?: Record<string, string> }
  >;
}

/** The last argument of a handler. An operation can be cancelled only if its handler has read `signal`. */
export interface Extra {
  readonly signal: AbortSignal;
}

type Named = string | { name: string };

/** Tools by server, as pairs of server and tool, or as objects. */
export type Tools =
  | Map<string, Iterable<Named>>
  | Record<string, Iterable<Named>>
  | Array<[server: string, tool: Named]>
  | Array<{ server: string; name: string }>;

/** A text, a text that may be a tool's error, or an MCP result. */
export type CallAnswer =
  | string
  | { text: string; isError?: boolean }
  | { content: Array<{ type: string; text?: string }>; isError?: boolean };

/** The loader under test. Each method may be asynchronous. */
export interface Loader {
  /** Connects to every configured server. A loaded loader changes to this configuration. */
  load(config: Config, extra: Extra): Tools | void | Promise<Tools | void>;
  /** Loads a changed configuration. Without this method, `load` is called. */
  reload?(config: Config, extra: Extra): Tools | void | Promise<Tools | void>;
  /** Calls one tool. */
  call(server: string, tool: string, args: Record<string, unknown>, extra: Extra): CallAnswer | Promise<CallAnswer>;
  /** Lists the tools that the loader currently offers. */
  list?(extra: Extra): Tools | Promise<Tools>;
  /** Closes every connection. */
  close?(extra: Extra): unknown;
  /** Errors of the last load, by server. */
  errors?(): Map<string, unknown> | Record<string, unknown> | Promise<Map<string, unknown> | Record<string, unknown>>;
  /** Name and version of the package under test, for the report. */
  adapter?: string;
  version?: string;
}

export interface Options {
  /** Name and version of the package under test, for the report. */
  adapter?: string;
  version?: string;
  /** True if the loader reports its sessions with `scope`. Not needed with `observe`. */
  scopes?: boolean;
}

/** An open scope. */
export interface Scope {
  readonly id: string | undefined;
  /** Reports that the scope is left. A second call has no effect. */
  exit(): void;
}

/**
 * Runs the loader's commands until mcp-lifecheck sends `exit`. Then the program continues in its usual way. The loader
 * is an object, a class, or a function that creates an object.
 */
export function serve(loader: Loader | (new () => Loader) | (() => Loader | Promise<Loader>), options?: Options): Promise<void>;

/** Reports that a session, or another resource that must be released, is opened. */
export function scope(name: string, options?: { parent?: Scope }): Scope;

/**
 * Reports a scope for each object of a class, from a call of `connect` to a call of `close`, or of the methods given.
 */
export function observe(
  constructor: abstract new (...args: never[]) => object,
  options?: { enter?: string; leave?: string; name?: string },
): void;

declare const lifecheck: { observe: typeof observe; scope: typeof scope; serve: typeof serve };
export default lifecheck;
