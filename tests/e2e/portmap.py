"""A client told no port finds everything: by the proxy itself, or by the system's rpcbind."""

import os
import subprocess

from lab import tirpc, wire
from lab.child import port_answers, wait_until
from lab.nfs import utility
from lab.rowan import Rowan
from lab.story import tell
from lab.wire import Wire

PLAIN = "nfs://127.0.0.1/vm?version=3"
NFS, MOUNT, NOENT, NOTDIR = "100003", "100005", 2, 20


def answers(*how):
    """Whether rpcinfo finds a program by the port mapper and gets an answer from it."""
    done = subprocess.run(["rpcinfo", *how], capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode == 0 and "ready and waiting" in done.stdout


def independent_look(story, who):
    """rpcinfo and libtirpc as clients, over TCP and UDP."""
    story.check(f"{who}: rpcinfo finds NFS by TCP", answers("-t", "127.0.0.1", NFS, "3"))
    story.check(f"{who}: and MOUNT by TCP", answers("-t", "127.0.0.1", MOUNT, "3"))
    story.check(f"{who}: and by UDP", answers("-u", "127.0.0.1", MOUNT, "3"))
    story.check(f"{who}: NFS does not run over UDP", not answers("-u", "127.0.0.1", NFS, "3"))
    story.check(f"{who}: there is no version 2", not answers("-t", "127.0.0.1", NFS, "2"))
    for netid in ("udp", "tcp"):
        for path, wanted in ((b"/vm", 0), (b"/nothing", NOENT), (b"/vm/file", NOTDIR)):
            story.equal(f"{who}: MNT of {path.decode()} over {netid} by libtirpc",
                        tirpc.mount_status("127.0.0.1", path, netid), wanted)


def listed(*how):
    """(program, version, protocol, port) of each line that rpcinfo prints of a port mapper."""
    done = subprocess.run(["rpcinfo", *how], capture_output=True, text=True, timeout=60,
                          check=True)
    return {tuple(line.split()[:4]) for line in done.stdout.splitlines()[1:]}


def dump(story):
    """The proxy's own port mapper, asked for everything (DUMP)."""
    old = listed("-p", "127.0.0.1")
    story.check("rpcinfo -p lists NFS over TCP, MOUNT over both, the port mapper",
                {(NFS, "3", "tcp"), (MOUNT, "3", "tcp"), (MOUNT, "3", "udp"),
                 ("100000", "2", "tcp"), ("100000", "2", "udp")} <= {line[:3] for line in old},
                str(sorted(old)))
    story.check("and no NFS over UDP", not any(line[0] == NFS and line[2] == "udp"
                                               for line in old))


def over_ipv6(story, state):
    both = Rowan(story, state=state, port=2049, options=["--listen", "[::1]:2050", "--rpcbind"])
    story.check("NFS is registered for IPv6", answers("-T", "tcp6", "::1", NFS, "3"))
    story.check("MOUNT over UDP of IPv6 as well", answers("-T", "udp6", "::1", MOUNT, "3"))
    story.check("IPv4 has its own port", answers("-t", "127.0.0.1", NFS, "3"))
    read_over_ipv6(story, 2050)
    both.stop()
    for netid, host in (("tcp6", "::1"), ("udp6", "::1"), ("tcp", "127.0.0.1")):
        story.check(f"at its end it is no longer registered for {netid}",
                    not answers("-T", netid, host, MOUNT, "3"))
    six = Rowan(story, state=state, port=2049, options=["--rpcbind"], listen="[::1]")
    story.check("IPv6 alone is registered", answers("-T", "tcp6", "::1", NFS, "3"))
    story.check("where only IPv6 is listened on, IPv4 is not registered",
                not answers("-t", "127.0.0.1", NFS, "3"))
    six.stop()


def read_over_ipv6(story, port):
    with Wire(port, host="::1") as client:
        status, root = client.mount("/vm")
        story.equal("a client mounts over IPv6", status, wire.OK)
        file = client.lookup(root, b"file")[1]
        story.equal("and reads", client.read(file, 0, 100), (wire.OK, b"found\n"))


def run(story):
    image = story.directory("image")
    with open(os.path.join(image, "file"), "wb") as out:
        out.write(b"found\n")

    rowan = Rowan(story, port=111, options=["--listen", "127.0.0.1:2049"])
    rowan.command("create", "vm", image)
    status, out, err = utility("nfs-cat", PLAIN.replace("/vm?", "/vm/file?"))
    story.check("on port 111 the proxy is its own port mapper", (status, out) == (0, b"found\n"),
                err.strip())
    independent_look(story, "the proxy")
    dump(story)
    rowan.stop()

    os.makedirs("/run/rpcbind", exist_ok=True)
    rpcbind = story.start("rpcbind", ["rpcbind", "-f"])
    wait_until(lambda: port_answers(111), 10, "rpcbind on port 111")
    rowan = Rowan(story, state=rowan.state, port=2049, options=["--rpcbind"])
    status, out, err = utility("nfs-cat", PLAIN.replace("/vm?", "/vm/file?"))
    story.check("registered with rpcbind it is found there", (status, out) == (0, b"found\n"),
                err.strip())
    independent_look(story, "rpcbind")
    rowan.stop()
    story.check("after its end rpcbind does not send anyone to it",
                utility("nfs-ls", PLAIN)[0] != 0)
    if os.path.exists("/proc/net/if_inet6"):
        over_ipv6(story, rowan.state)
    rpcbind.kill()

    rowan = Rowan(story, state=rowan.state, port=2049, options=["--rpcbind"])
    story.equal("without an rpcbind it serves all the same", utility(
        "nfs-cat", rowan.url("vm", "/file"))[1], b"found\n")
    rowan.stop()


if __name__ == "__main__":
    tell(run, tools=["rpcbind", "rpcinfo", "nfs-ls", "nfs-cat"])
