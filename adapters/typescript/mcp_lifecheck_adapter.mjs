// Hosts a tool loader under mcp-lifecheck and reports what happens to it.
//
//     import lifecheck from "mcp-lifecheck-adapter";
//     import { Loader } from "./my_application.mjs";
//
//     await lifecheck.serve(Loader);
//
// `serve` takes commands from mcp-lifecheck (see PROTOCOL.md) and runs them in the tasks that they name. The loader has
// the methods `load(config, { signal })`, `call(server, tool, arguments, { signal })`, `list()` and `close()`. It may
// also have `reload` and `errors()`. Each may be asynchronous. Without MCP_LIFECHECK_LINK in the environment, this
// module has no effect.
//
// Start reading at `serve`. `linkThread` is the connection, `Task` the contexts, and `observe` and `scope` do the
// observation. This module contains no deadlines, which mcp-lifecheck enforces from outside, and it judges nothing.

import { AsyncLocalStorage } from "node:async_hooks";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { isMainThread, Worker } from "node:worker_threads";

const PROTOCOL = 1;

// Exit code after the loss of the link. No loader ends with this code by itself.
const LINK_LOST = 86;

// Timeouts in milliseconds. The recorder acknowledges within milliseconds. A recorder silent for this long is gone.
const LIMITS = {
  acknowledge: 10_000,
  // Longer than `acknowledge`, so that the link's thread notices a loss before the main thread does.
  linkThread: 15_000,
  // For the main thread to answer. After it, the link's thread interrupts the main thread.
  answer: 250,
  // For the main thread to be interrupted. After it, the main thread counts as outside of JavaScript.
  interrupt: 1_000,
  // For the main thread to end the process. After it, the link's thread kills the process.
  end: 500,
};

// Bytes of UTF-8. A line may have 1 MiB. JSON escapes can turn one byte into six: 6 * 128 KiB = 768 KiB.
const TEXT_MAX = 16 * 1024;
const LONG_TEXT_MAX = 128 * 1024;

// Most lines of the loader's own code in one event. The stack that is read for them has at most so many frames.
const CODE_MAX = 3;
const FRAMES_MAX = 100;

// Values of the word on which the main thread sleeps.
const WAITING = 0;
const SIGNED = 1;
const LOST = 2;

// Stored now, because loaders and their tests replace them (fake timers, mocked process).
const monotonicNs = process.hrtime.bigint;
const exitNow = process.reallyExit.bind(process);

const nowUs = () => Number(monotonicNs() / 1000n);

// --- the public interface ----------------------------------------------------------------------------------------------

/** Runs the loader's commands until mcp-lifecheck sends `exit`. Then the program continues in its usual way. */
export async function serve(loader, options = {}) {
  if (!adapter.linked) {
    process.stderr.write("mcp-lifecheck-adapter: nothing to serve: this program was not started by mcp-lifecheck\n");
    process.exit(1);
  }
  if (options.scopes) adapter.seesScopes = true;
  const hosted = await instantiate(loader);
  const about = (name, other) => String(options[name] ?? hosted[name] ?? other);
  return adapter.run(hosted, {
    adapter: about("adapter", "node"),
    version: about("version", ""),
    contexts: ["task"],
  });
}

/**
 * Reports that a session, or another resource that must be released, is opened. `exit()` of the result reports its end.
 */
export function scope(name, { parent } = {}) {
  return adapter.enter(name, parent?.id);
}

/** Reports a scope for each object of a class, from one of its methods to another, as in `observe(Client)`. */
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

async function instantiate(loader) {
  if (typeof loader !== "function") return loader;
  const isClass = typeof loader.prototype?.load === "function" || /^class\b/.test(Function.prototype.toString.call(loader));
  return isClass ? new loader() : await loader();
}

// --- the link: a separate thread, so that it works whatever the main thread does ---------------------------------------

/** Runs in a worker, from its source text. It may use no name of this file except `workerData`. */
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
  // Numbers of events without acknowledgement, each with its action.
  const pending = new Map();
  // Urgent commands that the main thread has not answered yet, with their timers.
  const urgent = new Map();

  function lost() {
    if (isLost) return;
    isLost = true;
    // Tries three ways: one for a main thread that waits here, one for an idle one, one for a computing one.
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
      // The main thread waits for SIGNED, so it reads this after it is written.
      Atomics.store(state, 1, message.accepts?.includes?.("code") ? 1 : 0);
      clearTimeout(dialing);
      return sign(states.SIGNED);
    }
    if ("ack" in message) {
      const known = pending.get(message.ack);
      pending.delete(message.ack);
      clearTimeout(known?.timer);
      known?.acknowledged();
    } else if (message.do === "stacks") {
      passOn(message, () => stackFromOutside(message.id));
    } else if (message.do === "cancel") {
      // A thread that does not return to its event loop cannot receive a cancellation.
      passOn(message, () => answer(message.id, { delivered: false }));
    } else if ("do" in message) {
      parentPort.postMessage({ command: message });
    }
  }

  /** Passes on an urgent command, and runs `otherwise` if the main thread does not answer in time. */
  function passOn(command, otherwise) {
    urgent.set(command.id, setTimeout(otherwise, limits.answer));
    parentPort.postMessage({ command });
  }

  function answer(id, ok) {
    if (!urgent.has(id)) return;
    clearTimeout(urgent.get(id));
    urgent.delete(id);
    send({ id, ok }, () => {});
  }

  /** Stops the main thread at its next statement, reads its stack and lets it continue. */
  function stackFromOutside(id) {
    const outside = "main thread: outside of JavaScript, or kept busy by one call that cannot be interrupted";
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

  /** Makes the main thread act even while it computes. */
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
    // The word on which the main thread sleeps, and whether mcp-lifecheck takes lines of the loader's code.
    this.state = new Int32Array(new SharedArrayBuffer(8));
    this.worker = undefined;
  }

  /** Connects to the recorder and sends the hello. Ends the process if the recorder does not answer or refuses. */
  open(hello, onMessage) {
    // From source text and without this program's options. Otherwise a bundler or `--import` would run the loader in it
    // too.
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
    // LOST is the final value and must not be overwritten.
    Atomics.compareExchange(this.state, 0, SIGNED, WAITING);
    this.worker.postMessage({ event: { at_us: nowUs(), ...event } });
    this.await();
  }

  get takesCode() {
    return this.state[1] === 1;
  }

  await() {
    if (Atomics.wait(this.state, 0, WAITING, LIMITS.linkThread) === "timed-out" || this.state[0] === LOST) {
      exitNow(LINK_LOST);
    }
  }

  /** Answers an urgent command, without waiting. */
  answer(id, ok) {
    this.worker.postMessage({ answers: id, ok });
  }

  /** Stops the link from keeping the program alive. */
  release() {
    this.worker.unref();
  }
}

// --- contexts and operations --------------------------------------------------------------------------------------------

/** One named task. It runs its commands one after another. */
class Task {
  constructor(number) {
    this.number = number;
    this.last = Promise.resolve();
  }

  submit(work) {
    this.last = this.last.then(() => here.run(this, work));
  }
}

/** The task that runs now, or that started the running code. */
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

  /** The last argument of a handler. The operation can be cancelled only after the handler has read `signal`. */
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

  /** Requests a cancellation. Returns whether the handler listens. */
  cancel() {
    this.isCancelled = true;
    if (this.controller === undefined) return false;
    this.abort();
    return true;
  }

  abort() {
    this.controller.abort(new DOMException(`operation ${this.id} was cancelled by its caller`, "AbortError"));
  }

  /** The completion for an error. */
  outcome(error) {
    const reason = this.controller?.signal.aborted ? this.controller.signal.reason : undefined;
    // Some libraries reject with the reason itself, others with an error that has it as its cause or in its text.
    const isReason = (one) =>
      one === reason || one?.name === "AbortError" || String(one?.message ?? one).includes(reason.message);
    if (reason !== undefined && (isReason(error) || isReason(error?.cause))) return { cancelled: true };
    return { failed: withCode(describe(error), () => codeOfError(error)) };
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

/** Text of at most `limit` bytes. A mark replaces the part that is cut. */
function clip(text, limit = TEXT_MAX) {
  const bytes = Buffer.from(textOf(text), "utf8");
  if (bytes.length <= limit) return bytes.toString("utf8");
  const mark = `\n[${bytes.length} bytes, cut]`;
  // Drop the rest of a character that was cut in two.
  return bytes.subarray(0, limit - mark.length).toString("utf8").replace(/\uFFFD$/u, "") + mark;
}

// --- where in the loader's code ------------------------------------------------------------------------------------------

/** Adds the lines of the loader's own code to an event, where mcp-lifecheck takes them and there are any. */
function withCode(event, find) {
  if (!adapter.link.takesCode) return event;
  const code = find();
  return code.length > 0 ? { ...event, code } : event;
}

/** The lines of the loader's own code that led here, innermost first, also through its awaits. */
function codeHere() {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES_MAX;
  const { stack } = new Error();
  Error.stackTraceLimit = before;
  return codeOf(stack);
}

/** The lines of the loader's own code through which an error came, innermost first; else those of its causes. */
function codeOfError(error, seen = []) {
  if (!(error instanceof Error) || seen.includes(error) || seen.length > 10) return [];
  const own = codeOf(error.stack);
  const causes = own.length > 0 ? [] : [...(Array.isArray(error.errors) ? error.errors : []), error.cause];
  for (const cause of causes) own.push(...codeOfError(cause, [...seen, error]));
  return own.slice(0, CODE_MAX);
}

/** The lines of the loader's own code in the text of a stack. */
function codeOf(stack) {
  const own = [];
  for (const text of textOf(stack ?? "").split("\n")) {
    const [, name, at, line] = /^\s*at (?:async )?(?:(.*) \()?((?:file:\/\/)?\/[^()]*?):(\d+):\d+\)?$/.exec(text) ?? [];
    const shown = at && shownFile(at);
    if (shown) own.push({ file: shown, line: Number(line), ...(name && { in: shownName(name) }) });
    if (own.length === CODE_MAX) break;
  }
  return own;
}

/** A file as a reader knows it: seen from the loader's folder or that of the program. Of code of others, nothing. */
function shownFile(at) {
  const file = pathOf(at);
  if (file === undefined || file === adapter.file || file.split(path.sep).includes("node_modules")) return undefined;
  const { folder } = adapter;
  const seen = [folder, path.dirname(process.argv[1] ?? folder)].map((from) => path.relative(from, file));
  return seen.find((one) => !one.startsWith("..") && !path.isAbsolute(one)) ?? path.basename(file);
}

function pathOf(at) {
  try {
    return at.startsWith("file:") ? fileURLToPath(at) : at;
  } catch {
    return undefined;
  }
}

/** `load` of `async Loader.load [as handler]`. */
function shownName(name) {
  const plain = name.replace(/ \[as .*\]$/, "");
  return plain.startsWith("new ") ? plain : plain.slice(plain.lastIndexOf(".") + 1);
}

/** Tools given as a mapping of server to tools, as pairs, or as objects. A tool object counts by its `name`. */
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

/** A call's answer, from a text, an object with `text` and `isError`, or an MCP result with `content`. */
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
    // The loader's servers must not inherit them.
    delete process.env.MCP_LIFECHECK_LINK;
    delete process.env.MCP_LIFECHECK_TOKEN;
    this.link = new Link(address, token);
    // Of the loader, and of this file in a program that is not bundled.
    this.folder = this.linked ? process.cwd() : "/";
    this.file = pathOf(String(import.meta.url));
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
      (message) => this.receive(message),
    );
    this.own = without(process.getActiveResourcesInfo(), before);
    return new Promise((resolve) => (this.leaveMain = resolve));
  }

  offered() {
    const offered = ["load", "call", "list", "close"].filter((name) => name in this.handlers);
    if ("load" in this.handlers) offered.push("reload");
    if (globalThis.gc) offered.push("collect");
    return [...offered, "cancel", "probe", "drop-context"];
  }

  receive({ command, lost }) {
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
    } else if (what === "drop-context") {
      // Its last command is over when this one runs. A later command under the same name begins a new task.
      const name = taskName(command.in);
      const task = this.tasks.get(name);
      this.tasks.delete(name);
      (task?.last ?? Promise.resolve()).then(() => this.link.emit({ id, ok: {} }));
    } else if (this.offered().includes(what)) {
      const operation = new Operation(command);
      this.taskOf(command.in).submit(() => this.perform(operation, command));
    } else {
      this.link.emit({ id, failed: { type: "UnsupportedOperation", message: `this adapter cannot ${clip(what)}` } });
    }
  }

  taskOf(place) {
    const name = taskName(place);
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
    this.link.emit(withCode(parent === undefined ? entered : { ...entered, parent }, codeHere));
    let isOpen = true;
    const exit = () => {
      const left = { event: "scope.exit", scope: id, how: "explicit", context: context() };
      if (isOpen) this.link.emit(withCode(left, codeHere));
      isOpen = false;
    };
    return { id, exit };
  }

  /** Reports errors that the program does not handle, without changing how the program ends. */
  watchErrors() {
    const report = (channel, error) => {
      const text = clip(error instanceof Error ? (error.stack ?? error) : textOf(error));
      this.link.emit(withCode({ event: "error.reported", channel, text }, () => codeOfError(error)));
    };
    process.on("uncaughtExceptionMonitor", (error, origin) => {
      // A rejection that becomes an exception, for lack of a listener, has been reported already.
      if (origin !== "unhandledRejection") report("uncaught-exception", error);
    });
    // Not as a listener: a listener would keep an unhandled rejection from ending the program.
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

/** The name of a task. A missing name defaults to the enclosing one. */
function taskName({ thread = "main", loop = thread, task = loop } = {}) {
  return JSON.stringify([thread, loop, task]);
}

/** The elements that occur more often in one list than in another. */
function without(list, others) {
  const left = [...list];
  for (const other of others) {
    const index = left.indexOf(other);
    if (index >= 0) left.splice(index, 1);
  }
  return left;
}

// One for the process, even if this file is loaded twice: by its path and as a package.
const adapter = (globalThis[Symbol.for("mcp-lifecheck-adapter")] ??= new Adapter());

export default { observe, scope, serve };
