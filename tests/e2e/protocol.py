"""The protocol test, by libnfs, against Rowan on an empty image, and against nfs-ganesha.

The second shows that the test asks for nothing that a server on a POSIX file system does not do;
where that server is known to differ, protocol/deviations.cc says how.
"""

import os
import subprocess

from lab import sandbox
from lab.ganesha import Ganesha
from lab.rowan import Rowan
from lab.story import tell


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


def against_ganesha(story):
    # Odd names reach the file system below this server: it may write to one of its own only.
    export = story.directory("export")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", export], check=True)
    ganesha = Ganesha(story, [export], access="RW")
    walk(story, ganesha.url(export), "--server", "ganesha")


def run(story):
    against_ganesha(story)
    against_rowan(story)


tell(run, tools=("ganesha.nfsd", "rpcbind"))
