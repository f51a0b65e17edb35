"""The image server of these stories cannot touch the machine that runs them.

nfs-ganesha resolves a name with slashes like any path of the system, and its handles open any file
of the same file system. The export lies on the file system of its victims here, the worst case.
"""

import os
import subprocess

from lab import wire
from lab.ganesha import Ganesha, bench
from lab.story import tell
from lab.wire import Wire, opaque, u32


class Outside:
    """A directory beside the export, and how a name may lead there from the export's root."""

    def __init__(self, story):
        self.path = story.directory("outside")
        self.victim = os.path.join(self.path, "victim")
        with open(self.victim, "w", encoding="utf-8") as out:
            out.write("untouched")
        os.chmod(self.victim, 0o640)
        self.before = self.state()

    def state(self):
        with open(self.victim, encoding="utf-8") as file:
            return sorted(os.listdir(self.path)), os.stat(self.victim).st_mode, file.read()

    def ways(self, name):
        path = os.path.join(self.path, name)
        return [path.encode(), b"../outside/" + name.encode(),
                b"/proc/self/root" + path.encode(), b"/proc/1/root" + path.encode()]


def attack(client, root, outside):
    """Every procedure that changes something, by names that lead outside; the statuses."""
    to_create = [opaque(root) + opaque(name) for name in outside.ways("new")]
    to_change = [opaque(root) + opaque(name) for name in outside.ways("victim")]
    for where in to_create:
        yield client.ask(wire.CREATE, where + u32(0) + wire.mode(0o644)).status
        yield client.ask(wire.MKDIR, where + wire.mode(0o755)).status
        yield client.ask(wire.SYMLINK, where + wire.mode(0o777) + opaque(b"target")).status
        yield client.ask(wire.MKNOD, where + u32(7) + wire.mode(0o600)).status
        yield client.ask(wire.RENAME, opaque(root) + opaque(b"own") + where).status
    for where, name in zip(to_change, outside.ways("victim")):
        yield client.ask(wire.CREATE, where + u32(0) + wire.mode(0o600)).status
        status, handle = client.lookup(root, name)
        if status == wire.OK:
            yield client.ask(wire.WRITE, wire.write_arguments(handle, 0, b"changed")).status
            yield client.ask(wire.SETATTR, opaque(handle) + wire.mode(0o777) + u32(0)).status
        yield client.ask(wire.RENAME, where + opaque(root) + opaque(b"stolen")).status
        yield client.ask(wire.REMOVE, where).status


def server_is_harmless(story):
    export, outside = story.directory("export"), Outside(story)
    server = Ganesha(story, [export], access="RW")
    with Wire(server.mount_port) as mounts, Wire(server.port) as client:
        root = mounts.mount(export)[1]
        story.equal("the export may be written", client.create(root, b"own"), wire.OK)
        handle = client.lookup(root, b"own")[1]
        story.equal("files in it as well",
                    client.ask(wire.WRITE, wire.write_arguments(handle, 0, b"x")).status, wire.OK)
        statuses = set(attack(client, root, outside))
    story.check("no name that leads outside is obeyed", wire.OK not in statuses, str(statuses))
    story.equal("nothing outside the export has changed", outside.state(), outside.before)
    story.equal("the export holds what was written", sorted(os.listdir(export)), ["own"])
    server.stop()


def confined(*arguments):
    done = subprocess.run([bench(), "confine", *arguments], capture_output=True, text=True,
                          timeout=20, check=False)
    return done.returncode, done.stdout, done.stderr


def command_is_clear(story):
    own, other = story.directory("own"), story.directory("other")
    script = f"echo in > {own}/file; echo out > {other}/file"
    status, _, err = confined("--writable", own, "--", "sh", "-c", script)
    story.check("a confined shell fails outside its directory",
                status != 0 and "Read-only file system" in err, err)
    story.equal("and can write in it", (os.listdir(own), os.listdir(other)), (["file"], []))
    status, out, _ = confined("--readable", own, "--", "sh", "-c",
                              f"cat {own}/file; rm {own}/file; ls /proc")
    story.equal("what is readable is not removed, and /proc shows no process",
                (status, out, os.listdir(own)), (0, "in\nself\n", ["file"]))
    for arguments, wanted in ((["--writable", "relative", "--", "true"], "relative"),
                              (["--readable", own + "/none", "--", "true"], own + "/none"),
                              (["--", "no-such-program"], "no-such-program")):
        status, _, err = confined(*arguments)
        story.check("an error names its object", status in (1, 2) and wanted in err, err.strip())
    unprivileged = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", bench(), "confine", "--", "true"],
        capture_output=True, text=True, timeout=20, check=False)
    story.check("without root it says that it needs it", unprivileged.returncode == 1
                and "root" in unprivileged.stderr, unprivileged.stderr.strip())


def run(story):
    command_is_clear(story)
    server_is_harmless(story)


if __name__ == "__main__":
    tell(run, tools=["ganesha.nfsd", "rpcbind", "setpriv"])
