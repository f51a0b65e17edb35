"""An image that changes under a running appliance: a frozen view or a loud error, no mixture."""

import errno
import os

from lab.ganesha import Ganesha
from lab.nfs import Mount
from lab.rowan import Rowan
from lab.story import tell

SIZE = 4 << 20


def content(seed):
    return b"".join(b"%08d%c" % (number, seed) for number in range(SIZE // 9 + 1))[:SIZE]


def errno_of(call):
    try:
        call()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "no error"


def make_tree(story, name):
    tree = story.directory(name)
    for file in ("changing", "deleted", "steady"):
        with open(os.path.join(tree, file), "wb") as out:
            out.write(content(ord(file[0])))
    return tree


def change(tree):
    """Same size, other bytes, other time; one file gone."""
    path = os.path.join(tree, "changing")
    with open(path, "r+b") as out:
        out.write(content(ord("X")))
    os.utime(path, (1, 1))
    os.unlink(os.path.join(tree, "deleted"))


def watch(story, rowan, kind, tree):
    mount = Mount(rowan.url(kind))
    for file in ("changing", "deleted", "steady"):
        story.equal(f"{kind}: the start of {file} is the image's",
                    mount.read(f"/{file}", 0, 64 << 10), content(ord(file[0]))[:64 << 10])
    change(tree)
    for life in ("same life", "after a restart"):
        story.equal(f"{kind}, {life}: cached bytes are the old ones",
                    mount.read("/changing", 0, 64 << 10), content(ord("c"))[:64 << 10])
        story.equal(f"{kind}, {life}: new bytes of the changed file are refused", "EIO",
                    errno_of(lambda: mount.read("/changing", 2 << 20, 64 << 10)))
        story.equal(f"{kind}, {life}: what was cached of a deleted file is served",
                    mount.read("/deleted", 0, 64 << 10), content(ord("d"))[:64 << 10])
        story.check(f"{kind}, {life}: the rest of a deleted file is an error",
                    errno_of(lambda: mount.read("/deleted", 2 << 20, 64 << 10)) != "no error")
        story.equal(f"{kind}, {life}: a file that did not change is read on",
                    mount.read("/steady", 2 << 20, 64 << 10),
                    content(ord("s"))[2 << 20:][:64 << 10])
        report = rowan.command("status", "--json")
        story.check(f"{kind}, {life}: status names the changed file", "changing" in report)
        mount.close()
        rowan.restart(crash=False)
        mount = Mount(rowan.url(kind))
    mount.close()


def run(story):
    exported, local = make_tree(story, "exported"), make_tree(story, "local")
    # The server must not answer from its own memory of what the files were.
    origin = Ganesha(story, [exported], attribute_seconds=0)
    rowan = Rowan(story)
    for kind, source in (("nfs", origin.url(exported)), ("directory", local)):
        rowan.command("image", "add", kind, source)
        rowan.command("create", kind, "--image", kind)
    watch(story, rowan, "nfs", exported)
    watch(story, rowan, "directory", local)


if __name__ == "__main__":
    tell(run, tools=["ganesha.nfsd", "rpcbind"])
