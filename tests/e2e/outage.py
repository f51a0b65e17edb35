"""The image server hangs, goes and comes back; the proxy freezes and goes on."""

import os
import threading
import time

from lab.ganesha import Ganesha
from lab.nfs import Mount
from lab.rowan import Rowan
from lab.story import tell

SIZE = 2 << 20


def run(story):
    tree = story.directory("tree")
    for name in ("warm", "cold", "colder"):
        with open(os.path.join(tree, name), "wb") as out:
            out.write(name.encode() * (SIZE // len(name)))
    origin = Ganesha(story, [tree])
    rowan = Rowan(story)
    rowan.command("image", "add", "image", origin.url(tree))
    rowan.command("create", "vm", "--image", "image")
    mount = Mount(rowan.url("vm"), timeout_s=120)
    story.equal("names come from the server", mount.names("/"), ["cold", "colder", "warm"])
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
