"""A full disk and a full quota: the right error, nothing lost, and room again after a removal."""

import os
import subprocess

from lab.nfs import Mount, status_of
from lab.rowan import Rowan
from lab.story import tell

MIB = 1 << 20


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


def run(story):
    image = story.directory("image")
    with open(os.path.join(image, "from-the-image"), "wb") as out:
        out.write(b"image " * 1000)
    state = story.directory("small-disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192m,mode=755", "tmpfs", state], check=True)
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


def check_contents(story, when, mount, files):
    wrong = [name for name, byte in files if mount.read(name) != bytes([byte]) * MIB]
    story.equal(f"{when}: every acknowledged file is intact", wrong, [])


if __name__ == "__main__":
    tell(run)
