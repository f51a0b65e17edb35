"""kill -9 at random moments under load: what was acknowledged as stable is there, each time."""

import hashlib
import os
import random
import subprocess
import sys
import time

from lab import wire
from lab.nfs import Mount
from lab.rowan import Rowan, binary
from lab.story import tell
from lab.wire import Wire, opaque, u32, u64

ROUNDS = 8


def content(name):
    """Bytes that follow from the name, so that the reader needs no list of them."""
    seed = hashlib.blake2b(name.encode()).digest()
    return seed * (1 + sum(seed) % 1500)  # up to 96 KB


def write_for_ever(url, prefix):
    """The load, a process of its own (libnfs spins when its server dies). Says what it is about to
    do, and after each reply that it is done."""
    mount = Mount(url)

    def act(what, call, *arguments):
        print(f"try {what} {arguments[0]}", flush=True)
        call(*arguments)
        print("done", flush=True)

    act("mkdir", mount.mkdir, f"/{prefix}")
    for number in range(100000):
        name = f"/{prefix}/{number}"
        act("write", mount.write, name, content(name))
        if number % 3 == 1:
            act("rename", mount.rename, name, name + ".renamed")
        if number % 5 == 4 and number % 3 != 0:
            act("unlink", mount.unlink, f"/{prefix}/{number - 1}" +
                (".renamed" if number % 3 == 2 else ""))


def expected(lines):
    """What acknowledged calls left behind: ({path: the name its content follows from}, doubtful).

    Only the call in flight when the proxy died may have been done or not."""
    files, doubtful = {}, set()
    for line, reply in zip(lines, [*lines[1:], ""]):
        if line == "done":
            continue
        _, what, path = line.split()
        paths = {path, path + ".renamed"} if what == "rename" else {path}
        if reply != "done":
            doubtful = paths
        elif what == "write":
            files[path] = path
        elif what == "rename":
            files[path + ".renamed"] = files.pop(path)
        elif what == "unlink":
            del files[path]
    return files, doubtful


def load_until_killed(story, rowan, number, wait_s):
    """What a writer said whose proxy is killed after `wait_s` seconds."""
    log = os.path.join(story.directory("acknowledged"), str(number))
    writer = story.start(f"writer-{number}", [
        sys.executable, os.path.abspath(__file__), "--write", rowan.url("vm"), f"round-{number}"],
        log_path=log)
    time.sleep(wait_s)
    rowan.kill()
    writer.kill()
    with open(log, encoding="utf-8") as lines:
        return [line.strip() for line in lines if line.startswith(("try ", "done"))]


def verify(story, mount, lines, when):
    if lines[1:2] != ["done"]:
        return 0  # killed before there was a directory
    files, doubtful = expected(lines)
    prefix = lines[0].split()[2]
    present = {f"{prefix}/{name}" for name in mount.names(prefix)}
    lost = sorted(set(files) - present - doubtful)
    extra = sorted(present - set(files) - doubtful)
    wrong = [path for path, name in files.items()
             if path in present and mount.read(path) != content(name)]
    story.equal(f"{when}: nothing acknowledged is lost, returned or changed", (lost, extra, wrong),
                ([], [], []))
    return len(files)


def verifier_of(story, reply):
    """Of a WRITE or COMMIT: the last words of its reply."""
    if reply.status != wire.OK:
        story.equal("an UNSTABLE WRITE and its COMMIT succeed", reply.status, wire.OK)
    return reply.body[-8:]


def verifiers(story, rowan):
    """The write verifier (RFC 1813, 3.3.7): one for a life, another after a kill."""
    seen = set()
    for life in range(3):
        with Wire(rowan.port) as client:
            root = client.mount("/vm")[1]
            name = b"unstable-%d" % life
            client.create(root, name)
            file = client.lookup(root, name)[1]
            commit = opaque(file) + u64(0) + u32(0)
            same = {verifier_of(story, client.ask(procedure, arguments))
                    for procedure, arguments in (
                        (wire.WRITE, wire.write_arguments(file, 0, b"committed", stable=0)),
                        (wire.COMMIT, commit),
                        (wire.WRITE, wire.write_arguments(file, 9, b" not", stable=0)))}
        story.equal(f"life {life}: WRITE and COMMIT tell the same verifier", len(same), 1)
        story.check(f"life {life}: no earlier life told it", same.isdisjoint(seen))
        seen |= same
        rowan.restart(crash=True)
    with Wire(rowan.port) as client:
        root = client.mount("/vm")[1]
        kept = [client.read(client.lookup(root, b"unstable-%d" % life)[1], 0, 9)
                for life in range(3)]
    story.equal("what was committed is there", kept, [(wire.OK, b"committed")] * 3)


def other_name_and_address(story, rowan):
    """The host is renamed and has another address: handles hold neither, and stay good."""
    with Wire(rowan.port) as client:
        root = client.mount("/vm")[1]
        client.create(root, b"kept")
        file = client.lookup(root, b"kept")[1]
        write = wire.write_arguments(file, 0, b"before", stable=0)
        before = verifier_of(story, client.ask(wire.WRITE, write))
        client.ask(wire.COMMIT, opaque(file) + u64(0) + u32(0))
    rowan.stop()
    rowan.listen = "127.0.0.2"
    rowan.prefix = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"]
    rowan.start()
    story.check("the proxy runs on a host of another name", has_own_host_name(rowan))
    with Wire(rowan.port, host="127.0.0.2") as client:
        story.equal("a handle from before reads the file", client.read(file, 0, 6),
                    (wire.OK, b"before"))
        after = verifier_of(story, client.ask(wire.WRITE, write))
        story.check("and the write verifier is another", after != before)
    rowan.stop()
    rowan.listen, rowan.prefix = "127.0.0.1", []
    rowan.start()


def has_own_host_name(rowan):
    """Is the proxy's UTS namespace one of its own?"""
    own = os.stat("/proc/self/ns/uts").st_ino
    return os.stat(f"/proc/{rowan.child.process.pid}/ns/uts").st_ino != own


def run(story):
    image = story.directory("image")
    with open(os.path.join(image, "file"), "wb") as out:
        out.write(b"image")
    rowan = Rowan(story)
    rowan.command("create", "vm", image)

    status, _, err = refused_second(rowan)
    story.check("a second daemon on the same state is refused at once", status == 1, err.strip())
    story.check("the first one does not mind", rowan.attempt("status")[0] == 0)

    verifiers(story, rowan)
    other_name_and_address(story, rowan)
    seed = int(os.environ.get("ROWAN_SEED", time.time_ns() % 100000))
    story.note(f"ROWAN_SEED={seed}")
    moments = random.Random(seed)
    rounds, checked = [], 0
    for number in range(ROUNDS):
        rounds.append(load_until_killed(story, rowan, number, moments.uniform(0.2, 1.5)))
        started = time.monotonic()
        rowan.start()
        took = time.monotonic() - started
        mount = Mount(rowan.url("vm"))
        checked += verify(story, mount, rounds[-1], f"kill {number + 1}, back in {took:.2f} s")
        mount.close()
    story.check("the load was one", checked > ROUNDS, f"{checked} files were compared")
    mount = Mount(rowan.url("vm"))
    for number, lines in enumerate(rounds):
        verify(story, mount, lines, f"after all kills, round {number + 1}")
    story.equal("the image is served", mount.read("/file"), b"image")
    mount.close()
    rowan.stop()
    rowan.command("check", "vm")
    story.check("the store passes the checker", True)


def refused_second(rowan):
    done = subprocess.run([binary(), "serve", "--listen", "127.0.0.1:0", "--state", rowan.state],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=10,
                          check=False)
    return done.returncode, done.stdout, done.stderr


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write_for_ever(*sys.argv[2:])
    else:
        tell(run)
