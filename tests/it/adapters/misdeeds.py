"""Misdeeds of an adapter, in plain Python: the first argument names the one to commit. Beside it, the same for Node."""

import json
import os
import signal
import socket
import sys
import time

MISDEED = sys.argv[1]


def for_ever():
    while True:
        time.sleep(3600)


def dial():
    host, port = os.environ["MCP_LIFECHECK_LINK"].split(":")
    return socket.create_connection((host, int(port)))


def write(link, data):
    try:
        link.sendall(data if isinstance(data, bytes) else (json.dumps(data) + "\n").encode())
    except OSError:
        for_ever()


def hello(**changes):
    return {
        "hello": 1, "token": os.environ["MCP_LIFECHECK_TOKEN"], "adapter": "misdeeds", "contexts": ["task", "thread", "loop"],
        "operations": ["load", "call", "list", "close", "probe"], "observes": [], **changes,
    }


def flood(descriptor):
    while True:
        os.write(descriptor, b"flood " * 10_000)


def away():
    """A grandchild in a session of its own, which nobody waits for."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for_ever()
        os._exit(0)
    os.wait()


def commit(moment, link):
    at = f"{MISDEED}@{moment}"
    if at == "exit-in-load@load" or at == "exit-in-call@call":
        os._exit(9)
    elif at == "garbage-line@call":
        write(link, b"no JSON at all\n")
    elif at == "binary-line@call":
        write(link, b"\x00\xff\xfe\x80\n")
    elif at == "foreign-channel@call":
        write(link, {"event": "error.reported", "channel": "stderr", "text": "made up"})
    elif at == "half-line@call":
        write(link, b'{"n":1,"at_us":')
        for_ever()
    elif at == "cut-line@call":
        write(link, b'{"n":1,"at_us":')
        os._exit(0)
    elif at == "endless-line@call":
        while True:
            write(link, b"x" * 65_536)
    elif at == "flood-events@call":
        while True:
            write(link, {"event": "error.reported", "channel": "panic", "text": "flood " * 1_000})
    elif at == "flood-lines@call":
        while True:
            write(link, b"{}\n" * 10_000)
    elif at == "hello-again@load":
        write(link, hello())
    elif at == "hang-up@call":
        link.shutdown(socket.SHUT_RDWR)
        for_ever()
    elif at == "fork@load":
        if os.fork() == 0:
            for_ever()
    elif at == "daemonise@load":
        away()
    elif at == "deaf@call":
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        for_ever()
    elif at == "flood-stdout@call":
        flood(1)
    elif at == "flood-stderr@call":
        flood(2)


if MISDEED == "exit-at-start":
    sys.exit(7)
if MISDEED == "never-dials":
    for_ever()
link = dial()
if MISDEED == "never-hello":
    for_ever()
elif MISDEED == "garbage-hello":
    write(link, b"this is not a hello\n")
elif MISDEED == "half-hello":
    write(link, b'{"hello":1,"tok')
elif MISDEED == "endless-hello":
    while True:
        write(link, b"x" * 65_536)
elif MISDEED == "wrong-version":
    write(link, hello(hello=2))
elif MISDEED == "wrong-token":
    write(link, hello(token="guessed"))
elif MISDEED == "wrong-shape":
    write(link, hello(operations="all"))
else:
    write(link, hello())
if MISDEED == "exit-after-hello":
    os._exit(8)
if MISDEED == "never-reads":
    for_ever()
for line in link.makefile("rb"):
    command = json.loads(line)
    if "refused" in command:
        for_ever()
    if "do" not in command:
        continue
    do = command["do"]
    commit(do, link)
    answers = {"load": {"tools": [{"server": "files", "name": "read"}], "errors": {}}, "call": {"text": "made up"}}
    write(link, {"id": command["id"], "ok": answers.get(do, {})})
    if do == "exit" or MISDEED == f"exit-after-{do}":
        os._exit(0 if do == "exit" else 9)
if MISDEED in ("garbage-hello", "half-hello"):
    for_ever()
os._exit(86)
