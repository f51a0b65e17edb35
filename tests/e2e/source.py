"""What every image source must do, asked of nfs-ganesha, and the same trees through the proxy."""

import os
import subprocess

from lab import sandbox, wire
from lab.ganesha import Ganesha
from lab.nfs import Mount
from lab.rowan import Rowan
from lab.story import tell
from lab.wire import Wire

NAMES, IN_FLIGHT = 100_000, 64


def suite(story, case, **settings):
    program = os.environ.get("ROWAN_SOURCE_SUITE", "")
    if not os.access(program, os.X_OK):
        sandbox.skip(f"no nfs_source_suite_tests: set ROWAN_SOURCE_SUITE (now {program!r})")
    done = subprocess.run([program, case], env={**os.environ, **settings}, timeout=200,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    story.check(f"{case} of the suite for sources passes",
                done.returncode == 0 and "assertion" in lines[-1],
                lines[-1] if done.returncode == 0 else done.stdout)


def through_the_proxy(story, origin, large):
    rowan = Rowan(story)
    rowan.command("create", "large", origin.url(large))
    mount = Mount(rowan.url("large"), timeout_s=120)
    wanted = sorted(os.listdir(os.path.join(large, "crowd")))
    # Readers of a file compare with what the local file system gives.
    story.check("the proxy lists all names of the crowd, byte by byte",
                mount.names("/crowd") == wanted, f"{len(wanted)} names")
    size = os.stat(os.path.join(large, "sparse")).st_size
    story.equal("it tells the size of a file of more than 4 GiB", mount.stat("/sparse").size, size)
    with open(os.path.join(large, "sparse"), "rb") as file:
        for offset in (0, (1 << 32) - 5000, 1 << 32, size - 100):
            file.seek(offset)
            story.check(f"and gives its bytes at {offset}",
                        mount.read("/sparse", offset, 10000) == file.read(10000))
    mount.write("/sparse", b"far", (1 << 32) + 1)
    mount.close()
    origin.stop()
    rowan.restart(crash=True)
    mount = Mount(rowan.url("large"), timeout_s=120)
    story.equal("a write beyond 4 GiB survives a crash, its neighbours are the image's",
                mount.read("/sparse", (1 << 32) - 1, 7), neighbours(large))
    story.check("after a crash, with the server away, the crowd is all there",
                mount.names("/crowd") == wanted)
    made_here(story, rowan, wanted)
    mount.close()
    rowan.stop()
    rowan.command("check", "large")


def create_all(rowan, where, names):
    """Creates them in /large/`where`, many in flight; the statuses that were no success."""
    refused = []
    with Wire(rowan.port, timeout_s=60) as client:
        directory = client.mount(f"/large/{where}")[1]
        for start in range(0, len(names), IN_FLIGHT):
            batch = names[start:start + IN_FLIGHT]
            client.send(b"".join(wire.record(wire.call(
                start + number, wire.CREATE, wire.create_arguments(directory, name.encode())))
                                 for number, name in enumerate(batch)))
            replies = [wire.Reply(client.receive()).status for _ in batch]
            refused += [status for status in replies if status != wire.OK]
    return refused


def made_here(story, rowan, crowd):
    """Names that only the store has, alone and among those of the image."""
    mine, among = sorted(f"mine-{number}" for number in range(NAMES)), [
        f"among-{number}" for number in range(NAMES // 10)]
    mount = Mount(rowan.url("large"), timeout_s=120)
    mount.mkdir("/own")
    story.equal(f"{NAMES} files are created in a new directory",
                create_all(rowan, "own", mine), [])
    story.equal("and some in the directory of the crowd", create_all(rowan, "crowd", among), [])
    for life in ("at once", "after a crash"):
        story.check(f"{life} the new directory lists each once", mount.names("/own") == mine)
        story.check(f"{life} the crowd's does, too", mount.names("/crowd") == sorted(crowd + among))
        mount.close()
        rowan.restart(crash=True)
        mount = Mount(rowan.url("large"), timeout_s=120)
    mount.close()


def neighbours(large):
    with open(os.path.join(large, "sparse"), "rb") as file:
        file.seek((1 << 32) - 1)
        data = file.read(7)
    return data[:2] + b"far" + data[5:]


def run(story):
    parent = story.directory("trees")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", parent], check=True)
    standard, large = (story.directory("trees", name) for name in ("standard", "large"))
    suite(story, "[.make]", ROWAN_SOURCE_DIRECTORY=parent)
    origin = Ganesha(story, [standard, large])
    suite(story, "[.standard]", ROWAN_SOURCE_STANDARD=origin.url(standard))
    suite(story, "[.large]", ROWAN_SOURCE_LARGE=origin.url(large))
    through_the_proxy(story, origin, large)


if __name__ == "__main__":
    tell(run, tools=["ganesha.nfsd", "rpcbind"])
