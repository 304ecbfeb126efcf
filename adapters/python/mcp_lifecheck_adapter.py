"""Hosts a Python tool loader under mcp-lifecheck and reports what happens to it.

Import this module before anything else, then hand the loader over:

    import mcp_lifecheck_adapter as lifecheck
    from my_application import Loader

    lifecheck.serve(Loader)

`serve` takes commands from mcp-lifecheck (see PROTOCOL.md) and runs them in the threads, event loops and tasks that
they name. The loader has the methods `load(config)`, `call(server, tool, arguments)`, `list()` and `close()`. It may
also have `reload(config)` and `errors()`. Each may be a function or an `async def`.

The import patches the scopes of the standard library, anyio and the MCP SDK, and the interpreter's error hooks. It does
so only in a process that mcp-lifecheck started. Without `MCP_LIFECHECK_LINK` in the environment, the import has no
effect.

Start reading at `serve`. `_Link` is the connection, `_Thread` and `_Actor` are the contexts, and `_Scopes` does the
observation. `_Template` imports once and forks for each plan. This module contains no deadlines, which mcp-lifecheck
enforces from outside, and it judges nothing.
"""

from __future__ import annotations

import _socket
import _thread
import collections
import collections.abc
import concurrent.futures
import contextlib
import functools
import gc
import importlib
import importlib.abc
import inspect
import itertools
import json
import os
import queue
import signal
import struct
import sys
import threading
import time
import traceback
import weakref

__all__ = ["on_cancel", "serve"]
__version__ = "0.1.0"

PROTOCOL = 1

# Exit code after the loss of the link. No loader ends with this code by itself.
LINK_LOST = 86

# Seconds. The recorder acknowledges within milliseconds. A recorder that is silent for this long is gone.
ACK_LIMIT = 10.0

# Bytes of UTF-8. A line may have 1 MiB. JSON escapes can turn one byte into six: 6 * 128 KiB = 768 KiB.
TEXT_MAX = 16 * 1024
LONG_TEXT_MAX = 128 * 1024

# The adapter's descriptors start here, so that the loader gets the same numbers as without the adapter.
FIRST_DESCRIPTOR = 200

# The adapter reports scopes that these packages create: the SDK, and frameworks that open sessions for a program.
FRAMEWORKS = {"mcp", "langchain_mcp_adapters", "fastmcp", "mcp_use", "mcpadapt"}

# Scopes of single HTTP exchanges. A session has thousands, and they do not keep the session open.
UNINTERESTING = {"mcp.shared._httpx_utils", "mcp.shared.progress"}

# Most lines of the loader's own code in one event. The walk to them passes at most so many frames.
CODE_MAX = 3
FRAMES_MAX = 500

# Frames of these modules create scopes on behalf of their caller.
PLUMBING = {"anyio", "sniffio", "contextlib", "asyncio", "functools", __name__}

# Stored now, because loaders and their tests replace module attributes (time.monotonic, os._exit, threading.Thread).
_monotonic_ns = time.monotonic_ns
_exit_now = os._exit
_getpid = os.getpid
_get_ident = _thread.get_ident
_is_finalizing = sys.is_finalizing


# --- the public interface -----------------------------------------------------------------------------------------------


def serve(
    factory=None,
    *,
    load=None,
    call=None,
    list=None,
    close=None,
    reload=None,
    errors=None,
    adapter=None,
    version=None,
    contexts=None,
    owned=(),
    cancellable=None,
):
    """Runs the loader's commands until mcp-lifecheck sends `exit`. Call it last, from the main thread.

    Pass either a `factory`, whose object has the handlers as methods, or the handlers themselves. The object may have
    the attributes `adapter`, `version`, `contexts` and `cancellable`. `owned` names further packages whose scopes shall
    be reported, and whose files count as the loader's own.

    Returns after `exit`, so that the interpreter ends in its usual way. An interrupt becomes `SystemExit(130)`, as in
    the `main` of most programs.
    """
    if not _adapter.linked:
        sys.exit("mcp_lifecheck_adapter: nothing to serve: this program was not started by mcp-lifecheck")
    if _adapter.template is not None:
        _adapter.link = _adapter.template.await_launch()
    _collector.let_go()
    FRAMEWORKS.update(owned)
    OWNED.update(owned)
    loader = factory() if factory is not None else None
    given = {"load": load, "call": call, "list": list, "close": close, "reload": reload, "errors": errors}
    handlers = {name: value or getattr(loader, name, None) for name, value in given.items()}
    host = _Host({name: value for name, value in handlers.items() if value is not None})
    about = {
        "adapter": adapter or getattr(loader, "adapter", None) or getattr(factory, "__module__", None) or "python",
        "version": version or getattr(loader, "version", None) or "",
        "contexts": [*(contexts or getattr(loader, "contexts", None) or ("task", "thread", "loop"))],
    }
    can_cancel = getattr(loader, "cancellable", False) if cancellable is None else cancellable
    _adapter.run(host, about, can_cancel)


def on_cancel(callback):
    """Registers the action that cancels the operation of this thread.

    Blocking handlers need it, because nothing can cancel them from outside. For `async def` handlers, the adapter
    cancels the task. The callback runs in a new thread, possibly at once. Outside an operation, this function does
    nothing.
    """
    operation = getattr(_here, "operation", None)
    if operation is not None:
        operation.register(callback)


# --- contexts: the thread, loop and task of the caller ------------------------------------------------------------------

_here = threading.local()
_thread_numbers = itertools.count(1)
_loop_numbers = itertools.count(1)
_task_numbers = itertools.count(1)

# Weak and by identity: the interpreter reuses thread ids and id(loop), and nest_asyncio replaces the class of tasks.
_loops = weakref.WeakKeyDictionary()
_tasks = weakref.WeakKeyDictionary()


def _number(known, thing, numbers):
    found = known.get(thing)
    return known.setdefault(thing, next(numbers)) if found is None else found


def _running_loop():
    events = sys.modules.get("asyncio.events")
    return getattr(events, "_get_running_loop", lambda: None)()


def _running_task(loop):
    tasks = sys.modules.get("asyncio.tasks")
    if loop is None or tasks is None:
        return None
    try:
        return tasks.current_task(loop)
    except RuntimeError:
        return None


def _context():
    """The numbers of this thread, its running loop and its current task."""
    number = getattr(_here, "number", None)
    if number is None:
        number = _here.number = next(_thread_numbers)
    context = {"thread": number}
    loop = _running_loop()
    if loop is not None:
        context["loop"] = _number(_loops, loop, _loop_numbers)
        task = _running_task(loop)
        if task is not None:
            context["task"] = _number(_tasks, task, _task_numbers)
    return context


def _clip(text, limit=TEXT_MAX):
    """Valid UTF-8 of at most `limit` bytes. A mark replaces the part that is cut."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit:
        return raw.decode("utf-8")
    mark = f"\n[{len(raw)} bytes, cut]"
    return raw[: limit - len(mark)].decode("utf-8", "ignore") + mark


def _describe(error):
    """An exception, in the form of a completion's `failed`."""
    try:
        message = str(error)
    except Exception as broken:
        message = f"<message of {type(error).__name__} raised {type(broken).__name__}>"
    members = getattr(error, "exceptions", None)
    if isinstance(members, tuple):
        inner = "; ".join(f"{type(member).__name__}: {member}" for member in members)
        message = f"{message}: {inner}"
    return _with_code({"type": type(error).__name__, "message": _clip(message)}, _code_of_error, error)


# --- where in the loader's code -----------------------------------------------------------------------------------------

# Packages that count as the loader's own although they are installed.
OWNED = set()


@functools.lru_cache(maxsize=None)
def _of_program(path):
    """Whether a file belongs to the program itself, not to the standard library or an installed package."""
    if path.startswith("<"):
        return False
    path = os.path.abspath(path)
    installed = {"site-packages", "dist-packages"}
    return not path.startswith(_STANDARD_LIBRARY) and not installed.intersection(path.split(os.sep))


_STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


@functools.lru_cache(maxsize=None)
def _shown(path):
    """The path of a file relative to the loader's folder, or else to the folder it is imported from."""
    path = os.path.abspath(path)
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    folders = [_adapter.folder, os.path.dirname(os.path.abspath(main)) if main else "", *map(str, sys.path)]
    for folder in folders:
        folder = os.path.abspath(folder).rstrip(os.sep) + os.sep
        if folder != os.sep and path.startswith(folder):
            return path[len(folder):]
    return os.path.basename(path)


def _line_of(frame, line):
    """A line of the loader's own code, or None for other code."""
    code = frame.f_code
    path = code.co_filename
    if path == _HERE:
        return None
    if not _of_program(path) and not (OWNED and (frame.f_globals.get("__name__") or "").partition(".")[0] in OWNED):
        return None
    return {"file": _shown(path), "line": line or 0, "in": code.co_name}


_HERE = _of_program.__wrapped__.__code__.co_filename


def _own(frames):
    """The first lines of the loader's own code among frames, which come innermost first with their lines."""
    own = []
    for frame, line in itertools.islice(frames, FRAMES_MAX):
        shown = _line_of(frame, line)
        if shown is not None:
            own.append(shown)
            if len(own) == CODE_MAX:
                break
    return own


def _outwards(frame):
    while frame is not None:
        yield frame, frame.f_lineno
        frame = frame.f_back


def _takes_code():
    link = _adapter.link
    return link is not None and link.takes_code


def _with_code(event, find, *given):
    """Adds the lines of the loader's own code to an event, if there are any and mcp-lifecheck accepts them."""
    if not _takes_code():
        return event
    try:
        code = find(*given)
    except Exception:
        # Frames of an ending thread or interpreter. The event matters more than its place in the code.
        return event
    return {**event, "code": code} if code else event


def _code_here():
    return _own(_outwards(sys._getframe(1)))


def _code_of_error(error, seen=()):
    """The lines of the loader's own code through which an error came, innermost first; else those of its causes."""
    if error is None or any(error is one for one in seen) or len(seen) > 10:
        return []
    trace = [(at.tb_frame, at.tb_lineno) for at in _traces(error.__traceback__)]
    own = _own(reversed(trace))
    members = getattr(error, "exceptions", None)
    inner = [*(members if isinstance(members, tuple) else ()), error.__cause__, error.__context__]
    for one in inner if not own else ():
        own = _code_of_error(one, (*seen, error))
        if own:
            break
    return own


def _traces(trace):
    while trace is not None:
        yield trace
        trace = trace.tb_next


# --- the garbage collector ----------------------------------------------------------------------------------------------


class _Collector:
    """The switch of the garbage collector: the loader's setting, and moments in which the collector is off.

    The loader always reads back its own setting. The collector is off in the link's threads, and during the program's
    imports until it calls `serve`. There, each collection would visit all modules again and cost a fifth of the CPU
    time of the imports.
    """

    def __init__(self):
        self.wanted = gc.isenabled()
        self._enable, self._disable = gc.enable, gc.disable

    def install(self):
        gc.enable, gc.disable, gc.isenabled = self.enable, self.disable, self.is_enabled

    def enable(self):
        """Enables automatic garbage collection."""
        self.wanted = True
        self._enable()

    def disable(self):
        """Disables automatic garbage collection."""
        self.wanted = False
        self._disable()

    def is_enabled(self):
        """Whether automatic garbage collection is enabled."""
        return self.wanted

    def hold_off(self):
        self._disable()

    def let_go(self):
        if self.wanted:
            self._enable()
        # The loader may have disabled it between the check and the call. It stores its setting before it acts.
        if not self.wanted:
            self._disable()


_collector = _Collector()


# --- the link -----------------------------------------------------------------------------------------------------------


class _Link:
    """The connection to mcp-lifecheck, and the two threads that read and write it.

    Only these two threads use the socket. Any other thread puts its event in `outbox`, rings, and waits for the
    acknowledgement. A finaliser that runs in the middle of a send therefore finds no lock taken, and an interrupt in
    the main thread cannot cut a line in half. The two threads never wait for an acknowledgement: an event of a
    finaliser in one of them has no number.

    They should run no finalisers, because other threads would run them without the adapter. So they create objects that
    the collector tracks only while it is off, and they block in calls that create none.
    """

    def __init__(self, address, token):
        self.address = address
        self.token = token
        self.pid = _getpid()
        self.outbox = collections.deque()
        self.waiting = {}
        self.rising = itertools.count(1)
        self.on_command = None
        self.socket = None
        self.received = b""
        self.bell = _thread.allocate_lock()
        self.own = ()
        self.takes_code = False

    def open(self, hello):
        """Connects to the recorder and sends the hello. Ends the process if the recorder does not answer or refuses."""
        host, _, port = self.address.rpartition(":")
        try:
            self.socket = _with_high_descriptor(_socket.socket(_socket.AF_INET, _socket.SOCK_STREAM))
            self.socket.settimeout(ACK_LIMIT)
            self.socket.connect((host, int(port)))
            self.socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            self.socket.sendall(_line({**hello, "token": self.token}))
            while b"\n" not in self.received:
                self._receive()
            answer, _, self.received = self.received.partition(b"\n")
            welcome = json.loads(answer)
            if "welcome" not in welcome:
                _exit_now(LINK_LOST)
            self.takes_code = "code" in welcome.get("accepts", ())
        except (OSError, ValueError):
            _exit_now(LINK_LOST)
        self.socket.settimeout(None)
        with contextlib.suppress(OSError, AttributeError):
            # Without a timeout, a recorder that does not read would block the writing thread forever.
            limit = struct.pack("ll", int(ACK_LIMIT), 0)
            self.socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, limit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.close_in_child)
        # Both threads must be known before any thread emits an event.
        gate = _thread.allocate_lock()
        with gate:
            self.own = tuple(_thread.start_new_thread(self._run, (gate, work)) for work in (self._read, self._write))

    def close_in_child(self):
        """In a forked child: closes the link. Otherwise, the recorder would not see its end while the child lives."""
        self.pid = None
        if self.socket is not None:
            self.socket.close()

    def emit(self, event):
        """Sends an event and waits until it is recorded, unless that wait could never end."""
        event["at_us"] = _monotonic_ns() // 1000
        if self.pid != _getpid():
            return
        if _is_finalizing():
            self._write_last(event)
            return
        if not self.own or _get_ident() in self.own:
            # Before the hello, or a finaliser in one of the link's own threads.
            self.post(event, receipt=None)
            return
        receipt = _Receipt()
        self.outbox.append((event, receipt))
        self.ring()
        interrupted = None
        while not receipt.signed:
            try:
                receipt.lock.acquire()
            except BaseException as error:
                # A signal handler raised here. The event is already queued: wait for it, then raise the interrupt. The
                # handler may have run after the lock was taken, so the loop tests `signed`, not the lock.
                interrupted = error
        if interrupted is not None:
            raise interrupted

    def post(self, event, receipt=...):
        """Sends an event without waiting, from the link's own threads. Without a receipt, it has no number either."""
        event.setdefault("at_us", _monotonic_ns() // 1000)
        self.outbox.append((event, _Receipt() if receipt is ... else receipt))
        self.ring()

    def ring(self):
        # The writing thread sleeps by taking this lock. If two threads ring at once, the second finds it released.
        with contextlib.suppress(RuntimeError):
            self.bell.release()

    def _write_last(self, event):
        # The interpreter is ending and the link's threads are frozen, so no acknowledgement can arrive.
        with contextlib.suppress(Exception):
            self.socket.settimeout(1.0)
            self.socket.sendall(_line(event))

    def _run(self, gate, work):
        with gate:
            pass
        try:
            while True:
                work()
        except BaseException:
            # After any error, the link is lost. A forked child does not have this thread, so this is the parent.
            _exit_now(LINK_LOST)

    def _read(self):
        _collector.hold_off()
        try:
            self._take_lines()
        finally:
            _collector.let_go()
        self._receive()

    def _receive(self):
        chunk = self.socket.recv(1 << 16)
        if not chunk:
            _exit_now(LINK_LOST)
        self.received += chunk

    def _take_lines(self):
        *lines, self.received = self.received.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "ack" in message:
                _, receipt = self.waiting.pop(message["ack"], (0, None))
                if receipt is not None:
                    receipt.sign()
            elif "do" in message:
                self.on_command(message)

    def _write(self):
        self.bell.acquire(True, 1.0 if self.waiting else -1)
        if not self.outbox and not self.waiting:
            return
        _collector.hold_off()
        try:
            lines = self._take_events()
            self._check_age()
        finally:
            _collector.let_go()
        if lines:
            self.socket.sendall(lines)

    def _take_events(self):
        lines = b""
        while self.outbox and len(lines) < 1 << 16:
            event, receipt = self.outbox.popleft()
            if receipt is not None:
                number = next(self.rising)
                event = {"n": number, **event}
                self.waiting[number] = (_monotonic_ns(), receipt)
            lines += _line(event)
        if self.outbox:
            self.ring()
        return lines

    def _check_age(self):
        with contextlib.suppress(RuntimeError):
            sent_ns, _ = next(iter(self.waiting.values()), (_monotonic_ns(), None))
            if _monotonic_ns() - sent_ns > ACK_LIMIT * 1e9:
                _exit_now(LINK_LOST)


class _Receipt:
    """The object on which an emitting thread waits for its acknowledgement."""

    __slots__ = ("lock", "signed")

    def __init__(self):
        self.lock = _thread.allocate_lock()
        self.lock.acquire()
        self.signed = False

    def sign(self):
        self.signed = True
        self.lock.release()


def _line(message):
    return json.dumps(message, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


def _with_high_descriptor(end):
    """The same socket under a high descriptor number. It stays close-on-exec."""
    try:
        import fcntl

        number = fcntl.fcntl(end.fileno(), fcntl.F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR)
    except (ImportError, OSError):
        return end
    moved = _socket.socket(end.family, end.type, end.proto, number)
    end.close()
    return moved


# --- warm starts: one process imports, and each plan runs in a fork of it -----------------------------------------------


class _Template:
    """A process that has imported the program's modules, and forks once for each launch that its supervisor sends.

    `await_launch` returns in the forks alone. It refuses to fork a process that a new interpreter would not equal: one
    with a thread, a descriptor, a child or another trace of its imports that all forks would share or lack.

    It speaks JSON lines with the supervisor. It sends `ready` or `refused`. A launch has the variables of the plan, and
    three descriptors: stdout, stderr and a gate. The fork writes its pid into the gate, and continues when it reads a
    byte. The template answers `forked` when the supervisor has adopted the fork.
    """

    def __init__(self, number):
        os.set_inheritable(number, False)
        self.control = _socket.socket(fileno=number)
        self.received = b""
        self.inherited = self._descriptors()

    def await_launch(self):
        """Waits for launches. Returns the link of the plan, in a new process for each."""
        try:
            if _collector.wanted:
                # A new interpreter does this right after its imports, when the collector is on again.
                gc.collect(0)
            because = self._trace_of_imports()
            self._say({"refused": because} if because is not None else {"ready": True})
            if because is not None:
                _exit_now(0)
            freezes = gc.get_freeze_count() == 0
            if freezes:
                gc.freeze()
            while True:
                launch, descriptors = self._next_launch()
                if self._forked(descriptors):
                    break
            if freezes:
                # The end of the interpreter must find everything, as in a new one.
                gc.unfreeze()
            return self._begin(launch, *descriptors)
        except BaseException:
            # The supervisor is gone or has ended this template, or the system cannot fork.
            _exit_now(LINK_LOST)

    def _trace_of_imports(self):
        """The remains of the imports that would make a fork differ from a new process; None if there are none."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        open_now = self._descriptors()
        if len(os.listdir("/proc/self/task")) != 1:
            return "its imports started a thread"
        if _running_loop() is not None:
            return "it calls serve in a running event loop"
        if self._read(f"/proc/self/task/{_thread.get_native_id()}/children"):
            return "its imports started a process"
        if any(open_now[number] != self.inherited.get(number) for number in open_now):
            return "its imports opened a descriptor"
        if any(os.fstat(number).st_size for number in (1, 2)):
            return "its imports wrote to stdout or stderr"
        if any(signal.getitimer(timer)[0] for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)):
            return "its imports set a timer"
        if any(line.split()[1][1::2] == "ws" for line in self._read("/proc/self/maps").splitlines()):
            return "its imports mapped memory that its forks would share"
        if _adapter.link.outbox:
            return "its imports entered a scope or reported an error"
        return None

    @staticmethod
    def _descriptors():
        """The open descriptors, each with the file it leads to."""
        found = {}
        for number in map(int, os.listdir("/proc/self/fd")):
            # The descriptor of the listing itself is closed by now.
            with contextlib.suppress(OSError):
                status = os.fstat(number)
                found[number] = (status.st_dev, status.st_ino)
        return found

    @staticmethod
    def _read(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _say(self, message):
        self.control.sendall(_line(message))

    def _next_launch(self):
        descriptors = []
        while b"\n" not in self.received:
            size = _socket.CMSG_SPACE(3 * struct.calcsize("i"))
            chunk, ancillary, _, _ = self.control.recvmsg(1 << 16, size, _socket.MSG_CMSG_CLOEXEC)
            if not chunk:
                _exit_now(0)
            self.received += chunk
            for _, _, numbers in ancillary:
                descriptors += struct.unpack(f"{len(numbers) // struct.calcsize('i')}i", numbers)
        line, _, self.received = self.received.partition(b"\n")
        return json.loads(line), descriptors

    def _forked(self, descriptors):
        """Forks twice, so that the supervisor adopts the second fork. Returns True in that fork."""
        middle = os.fork()
        if middle:
            for number in descriptors:
                os.close(number)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(middle, 0)
            self._say({"forked": True})
            return False
        if os.fork():
            _exit_now(0)
        return True

    def _begin(self, launch, stdout, stderr, gate):
        """Makes this fork the process of a plan, as the supervisor makes a new one."""
        self.control.close()
        os.setpgid(0, 0)
        for number, output in ((1, stdout), (2, stderr)):
            os.dup2(output, number)
            os.close(output)
        os.write(gate, b"%d\n" % _getpid())
        if not os.read(gate, 1):
            _exit_now(LINK_LOST)
        os.close(gate)
        variables = launch["env"]
        link = _Link(variables.pop("MCP_LIFECHECK_LINK"), variables.pop("MCP_LIFECHECK_TOKEN"))
        os.environ.update(variables)
        return link


# --- scopes: where they were entered, and where and how they were left --------------------------------------------------


class _Scope:
    __slots__ = ("code", "context", "form", "held_back", "id", "key", "name", "parent", "watch")


class _Scopes:
    """The scopes that are open now.

    The keys are ids of the objects that are entered, or of their generators. The adapter holds no reference, so no
    object lives longer than without observation. A dying generator removes its entry. For other objects, the next enter
    with the same id overwrites or removes the entry.
    """

    def __init__(self, emit):
        self.emit = emit
        self.numbers = itertools.count(1)
        self.open = {}
        self.opening = weakref.WeakKeyDictionary()
        self.ending = collections.Counter()

    def enter(self, thing, name, form, generator=None, held_back=False):
        """Reports that a scope is entered. A scope with `held_back` is reported only if it is left wrongly."""
        if _context is None:
            return None  # The interpreter is ending, and this module's names are gone. Also below.
        scope = _Scope()
        scope.key, scope.name, scope.form, scope.held_back = id(thing), name, form, held_back
        scope.context = _context()
        scope.code = _code_here() if _takes_code() else []
        stack = self._stack()
        scope.parent = stack[-1].id if stack else None
        scope.id = None if held_back else f"s{next(self.numbers)}"
        scope.watch = None
        if generator is not None:
            # Runs first when a generator dies, whether or not a hook then finishes it in a task.
            scope.watch = weakref.ref(generator, functools.partial(self._generator_died, scope))
        self.open[scope.key] = scope
        if not held_back:
            self._report_enter(scope)
        return scope

    def leave(self, thing, exc_type):
        """Reports that a scope is left. Only the first attempt counts, because a failing attempt must be visible."""
        scope = self.open.get(id(thing))
        if scope is not None and _context is not None:
            self._left(scope, self._how(exc_type))

    def forget(self, thing):
        """Removes the entry of an earlier object with the same id, which was never left."""
        self.open.pop(id(thing), None)

    def end_of(self, loop):
        """Reports the generators that an ending loop closes. No code calls the exits of their managers."""
        closing = {id(generator) for generator in getattr(loop, "_asyncgens", ())}
        for scope in reversed([*self.open.values()]):
            if scope.watch is not None and scope.key in closing:
                self._left(scope, "loop-end")

    def opens_something(self):
        """Whether this task is currently entering a scope."""
        return bool(self._stack())

    def push(self, scope):
        """Makes `scope` the parent of every scope that this task enters, until `pop`."""
        task = _running_task(_running_loop())
        if task is not None and scope is not None:
            self.opening.setdefault(task, []).append(scope)

    def pop(self, scope):
        stack = self._stack()
        if scope in stack:
            stack.remove(scope)

    def _stack(self):
        task = _running_task(_running_loop())
        return self.opening.get(task, []) if task is not None else []

    def _how(self, exc_type):
        loop = _running_loop()
        if loop is not None and self.ending[id(loop)]:
            return "loop-end"
        if exc_type is not None and issubclass(exc_type, GeneratorExit):
            return "finaliser"
        task = _running_task(loop)
        # The hook for forgotten generators runs `aclose()` as a task. By now, GeneratorExit may have become another
        # exception, so check the task as well.
        if task is not None and type(task.get_coro()).__name__ == "async_generator_athrow":
            return "finaliser"
        return "explicit"

    def _generator_died(self, scope, _):
        if self.open.get(scope.key) is scope and _context is not None:
            self._left(scope, self._how(GeneratorExit))

    def _left(self, scope, how):
        del self.open[scope.key]
        scope.watch = None
        context = _context()
        if scope.held_back:
            # At the end of a loop, a request's timeout is cancelled together with its task. This is not a mistake.
            if how != "finaliser" and context == scope.context:
                return
            scope.id = f"s{next(self.numbers)}"
            self._report_enter(scope)
        event = {"event": "scope.exit", "scope": scope.id, "how": how, "context": context}
        # A finaliser and the end of a loop interrupt code that did not leave the scope.
        self.emit(_with_code(event, _code_here) if how == "explicit" else event)

    def _report_enter(self, scope):
        event = {"event": "scope.enter", "scope": scope.id, "name": scope.name, "form": scope.form, "context": scope.context}
        if scope.parent is not None:
            event["parent"] = scope.parent
        self.emit(_with_code(event, lambda: scope.code))


def _owner(module, path):
    """The owner of a scope that this code creates: "framework", "program" or None."""
    if module in UNINTERESTING:
        return None
    if module.partition(".")[0] in FRAMEWORKS:
        return "framework"
    return "program" if _of_program(path) else None


def _creator(frame):
    """The owner of a scope that is entered from this frame."""
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        if module.partition(".")[0] not in PLUMBING:
            return _owner(module, frame.f_code.co_filename)
        frame = frame.f_back
    return None


# The patches below keep their values in closures. The interpreter calls them until its very end, when the names of this
# module are gone.


def _observe_class(cls, scopes, describe):
    """Patches an asynchronous manager. `describe(manager)` returns the object to watch, its name and its generator, or
    None.
    """
    enter, leave = cls.__aenter__, cls.__aexit__

    @functools.wraps(enter)
    async def __aenter__(self):
        described = describe(self)
        if described is None:
            scopes.forget(getattr(self, "gen", self))
            return await enter(self)
        thing, name, generator = described
        scope = scopes.enter(thing, name, "context-manager", generator)
        del described, generator
        return await _entering(scopes, scope, thing, enter(self))

    @functools.wraps(leave)
    async def __aexit__(self, exc_type, exc, trace):
        scopes.leave(getattr(self, "gen", self), exc_type)
        return await leave(self, exc_type, exc, trace)

    cls.__aenter__, cls.__aexit__ = __aenter__, __aexit__


async def _entering(scopes, scope, thing, enter):
    scopes.push(scope)
    try:
        return await enter
    except BaseException as error:
        scopes.leave(thing, type(error))
        raise
    finally:
        scopes.pop(scope)


def _observe_managers(cls, adapter):
    """Patches the managers of `@asynccontextmanager`. The code of the generator identifies the scope."""
    _observe_class(cls, adapter.scopes, _describe_generator)


def _describe_generator(manager):
    generator = getattr(manager, "gen", None)
    frame = getattr(generator, "ag_frame", None)
    if frame is None or _owner(frame.f_globals.get("__name__") or "", frame.f_code.co_filename) is None:
        return None
    return generator, generator.__qualname__, generator


def _observe_sessions(cls, adapter):
    """Patches a session class of the SDK, which is a manager without a generator."""
    adapter.observes_sessions = True
    _observe_class(cls, adapter.scopes, lambda session: (session, type(session).__name__, None))


def _observe_task_groups(cls, adapter):
    """Patches anyio's task groups. The adapter does not report their internal cancel scopes separately."""
    scopes = adapter.scopes
    enter, leave = cls.__aenter__, cls.__aexit__

    @functools.wraps(enter)
    def __aenter__(self):
        owner = _creator(sys._getframe(1))
        if owner is None:
            scopes.forget(self)
            return enter(self)
        return entering(self, owner)

    async def entering(self, owner):
        # If the SDK opens a group outside any other opening, the group serves a single request.
        passing = owner == "framework" and not scopes.opens_something()
        scope = scopes.enter(self, "TaskGroup", "task-bound", held_back=passing)
        return await _entering(scopes, scope, self, enter(self))

    @functools.wraps(leave)
    async def __aexit__(self, exc_type, exc, trace):
        scopes.leave(self, exc_type)
        return await leave(self, exc_type, exc, trace)

    cls.__aenter__, cls.__aexit__ = __aenter__, __aexit__


def _observe_cancel_scopes(cls, adapter):
    """Patches anyio's cancel scopes. Most are timeouts of a single request, so they are held back."""
    scopes = adapter.scopes
    enter, leave = cls.__enter__, cls.__exit__
    backend = enter.__code__.co_filename

    @functools.wraps(enter)
    def __enter__(self):
        result = enter(self)
        frame = sys._getframe(1)
        # A scope that the backend enters itself belongs to a task group.
        if frame.f_code.co_filename != backend and _creator(frame) is not None:
            scopes.enter(self, "CancelScope", "task-bound", held_back=True)
        else:
            scopes.forget(self)
        return result

    @functools.wraps(leave)
    def __exit__(self, exc_type, exc, trace):
        scopes.leave(self, exc_type)
        return leave(self, exc_type, exc, trace)

    cls.__enter__, cls.__exit__ = __enter__, __exit__


def _observe_loops(cls, adapter):
    """Patches event loops: how they end, and the errors that they report instead of raising."""
    scopes, report = adapter.scopes, adapter.report
    shut_down, handle = cls.shutdown_asyncgens, cls.call_exception_handler

    @functools.wraps(shut_down)
    async def shutdown_asyncgens(self):
        scopes.ending[id(self)] += 1
        try:
            scopes.end_of(self)
            return await shut_down(self)
        finally:
            scopes.ending[id(self)] -= 1

    @functools.wraps(handle)
    def call_exception_handler(self, context):
        report("loop-exception-handler", context.get("message") or "", context.get("exception"))
        return handle(self, context)

    cls.shutdown_asyncgens, cls.call_exception_handler = shutdown_asyncgens, call_exception_handler


def _observe_runners(module, adapter):
    """Patches `asyncio.run`, which cancels the remaining tasks after its main function."""
    ending = adapter.scopes.ending
    cancel_all = module._cancel_all_tasks

    @functools.wraps(cancel_all)
    def _cancel_all_tasks(loop):
        ending[id(loop)] += 1
        try:
            return cancel_all(loop)
        finally:
            ending[id(loop)] -= 1

    module._cancel_all_tasks = _cancel_all_tasks


# Patches by module. Each names the class, the attributes that it must have, and the patch.
PATCHES = {
    "contextlib": [("_AsyncGeneratorContextManager", ("__aenter__", "__aexit__"), _observe_managers)],
    "asyncio.base_events": [("BaseEventLoop", ("shutdown_asyncgens", "call_exception_handler"), _observe_loops)],
    "asyncio.runners": [("", ("_cancel_all_tasks",), _observe_runners)],
    "anyio._backends._asyncio": [
        ("TaskGroup", ("__aenter__", "__aexit__"), _observe_task_groups),
        ("CancelScope", ("__enter__", "__exit__"), _observe_cancel_scopes),
    ],
    # mcp 1.x has the manager on the base class; mcp 2.x has it on the session class and on the client around it.
    "mcp.shared.session": [("BaseSession", ("__aenter__", "__aexit__"), _observe_sessions)],
    "mcp.client.session": [("ClientSession", ("__aenter__", "__aexit__"), _observe_sessions)],
    "mcp.client.client": [("Client", ("__aenter__", "__aexit__"), _observe_sessions)],
}


class _PatchOnImport(importlib.abc.MetaPathFinder):
    """Patches a module right after its import, before the loader can import names from it."""

    def __init__(self, patch):
        self.patch = patch

    def find_spec(self, name, path=None, target=None):
        if name not in PATCHES:
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec = next((spec for finder in others if (spec := finder.find_spec(name, path, target)) is not None), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                self.patch(module)

            spec.loader.exec_module = exec_module
        return spec


# --- operations and the contexts that run them --------------------------------------------------------------------------


class _Operation:
    """One command and its progress in a context."""

    def __init__(self, command):
        self.id = command["id"]
        self.do = command["do"]
        self.command = command
        self.place = _Place(command.get("in"))
        self.cancel_requested = False
        self.running = False
        self.callback = None
        self.actor = None
        self.thread = None

    def register(self, callback):
        self.callback = callback
        if self.cancel_requested:
            _in_thread(callback)

    def cancel(self, accepts):
        """Requests a cancellation, in the reading thread. Returns whether there was something to cancel."""
        if not self.running:
            return False
        if self.actor is not None:
            self.cancel_requested = True
            return self.actor.cancel(self)
        if self.callback is None and not accepts:
            return False
        self.cancel_requested = True
        if self.callback is not None:
            _in_thread(self.callback)
        return True


def _in_thread(action, name=None):
    """Runs an action in a new thread.

    A raw thread creates it. `Thread.start` takes a lock of the threading module. The reading thread must never wait for
    a lock, because its holder may be waiting for an acknowledgement.
    """
    _thread.start_new_thread(lambda: threading.Thread(target=action, name=name, daemon=True).start(), ())


class _Host:
    """The loader's handlers, and conversions of their results."""

    def __init__(self, handlers):
        self.handlers = handlers
        self.asynchronous = any(_is_async(handler) for handler in handlers.values())

    def operations(self, can_cancel):
        names = [name for name in ("load", "call", "list", "close") if name in self.handlers]
        if "load" in names:
            names.append("reload")
        if can_cancel or _is_async(self.handlers.get("call")):
            names.append("cancel")
        return [*names, "collect", "probe", "drop-context"]

    def handler(self, do):
        return self.handlers.get("load" if do == "reload" and "reload" not in self.handlers else do)

    def bound(self, command):
        """The handler of a command, with the command's arguments."""
        do = command["do"]
        handler = self.handler(do)
        if do in ("load", "reload"):
            return functools.partial(handler, command["config"])
        if do == "call":
            return functools.partial(handler, command["server"], command["tool"], command.get("arguments") or {})
        return handler

    def answer(self, do, value, errors):
        if do == "call":
            return _call_answer(value)
        if do not in ("load", "reload", "list"):
            return {}
        return {"tools": _tools(value), "errors": {str(name): _error_text(error) for name, error in (errors or {}).items()}}


def _is_async(handler):
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))


def _error_text(error):
    return _clip(f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error))


def _tools(value):
    """Tools given as a mapping of server to names, as pairs, or as dicts. A tool object counts by its `name`."""
    if isinstance(value, collections.abc.Mapping):
        value = [(server, tool) for server, tools in value.items() for tool in tools]
    tools = []
    for one in value or ():
        server, tool = (one["server"], one["name"]) if isinstance(one, collections.abc.Mapping) else one
        tools.append({"server": str(server), "name": str(getattr(tool, "name", tool))})
    return tools


def _call_answer(value):
    if isinstance(value, collections.abc.Mapping):
        text, is_error = value.get("text", ""), value.get("is_error", False)
    else:
        text, is_error = value if isinstance(value, tuple) else (value, False)
    answer = {"text": _clip(str(text), LONG_TEXT_MAX)}
    return {**answer, "is_error": True} if is_error else answer


def _outcome_of(operation, error):
    """The completion of an operation that raised an exception."""
    cancellations = [concurrent.futures.CancelledError]
    if "asyncio" in sys.modules:
        cancellations.append(sys.modules["asyncio"].CancelledError)
    if operation.cancel_requested and isinstance(error, tuple(cancellations)):
        return {"cancelled": True}
    return {"failed": _describe(error)}


class _Place:
    """The context of a command: names of a thread, a loop and a task. A missing name defaults to the enclosing one."""

    def __init__(self, names):
        names = names or {}
        self.thread = names.get("thread") or "main"
        self.loop = names.get("loop") or self.thread
        self.task = names.get("task") or self.loop
        # A context made for a thread or a loop has the same name on every level. The outermost level with the name of
        # the innermost one therefore shows the kind of context.
        self.level = "thread" if self.thread == self.task else "loop" if self.loop == self.task else "task"
        if "task" not in names:
            self.level = "loop" if "loop" in names and self.loop != self.thread else "thread"


class _Turn:
    """A named event loop of one thread, with its long-lived tasks."""

    def __init__(self, name):
        asyncio = sys.modules["asyncio"]
        self.name = name
        self.loop = asyncio.new_event_loop()
        self.actors = {}

    @property
    def busy(self):
        return any(actor.busy for actor in self.actors.values())

    def end(self):
        """Ends the loop as `asyncio.run` does after its main function."""
        asyncio = sys.modules["asyncio"]
        if self.loop.is_closed():
            return
        asyncio.set_event_loop(self.loop)
        try:
            idle = [actor.task for actor in self.actors.values() if not actor.busy and not actor.task.done()]
            for actor in self.actors.values():
                actor.put(None)
                if actor.task.done() and not actor.task.cancelled():
                    actor.task.exception()  # An exit raised in the task passed through the loop. asyncio must not report it again.
            if idle:
                self.loop.run_until_complete(asyncio.wait(idle))
            asyncio.runners._cancel_all_tasks(self.loop)
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()


class _Actor:
    """One long-lived task that runs its commands one after another, never in a new task."""

    def __init__(self, turn, thread, host):
        self.turn, self.thread, self.host = turn, thread, host
        self.commands = collections.deque()
        self.waiter = None
        self.current = None
        self.pending_error = None
        self.task = turn.loop.create_task(self._live())

    @property
    def busy(self):
        return self.current is not None or bool(self.commands)

    def put(self, operation):
        self.commands.append(operation)
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def cancel(self, operation):
        try:
            self.turn.loop.call_soon_threadsafe(self._cancel_now, operation)
        except RuntimeError:
            return False
        return True

    def _cancel_now(self, operation):
        if self.current is operation:
            self.task.cancel()

    async def _live(self):
        while True:
            operation = await self._next()
            if operation is None:
                return
            self.current = operation
            try:
                await self._perform(operation)
            finally:
                self.current = None
                self.thread.settle()

    async def _next(self):
        asyncio = sys.modules["asyncio"]
        while not self.commands:
            self.waiter = self.turn.loop.create_future()
            try:
                await self.waiter
            except asyncio.CancelledError as error:
                # Waiting here is a harmless await of the host task. An exception that hits it is kept for the next
                # probe.
                self.pending_error = error
                self._forget_cancellation()
        self.waiter = None
        return self.commands.popleft()

    def _forget_cancellation(self):
        uncancel = getattr(self.task, "uncancel", None)
        while uncancel is not None and self.task.cancelling():
            uncancel()

    async def _perform(self, operation):
        operation.actor = self
        if operation.do == "drop-context":
            self.task.add_done_callback(functools.partial(self._dropped, operation))
            self.commands.appendleft(None)
            return
        _adapter.start(operation)
        try:
            outcome = {"ok": await self._result(operation)}
        except BaseException as error:
            outcome = _outcome_of(operation, error)
            if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
                _adapter.complete(operation, outcome)
                raise
        if operation.cancel_requested:
            self._forget_cancellation()
        _adapter.complete(operation, outcome)

    def _dropped(self, operation, _):
        self.turn.actors = {name: actor for name, actor in self.turn.actors.items() if actor is not self}
        _adapter.complete(operation, {"ok": {}})
        self.thread.settle()

    async def _result(self, operation):
        if operation.do == "collect":
            gc.collect()
            return {}
        if operation.do == "provoke":
            CHANNELS[operation.command["channel"]]()
            return {}
        if operation.do == "probe":
            pending_error, self.pending_error = self.pending_error, None
            if pending_error is not None:
                raise pending_error
            await sys.modules["asyncio"].sleep(0)
            return {}
        value = self.host.bound(operation.command)()
        if inspect.isawaitable(value):
            value = await value
        errors = self.host.handlers.get("errors") if operation.do in ("load", "reload", "list") else None
        found = errors() if errors is not None else None
        if inspect.isawaitable(found):
            found = await found
        return self.host.answer(operation.do, value, found)


class _Thread:
    """An OS thread that runs commands: blocking ones itself, asynchronous ones on one of its loops.

    It drives at most one loop at a time. It switches to another loop, or to a blocking command, when no task of the
    loop has a command left. A blocking command that comes while one of the loop's tasks runs a command runs in the loop.
    """

    def __init__(self, name, host):
        self.name, self.host = name, host
        self.inbox = queue.SimpleQueue()
        self.backlog = collections.deque()
        self.turns = {}
        self.driven = None
        self.resting = None
        self.wanted_elsewhere = False
        self.ended = False

    def submit(self, operation):
        """Accepts a command, in the reading thread."""
        self.inbox.put(operation)
        driven = self.driven
        if driven is not None:
            # The loop may have ended meanwhile. That is fine, because its thread then reads the inbox first.
            with contextlib.suppress(RuntimeError):
                driven.loop.call_soon_threadsafe(self.pump)

    def run(self):
        while not self.ended:
            if not self.backlog and self.resting is not None:
                self._drive(self.resting)
                continue
            operation = self.backlog.popleft() if self.backlog else self.inbox.get()
            if operation.do == "exit":
                _adapter.complete(operation, {"ok": {}})
                return
            turn = self._turn_for(operation)
            if turn is None:
                self._perform(operation)
            else:
                self.backlog.appendleft(operation)
                self._drive(turn)

    def end(self):
        self.ended = True
        for turn in [*self.turns.values()]:
            turn.end()
        self.turns.clear()
        self.resting = None

    def rest_on(self, name):
        """Drives this loop whenever there is nothing else to do."""
        self.resting = self.turns.get(name) or self._make(name)

    def pump(self):
        """Passes waiting commands to the tasks of the driven loop. Runs on that loop."""
        while not self.wanted_elsewhere:
            if not self.backlog:
                try:
                    self.backlog.append(self.inbox.get_nowait())
                except queue.Empty:
                    break
            operation = self.backlog[0]
            if operation.do == "exit":
                self.driven.loop.stop()
                return
            if self._turn_for(operation) is not self.driven:
                self.wanted_elsewhere = True
                break
            self._actor(self.driven, operation).put(self.backlog.popleft())
        self.settle()

    def settle(self):
        """Stops the driven loop when it is idle and other work is waiting."""
        driven = self.driven
        if driven is None or driven.busy:
            return
        if self.wanted_elsewhere or driven is not self.resting:
            driven.loop.stop()

    def _drive(self, turn):
        asyncio = sys.modules["asyncio"]
        self.driven, self.wanted_elsewhere = turn, False
        if self.name != "main":
            self.resting = turn
        asyncio.set_event_loop(turn.loop)
        turn.loop.call_soon(self.pump)
        try:
            turn.loop.run_forever()
        finally:
            asyncio.set_event_loop(None)
            self.driven = None

    def _turn_for(self, operation):
        """The loop that a command needs; None for a command that blocks this thread or ends a part of it."""
        place = operation.place
        if operation.do == "drop-context":
            turn = self.turns.get(place.loop)
            return turn if place.level == "task" and turn is not None and place.task in turn.actors else None
        handler = self.host.handler(operation.do)
        wants_loop = _is_async(handler) if handler is not None else self.host.asynchronous
        if not wants_loop:
            # While a command runs, a program calls a blocking function from its loop. Otherwise, the function would
            # wait for that command.
            return self.driven if self.driven is not None and self.driven.busy else None
        return self.turns.get(place.loop) or self._make(place.loop)

    def _make(self, name):
        turn = self.turns[name] = _Turn(name)
        return turn

    def _actor(self, turn, operation):
        name = operation.place.task
        actor = turn.actors.get(name)
        if actor is None or actor.task.done():
            actor = turn.actors[name] = _Actor(turn, self, self.host)
        return actor

    def _perform(self, operation):
        """Runs a blocking command, outside any loop."""
        if operation.do == "drop-context":
            self._drop(operation)
            return
        _here.operation = operation
        _adapter.start(operation)
        try:
            outcome = {"ok": self._result(operation)}
        except BaseException as error:
            outcome = _outcome_of(operation, error)
            if isinstance(error, (KeyboardInterrupt, SystemExit)) and self.name == "main":
                _adapter.complete(operation, outcome)
                raise
        finally:
            _here.operation = None
        _adapter.complete(operation, outcome)

    def _result(self, operation):
        if operation.do == "collect":
            gc.collect()
            return {}
        if operation.do == "provoke":
            CHANNELS[operation.command["channel"]]()
            return {}
        if operation.do == "probe":
            return {}
        value = self.host.bound(operation.command)()
        errors = self.host.handlers.get("errors") if operation.do in ("load", "reload", "list") else None
        return self.host.answer(operation.do, value, errors() if errors is not None else None)

    def _drop(self, operation):
        place = operation.place
        if place.level == "loop" or (place.level == "thread" and self.name == "main"):
            turn = self.turns.pop(place.loop, None)
            if turn is not None:
                turn.end()
            if self.resting is turn:
                self.resting = None
                if self.name == "main" and turn is not None:
                    self.rest_on("main")
        elif place.level == "thread":
            _adapter.forget(self)
            self.end()
            ending = threading.current_thread()
            _in_thread(lambda: (ending.join(), _adapter.complete(operation, {"ok": {}})))
            return
        _adapter.complete(operation, {"ok": {}})


# --- putting it together ------------------------------------------------------------------------------------------------


class _Adapter:
    def __init__(self):
        address = os.environ.pop("MCP_LIFECHECK_LINK", None)
        token = os.environ.pop("MCP_LIFECHECK_TOKEN", "")
        template = os.environ.pop("MCP_LIFECHECK_TEMPLATE", None)
        self.template = _Template(int(template)) if template is not None else None
        self.linked = address is not None or self.template is not None
        self.link = _Link(address, token) if self.linked else None
        self.folder = os.getcwd() if self.linked else ""
        self.host = None
        self.threads = {}
        self.operations = {}
        self.accepts_cancel = False
        self.unobservable = {}
        self.observes_sessions = False
        self.scopes = _Scopes(self.emit)

    def emit(self, event):
        if self.linked:
            self.link.emit(event)

    def start(self, operation):
        self.keep_hooks()
        operation.running = True
        operation.thread = _get_ident()
        self.operations[operation.id] = operation
        self.emit({"event": "operation.started", "operation": operation.id, "context": _context()})

    def complete(self, operation, outcome):
        operation.running = False
        self.operations.pop(operation.id, None)
        self.emit({"id": operation.id, **outcome})

    def run(self, host, about, accepts_cancel):
        self.host, self.accepts_cancel = host, accepts_cancel
        main = self.threads["main"] = _Thread("main", host)
        if "anyio" in sys.modules:
            # anyio imports its backend at first use. Import it now, so that the hello can list missing patches.
            with contextlib.suppress(ImportError):
                importlib.import_module("anyio._backends._asyncio")
        if "mcp" in sys.modules and not self.observes_sessions:
            self.unobservable["mcp.ClientSession"] = "found no class with __aenter__ in the modules of mcp 1 and 2"
        if "uvloop" in sys.modules:
            self.unobservable["uvloop.Loop"] = "uvloop replaces the loop's methods, so the adapter cannot see its end and its exception handler"
        self.keep_hooks()
        if host.asynchronous:
            importlib.import_module("asyncio")
            main.rest_on("main")
        self.link.on_command = self.command
        self.link.open({
            "hello": PROTOCOL,
            **about,
            "language": "python " + ".".join(str(part) for part in sys.version_info[:3]),
            "pid": _getpid(),
            "operations": host.operations(accepts_cancel),
            "unobservable": [{"what": what, "because": because} for what, because in self.unobservable.items()],
            "observes": ["scopes", *CHANNELS],
            "provokes": [*CHANNELS],
        })
        try:
            main.run()
        except KeyboardInterrupt:
            # Outside serve, an interrupt would print its traceback. A program's own main would prevent that.
            sys.exit(130)
        finally:
            main.end()

    def command(self, command):
        """Accepts one command, in the reading thread. Nothing here may wait."""
        do = command.get("do")
        if do == "cancel":
            target = self.operations.get(command.get("operation"))
            delivered = target is not None and target.cancel(self.accepts_cancel)
            self.link.post({"id": command["id"], "ok": {"delivered": delivered}})
            return
        if do == "stacks":
            waits = [
                found for one in [*self.operations.values()] if "code" in (found := _with_code({"operation": one.id}, _code_of_wait, one))
            ]
            text = _clip(_stacks(), LONG_TEXT_MAX)
            self.link.post({"id": command["id"], "ok": {"text": text, **({"operations": waits} if waits else {})}})
            return
        operation = _Operation(command)
        if do not in ("collect", "probe", "drop-context", "exit", "provoke") and (do == "errors" or self.host.handler(do) is None):
            failed = {"type": "UnsupportedOperation", "message": _clip(f"this adapter cannot {do}")}
            self.link.post({"id": command["id"], "failed": failed})
            return
        thread = self.threads.get("main" if do == "exit" else operation.place.thread)
        if thread is None:
            if do == "drop-context":
                self.link.post({"id": command["id"], "ok": {}})
                return
            thread = self.threads[operation.place.thread] = _Thread(operation.place.thread, self.host)
            _in_thread(thread.run, thread.name)
        thread.submit(operation)

    def forget(self, thread):
        if self.threads.get(thread.name) is thread:
            del self.threads[thread.name]

    # Error channels.

    def report(self, channel, message, error=None, trace=None):
        """Reports a text or exception from an error channel."""
        if _clip is None:
            return
        try:
            lines = [message] if message else []
            if error is not None:
                lines.append("".join(traceback.format_exception(type(error), error, trace or error.__traceback__)).rstrip())
            event = {"event": "error.reported", "channel": channel, "text": _clip("\n".join(lines))}
            self.emit(_with_code(event, _code_of_error, error))
        except Exception as broken:
            self.emit({"event": "error.reported", "channel": channel, "text": f"<not printable: {type(broken).__name__}>"})

    def keep_hooks(self):
        """Wraps the interpreter's hooks, again if other code has replaced them since."""
        for owner, name, channel in (
            (sys, "unraisablehook", "unraisable-hook"),
            (threading, "excepthook", "thread-exception-hook"),
            (sys, "excepthook", "uncaught-exception"),
        ):
            current = getattr(owner, name)
            if not isinstance(current, _Hook):
                setattr(owner, name, _Hook(current, channel))

    # Patches.

    def patch(self, module):
        for name, needed, apply in PATCHES[module.__name__]:
            target = getattr(module, name, None) if name else module
            searched, wanted = (module, (name,)) if target is None else (target, needed)
            missing = next((one for one in wanted if one not in vars(searched)), None)
            if missing is None:
                apply(target, self)
            elif not module.__name__.startswith("mcp."):
                # Which of mcp's classes exist depends on the major version. `run` checks that one was found.
                shown = ".".join(part for part in (module.__name__.partition("._")[0], name) if part)
                self.unobservable[shown] = f"no attribute {missing}"

    def install(self):
        _collector.install()
        _collector.hold_off()
        for name in PATCHES:
            if name in sys.modules:
                self.patch(sys.modules[name])
        sys.meta_path.insert(0, _PatchOnImport(self.patch))
        self.keep_hooks()


# Errors on purpose, as if the loader's code had not handled them. The self-test checks that each channel is reported.


def _provoke_loop_handler():
    asyncio = importlib.import_module("asyncio")
    loop = asyncio.new_event_loop()
    loop.call_exception_handler({"message": "provoked by a self-test"})
    loop.close()


class _Unraisable:
    def __del__(self):
        raise RuntimeError("provoked by a self-test")


def _provoke_in_thread():
    def fail():
        raise RuntimeError("provoked by a self-test")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


def _provoke_uncaught():
    try:
        raise RuntimeError("provoked by a self-test")
    except RuntimeError:
        sys.excepthook(*sys.exc_info())


CHANNELS = {
    "loop-exception-handler": _provoke_loop_handler,
    "unraisable-hook": lambda: [_Unraisable()].clear(),
    "thread-exception-hook": _provoke_in_thread,
    "uncaught-exception": _provoke_uncaught,
}


class _Hook:
    """A hook of the interpreter that reports, then calls the previous hook."""

    def __init__(self, before, channel):
        self.before, self.channel = before, channel

    def __call__(self, *args):
        # A later hook may call this one in turn. One report is enough. At the very end of the interpreter, the names of
        # this module are gone, and only the previous hook must run.
        outermost = _here is not None and not getattr(_here, "in_hook", False)
        if not outermost:
            return self.before(*args)
        _here.in_hook = True
        try:
            self._report(args)
            return self.before(*args)
        finally:
            _here.in_hook = False

    def _report(self, args):
        if len(args) == 3:
            _, error, trace = args
            _adapter.report(self.channel, "", error, trace)
            return
        info = args[0]
        if info.exc_type is SystemExit and self.channel == "thread-exception-hook":
            return
        message = getattr(info, "err_msg", None) or ""
        subject = getattr(info, "object", None)
        if subject is not None:
            message = f"{message or 'Exception ignored in'}: {_short(subject)}"
        error = info.exc_value if info.exc_value is not None else info.exc_type()
        _adapter.report(self.channel, message, error, info.exc_traceback)


def _short(thing):
    try:
        return repr(thing)[:200]
    except Exception:
        return f"<{type(thing).__name__}>"


# --- stacks -------------------------------------------------------------------------------------------------------------


def _stacks():
    """The stacks, those that may hang first: the running operations, the tasks of all known loops, then all threads, idle ones last.

    Each thread has its innermost frame first. Takes no lock and imports nothing.
    """
    names = {ident: thread.name for ident, thread in [*threading._active.items()]}
    threads = {ident: frame for ident, frame in sys._current_frames().items() if ident not in _adapter.link.own}
    lines = []
    for operation in [*_adapter.operations.values()]:
        if operation.actor is None and operation.thread in threads:
            lines.append(f"operation {operation.id} ({operation.do}) in thread {names.get(operation.thread, operation.thread)!r}:")
            lines += _frames(threads.pop(operation.thread))
        elif operation.actor is not None:
            task = operation.actor.task
            lines.append(f"operation {operation.id} ({operation.do}) in task {_tasks.get(task, '-')}, {_waits_for(task)}:")
            lines += _awaits(task.get_coro())
    driven = {operation.actor.task for operation in [*_adapter.operations.values()] if operation.actor is not None}
    for loop in [*_loops]:
        lines += _loop_stacks(loop, driven)
    for ident, frame in sorted(threads.items(), key=lambda one: not _own(_outwards(one[1]))):
        lines.append(f"thread {names.get(ident, ident)!r}:")
        lines += _frames(frame)
    return "\n".join(lines)


def _code_of_wait(operation):
    """The lines of the loader's own code that wait in an operation, innermost first."""
    frame = sys._current_frames().get(operation.thread)
    if operation.actor is None:
        return _own(_outwards(frame))
    task = operation.actor.task
    own = _own(reversed([*_inwards(task.get_coro())]))
    if not own and _running_task(operation.actor.turn.loop) is task:
        # The task computes or blocks its thread.
        own = _own(_outwards(frame))
    return own


def _frames(frame):
    while frame is not None:
        yield f"  {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        frame = frame.f_back


def _loop_stacks(loop, told):
    """A loop with its tasks, without those in `told`."""
    state = "closed" if loop.is_closed() else "running" if loop.is_running() else "not driven"
    yield f"loop {_loops.get(loop)} ({state}):"
    try:
        tasks = sys.modules["asyncio"].all_tasks(loop) - told
    except RuntimeError as error:
        yield f"  tasks not available: {error}"
        return
    for task in sorted(tasks, key=lambda task: _tasks.get(task, 0)):
        number = _tasks.get(task)
        yield f"  task {number if number is not None else '-'} {task.get_name()!r} {_waits_for(task)}"
        yield from _awaits(task.get_coro())


def _waits_for(task):
    waiter = getattr(task, "_fut_waiter", None)
    return "runnable" if waiter is None else f"waits for {_short(waiter)}"


def _awaits(coroutine):
    """The chain of awaits below a coroutine as text, outermost first, like the stack of a suspended task."""
    for frame, line in _inwards(coroutine):
        yield f"    {frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"


def _inwards(coroutine):
    """The frames of the chain of awaits below a coroutine, outermost first, with their lines."""
    for _ in range(100):
        for kind in ("cr", "ag", "gi"):
            frame = getattr(coroutine, f"{kind}_frame", None)
            if frame is not None:
                yield frame, frame.f_lineno
                break
        inner = [getattr(coroutine, name, None) for name in ("cr_await", "ag_await", "gi_yieldfrom")]
        coroutine = next((one for one in inner if one is not None), None)
        if coroutine is None:
            return


_adapter = _Adapter()
if _adapter.linked:
    _adapter.install()
