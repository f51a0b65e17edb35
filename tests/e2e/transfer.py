"""An appliance goes to another host and back, whole and in increments; handles stay good."""

import os
import pty
import subprocess

from lab import transfer
from lab.ganesha import Ganesha
from lab.rowan import Rowan, binary
from lab.story import tell
from lab.wire import OK, STALE, Wire

SIZE = 3 << 20
CHUNK = 64 << 10


def make_tree(story):
    tree = story.directory("tree")
    os.makedirs(os.path.join(tree, "usr", "bin"))
    for name in ("seen", "unseen", "linked"):
        with open(os.path.join(tree, "usr", "bin", name), "wb") as out:
            out.write(name.encode() * 3000)
    # Two names: each host may see another one of them first.
    os.link(os.path.join(tree, "usr", "bin", "linked"), os.path.join(tree, "usr", "also-linked"))
    return tree


def fill(client, directory, name, letter, size=SIZE):
    """A file of some megabytes; its handle."""
    if client.create(directory, name) != OK:
        raise ValueError(f"no file {name}")
    handle = client.lookup(directory, name)[1]
    for offset in range(0, size, CHUNK):
        if client.write(handle, offset, letter * CHUNK) != OK:
            raise ValueError(f"cannot write {name}")
    return handle


def whole(client, handle):
    data, size = b"", client.size(handle)
    while len(data) < size:
        status, part = client.read(handle, len(data), CHUNK)
        if status != OK or not part:
            raise ValueError(f"read at {len(data)} gives {status}")
        data += part
    return data


def run(story):
    tree = make_tree(story)
    origin = Ganesha(story, [tree])
    one = Rowan(story, name="one")
    two = Rowan(story, name="two", port=2050)
    one.command("image", "add", "image", origin.url(tree))
    one.command("create", "vm", "--image", "image")

    with Wire(one.port) as client:
        root = client.mount("/vm")[1]
        usr = client.lookup(root, b"usr")[1]
        directory = client.lookup(usr, b"bin")[1]
        linked = client.lookup(directory, b"linked")[1]
        handles = {"seen": client.lookup(directory, b"seen")[1], "linked": linked}
        handles["own"] = fill(client, root, b"own", b"a")
        if client.write(linked, 0, b"changed") != OK:
            raise ValueError("cannot change an image file")
        content = {name: whole(client, handle) for name, handle in handles.items()}
    first = transfer.pipe(one, "vm", two, "vm")
    story.check("an appliance goes to another host; the image is added there by itself", True)
    goes_on(story, two, handles, content, directory)
    base = increments(story, one, two, root, handles, first)
    comes_back(story, one, two, handles, base)
    cut_and_killed(story, one, two)
    damaged(story, one, two)
    refusals(story, one, two)
    offline(story, one, two)
    for rowan in (one, two):
        story.equal(f"the stores of host {rowan.name} pass the checker",
                    rowan.attempt("check")[0], 0)


def goes_on(story, two, handles, content, directory):
    """The client is led to the other host, without a mount."""
    with Wire(two.port) as client:
        for name, handle in handles.items():
            story.equal(f"the handle of '{name}' works there and shows the same",
                        whole(client, handle), content[name])
        status, unseen = client.lookup(directory, b"unseen")
        story.equal("so does a directory's, also for what was never read before",
                    (status, status == OK and client.read(unseen, 0, 6)), (OK, (OK, b"unseen")))


def increments(story, one, two, root, handles, first):
    with Wire(one.port) as client:
        story.equal("the first host goes on", client.write(handles["own"], 5, b"more"), OK)
        client.create(root, b"later")
        later = client.lookup(root, b"later")[1]
        client.write(later, 0, b"later")
    stream, said = transfer.send(one, "vm", "--since", first)
    story.check("an increment is small", len(stream) < 20000, f"{len(stream)} bytes")
    status, out, err = transfer.receive(two, "vm", stream)
    story.check("the increment is received", status == 0, out + err)
    with Wire(two.port) as client:
        story.equal("what came later is there", whole(client, later), b"later")
        story.equal("and what changed", client.read(handles["own"], 4, 6), (OK, b"amorea"))
    story.check("the same increment again is refused: it is there",
                "already" in transfer.receive(two, "vm", stream)[2])
    return transfer.sent_checkpoint(said)


def comes_back(story, one, two, handles, base):
    """The client works at the second host; then the appliance goes back to the first."""
    with Wire(two.port) as client:
        client.write(handles["own"], 0, b"two")
    with Wire(one.port) as client:
        client.write(handles["own"], 0, b"one")
    stream, _ = transfer.send(two, "vm", "--since", base)
    status, out, err = transfer.receive(one, "vm", stream)
    story.check("an increment for an appliance that has changed, or is mounted, is refused",
                status == 1 and "--force" in err, out + err)
    status, out, err = transfer.receive(one, "vm", stream, "--force")
    story.check("with --force it is received, and what was there is kept",
                status == 0 and "is kept as vm@" in out, out + err)
    with Wire(one.port) as client:
        story.equal("the handle shows the other host's write, in the place of the own one",
                    client.read(handles["own"], 0, 4), (OK, b"twoa"))


def cut_and_killed(story, one, two):
    one.command("create", "vm2", "--image", "image")
    with Wire(one.port) as client:
        root = client.mount("/vm2")[1]
        for number in range(4):
            noise = os.urandom(CHUNK)
            handle = fill(client, root, b"big%d" % number, b"x", CHUNK)
            for offset in range(0, 2 << 20, CHUNK):
                client.write(handle, offset, noise)
    stream, _ = transfer.send(one, "vm2")
    status, _, err = transfer.receive(two, "vm2", stream[:len(stream) // 2])
    story.check("a stream that ends in the middle is an error that says so",
                status == 1 and "in the middle" in err, err)
    again = f"'rowan send vm2@{first_of(one, 'vm2')}'"
    story.check("and with what it goes on", f"same stream again ({again})" in err, err)
    story.equal("nothing half-made shows", two.attempt("show", "vm2")[0], 1)
    status, _, err = transfer.receive(two, "vm2", stream[:len(stream) * 3 // 4])
    story.check("the next attempt goes on where it was", "going on" in err, err)
    two.restart(crash=True)
    status, _, err = transfer.receive(two, "vm2", stream)
    story.check("so does one after the daemon was killed, to the end",
                status == 0 and "going on" in err, err)
    with Wire(two.port) as client:
        story.equal("all of it is there", whole(client, handle), noise * 32)

    status, _, err = transfer.receive(two, "vm3", stream[:len(stream) // 2], "--new-identity")
    story.check("another half", status == 1, err)
    half = two.json("list")["receives"]
    story.check("what is half received is listed", len(half) == 1 and half[0]["name"] == "vm3"
                and half[0]["received_bytes"] > 0, str(half))
    story.check("with the remedy", "rowan receive NAME --abort" in two.command("list"))
    two.command("receive", "vm3", "--abort")
    story.equal("and no longer", two.json("list")["receives"], [])
    story.equal("a half-received one can be dropped",
                two.attempt("receive", "vm3", "--abort")[0], 1)
    status, _, err = transfer.receive(two, "vm3", stream)
    story.check("its identity is here already: refused", status == 1 and "identity" in err, err)
    status, _, err = transfer.receive(two, "vm3", stream, "--new-identity")
    story.check("unless it shall be another one", status == 0, err)
    with Wire(two.port) as client:
        other = client.mount("/vm3")[1]
        story.check("then it has other handles", client.lookup(other, b"big0")[1] != handle)


def damaged(story, one, two):
    stream, _ = transfer.send(one, "vm2")
    for at in (3, 20, 60, len(stream) // 2, len(stream) - 3):
        bad = bytearray(stream)
        bad[at] ^= 4
        status, _, err = transfer.receive(two, "vm4", bytes(bad), "--new-identity")
        story.check(f"a stream damaged at byte {at} is refused with the place",
                    status == 1 and "damaged at byte" in err or "ends at byte" in err, err)
    two.attempt("receive", "vm4", "--abort")
    story.equal("and nothing came of it", two.attempt("show", "vm4")[0], 1)


def refusals(story, one, two):
    with subprocess.Popen([binary(), "send", "vm2", "--state", one.state], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as sender:
        sender.stdout.read(1000)
        sender.stdout.close()
        said = sender.stderr.read().decode()
        story.check("a reader that goes away is an error of the sender, not a signal",
                    sender.wait(60) == 1 and "went away" in said, said)
    primary, secondary = pty.openpty()
    done = subprocess.run([binary(), "send", "vm2", "--state", one.state], stdout=secondary,
                          stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(primary)
    os.close(secondary)
    story.check("a stream is not written to a terminal",
                done.returncode == 2 and b"terminal" in done.stderr, done.stderr.decode())
    status, _, err = transfer.receive(two, "vm5", b"not a stream at all, but long enough")
    story.check("what is no stream is refused", status == 1 and "not what" in err, err)
    stream, _ = transfer.send(one, "vm2@" + first_of(one, "vm2"))
    increment, _ = transfer.send(one, "vm2", "--since", first_of(one, "vm2"))
    status, _, err = transfer.receive(two, "vm5", increment, "--new-identity")
    story.check("an increment without its base is refused",
                status == 1 and "send it whole" in err, err)
    story.check("a checkpoint is sent by its name", len(stream) > len(increment))


def first_of(rowan, name):
    return rowan.json("log", name)["checkpoints"][-1]["name"]


def offline(story, one, two):
    """Both daemons are stopped: the commands work on the directories themselves."""
    one.stop()
    two.stop()
    stream, _ = transfer.send(one, "vm2")
    status, _, err = transfer.receive(two, "vm6", stream, "--new-identity")
    story.check("without daemons it works as well", status == 0, err)
    two.start()
    with Wire(two.port) as client:
        root = client.mount("/vm6")[1]
        status, handle = client.lookup(root, b"big3")
        story.equal("and is served later", (status, len(whole(client, handle))), (OK, 2 << 20))
        story.equal("handles of a removed appliance are stale", stale_after_removal(two, client,
                                                                                  handle), STALE)
    two.stop()


def stale_after_removal(two, client, handle):
    two.command("remove", "vm6", "--force")
    return client.read(handle, 0, 10)[0]


if __name__ == "__main__":
    tell(run, tools=["ganesha.nfsd", "rpcbind"])
