"""An image that changes under a running appliance: a frozen view or a loud error, no mixture."""

import os

from lab.ganesha import Ganesha
from lab.nfs import Mount, status_of
from lab.rowan import Rowan
from lab.story import tell

SIZE = 4 << 20


def content(seed):
    return b"".join(b"%08d%c" % (number, seed) for number in range(SIZE // 9 + 1))[:SIZE]


def error_of(call):
    try:
        call()
    except OSError as error:
        return status_of(error)
    return "no error"


def right_or_error(mount, path, whole):
    try:
        return mount.read(path, 2 << 20, 64 << 10) == whole[2 << 20:][:64 << 10]
    except OSError:
        return True


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
        story.equal(f"{kind}, {life}: new bytes of the changed file are refused",
                    error_of(lambda: mount.read("/changing", 2 << 20, 64 << 10)), "NFS3ERR_IO")
        story.equal(f"{kind}, {life}: what was cached of a deleted file is served",
                    mount.read("/deleted", 0, 64 << 10), content(ord("d"))[:64 << 10])
        # A server that still has the file open may go on serving it.
        story.check(f"{kind}, {life}: the rest of a deleted file is an error or its own bytes",
                    right_or_error(mount, "/deleted", content(ord("d"))))
        story.equal(f"{kind}, {life}: a file that did not change is read on",
                    mount.read("/steady", 2 << 20, 64 << 10),
                    content(ord("s"))[2 << 20:][:64 << 10])
        # The list holds what this life of the daemon has found; the log and the refusal go on.
        drifted = [path for image in rowan.json("status")["images"] if image["name"] == kind
                   for path in image["versions"][0]["drifted"]]
        if life == "same life":
            story.check(f"{kind}: status names the changed file", "/changing" in drifted,
                        str(drifted))
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
