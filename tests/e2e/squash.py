"""An image server that squashes root: what the proxy may not read is an honest error.

The proxy asks as root unless the source's address says otherwise (?uid=N&gid=N).
"""

import os

from lab import wire
from lab.ganesha import Ganesha
from lab.rowan import Rowan
from lab.story import tell
from lab.wire import Wire, opaque, u32, u64

SERVICE = 1234  # a user who is nobody on this machine


def make_tree(story):
    tree = story.directory("tree")
    os.chmod(tree, 0o755)
    for name, mode, owner in (("public", 0o644, 0), ("secret", 0o600, 0), ("later", 0o644, 0),
                              ("service", 0o600, SERVICE)):
        path = os.path.join(tree, name)
        with open(path, "wb") as out:
            out.write(name.encode() * 5000)
        os.chmod(path, mode)
        os.chown(path, owner, owner)
    os.mkdir(os.path.join(tree, "closed"), 0o700)
    with open(os.path.join(tree, "closed", "inside"), "wb") as out:
        out.write(b"inside")
    return tree


class Client:
    """Root, on a machine that has mounted `appliance`."""

    def __init__(self, rowan, appliance):
        self.wire = Wire(rowan.port, timeout_s=60)
        self.status, self.root = self.wire.mount(f"/{appliance}")

    def handle(self, name):
        status, handle = self.wire.lookup(self.root, name)
        if status != wire.OK:
            raise ValueError(f"LOOKUP of {name} gave {status}")
        return handle

    def read(self, name, size=50000):
        """The status, or the bytes."""
        status, data = self.wire.read(self.handle(name), 0, size)
        return data if status == wire.OK else status

    def list(self, directory):
        """The status of the names behind "." and ".."."""
        start = self.wire.ask(wire.READDIR, opaque(directory) + bytes(16) + u32(4096))
        verifier = start.body[8 + 84:][:8]
        return self.wire.ask(wire.READDIR, opaque(directory) + u64(2) + verifier
                             + u32(4096)).status


def unreadable(story, client):
    story.equal("an appliance on it can be mounted", client.status, wire.OK)
    story.equal("what everybody may read is read", client.read(b"public"), b"public" * 5000)
    story.equal("a file of root's is ACCES", client.read(b"secret"), wire.ACCES)
    story.equal("again, and nothing of it is remembered as data", client.read(b"secret"),
                wire.ACCES)
    story.equal("a directory of root's is ACCES", client.list(client.handle(b"closed")),
                wire.ACCES)
    story.equal("and a name in it", client.wire.lookup(client.handle(b"closed"), b"inside")[0],
                wire.ACCES)


def redirected(story, client):
    secret = client.handle(b"secret")
    story.equal("it can be replaced", client.wire.ask(
        wire.SETATTR, opaque(secret) + u32(0, 0, 0, 1, 0, 0, 0, 0) + u32(0)).status, wire.OK)
    story.equal("and written", client.wire.ask(
        wire.WRITE, wire.write_arguments(secret, 0, b"mine" * 100)).status, wire.OK)
    story.equal("then it is read", client.read(b"secret"), b"mine" * 100)
    story.equal("new files are made beside it", client.wire.create(client.root, b"new"), wire.OK)


def as_service(story, rowan, origin, tree):
    rowan.command("create", "as-service", origin.url(tree) + f"&uid={SERVICE}&gid={SERVICE}")
    client = Client(rowan, "as-service")
    story.equal("as the user of ?uid=&gid= that user's files are read", client.read(b"service"),
                b"service" * 5000)
    story.equal("and not root's", client.read(b"secret"), wire.ACCES)
    return client


def run(story):
    tree = make_tree(story)
    origin = Ganesha(story, [tree], squash="Root_Squash")
    rowan = Rowan(story)
    rowan.command("create", "vm", origin.url(tree))
    client = Client(rowan, "vm")
    unreadable(story, client)
    story.equal("a user's own file is ACCES as well", client.read(b"service"), wire.ACCES)
    redirected(story, client)
    service = as_service(story, rowan, origin, tree)
    origin.stop()
    for name, expected in ((b"public", b"public" * 5000), (b"secret", b"mine" * 100)):
        story.equal(f"with the server gone {name.decode()} is served", client.read(name), expected)
    story.equal("to the other appliance, too", service.read(b"service"), b"service" * 5000)
    origin.start()
    story.equal("with the server back the rest is read", client.read(b"later"), b"later" * 5000)
    rowan.stop()


if __name__ == "__main__":
    tell(run, tools=["ganesha.nfsd", "rpcbind"])
