"""The libnfs utilities as a second client, and several appliances and mounts of one directory."""

import os
import random

from lab.nfs import Mount, utility
from lab.rowan import Rowan
from lab.story import tell
from lab.tree import digest_of


def run(story):
    image = story.directory("image")
    os.makedirs(os.path.join(image, "docs", "deep"))
    with open(os.path.join(image, "docs", "hello"), "wb") as out:
        out.write(b"hello from the image\n")
    with open(os.path.join(image, "docs", "deep", "big"), "wb") as out:
        out.write(os.urandom(3 << 20))
    os.symlink("hello", os.path.join(image, "docs", "link"))
    before = digest_of(image)
    rowan = Rowan(story)
    rowan.command("create", "a", image)
    rowan.command("create", "b", image)

    def at(appliance, path):
        return rowan.url(appliance, path)

    status, out, err = utility("nfs-ls", "-R", at("a", ""))
    story.check("nfs-ls lists an appliance", status == 0 and b"hello" in out and b"big" in out,
                err.strip())
    status, out, err = utility("nfs-cat", at("a", "/docs/hello"))
    story.equal("nfs-cat prints an image file", (status, out), (0, b"hello from the image\n"))
    local = os.path.join(story.directory("local"), "copy")
    status, _, err = utility("nfs-cp", at("a", "/docs/deep/big"), local)
    story.check("nfs-cp copies a file out", status == 0 and same(
        local, os.path.join(image, "docs", "deep", "big")), err.strip())
    with open(local, "wb") as data:
        data.write(b"replaced\n")
    status, _, err = utility("nfs-cp", local, at("a", "/docs/new"))
    story.check("nfs-cp copies a file in", status == 0, err.strip())
    story.equal("it is read back", utility("nfs-cat", at("a", "/docs/new"))[1], b"replaced\n")
    story.check("the other appliance does not see it",
                utility("nfs-cat", at("b", "/docs/new"))[0] != 0)

    below = Mount(rowan.url("a", "/docs"))
    story.equal("a directory below the root can be mounted", below.names("/"),
                ["deep", "hello", "link", "new"])
    below.write("/hello", b"HELLO", offset=0)
    below.close()
    story.equal("a write into an image file changes only its bytes",
                utility("nfs-cat", at("a", "/docs/hello"))[1], b"HELLO from the image\n")
    story.equal("of this appliance only",
                utility("nfs-cat", at("b", "/docs/hello"))[1], b"hello from the image\n")
    rowan.restart(crash=True)
    story.equal("it survives a crash of the proxy",
                utility("nfs-cat", at("a", "/docs/hello"))[1], b"HELLO from the image\n")
    overwrite_at_random(story, rowan, os.path.join(image, "docs", "deep", "big"))
    rowan.stop()
    story.equal("the directory is what it was", digest_of(image), before)


def overwrite_at_random(story, rowan, image_file):
    """Large writes of an image's file, whole blocks and parts of them, each over what was there."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    with open(image_file, "rb") as data:
        wanted = bytearray(data.read())
    mount = Mount(rowan.url("a"))
    for number in range(40):
        unit = 4096 if number % 2 else 1
        offset = chance.randrange(len(wanted)) // unit * unit
        data = chance.randbytes(chance.randrange(1, 700_000))
        wanted[offset:offset + len(data)] = data
        mount.write("/docs/deep/big", data, offset)
        if number % 8 == 0:
            story.check(f"large writes are read back (seed {seed}, write {number})",
                        mount.read("/docs/deep/big") == wanted)
    mount.close()
    rowan.restart(crash=True)
    mount = Mount(rowan.url("a"))
    story.check(f"and after a crash of the proxy (seed {seed})",
                mount.read("/docs/deep/big") == wanted)
    mount.close()


def same(one, other):
    with open(one, "rb") as left, open(other, "rb") as right:
        return left.read() == right.read()


if __name__ == "__main__":
    tell(run, tools=["nfs-ls", "nfs-cat", "nfs-cp"])
