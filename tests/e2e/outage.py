"""The image server hangs, goes and comes back; the proxy freezes and goes on."""

import os
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
MOUNT_FAULT = 10006  # MNT3ERR_SERVERFAULT: MOUNT has no "later"


def run(story):
    tree = story.directory("tree")
    for name in ("warm", "cold", "colder"):
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
    story.equal("names come from the server", mount.names("/"), ["below", "cold", "colder", "warm"])
    for name in ("cold", "colder"):
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
    story.check("with the server hanging, cached reads and writes are not slowed", took < 5,
                f"20 rounds in {took:.2f} s")
    story.check("a read that needs the server waits", reader.is_alive())
    origin.resume()
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

    frozen = threading.Thread(target=rowan.freeze, args=(4,))
    frozen.start()
    time.sleep(0.2)
    started = time.monotonic()
    story.equal("a call during a freeze of the proxy is answered after it", mount.read("/warm"),
                warm)
    story.check("it had to wait", time.monotonic() - started > 2)
    frozen.join()
    mount.close()
    rowan.stop()


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
