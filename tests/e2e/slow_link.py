"""rowan-link does what it says: the round trip, the rate, the stall, the reset.

The bounds are wide above and tight below: a busy machine makes a link slower, nothing makes it
faster.
"""

import json
import os
import signal
import socket
import subprocess
import threading
import time

from lab import sandbox
from lab.story import tell

RTT_MS, MBIT = 40, 50
BULK_BYTES = 3 << 20


def echo(server):
    """Sends back what each client sends, until its end."""
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(client,), daemon=True).start()


def answer(client):
    with client:
        try:
            while data := client.recv(1 << 16):
                client.sendall(data)
        except OSError:
            pass


def link_to(story, port):
    program = os.environ.get("ROWAN_LINK", "")
    if not os.access(program, os.X_OK):
        sandbox.skip(f"no rowan-link to test: set ROWAN_LINK (now {program!r})")
    process = subprocess.Popen(
        [program, "--listen", "127.0.0.1:0", "--to", f"127.0.0.1:{port}", "--rtt-ms", str(RTT_MS),
         "--mbit", str(MBIT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())["listening"]


def round_trip_ms(client):
    begin = time.monotonic()
    client.sendall(b"x")
    client.recv(1)
    return (time.monotonic() - begin) * 1000


def bulk_seconds(client):
    begin = time.monotonic()
    sender = threading.Thread(target=client.sendall, args=(bytes(BULK_BYTES),))
    sender.start()
    received = 0
    while received < BULK_BYTES:
        received += len(client.recv(1 << 16))
    sender.join()
    return time.monotonic() - begin


def measure(story, client):
    best = min(round_trip_ms(client) for _ in range(10))
    story.check(f"a round trip takes {RTT_MS} ms", RTT_MS <= best < RTT_MS * 1.25, f"{best:.2f} ms")
    exact = BULK_BYTES * 8 / (MBIT * 1e6) + RTT_MS / 1e3
    seconds = bulk_seconds(client)
    story.check(f"{BULK_BYTES} bytes take {exact:.3f} s", exact * 0.99 <= seconds < exact * 1.3,
                f"{seconds:.3f} s")


def command(process, word):
    process.stdin.write(word + "\n")
    process.stdin.flush()


def stall_and_reset(story, process, client, port):
    command(process, "stall")
    time.sleep(0.1)  # longer than the command takes; the check below is that nothing comes for long
    client.settimeout(0.5)
    client.sendall(b"y")
    try:
        client.recv(1)
        story.check("a stalled link delivers nothing", False)
    except socket.timeout:
        story.check("a stalled link delivers nothing", True)
    client.settimeout(10)
    process.send_signal(signal.SIGUSR1)
    story.equal("and delivers it afterwards", client.recv(1), b"y")
    command(process, "reset")
    try:
        story.check("a reset ends connections by RST", client.recv(1) == b"impossible")
    except ConnectionResetError:
        story.check("a reset ends connections by RST", True)
    with socket.create_connection(("127.0.0.1", port), 10) as fresh:
        story.check("new connections work", round_trip_ms(fresh) >= RTT_MS)
        fresh.shutdown(socket.SHUT_WR)
        story.equal("the end of a stream passes both ways", fresh.recv(1), b"")


def run(story):
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        process, port = link_to(story, server.getsockname()[1])
        try:
            with socket.create_connection(("127.0.0.1", port), 30) as client:
                measure(story, client)
                stall_and_reset(story, process, client, port)
            process.send_signal(signal.SIGTERM)
            numbers = json.loads(process.communicate(timeout=10)[0].splitlines()[-1])
            story.equal("it counts connections", numbers["connections"], 2)
            story.check("and bytes", numbers["bytes_to_server"] > BULK_BYTES, str(numbers))
        finally:
            process.kill()


tell(run)
