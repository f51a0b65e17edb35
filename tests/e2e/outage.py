"""The image server hangs, goes and comes back; the proxy freezes and goes on."""

import os
import shutil
import threading
import time

from lab import wire
from lab.child import wait_until
from lab.ganesha import Ganesha
from lab.nfs import Mount
from lab.rowan import Rowan
from lab.story import tell
from lab.wire import Wire

SIZE = 2 << 20
WAITERS, CALLS_EACH = 1600, 8
MOUNT_FAULT = 10006  # MNT3ERR_SERVERFAULT: MOUNT has no "later"


def run(story):
    tree = story.directory("tree")
    for name in ("warm", "cold", "colder", "crowded", "stale", "tampered"):
        with open(os.path.join(tree, name), "wb") as out:
            out.write(name.encode() * (SIZE // len(name)))
    os.mkdir(os.path.join(tree, "below"))
    with open(os.path.join(tree, "below", "file"), "wb") as out:
        out.write(b"unseen")
    origin = Ganesha(story, [tree])
    rowan = Rowan(story)
    rowan.command("image", "add", "image", origin.url(tree))
    rowan.command("create", "vm", "--image", "image")
    mount = Mount(rowan.url("vm"), timeout_s=120)
    story.equal("names come from the server", mount.names("/"),
                ["below", "cold", "colder", "crowded", "stale", "tampered", "warm"])
    for name in ("cold", "colder", "crowded"):
        mount.stat(f"/{name}")
    warm = mount.read("/warm")

    origin.pause()
    cold, reader = read_aside(rowan, "/cold")
    started = time.monotonic()
    for number in range(20):
        story_read = mount.read("/warm")
        mount.write(f"/own-{number}", b"mine" * 1000)
        if story_read != warm or mount.read(f"/own-{number}") != b"mine" * 1000:
            raise ValueError("wrong bytes while the image server hangs")
    took = time.monotonic() - started
    story.check("a read that needs the server waits", reader.is_alive())
    story.check("cached reads and writes do not wait for the server, which hangs", True,
                f"20 rounds in {took:.2f} s")
    crowd = waiters(rowan)
    with Wire(rowan.port, timeout_s=10) as client:
        file = client.lookup(client.mount("/vm")[1], b"warm")[1]
        wrong = [at for at in range(0, SIZE, 1 << 16)
                 if client.read(file, at, 100) != (wire.OK, warm[at:at + 100])]
    story.equal(f"with {WAITERS} calls waiting for the server, cached reads are answered", wrong,
                [])
    origin.resume()
    answers = [wire.Reply(client.receive()).status for client in crowd for _ in range(CALLS_EACH)]
    story.check("each that waited is answered", set(answers) <= {wire.OK, wire.JUKEBOX},
                f"{answers.count(wire.OK)} with data, {answers.count(wire.JUKEBOX)} to try again")
    reader.join(90)
    story.equal("it is answered when the server answers again", cold.get("data"),
                b"cold" * (SIZE // 4))

    origin.stop()
    rowan.restart(crash=True)
    mount.close()
    mount = Mount(rowan.url("vm"), timeout_s=120)
    story.equal("with the server gone and the proxy restarted, the cache serves",
                mount.read("/warm"), warm)
    late, reader = read_aside(rowan, "/colder")
    reader.join(2)
    story.check("a read that needs the server waits for it", reader.is_alive())
    origin.start()
    reader.join(90)
    story.equal("it is answered after the server has come back, without a restart of the proxy",
                late.get("data"), (b"colder" * SIZE)[:SIZE // 6 * 6])

    from_the_start(story, origin, tree, rowan)

    handles_gone(story, origin, tree, rowan)
    other_disk(story, origin, tree, rowan)
    frozen_proxy(story, rowan, mount, warm)
    mount.close()
    rowan.stop()


def handles_gone(story, origin, tree, rowan):
    """The server comes back and knows none of the handles that it gave; its files are the same."""
    half = SIZE // 2
    whole = (b"stale" * SIZE)[:SIZE // 5 * 5]
    with Wire(rowan.port, timeout_s=60) as client:
        root = client.mount("/vm")[1]
        file = client.lookup(root, b"stale")[1]
        story.equal("a part of a file is read", client.read(file, 0, 1000),
                    (wire.OK, whole[:1000]))
        with Wire(origin.mount_port) as direct:
            given = direct.mount(tree)[1]
        origin.stop()
        origin.configure(first_number=77)
        origin.start()
        with Wire(origin.port) as direct:
            status = direct.ask(wire.GETATTR, wire.opaque(given)).status
        story.check("the server knows its handles no more", status in (wire.STALE, wire.BADHANDLE),
                    f"status {status}")

        def read():
            status, data = client.read(file, half, 1000)
            return status != wire.JUKEBOX and (status, data)

        story.equal("with all its handles stale at the server, the rest is found by its path",
                    wait_until(read, 60, "the file to be readable"),
                    (wire.OK, whole[half:half + 1000]))
    story.equal("that is no drift", [path for image in rowan.json("status")["images"]
                                     for version in image["versions"]
                                     for path in version["drifted"]], [])


def other_disk(story, origin, tree, rowan):
    """The tree was restored: the same files under other numbers; one has another content."""
    def number(name):
        return os.stat(os.path.join(tree, name)).st_ino

    before = number("stale")
    whole = (b"tampered" * SIZE)[:SIZE]
    with Wire(rowan.port, timeout_s=60) as client:
        root = client.mount("/vm")[1]
        file, kept = client.lookup(root, b"stale")[1], client.lookup(root, b"tampered")[1]
        story.equal("a part of another file is read", client.read(kept, 0, 1000),
                    (wire.OK, whole[:1000]))
        origin.stop()
        replace_by_copy(tree)
        with open(os.path.join(tree, "tampered"), "r+b") as out:
            times = os.fstat(out.fileno())
            out.write(b"TAMPERED")
            os.utime(out.fileno(), ns=(times.st_atime_ns, times.st_mtime_ns))
        origin.start()
        story.check("after a restore the files have other numbers", number("stale") != before)

        def answer(of, offset):
            reply = client.read(of, offset, 1000)
            return reply[0] != wire.JUKEBOX and reply

        quarter = SIZE // 4
        story.equal("a file that is the same goes on",
                    wait_until(lambda: answer(file, quarter), 60, "an answer"),
                    (wire.OK, (b"stale" * SIZE)[quarter:quarter + 1000]))
        story.equal("one whose cached content the server shows otherwise is refused",
                    wait_until(lambda: answer(kept, quarter * 3), 60, "an answer")[0], wire.IO)
        story.equal("what is cached of it stays", client.read(kept, 0, 1000),
                    (wire.OK, whole[:1000]))
    story.equal("and it alone is drift", [path for image in rowan.json("status")["images"]
                                          for version in image["versions"]
                                          for path in version["drifted"]], ["/tampered"])


def replace_by_copy(tree):
    """Each file by one of the same name, attributes and content; the directory stays."""
    times = os.stat(tree)
    for folder, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            shutil.copy2(path, path + ".copy")
            os.rename(path + ".copy", path)
    os.utime(tree, ns=(times.st_atime_ns, times.st_mtime_ns))


def frozen_proxy(story, rowan, mount, warm):
    rowan.child.pause()
    answers = []
    reader = threading.Thread(target=lambda: answers.append(mount.read("/warm")))
    reader.start()
    reader.join(2)
    story.check("a call during a freeze of the proxy waits", reader.is_alive())
    rowan.child.resume()
    reader.join(90)
    story.equal("it is answered afterwards", answers, [warm])


def from_the_start(story, origin, tree, rowan):
    """The proxy starts while the server is away, with an image of which nothing is cached."""
    rowan.command("image", "add", "unseen", origin.url(os.path.join(tree, "below")))
    rowan.command("create", "vm2", "--image", "unseen")
    origin.stop()
    rowan.restart(crash=True)
    with Wire(rowan.port, timeout_s=60) as client:
        root = client.mount("/vm")[1]
        story.equal("started without the server, what is cached is served",
                    client.read(client.lookup(root, b"warm")[1], 0, 8), (wire.OK, b"warmwarm"))
        status, root = client.mount("/vm2")
        story.check("what was never seen is to be asked for again, or waits",
                    status in (wire.OK, MOUNT_FAULT), f"MNT gives {status}")
        if status == wire.OK:
            status = client.lookup(root, b"file")[0]
            story.equal("a look-up in it is JUKEBOX", status, wire.JUKEBOX)
        origin.start()

        def read():
            status, root = client.mount("/vm2")
            file = status == wire.OK and client.lookup(root, b"file")[1]
            return file and client.read(file, 0, 100) == (wire.OK, b"unseen")

        wait_until(read, 60, "the unseen image to be served")
        story.check("the server back, it is served without a restart", True)


def waiters(rowan):
    """Connections with READs on their way that only the server can answer."""
    crowd = [Wire(rowan.port, timeout_s=120) for _ in range(WAITERS // CALLS_EACH)]
    file = crowd[0].lookup(crowd[0].mount("/vm")[1], b"crowded")[1]
    for number, client in enumerate(crowd):
        client.send(b"".join(wire.record(wire.call(xid, wire.READ, wire.read_arguments(
            file, (number * CALLS_EACH + xid) % (SIZE >> 14) << 14, 1 << 14)))
                             for xid in range(CALLS_EACH)))
    return crowd


def read_aside(rowan, path):
    """Reads by a client of its own, in a thread: ({"data": bytes} once done, thread)."""
    result = {}

    def work():
        for _ in range(60):
            try:
                other = Mount(rowan.url("vm"), timeout_s=120)
                result["data"] = other.read(path)
                other.close()
                return
            except OSError as error:  # JUKEBOX reaches a libnfs user as an error: try again
                result["error"] = error
                time.sleep(0.5)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return result, thread


if __name__ == "__main__":
    tell(run, tools=["ganesha.nfsd", "rpcbind"])
