#!/usr/bin/env bash
# aiohttp-sse-client glues an event that was cut off to its repeat after the reconnection
#
# Package:  aiohttp-sse-client 0.2.1 on PyPI (with aiohttp 3.13.2)
# Expected: when a stream ends in the middle of an event, the client forgets that part, connects again with
#           Last-Event-ID, and delivers the event once it has come whole. The standard for server-sent events (WHATWG
#           HTML, "Interpreting an event stream") says that pending data is discarded at the end of the stream, and an
#           event without its closing empty line is not dispatched.
# Happens:  the data of the cut event stays in the client. The server repeats the event, and the client delivers both
#           parts as one event with two lines of data.
# Output:   connection 1, Last-Event-Id absent: event 1, then a part of event 2
#           connection 2, Last-Event-Id 1: event 2 and event 3
#           event 1: data '{"id": 1, "result": {}}'
#           event 2: data '{"id": 2, "res\n{"id": 2, "result": {}}'
#           event 3: data '{"id": 3, "result": {}}'
# Matters:  resuming works by Last-Event-ID, as in the Streamable HTTP transport of MCP, but the one answer for which it
#           is needed is no longer JSON. The call that waits for it fails although the server delivered it.
# Exit:     0 while this holds; 1 with a line "CHANGED" when the behaviour has changed; non-zero without such a line
#           when the experiment could not be run.
set -eu
sed -n '2,/^set -eu$/{/^set -eu$/d;s/^# \{0,1\}//;p;}' "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv --without-pip venv
python3 -m pip --python venv/bin/python install --quiet --no-compile --disable-pip-version-check \
  aiohttp-sse-client==0.2.1 aiohttp==3.13.2 || exit 2

cat > probe.py <<'PY'
import asyncio, sys
from aiohttp_sse_client.client import EventSource

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

def event(number):
    return f'id: {number}\ndata: {{"id": {number}, "result": {{}}}}\n\n'

CUT = event(2)[:event(2).index("res") + 3]
asked = []

async def serve(reader, writer):
    request = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
    last = [line.split(":")[1].strip() for line in request if line.startswith("last-event-id:")]
    asked.append(last[0] if last else None)
    body = "retry: 100\n\n" + event(1) + CUT if len(asked) == 1 else event(2) + event(3)
    writer.write((HEAD + body).encode())
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    events = []
    async with server:
        async with EventSource(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/") as source:
            async for got in source:
                events.append((got.last_event_id, got.data))
                if len(events) == 3:
                    break
    for number, (last, sent) in enumerate(zip(asked, ("event 1, then a part of event 2", "event 2 and event 3")), 1):
        print(f"connection {number}, Last-Event-Id {last or 'absent'}: {sent}")
    for number, data in events:
        print(f"event {number}: data {data!r}")
    whole = [event(n).split("data: ")[1].strip() for n in (1, 2, 3)]
    glued = CUT.split("data: ")[1] + "\n" + whole[1]
    if asked == [None, "1"] and events == [("1", whole[0]), ("2", glued), ("3", whole[2])]:
        return 0
    print("CHANGED: a part of an event does not outlive its connection", file=sys.stderr)
    return 1

sys.exit(asyncio.run(asyncio.wait_for(main(), 30)))
PY
echo "--- seen now"
timeout 40 venv/bin/python probe.py
