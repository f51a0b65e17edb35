"""What every image source must do, asked of nfs-ganesha, and the same trees through the proxy."""

import os
import subprocess

from lab import sandbox
from lab.ganesha import Ganesha
from lab.nfs import Mount
from lab.rowan import Rowan
from lab.story import tell


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
    rowan.restart(crash=True)
    mount = Mount(rowan.url("large"), timeout_s=120)
    story.equal("a write beyond 4 GiB survives a crash, its neighbours are the image's",
                mount.read("/sparse", (1 << 32) - 1, 7), neighbours(large))
    story.check("after a restart the crowd is all there", mount.names("/crowd") == wanted)
    mount.close()
    rowan.stop()


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
