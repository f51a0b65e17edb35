"""A client told no port finds everything: by the proxy itself, or by the system's rpcbind."""

import os

from lab.child import port_answers, wait_until
from lab.nfs import utility
from lab.rowan import Rowan
from lab.story import tell

PLAIN = "nfs://127.0.0.1/vm?version=3"


def run(story):
    image = story.directory("image")
    with open(os.path.join(image, "file"), "wb") as out:
        out.write(b"found\n")

    rowan = Rowan(story, port=111, options=["--listen", "127.0.0.1:2049"])
    rowan.command("create", "vm", image)
    status, out, err = utility("nfs-cat", PLAIN.replace("/vm?", "/vm/file?"))
    story.check("on port 111 the proxy is its own port mapper", (status, out) == (0, b"found\n"),
                err.strip())
    rowan.stop()

    os.makedirs("/run/rpcbind", exist_ok=True)
    rpcbind = story.start("rpcbind", ["rpcbind", "-f"])
    wait_until(lambda: port_answers(111), 10, "rpcbind on port 111")
    rowan = Rowan(story, state=rowan.state, port=2049, options=["--rpcbind"])
    status, out, err = utility("nfs-cat", PLAIN.replace("/vm?", "/vm/file?"))
    story.check("registered with rpcbind it is found there", (status, out) == (0, b"found\n"),
                err.strip())
    rowan.stop()
    story.check("after its end rpcbind does not send anyone to it",
                utility("nfs-ls", PLAIN)[0] != 0)
    rpcbind.kill()

    rowan = Rowan(story, state=rowan.state, port=2049, options=["--rpcbind"])
    story.equal("without an rpcbind it serves all the same", utility(
        "nfs-cat", rowan.url("vm", "/file"))[1], b"found\n")
    rowan.stop()


if __name__ == "__main__":
    tell(run, tools=["rpcbind", "nfs-ls", "nfs-cat"])
