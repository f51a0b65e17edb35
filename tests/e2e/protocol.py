"""The protocol test, by libnfs, against Rowan on an empty image, and against nfs-ganesha.

The second shows that the test asks for nothing that a server on a POSIX file system does not do;
where that server is known to differ, protocol/deviations.cc says how.
"""

import os
import struct
import subprocess

from lab import sandbox, wire
from lab.ganesha import Ganesha
from lab.rowan import Rowan
from lab.story import tell
from lab.wire import Wire, opaque


def walk(story, url, *options):
    program = os.environ.get("ROWAN_PROTOCOL_TEST", "")
    if not os.access(program, os.X_OK):
        sandbox.skip(f"no protocol_test to run: set ROWAN_PROTOCOL_TEST (now {program!r})")
    done = subprocess.run([program, url, *options], timeout=300, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    lines = done.stdout.strip().splitlines() or [""]
    bad = [line for line in lines if not line.startswith(("ok ", "differs "))]
    story.check(f"every expectation holds against {url}", done.returncode == 0, "\n".join(bad))


def against_rowan(story):
    image = story.directory("image")
    rowan = Rowan(story)
    rowan.command("image", "add", "empty", image)
    rowan.command("create", "vm1", "--image", "empty")
    walk(story, rowan.url("vm1"))
    rowan.command("create", "vm2", "--image", "empty")
    rowan.restart(crash=True)
    walk(story, rowan.url("vm2"))
    story.equal("the image is untouched", os.listdir(image), [])
    rowan.stop()


def at_the_link_limit(story):
    """An image file that has as many names as PATHCONF allows gets no other."""
    image = story.directory("linked")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", image], check=True)
    first = os.path.join(image, "first")
    with open(first, "wb") as out:
        out.write(b"one file")
    rowan = Rowan(story, name="links")
    rowan.command("create", "vm", image)
    with Wire(rowan.port) as client:
        root = client.mount("/vm")[1]
        limit, = struct.unpack_from(">I", client.ask(wire.PATHCONF, opaque(root)).body, 8 + 84)
        os.mkdir(os.path.join(image, "more"))
        for number in range(limit - 1):
            os.link(first, os.path.join(image, "more", str(number)))
        file = client.lookup(root, b"first")[1]

        def link(name):
            return client.ask(wire.LINK, opaque(file) + opaque(root) + opaque(name)).status

        story.equal(f"LINK of an image file with {limit} names is MLINK", link(b"another"),
                    wire.MLINK)
        story.equal("a name less", client.ask(
            wire.REMOVE, opaque(root) + opaque(b"first")).status, wire.OK)
        story.equal("and it is not", link(b"another"), wire.OK)
    rowan.stop()


def against_ganesha(story):
    # Odd names reach the file system below this server: it may write to one of its own only.
    export = story.directory("export")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", export], check=True)
    ganesha = Ganesha(story, [export], access="RW")
    walk(story, ganesha.url(export), "--server", "ganesha")


def run(story):
    against_ganesha(story)
    against_rowan(story)
    at_the_link_limit(story)


tell(run, tools=("ganesha.nfsd", "rpcbind"))
