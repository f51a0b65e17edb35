"""Slow, jittery, lossy links before and behind the proxy: correct, only slower.

One link lies between the image server and the proxy, one between the proxy and its client.
"""

import os
import random
import time

from lab.ganesha import Ganesha
from lab.link import Link
from lab.nfs import Mount
from lab.rowan import Rowan
from lab.story import tell

SEED = int(os.environ.get("ROWAN_SEED", "18"))
ROUGH = ("--rtt-ms", "30", "--mbit", "100", "--jitter-ms", "20", "--loss", "1", "--seed", str(SEED))
FILE_BYTES = 3 << 20
LONG_BYTES = 64 << 20
SOME_BYTES = 1 << 20
# Read-ahead may run so far in front of a reader who stops (README: what is fetched).
AHEAD_BYTES = 16 << 20


def make_tree(story):
    tree = story.directory("tree")
    numbers = random.Random(SEED)
    for number in range(20):
        with open(os.path.join(tree, f"small-{number}"), "wb") as out:
            out.write(numbers.randbytes(numbers.randrange(20000)))
    for name, size in (("file", FILE_BYTES), ("long", LONG_BYTES)):
        with open(os.path.join(tree, name), "wb") as out:
            out.write(numbers.randbytes(size))
    return tree


def content(tree, name, size=-1):
    with open(os.path.join(tree, name), "rb") as file:
        return file.read(size)


def url_through(origin, tree, link):
    return origin.url(tree).replace(f"nfsport={origin.port}", f"nfsport={link.port}")


def timed(call):
    started = time.monotonic()
    return call(), time.monotonic() - started


def run(story):
    story.note(f"ROWAN_SEED={SEED}")
    tree = make_tree(story)
    origin = Ganesha(story, [tree])
    behind = Link(story, origin.port, *ROUGH)
    rowan = Rowan(story)
    rowan.command("create", "vm", url_through(origin, tree, behind))
    before = Link(story, rowan.port, *ROUGH)
    url = rowan.url("vm").replace(f"nfsport={rowan.port}", f"nfsport={before.port}")
    mount = Mount(url, timeout_s=120)
    story.equal("all names come", mount.names("/"), sorted(os.listdir(tree)))
    wrong = [name for name in os.listdir(tree)
             if name != "long" and mount.read(f"/{name}") != content(tree, name)]
    story.equal("cold, every file is what it is at the server", wrong, [])
    data, warm_s = timed(lambda: mount.read("/file"))
    story.check("warm it is, too", data == content(tree, "file"), f"{warm_s:.1f} s")

    fetched = rowan.fetched_bytes()
    story.check("a part of a long file is right",
                mount.read("/long", 0, SOME_BYTES) == content(tree, "long", SOME_BYTES))
    ahead = rowan.fetched_bytes() - fetched
    story.check("and read-ahead is bounded", ahead <= SOME_BYTES + AHEAD_BYTES, f"{ahead} bytes")

    written = random.Random(SEED + 1).randbytes(FILE_BYTES)
    mount.write("/new", written)
    mount.write("/file", written[:100_000], offset=1_000_001)
    mount.rename("/new", "/renamed")
    mount.unlink("/small-0")
    mount.close()
    near = Mount(rowan.url("vm"))
    story.check("what was written over the link is all there", near.read("/renamed") == written)
    mixed = bytearray(content(tree, "file"))
    mixed[1_000_001:1_100_001] = written[:100_000]
    story.check("so is a write into an image file", near.read("/file") == bytes(mixed))
    story.check("a rename and a removal are done",
                {"new", "small-0"}.isdisjoint(near.names("/")))
    near.close()
    passed = before.statistics()
    story.check("it all went over the link", passed["bytes_to_client"] > 2 * FILE_BYTES,
                str(passed))
    rowan.stop()


if __name__ == "__main__":
    tell(run, tools=["ganesha.nfsd", "rpcbind"])
