"""A story runs in namespaces of its own, so that nothing it starts meets or outlives anything else.

Its own network (loopback only: every port is free, port 111 included), its own mounts (a private
/run and /tmp never clash with the machine's services) and its own process tree: when the story's
process dies, of whatever cause, the kernel ends all its children.
"""

import os
import shutil
import subprocess
import sys

SKIP = 77  # what Meson takes for "skipped"
MARK = "ROWAN_LAB_INSIDE"


def skip(reason):
    """Ends the test as skipped, with the reason where the reader of the log sees it."""
    print(f"skipped: {reason}", flush=True)
    sys.exit(SKIP)


def enter(tools):
    """Returns inside the sandbox; the outer copy of the process never returns."""
    if os.environ.get(MARK):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], check=True)
        return
    if os.geteuid() != 0:
        skip("network namespaces and the image server need root")
    path = os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"
    os.environ["PATH"] = path
    for tool in ["unshare", "ip", "mount", *tools]:
        if not shutil.which(tool):
            skip(f"{tool} is not installed; run tools/install-deps")
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=SIGKILL",
               "--mount-proc"]
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        skip("this machine does not let root make namespaces (a container without privileges?)")
    os.execvpe("unshare", [*unshare, sys.executable, *sys.argv], {**os.environ, MARK: "1"})
