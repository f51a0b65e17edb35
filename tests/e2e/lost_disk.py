"""The disk below the state vanishes, or may only be read: an honest error, no crash, no loss."""

import fcntl
import os
import struct
import subprocess

from lab import sandbox, wire
from lab.rowan import Rowan, binary
from lab.story import tell
from lab.wire import Wire

SHUTDOWN = 0x8004587d  # EXT4_IOC_SHUTDOWN: from now on every access fails, as with a pulled disk
WITHOUT_LOG = 2
MIB = 1 << 20


class Disk:
    """An ext4 file system in a file, mounted."""

    def __init__(self, story):
        self.image = os.path.join(story.directory("disk"), "image")
        self.path = story.directory("state")
        with open(self.image, "wb") as out:
            out.truncate(512 * MIB)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
        self.mount()

    def mount(self, options="loop"):
        done = subprocess.run(["mount", "-t", "ext4", "-o", options, self.image, self.path],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            sandbox.skip(f"no loop devices here: {done.stderr.strip()}")

    def unmount(self):
        subprocess.run(["umount", self.path], check=True)

    def vanish(self):
        directory = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, SHUTDOWN, struct.pack("I", WITHOUT_LOG))
        finally:
            os.close(directory)


def content(number):
    return bytes([number]) * 200_000


def refused_to_serve(rowan):
    done = subprocess.run([binary(), "serve", "--listen", "127.0.0.1:0", "--state", rowan.state],
                          capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stderr.strip().splitlines()[-1:]


def write_files(story, client, root):
    for number in range(20):
        name = str(number).encode()
        client.create(root, name)
        status = client.write(client.lookup(root, name)[1], 0, content(number))
        if status != wire.OK:
            story.equal("writes to the healthy disk succeed", status, wire.OK)


def while_it_is_gone(story, rowan, client, root):
    errors = (wire.IO, wire.ROFS)
    status = client.create(root, b"lost")
    story.check("a CREATE fails as an error of the disk", status in errors, f"status {status}")
    status = client.write(client.lookup(root, b"3")[1], 0, b"changed")
    story.check("a WRITE as well", status in errors, f"status {status}")
    status, data = client.read(client.lookup(root, b"4")[1], 0, 200_000)
    story.check("a READ is right, or an error", (status, data) == (wire.OK, content(4)) or
                status in errors, f"status {status}")
    story.check("the daemon is alive", rowan.child.running)
    story.equal("and tells its state", rowan.attempt("status")[0], 0)


def run(story):
    image = story.directory("image")
    disk = Disk(story)
    rowan = Rowan(story, state=os.path.join(disk.path, "rowan"))
    rowan.command("create", "vm", image)
    with Wire(rowan.port, timeout_s=60) as client:
        root = client.mount("/vm")[1]
        write_files(story, client, root)
        disk.vanish()
        while_it_is_gone(story, rowan, client, root)
    rowan.kill()
    disk.unmount()

    disk.mount("loop,ro,noload")
    status, said = refused_to_serve(rowan)
    story.check("on a disk that may only be read it refuses to start, and says where",
                status == 1 and said and rowan.state in said[0], str(said))
    disk.unmount()

    disk.mount()
    rowan.start()
    with Wire(rowan.port, timeout_s=60) as client:
        root = client.mount("/vm")[1]
        wrong = [number for number in range(20) if client.read(
            client.lookup(root, str(number).encode())[1], 0, 200_000)
                 != (wire.OK, content(number))]
        story.equal("with the disk back everything acknowledged is there", wrong, [])
        story.equal("and what failed is not", client.lookup(root, b"lost")[0], wire.NOENT)
        story.equal("writes go on", client.write(client.lookup(root, b"3")[1], 0, b"new"), wire.OK)
    rowan.stop()
    rowan.command("check", "vm")
    story.check("the store passes the checker", True)
    disk.unmount()


if __name__ == "__main__":
    tell(run, tools=["mkfs.ext4"])
