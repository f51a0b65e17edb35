"""A full disk and a full quota: the right error, nothing lost, and room again after a removal."""

import glob
import os
import subprocess

from lab.child import wait_until
from lab.nfs import Mount, status_of
from lab.rowan import Rowan
from lab.story import tell
from lab.wire import COMMIT, GETATTR, JUKEBOX, OK, WRITE, Reply, Wire
from lab.wire import call, opaque, record, u32, u64, write_arguments

MIB = 1 << 20
RESERVE = 24 * MIB  # of a store, by default


def fill(mount, directory):
    """Writes 1 MiB files until that fails: (names written and synced, NFS status)."""
    written = []
    for number in range(400):
        name = f"{directory}/file-{number}"
        try:
            mount.write(name, bytes([number % 251]) * MIB)
        except OSError as error:
            return written, status_of(error)
        written.append((name, number % 251))
    return written, "no error"


def small_disk(story, name, megabytes):
    path = story.directory(name)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", path],
                   check=True)
    return path


class Hog:
    """Somebody else's file, that takes all there is."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "hog")

    def eat(self):
        with open(self.path, "ab", buffering=0) as out:
            try:
                while True:
                    out.write(bytes(65536))
            except OSError:
                pass

    def give(self, size):
        os.truncate(self.path, os.path.getsize(self.path) - size)

    def go(self):
        os.unlink(self.path)


def write_while_room(client, handle, hog):
    """nfsstat3 of an UNSTABLE write while there is a little room; there is none afterwards."""
    hog.eat()
    hog.give(8 * MIB)
    arguments = write_arguments(handle, 0, os.urandom(65536), stable=0)
    status = client.ask(WRITE, arguments).status
    hog.eat()
    return status


def use_reserve_up(client, handle, state, hog):
    """What the store keeps for hard times: made with the first write, given up in need."""
    def reserve():
        return glob.glob(f"{state}/stores/*/reserve")
    def reserved():
        return sum(os.stat(path).st_blocks * 512 for path in reserve())
    wait_until(lambda: reserved() >= RESERVE, 60, "the store's reserve")
    while reserve():
        write_while_room(client, handle, hog)
        client.ask(COMMIT, opaque(handle) + u64(0) + u32(0))


def stop_while_full(story):
    """Others took the room of what was written and not committed yet."""
    state = small_disk(story, "shared-disk", 128)
    rowan = Rowan(story, state=state, options=["--cache-size", "16M"], name="sharing")
    rowan.command("create", "vm", story.directory("image"))
    hog = Hog(state)
    with Wire(rowan.port) as client:
        root = client.mount("/vm")[1]
        client.create(root, b"f")
        handle = client.lookup(root, b"f")[1]
        story.equal("with room a write is durable", client.write(handle, 0, b"x"), OK)
        use_reserve_up(client, handle, state, hog)
        story.equal("with a little room a write is taken",
                    write_while_room(client, handle, hog), OK)
        client.send(record(call(7, COMMIT, opaque(handle) + u64(0) + u32(0))))
        story.equal("a COMMIT waits for room, others do not",
                    client.ask(GETATTR, opaque(handle)).status, OK)
        rowan.stop()
        story.check("the daemon ends in good order all the same", True)
        reply = Reply(client.receive())
        story.equal("and the COMMIT is to be asked again", (reply.xid, reply.status), (7, JUKEBOX))
    said = [line for line in rowan.child.log_tail().splitlines() if "close_failed" in line]
    story.check("what may be lost is said once, with the place and the remedy",
                len(said) == 1 and f"{state}/stores/" in said[0] and "not committed" in said[0]
                and "make room" in said[0], said)
    hog.go()
    rowan.start()
    with Wire(rowan.port) as client:
        story.equal("with room it goes on", client.write(handle, 0, b"x" * 65536), OK)
    rowan.stop()
    rowan.command("check", "vm")


def run(story):
    image = story.directory("image")
    with open(os.path.join(image, "from-the-image"), "wb") as out:
        out.write(b"image " * 1000)
    state = small_disk(story, "small-disk", 192)
    rowan = Rowan(story, state=state, options=["--cache-size", "16M"])
    rowan.command("image", "add", "image", image)
    rowan.command("create", "limited", "--image", "image", "--quota", "16M")
    rowan.command("create", "greedy", "--image", "image")

    limited = Mount(rowan.url("limited"))
    limited.mkdir("/d")
    written, error = fill(limited, "/d")
    story.equal("an appliance at its quota is told so", error, "NFS3ERR_DQUOT")
    story.check("it could use most of its quota", 13 <= len(written) <= 16,
                f"{len(written)} of 16 MiB")
    check_contents(story, "at the quota", limited, written)
    limited.unlink(written.pop()[0])
    limited.unlink(written.pop()[0])
    limited.write("/d/after", b"fits again" * 1000)
    story.check("after removals a write fits again", True)

    greedy = Mount(rowan.url("greedy"))
    greedy.mkdir("/d")
    kept, error = fill(greedy, "/d")
    story.equal("on a full disk the client is told so", error, "NFS3ERR_NOSPC")
    story.check("the disk could be used", len(kept) >= 30, f"{len(kept)} MiB")
    check_contents(story, "on the full disk", greedy, kept)
    for _ in range(10):
        greedy.unlink(kept.pop()[0])
    greedy.write("/d/after", b"fits again" * 1000)
    story.check("removing files makes room, without a restart", True)

    limited.close()
    greedy.close()
    rowan.restart(crash=True)
    for name, files in (("limited", written), ("greedy", kept)):
        mount = Mount(rowan.url(name))
        check_contents(story, f"{name}, after a crash", mount, files)
        story.equal(f"{name}: the last write is there after a crash", mount.read("/d/after"),
                    b"fits again" * 1000)
        story.equal(f"{name}: the image is served", mount.read("/from-the-image"),
                    b"image " * 1000)
        mount.close()
    rowan.stop()
    for name in ("limited", "greedy"):
        rowan.command("check", name)
    story.check("both stores pass the checker", True)
    stop_while_full(story)


def check_contents(story, when, mount, files):
    wrong = [name for name, byte in files if mount.read(name) != bytes([byte]) * MIB]
    story.equal(f"{when}: every acknowledged file is intact", wrong, [])


if __name__ == "__main__":
    tell(run)
