// Hosts a tool loader under mcp-lifecheck and reports what happens to it.
//
//     import lifecheck from "mcp-lifecheck-adapter";
//     import { Loader } from "./my_application.mjs";
//
//     await lifecheck.serve(Loader);
//
// `serve` takes commands from mcp-lifecheck (PROTOCOL.md beside this folder) and runs them in the tasks they name. The loader has
// `load(config, { signal })`, `call(server, tool, arguments, { signal })`, `list()` and `close()`, and may have `reload` and
// `errors()`; each may be asynchronous. Without MCP_LIFECHECK_LINK in the environment this module is inert.
//
// Start reading at `serve`; `linkThread` is the connection, `Task` the contexts, `observe` and `scope` the observation.
// Deliberately absent: deadlines (mcp-lifecheck has them, outside this process) and any judgement.

import { AsyncLocalStorage } from "node:async_hooks";
import process from "node:process";
import { isMainThread, Worker } from "node:worker_threads";

const PROTOCOL = 1;

// The exit code that tells "nobody is watching any more" from every end a loader can come to by itself.
const LINK_LOST = 86;

// The waits of this file, in milliseconds. Home acknowledges within milliseconds; one that is silent for this long is gone.
const LIMITS = {
  acknowledge: 10_000,
  // For the thread of the link to notice that itself, before the main thread does.
  linkThread: 15_000,
  // For the main thread to say where it is; then it is interrupted.
  answer: 250,
  // For the main thread to be interrupted; then it is outside of JavaScript.
  interrupt: 1_000,
  // For the main thread to end the process by its own means; then a signal does.
  end: 500,
};

// Bytes of UTF-8. A line may have 1 MiB; JSON escapes can make six bytes of one: 6 * 128 KiB = 768 KiB.
const TEXT_MAX = 16 * 1024;
const LONG_TEXT_MAX = 128 * 1024;

// States of the word that the main thread sleeps on.
const WAITING = 0;
const SIGNED = 1;
const LOST = 2;

// Taken now, because loaders and their tests replace what they find (fake timers, mocked process).
const monotonicNs = process.hrtime.bigint;
const exitNow = process.reallyExit.bind(process);

const nowUs = () => Number(monotonicNs() / 1000n);

// --- the public half ----------------------------------------------------------------------------------------------------

/** Runs the loader's commands until mcp-lifecheck says `exit`; then the program goes on as it would by itself. */
export async function serve(loader, options = {}) {
  if (!adapter.linked) {
    process.stderr.write("mcp-lifecheck-adapter: nothing to serve: this program was not started by mcp-lifecheck\n");
    process.exit(1);
  }
  if (options.scopes) adapter.seesScopes = true;
  const hosted = await made(loader);
  const about = (name, other) => String(options[name] ?? hosted[name] ?? other);
  return adapter.run(hosted, {
    adapter: about("adapter", "node"),
    version: about("version", ""),
    contexts: ["task"],
  });
}

/** Reports that a session, or anything else that must be given back, is opened; `exit()` of what it gives, that it is left. */
export function scope(name, { parent } = {}) {
  return adapter.enter(name, parent?.id);
}

/** Reports a scope for each object of a class, from one method of it to another, as in `observe(Client)`. */
export function observe(constructor, { enter = "connect", leave = "close", name = constructor.name } = {}) {
  const { prototype } = constructor;
  if (typeof prototype?.[enter] !== "function" || typeof prototype?.[leave] !== "function") {
    adapter.unobservable.push({ what: `scope ${name}`, because: `no methods ${enter} and ${leave}` });
    return;
  }
  adapter.seesScopes = true;
  const open = new WeakMap();
  const left = (object) => {
    open.get(object)?.exit();
    open.delete(object);
  };
  const { [enter]: entering, [leave]: leaving } = prototype;
  prototype[enter] = async function (...given) {
    left(this);
    open.set(this, adapter.enter(name));
    try {
      return await entering.apply(this, given);
    } catch (error) {
      left(this);
      throw error;
    }
  };
  prototype[leave] = function (...given) {
    left(this);
    return leaving.apply(this, given);
  };
}

async function made(loader) {
  if (typeof loader !== "function") return loader;
  const isClass = typeof loader.prototype?.load === "function" || /^class\b/.test(Function.prototype.toString.call(loader));
  return isClass ? new loader() : await loader();
}

// --- the link: a thread of its own, so that it is watched whatever the main thread does ---------------------------------

/** Runs in a worker, from its source text: it names nothing of this file but what it is handed. */
function linkThread() {
  const inspector = require("node:inspector");
  const net = require("node:net");
  const { parentPort, workerData } = require("node:worker_threads");
  const { address, hello, limits, lostCode, states } = workerData;
  const state = new Int32Array(workerData.state);
  const nowUs = () => Number(process.hrtime.bigint() / 1000n);

  let welcome = false;
  let isLost = false;
  let received = "";
  let rising = 0;
  // Numbers of events that are not acknowledged yet, with what shall be done then.
  const pending = new Map();
  // Commands that never queue and that the main thread has not answered yet, with the timers of their limits.
  const asked = new Map();

  function lost() {
    if (isLost) return;
    isLost = true;
    // First in the way that the main thread hears while it waits here, then while it is idle, then while it computes.
    sign(states.LOST);
    parentPort.postMessage({ lost: true });
    setTimeout(() => interrupted("Runtime.evaluate", { expression: `process.reallyExit(${lostCode})` }), limits.answer);
    setTimeout(() => process.kill(process.pid, "SIGKILL"), limits.answer + limits.end);
  }

  function sign(what) {
    Atomics.store(state, 0, what);
    Atomics.notify(state, 0);
  }

  function write(message) {
    if (!isLost) socket.write(JSON.stringify(message) + "\n");
  }

  function send(event, acknowledged) {
    const n = ++rising;
    const timer = setTimeout(lost, limits.acknowledge);
    pending.set(n, { timer, acknowledged });
    write({ n, at_us: nowUs(), ...event });
  }

  function take(line) {
    const message = JSON.parse(line);
    if (!welcome) {
      if (!("welcome" in message)) return lost();
      welcome = true;
      clearTimeout(dialing);
      return sign(states.SIGNED);
    }
    if ("ack" in message) {
      const known = pending.get(message.ack);
      pending.delete(message.ack);
      clearTimeout(known?.timer);
      known?.acknowledged();
    } else if (message.do === "stacks") {
      ask(message, () => fromOutside(message.id));
    } else if (message.do === "cancel") {
      // Nothing can be delivered to a thread that takes no turn.
      ask(message, () => answer(message.id, { delivered: false }));
    } else if ("do" in message) {
      parentPort.postMessage({ command: message });
    }
  }

  /** Hands on a command that is answered soon, by somebody else where the main thread does not. */
  function ask(command, otherwise) {
    asked.set(command.id, setTimeout(otherwise, limits.answer));
    parentPort.postMessage({ command });
  }

  function answer(id, ok) {
    if (!asked.has(id)) return;
    clearTimeout(asked.get(id));
    asked.delete(id);
    send({ id, ok }, () => {});
  }

  /** Stops the main thread at its next statement, looks at its stack, and lets it go on. */
  function fromOutside(id) {
    const outside = "main thread: outside of JavaScript, or kept busy by one call that can not be interrupted";
    const session = new inspector.Session();
    const gone = setTimeout(() => {
      session.disconnect();
      answer(id, { text: outside });
    }, limits.interrupt);
    const files = new Map();
    session.on("Debugger.scriptParsed", ({ params }) => files.set(params.scriptId, params.url));
    session.once("Debugger.paused", ({ params }) => {
      const frame = ({ functionName, location }) =>
        `  ${files.get(location.scriptId) || "(no file)"}:${location.lineNumber + 1} in ${functionName || "(anonymous)"}`;
      const text = ["main thread: computing", ...params.callFrames.map(frame)].join("\n");
      session.post("Debugger.disable", () => {
        clearTimeout(gone);
        session.disconnect();
        answer(id, { text });
      });
    });
    session.connectToMainThread();
    session.post("Debugger.enable");
    session.post("Debugger.pause");
  }

  /** Has the main thread do something even while it computes. */
  function interrupted(method, parameters) {
    const session = new inspector.Session();
    session.connectToMainThread();
    session.post(method, parameters);
  }

  process.on("uncaughtException", lost);
  const [host, port] = [address.slice(0, address.lastIndexOf(":")), address.slice(address.lastIndexOf(":") + 1)];
  const dialing = setTimeout(lost, limits.acknowledge);
  const socket = net.connect({ host, port: Number(port), noDelay: true }, () => write(hello));
  socket.setEncoding("utf8");
  for (const end of ["error", "end", "close"]) socket.on(end, lost);
  socket.on("data", (chunk) => {
    const lines = (received + chunk).split("\n");
    received = lines.pop();
    for (const line of lines) if (!isLost) take(line);
  });
  parentPort.on("message", ({ event, answers, ok }) => {
    if (event === undefined) answer(answers, ok);
    else send(event, () => sign(states.SIGNED));
  });
}

class Link {
  constructor(address, token) {
    this.address = address;
    this.token = token;
    this.state = new Int32Array(new SharedArrayBuffer(4));
    this.worker = undefined;
  }

  /** Dials home and says hello; ends the process when nobody answers or mcp-lifecheck refuses. */
  open(hello, onMessage) {
    // From its text, and without this program's options: a bundler or an `--import` shall not run the loader in it as well.
    this.worker = new Worker(`"use strict";(${linkThread})()`, {
      eval: true,
      env: {},
      execArgv: [],
      workerData: {
        address: this.address,
        hello: { ...hello, token: this.token },
        limits: LIMITS,
        lostCode: LINK_LOST,
        state: this.state.buffer,
        states: { LOST, SIGNED },
      },
    });
    this.worker.on("message", onMessage);
    this.worker.on("error", () => exitNow(LINK_LOST));
    this.worker.on("exit", () => exitNow(LINK_LOST));
    this.await();
  }

  /** Sends an event and waits until it is recorded. The main thread does nothing else meanwhile. */
  emit(event) {
    if (this.worker === undefined) return;
    // What the thread of the link says last is that it is lost: that is not overwritten.
    Atomics.compareExchange(this.state, 0, SIGNED, WAITING);
    this.worker.postMessage({ event: { at_us: nowUs(), ...event } });
    this.await();
  }

  await() {
    if (Atomics.wait(this.state, 0, WAITING, LIMITS.linkThread) === "timed-out" || this.state[0] === LOST) {
      exitNow(LINK_LOST);
    }
  }

  /** Answers a command that never queues, without waiting. */
  answer(id, ok) {
    this.worker.postMessage({ answers: id, ok });
  }

  /** From here on the link does not keep the program alive. */
  release() {
    this.worker.unref();
  }
}

// --- contexts and operations --------------------------------------------------------------------------------------------

/** One named task: it runs its commands one after another. */
class Task {
  constructor(number) {
    this.number = number;
    this.last = Promise.resolve();
  }

  submit(work) {
    this.last = this.last.then(() => here.run(this, work));
  }
}

/** The task whose code runs, or whose code has started what runs. */
const here = new AsyncLocalStorage();

function context() {
  const task = here.getStore();
  return { thread: 1, loop: 1, ...(task && { task: task.number }) };
}

class Operation {
  constructor({ id, do: what }) {
    this.id = id;
    this.what = what;
    this.beganUs = nowUs();
    this.controller = undefined;
    this.isCancelled = false;
  }

  /** What a handler is given beside its arguments. Only one that has asked for the signal can be cancelled. */
  get extra() {
    const operation = this;
    return {
      get signal() {
        operation.controller ??= new AbortController();
        if (operation.isCancelled) operation.abort();
        return operation.controller.signal;
      },
    };
  }

  /** Asks for cancellation; tells whether anybody listens. */
  cancel() {
    this.isCancelled = true;
    if (this.controller === undefined) return false;
    this.abort();
    return true;
  }

  abort() {
    this.controller.abort(new DOMException(`operation ${this.id} was cancelled by its caller`, "AbortError"));
  }

  /** How an error completes it. */
  outcome(error) {
    const reason = this.controller?.signal.aborted ? this.controller.signal.reason : undefined;
    // Some reject with the reason, some with an error of theirs that has it as cause or in its text.
    const isReason = (one) =>
      one === reason || one?.name === "AbortError" || String(one?.message ?? one).includes(reason.message);
    if (reason !== undefined && (isReason(error) || isReason(error?.cause))) return { cancelled: true };
    return { failed: describe(error) };
  }
}

function describe(error) {
  const type = error?.constructor?.name ?? typeof error;
  const members = Array.isArray(error?.errors) ? `: ${error.errors.map(textOf).join("; ")}` : "";
  return { type: clip(type), message: clip(`${textOf(error?.message ?? error)}${members}`) };
}

function textOf(thing) {
  try {
    return String(thing);
  } catch (error) {
    return `<not printable: ${error?.name}>`;
  }
}

/** Text of at most so many bytes; what is cut is said. */
function clip(text, limit = TEXT_MAX) {
  const bytes = Buffer.from(textOf(text), "utf8");
  if (bytes.length <= limit) return bytes.toString("utf8");
  const mark = `\n[${bytes.length} bytes, cut]`;
  // What is left of a character that was cut in two is dropped.
  return bytes.subarray(0, limit - mark.length).toString("utf8").replace(/\uFFFD$/u, "") + mark;
}

/** Tools as a mapping of server to tools, as pairs, or as objects; a tool with a `name` counts as its name. */
function toolsOf(value) {
  const entries = value instanceof Map ? [...value] : Array.isArray(value) ? undefined : Object.entries(value ?? {});
  const pairs = entries?.flatMap(([server, tools]) => [...tools].map((tool) => [server, tool])) ?? value;
  return pairs.map((one) => {
    const [server, tool] = Array.isArray(one) ? one : [one.server, one.name];
    return { server: String(server), name: String(tool?.name ?? tool) };
  });
}

function errorsOf(value) {
  const entries = value instanceof Map ? [...value] : Object.entries(value ?? {});
  const text = (error) => (error instanceof Error ? `${error.name}: ${textOf(error.message)}` : textOf(error));
  return Object.fromEntries(entries.map(([server, error]) => [server, clip(text(error))]));
}

/** A call's answer: a text, an object with `text` and `isError`, or a result of MCP with `content`. */
function callAnswer(value) {
  const text = Array.isArray(value?.content)
    ? value.content.map((one) => one.text ?? `[${one.type}]`).join("\n")
    : (value?.text ?? value ?? "");
  return { text: clip(text, LONG_TEXT_MAX), ...((value?.isError ?? value?.is_error) && { is_error: true }) };
}

// --- putting it together ------------------------------------------------------------------------------------------------

class Adapter {
  constructor() {
    const { MCP_LIFECHECK_LINK: address, MCP_LIFECHECK_TOKEN: token } = process.env;
    this.linked = isMainThread && address !== undefined;
    // Nothing that the loader starts shall inherit them.
    delete process.env.MCP_LIFECHECK_LINK;
    delete process.env.MCP_LIFECHECK_TOKEN;
    this.link = new Link(address, token);
    this.handlers = {};
    this.tasks = new Map();
    this.operations = new Map();
    this.unobservable = [];
    this.seesScopes = false;
    this.nScopes = 0;
    this.nTasks = 0;
  }

  run(loader, about) {
    for (const name of ["load", "reload", "call", "list", "close", "errors"]) {
      if (typeof loader[name] === "function") this.handlers[name] = loader[name].bind(loader);
    }
    this.watchErrors();
    const before = process.getActiveResourcesInfo();
    this.link.open(
      {
        hello: PROTOCOL,
        ...about,
        language: `node ${process.versions.node}`,
        pid: process.pid,
        operations: this.offered(),
        unobservable: this.unobservable,
        observes: [...(this.seesScopes ? ["scopes"] : []), "uncaught-exception", "unhandled-rejection"],
      },
      (message) => this.hear(message),
    );
    this.own = without(process.getActiveResourcesInfo(), before);
    return new Promise((resolve) => (this.leaveMain = resolve));
  }

  offered() {
    const offered = ["load", "call", "list", "close"].filter((name) => name in this.handlers);
    if ("load" in this.handlers) offered.push("reload");
    if (globalThis.gc) offered.push("collect");
    return [...offered, "cancel", "probe"];
  }

  hear({ command, lost }) {
    if (lost) exitNow(LINK_LOST);
    else this.command(command);
  }

  command(command) {
    const { id, do: what } = command;
    if (what === "stacks") {
      this.link.answer(id, { text: clip(this.stacks(), LONG_TEXT_MAX) });
    } else if (what === "cancel") {
      this.link.answer(id, { delivered: this.operations.get(command.operation)?.cancel() ?? false });
    } else if (what === "exit") {
      this.link.emit({ id, ok: {} });
      this.leaveMain();
      this.link.release();
    } else if (this.offered().includes(what)) {
      const operation = new Operation(command);
      this.taskOf(command.in).submit(() => this.perform(operation, command));
    } else {
      this.link.emit({ id, failed: { type: "UnsupportedOperation", message: `this adapter cannot ${clip(what)}` } });
    }
  }

  taskOf({ thread = "main", loop = thread, task = loop } = {}) {
    const name = JSON.stringify([thread, loop, task]);
    if (!this.tasks.has(name)) this.tasks.set(name, new Task(++this.nTasks));
    return this.tasks.get(name);
  }

  async perform(operation, command) {
    const { id } = operation;
    this.operations.set(id, operation);
    this.link.emit({ event: "operation.started", operation: id, context: context() });
    let outcome;
    try {
      outcome = { ok: await this.result(operation, command) };
    } catch (error) {
      outcome = operation.outcome(error);
    }
    this.operations.delete(id);
    this.link.emit({ id, ...outcome });
  }

  async result(operation, command) {
    const { handlers } = this;
    switch (operation.what) {
      case "probe":
        await new Promise((resolve) => setImmediate(resolve));
        return {};
      case "collect":
        globalThis.gc();
        return {};
      case "call":
        return callAnswer(await handlers.call(command.server, command.tool, command.arguments ?? {}, operation.extra));
      case "load":
      case "reload": {
        const handler = (operation.what === "reload" && handlers.reload) || handlers.load;
        return this.loaded(await handler(command.config, operation.extra));
      }
      case "list":
        return this.loaded(await handlers.list(operation.extra));
      default:
        await handlers.close(operation.extra);
        return {};
    }
  }

  async loaded(value) {
    const tools = value === undefined && this.handlers.list ? await this.handlers.list() : value;
    return { tools: toolsOf(tools), errors: errorsOf(await this.handlers.errors?.()) };
  }

  // Observation.

  enter(name, parent) {
    if (!this.linked) return { id: undefined, exit() {} };
    const id = `s${++this.nScopes}`;
    const entered = { event: "scope.enter", scope: id, name: clip(name), form: "context-manager", context: context() };
    this.link.emit(parent === undefined ? entered : { ...entered, parent });
    let isOpen = true;
    const exit = () => {
      if (isOpen) this.link.emit({ event: "scope.exit", scope: id, how: "explicit", context: context() });
      isOpen = false;
    };
    return { id, exit };
  }

  /** Reports what the program does not handle, and leaves the program to its end. */
  watchErrors() {
    const report = (channel, error) => {
      const text = clip(error instanceof Error ? (error.stack ?? error) : textOf(error));
      this.link.emit({ event: "error.reported", channel, text });
    };
    process.on("uncaughtExceptionMonitor", (error, origin) => {
      // A rejection that becomes an exception, because nobody listens for rejections, was told already.
      if (origin !== "unhandledRejection") report("uncaught-exception", error);
    });
    // Not as a listener: with one, a rejection that nobody handles would no longer end the program.
    const { emit } = process;
    process.emit = function (name, ...given) {
      if (name === "unhandledRejection") report("unhandled-rejection", given[0]);
      return emit.call(this, name, ...given);
    };
  }

  stacks() {
    const running = [...this.operations.values()].map(
      ({ id, what, beganUs }) => `  ${what} (operation ${id}) for ${Math.round((nowUs() - beganUs) / 1000)} ms`,
    );
    const kept = without(process.getActiveResourcesInfo(), this.own).map((name) => `  ${name}`);
    return [
      "main thread: idle, its event loop waits",
      "operations that have not completed:",
      ...running,
      "what keeps the event loop alive:",
      ...kept,
    ].join("\n");
  }
}

/** What is in one list more often than in another. */
function without(list, others) {
  const left = [...list];
  for (const other of others) {
    const index = left.indexOf(other);
    if (index >= 0) left.splice(index, 1);
  }
  return left;
}

// One for the process, also where this file was loaded twice: by its path and as a package.
const adapter = (globalThis[Symbol.for("mcp-lifecheck-adapter")] ??= new Adapter());

export default { observe, scope, serve };
