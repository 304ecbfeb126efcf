/** An `mcpServers` configuration, as mcp-lifecheck hands it to a loader. */
export interface Config {
  mcpServers: Record<
    string,
    | { command: string; args?: string[]; env?: Record<string, string> }
    | { url: string; type?: string; headers?: Record<string, string> }
  >;
}

/** What a handler gets beside its arguments. Only an operation whose handler has asked for the signal can be cancelled. */
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

/** A text, or a text that may be a tool's error, or a result of MCP. */
export type CallAnswer =
  | string
  | { text: string; isError?: boolean }
  | { content: Array<{ type: string; text?: string }>; isError?: boolean };

/** The loader under test; each method may be asynchronous. */
export interface Loader {
  /** Connects to every configured server. A loader that is loaded is brought to this configuration. */
  load(config: Config, extra: Extra): Tools | void | Promise<Tools | void>;
  /** `load` with a changed configuration; without it, `load` is called. */
  reload?(config: Config, extra: Extra): Tools | void | Promise<Tools | void>;
  /** Calls one tool. */
  call(server: string, tool: string, args: Record<string, unknown>, extra: Extra): CallAnswer | Promise<CallAnswer>;
  /** The tools that are handed out now. */
  list?(extra: Extra): Tools | Promise<Tools>;
  /** Cleanup. */
  close?(extra: Extra): unknown;
  /** What failed in the last load, by server. */
  errors?(): Map<string, unknown> | Record<string, unknown> | Promise<Map<string, unknown> | Record<string, unknown>>;
  /** Name and version of what is under test, for the report. */
  adapter?: string;
  version?: string;
}

export interface Options {
  /** Name and version of what is under test, for the report. */
  adapter?: string;
  version?: string;
  /** The loader reports its sessions by `scope`. Not needed with `observe`. */
  scopes?: boolean;
}

/** One scope that is open. */
export interface Scope {
  readonly id: string | undefined;
  /** Reports that it is left. The second time, nothing happens. */
  exit(): void;
}

/**
 * Runs the loader's commands until mcp-lifecheck says `exit`; then the program goes on as it would by itself.
 * The loader is an object, a class, or a function that makes one.
 */
export function serve(loader: Loader | (new () => Loader) | (() => Loader | Promise<Loader>), options?: Options): Promise<void>;

/** Reports that a session, or anything else that must be given back, is opened. */
export function scope(name: string, options?: { parent?: Scope }): Scope;

/** Reports a scope for each object of a class, from one of its methods (`connect`) to another (`close`). */
export function observe(
  constructor: abstract new (...args: never[]) => object,
  options?: { enter?: string; leave?: string; name?: string },
): void;

declare const lifecheck: { observe: typeof observe; scope: typeof scope; serve: typeof serve };
export default lifecheck;
