"""Too few descriptors, little memory, a crowd of connections: refused, recovered, bounded.

5000 connections that do nothing are more than the daemon keeps; 200 are more than a daemon with
few descriptors can have; 500 halves of large calls are more than fits into its memory.
"""

import os
import resource
import subprocess

from lab import wire
from lab.child import wait_until
from lab.rowan import Rowan
from lab.story import tell
from lab.wire import Closed, Wire, opaque

DESCRIPTORS = 80
CROWD = 5000
# A connection's bookkeeping, its handler and the allocator's share; the kernel's buffers are not
# the daemon's.
BYTES_EACH = 8 << 10
FILES = 40
# Data of the process, and what would need more of it.
MEMORY = 200 << 20
HALVES = 500
READERS = 200
FOLDERS, NAMES_EACH = 200, 1000


def content(number):
    return bytes([number]) * 50_000


def make_image(story):
    image = story.directory("image")
    for number in range(FILES):
        with open(os.path.join(image, str(number)), "wb") as out:
            out.write(content(number))
    return image


def answered(client):
    """True, False if the connection is closed, None if nothing comes."""
    try:
        return client.ask(0).accept == wire.SUCCESS
    except Closed:
        return False
    except TimeoutError:
        return None


class Reconnecting:
    """Does what NFS clients do when a server closes: connects and asks again."""

    def __init__(self, rowan):
        self.rowan, self.wire = rowan, Wire(rowan.port, timeout_s=60)

    def __call__(self, ask):
        """The answer to `ask(wire)`."""
        def attempt():
            try:
                self.wire = self.wire or Wire(self.rowan.port, timeout_s=60)
                return [ask(self.wire)]
            except (Closed, ConnectionError):
                self.wire = None
                return None
        return wait_until(attempt, 60, "an answer")[0]


def few_descriptors(story, image):
    limit = f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"
    rowan = Rowan(story, name="few", prefix=["prlimit", limit])
    rowan.command("create", "vm", image)
    client = Reconnecting(rowan)
    root = client(lambda c: c.mount("/vm"))[1]
    handles = [client(lambda c, n=number: c.lookup(root, str(n).encode()))[1]
               for number in range(FILES)]

    def read(number):
        return client(lambda c: c.read(handles[number], 0, 50_000))

    story.equal("a file is read", read(0), (wire.OK, content(0)))
    crowd = [Wire(rowan.port, timeout_s=60) for _ in range(200)]
    for member in crowd:
        member.send(wire.record(wire.call(1, 0)))
    story.equal("with all descriptors taken a client that insists is answered",
                client(lambda c: c.ask(wire.GETATTR, opaque(root)).status), wire.OK)
    reads = [read(number) for number in range(FILES)]
    wrong = [number for number, answer in enumerate(reads)
             if answer not in ((wire.OK, content(number)), (wire.JUKEBOX, b""))]
    story.equal("its reads are right, or to be tried again", wrong, [])
    story.note(f"{sum(1 for status, _ in reads if status == wire.OK)} of {FILES} were answered")
    status = client(lambda c: c.create(root, b"during"))
    story.check("so are its changes", status in (wire.OK, wire.JUKEBOX), f"status {status}")
    for member in crowd:
        member.close()
    for number in range(FILES):
        wait_until(lambda n=number: read(n) == (wire.OK, content(n)), 30,
                   f"file {number} to be readable again")
    story.check("once they are free again, everything is read", True)
    client(lambda c: c.create(root, b"after"))
    handle = client(lambda c: c.lookup(root, b"after"))[1]
    story.equal("and written", client(lambda c: c.write(handle, 0, b"x" * 300_000)), wire.OK)
    rowan.stop()
    rowan.command("check", "vm")
    story.check("the store passes the checker", True)


def half_sent(rowan, file):
    """A connection that holds most of a WRITE and never sends the rest."""
    whole = wire.record(wire.call(1, wire.WRITE, wire.write_arguments(file, 0, bytes(1 << 20))))
    member = Wire(rowan.port, timeout_s=5)
    try:
        member.send(whole[:-4096])
    except (Closed, TimeoutError):
        pass  # refused, or no longer read: both bound what the daemon holds
    return member


def little_memory(story, image):
    rowan = Rowan(story, name="small", prefix=["prlimit", f"--data={MEMORY}:{MEMORY}"])
    rowan.command("create", "vm", image)
    client = Reconnecting(rowan)
    root = client(lambda c: c.mount("/vm"))[1]
    file = client(lambda c: c.lookup(root, b"1"))[1]
    story.equal("in little memory a file is read",
                client(lambda c: c.read(file, 0, 50_000)), (wire.OK, content(1)))
    crowd = []
    for number in range(HALVES):
        crowd.append(half_sent(rowan, file))
        if number % 50 == 49:
            story.equal(f"with {number + 1} halves of calls of 1 MiB each others are served",
                        client(lambda c: c.read(file, 0, 50_000)), (wire.OK, content(1)))
    for member in crowd:
        member.close()
    client(lambda c: c.create(root, b"large"))
    large = client(lambda c: c.lookup(root, b"large"))[1]
    for offset in range(0, 64 << 20, 1 << 20):
        status = client(lambda c, at=offset: c.write(large, at, bytes([at >> 20]) * (1 << 20)))
        if status != wire.OK:
            story.equal(f"a WRITE at {offset}", status, wire.OK)
    story.equal("once they are gone, large calls are served",
                client(lambda c: c.read(large, 63 << 20, 1 << 20)),
                (wire.OK, bytes([63]) * (1 << 20)))
    calls = b"".join(wire.record(wire.call(number, wire.READ, wire.read_arguments(
        large, number << 20, 1 << 20))) for number in range(64))
    readers = [Wire(rowan.port, timeout_s=5) for _ in range(READERS)]
    for number, reader in enumerate(readers):
        reader.send(calls)
        if number % 50 == 49:
            story.equal(f"with {number + 1} readers that take no reply others are served",
                        client(lambda c: c.read(file, 0, 50_000)), (wire.OK, content(1)))
    for reader in readers:
        reader.close()
    story.equal("and afterwards", client(lambda c: c.read(large, 1 << 20, 1 << 20)),
                (wire.OK, bytes([1]) * (1 << 20)))
    rowan.stop()
    rowan.command("check", "vm")


def idle_crowd(story, image):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = max(hard, 2 * CROWD)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    rowan = Rowan(story, name="crowded")
    rowan.command("create", "vm", image)
    with Wire(rowan.port) as client:
        root = client.mount("/vm")[1]
    before = rowan.resident_kb()
    crowd = []
    for _ in range(CROWD):
        member = Wire(rowan.port)
        if not answered(member):
            raise ValueError("a newcomer was not answered")
        crowd.append(member)
    kept = rowan.json("status")["daemon"]["connections"]
    each = (rowan.resident_kb() - before) * 1024 // kept
    story.check(f"of {CROWD} idle connections a bounded number is kept",
                1000 < kept <= CROWD, f"{kept}, {each} bytes each")
    story.check("each costs little memory", each < BYTES_EACH, f"{each} bytes")
    with Wire(rowan.port) as client:
        story.equal("a further one is served",
                    client.ask(wire.GETATTR, opaque(root)).status, wire.OK)
    last = sum(1 for member in crowd[-1000:] if answered(member))
    story.equal("the youngest are all kept", last, 1000)
    for member in crowd:
        member.close()
    # The command's own look is no connection of this kind.
    wait_until(lambda: rowan.json("status")["daemon"]["connections"] == 0, 30,
               "the crowd to be forgotten")
    rowan.stop()


def many_objects(story):
    """The daemon's memory follows what clients have looked at, and that in small pieces."""
    image = story.directory("many")
    for folder in range(FOLDERS):
        os.mkdir(os.path.join(image, str(folder)))
        for number in range(NAMES_EACH):
            with open(os.path.join(image, str(folder), f"some-name-{number:05}"), "wb"):
                pass
    rowan = Rowan(story, name="walked")
    rowan.command("create", "vm", image)
    walk = subprocess.run(["nfs-ls", "-R", rowan.url("vm")], check=True, timeout=120,
                          stdout=subprocess.PIPE)
    seen = walk.stdout.count(b"some-name-")
    story.equal("all names are listed", seen, FOLDERS * NAMES_EACH)
    held = rowan.resident_kb() << 10
    story.check("the daemon holds 100 MB and 200 bytes for each object at most",
                held <= (100 << 20) + 200 * seen, f"{held >> 20} MiB for {seen} objects")
    rowan.stop()


def run(story):
    image = make_image(story)
    few_descriptors(story, image)
    little_memory(story, image)
    idle_crowd(story, image)
    many_objects(story)


if __name__ == "__main__":
    tell(run, tools=["prlimit", "nfs-ls"])
