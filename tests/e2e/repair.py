"""A damaged store is repaired, with a daemon and without one: it opens again, what is lost is
listed by path and is an error to read, everything else is as it was, in every checkpoint."""

import os

from lab.nfs import Mount, status_of
from lab.rowan import Rowan
from lab.story import tell

SIZE = 300_000


def content(letter):
    return letter * SIZE


def damage(state, text):
    """Changes one byte wherever a segment has the text; gives how often."""
    count = 0
    for folder, _, names in os.walk(os.path.join(state, "stores")):
        for name in names:
            if not name.startswith("segment-"):
                continue
            with open(os.path.join(folder, name), "r+b") as file:
                at = file.read().find(text)
                if at >= 0:
                    file.seek(at)
                    file.write(b"?")
                    count += 1
    return count


def lose_superblocks(state):
    for folder, _, names in os.walk(os.path.join(state, "stores")):
        if "superblock" in names:
            path = os.path.join(folder, "superblock")
            with open(path, "r+b") as file:
                file.write(bytes(os.path.getsize(path)))


def read_or_error(mount, path):
    try:
        return mount.read(path)
    except OSError as error:
        return status_of(error)


def make(rowan, name, image):
    rowan.command("create", name, image)
    mount = Mount(rowan.url(name))
    mount.mkdir("/dir")
    mount.write("/dir/first", content(b"1"))
    mount.write("/dir/second", content(b"2"))
    rowan.command("checkpoint", name, "before")
    mount.write("/dir/second", content(b"3"))
    mount.close()


def check_repaired(story, rowan, name, when):
    mount = Mount(rowan.url(name))
    story.equal(f"{when}: what was not damaged is as it was", mount.read("/dir/first"),
                content(b"1"))
    lost = read_or_error(mount, "/dir/second")
    story.equal(f"{when}: what is lost is an error, not other bytes", lost, "NFS3ERR_IO")
    mount.write("/dir/second", content(b"4"))
    story.equal(f"{when}: it can be written anew", mount.read("/dir/second"), content(b"4"))
    old = Mount(rowan.url(f"{name}@before"))
    story.equal(f"{when}: the checkpoint is whole", old.read("/dir/second"), content(b"2"))
    old.close()
    mount.close()
    story.equal(f"{when}: the checker finds what was rewritten sound",
                rowan.attempt("check", name)[0], 0)


def run(story):
    image = story.directory("image")
    with open(os.path.join(image, "file"), "wb") as out:
        out.write(b"image")
    rowan = Rowan(story)
    make(rowan, "served", image)
    story.equal("the file is damaged on disk", damage(rowan.state, b"3" * 64), 1)
    status, out, _ = rowan.attempt("check", "served")
    story.check("check names it by path", status == 1 and "/dir/second: bytes" in out, out)
    done = rowan.json("check", "served", "--repair")
    story.equal("repair lists by path what is lost", done["lost"],
                ["/dir/second: bytes 0 to 4096 are lost"])
    check_repaired(story, rowan, "served", "served")

    rowan.command("remove", "served", "--force")
    make(rowan, "closed", image)
    rowan.stop()
    damage(rowan.state, b"3" * 64)
    status, out, err = rowan.attempt("check", "closed", "--repair")
    story.check("without a daemon as well", status == 0 and "lost: /dir/second: bytes" in out,
                out + err)
    rowan.start()
    check_repaired(story, rowan, "closed", "closed")
    story.equal("a sound store is left alone", rowan.json("check", "closed", "--repair")["lost"],
                [])
    status, _, err = rowan.attempt("check", "--repair")
    story.check("repair wants a name", status == 2 and "name it" in err, err)

    rowan.stop()
    lose_superblocks(rowan.state)
    status, _, err = rowan.attempt("check", "closed", "--repair")
    story.check("what cannot be repaired is refused, and says what remains to be done",
                status == 1 and "backup" in err, f"{status} {err}")


if __name__ == "__main__":
    tell(run)
