"""Checkpoints of a running appliance: made under load and under kills, mounted, gone back to,
cloned and removed; each shows one moment, whatever happens to the others."""

import os
import random
import sys

from lab.child import wait_until
from lab.nfs import Mount
from lab.rowan import Rowan
from lab.story import tell

PAIRS = 40


def write_pairs(url):
    """The load, for ever: two files are renamed to the same number, first one, then the other. At
    any moment they differ by at most one, and the first is never behind."""
    mount = Mount(url)
    mount.write("/first-0", b"0")
    mount.write("/second-0", b"0")
    for number in range(100000):
        mount.rename(f"/first-{number}", f"/first-{number + 1}")
        mount.rename(f"/second-{number}", f"/second-{number + 1}")
        print(number + 1, flush=True)


def numbers(mount):
    """(first, second) as the names in a root say."""
    found = {}
    for name in mount.names("/"):
        what, _, number = name.partition("-")
        if what in ("first", "second"):
            found.setdefault(what, []).append(int(number))
    return found.get("first", []), found.get("second", [])


def one_moment(mount):
    first, second = numbers(mount)
    return len(first) == len(second) == 1 and second[0] <= first[0] <= second[0] + 1


def last_number(log):
    with open(log, encoding="utf-8") as lines:
        said = [line for line in lines if line.endswith("\n")]
    return int(said[-1]) if said else 0


def under_load(story, rowan):
    """Checkpoints while a client writes; gives their names and what each must at least have."""
    log = os.path.join(story.directory("said"), "pairs")
    writer = story.start("writer", [sys.executable, os.path.abspath(__file__), "--write",
                                    rowan.url("vm")], log_path=log)
    wait_until(lambda: last_number(log) > 10, 30, "the load to begin")
    made = {}
    for index in range(PAIRS):
        before = last_number(log)
        rowan.command("checkpoint", "vm", f"c{index}", "--message", f"after {before}")
        made[f"c{index}"] = before
    writer.kill()
    return made


def check_moments(story, rowan, made, when):
    wrong, behind = [], []
    for name, before in made.items():
        mount = Mount(rowan.url(f"vm@{name}"))
        if not one_moment(mount):
            wrong.append((name, numbers(mount)))
        elif numbers(mount)[1][0] < before:
            behind.append(name)
        mount.close()
    story.equal(f"{when}: each checkpoint shows one moment of the load", wrong, [])
    story.equal(f"{when}: none is from before it was asked for", behind, [])


def states_of(rowan, name="vm"):
    return [entry["name"] for entry in rowan.json("log", name)["checkpoints"]]


def back_and_forth(story, rowan):
    mount = Mount(rowan.url("vm"))
    mount.write("/kept", b"as it was")
    rowan.command("checkpoint", "vm", "good")
    mount.write("/kept", b"IT IS NOT")
    mount.write("/made-since", b"x")
    status, _, err = rowan.attempt("rollback", "vm@good")
    story.check("a mounted appliance is not rolled back unasked", status == 1 and "--force" in err,
                err.strip())
    done = rowan.json("rollback", "vm@good", "--force")
    story.equal("after the rollback the file is as it was", mount.read("/kept"), b"as it was")
    story.check("what was made since is gone", "made-since" not in mount.names("/"))
    left = done["kept"]["name"]
    old = Mount(rowan.url(f"vm@{left}"))
    story.equal("what the rollback left is kept", old.read("/kept"), b"IT IS NOT")
    old.close()
    try:
        mount.write("/kept", b"on we go.")
    finally:
        mount.close()


def clones(story, rowan):
    rowan.command("clone", "vm@good", "twin")
    rowan.command("clone", "vm", "later")
    twin, later = Mount(rowan.url("twin")), Mount(rowan.url("later"))
    twin.write("/kept", b"of twin..")
    story.equal("a clone of the running state has its content", later.read("/kept"), b"on we go.")
    rowan.command("remove", "vm", "--force")
    story.equal("a clone goes on without its origin", twin.read("/kept"), b"of twin..")
    story.equal("so does the other", later.read("/kept"), b"on we go.")
    rowan.command("remove", "twin", "--force")
    rowan.kill()
    rowan.start()
    story.equal("and the last one after a crash", Mount(rowan.url("later")).read("/kept"),
                b"on we go.")
    status, _, err = rowan.attempt("log", "vm")
    story.check("the removed one is gone", status == 1 and "no appliance 'vm'" in err, err.strip())


def disk_bytes(path):
    return sum(os.lstat(os.path.join(folder, name)).st_blocks * 512
               for folder, _, names in os.walk(path) for name in names)


def space_comes_back(story, rowan):
    stores = os.path.join(rowan.state, "stores")
    mount = Mount(rowan.url("later"))
    base = disk_bytes(stores)
    mount.write("/big", os.urandom(32 << 20))
    rowan.command("checkpoint", "later", "with-big")
    mount.unlink("/big")
    held = disk_bytes(stores)
    story.check("a checkpoint holds what it shows", held > base + (30 << 20),
                f"{(held - base) >> 20} MiB")
    big = Mount(rowan.url("later@with-big"))
    story.equal("a removed file is there in the checkpoint", big.stat("/big").size, 32 << 20)
    big.close()
    rowan.command("remove", "later@with-big", "--force")
    wait_until(lambda: disk_bytes(stores) < held - (30 << 20), 60, "its space to come back")
    story.check("its space is back on the host's disk once it is removed", True)
    mount.close()


def schedule(story, rowan):
    rowan.command("checkpoint", "later", "--every", "10s", "--keep", "2")
    wait_until(lambda: len(states_of(rowan, "later")) > 0, 30, "a scheduled checkpoint")
    entry = rowan.json("log", "later")["checkpoints"][0]
    story.equal("a schedule makes checkpoints by itself", entry["reason"], "schedule")
    rowan.command("checkpoint", "later", "--every", "off")
    story.equal("and can be ended", rowan.json("show", "later")["every"], "off")


def run(story):
    image = story.directory("image")
    with open(os.path.join(image, "file"), "wb") as out:
        out.write(b"image")
    rowan = Rowan(story)
    rowan.command("create", "vm", image)
    made = under_load(story, rowan)
    check_moments(story, rowan, made, "while they are fresh")
    rowan.kill()
    rowan.start()
    check_moments(story, rowan, made, "after a kill")
    random.seed(1)
    for name in random.sample(sorted(made), PAIRS // 2):
        rowan.command("remove", f"vm@{name}", "--force")
        del made[name]
    check_moments(story, rowan, made, "after half of them were removed")
    story.equal("log lists the others", sorted(states_of(rowan)), sorted(made))
    back_and_forth(story, rowan)
    clones(story, rowan)
    space_comes_back(story, rowan)
    schedule(story, rowan)
    rowan.stop()
    rowan.command("check", "later")
    story.check("the store passes the checker", True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write_pairs(*sys.argv[2:])
    else:
        tell(run)
