"""Measures a diskless boot: image server beside the guest, behind a slow link, and through Rowan.

Not part of the test run: `meson test -C build --benchmark boot_times --verbose`. Five boots, two to
five minutes. The link: 40 ms round trip, 50 Mbit/s, between the image server and whoever asks it.
"""

import os
import subprocess

from lab import sandbox
from lab.ganesha import Ganesha
from lab.guest import Guest
from lab.rowan import Rowan
from lab.story import tell

RTT_MS, MBIT = 40, 50
NFS_LINK, MOUNT_LINK = 13049, 13048
SCRIPT = """
say asked "$(awk '$1 == "bytes:" {print $6; exit}' /proc/self/mountstats)"
"""


def start_link(story, port, to):
    program = os.environ.get("ROWAN_LINK", "")
    if not os.access(program, os.X_OK):
        sandbox.skip("set ROWAN_LINK to the built rowan-link")
    link = story.start(f"link-{port}", [
        program, "--listen", f"127.0.0.1:{port}", "--to", f"127.0.0.1:{to}",
        "--rtt-ms", str(RTT_MS), "--mbit", str(MBIT)])
    link.wait_port(port)


def boot(story, what, server):
    guest = Guest(story, os.environ["ROWAN_ASSETS"], server, SCRIPT)
    seconds, asked = guest.up_s(timeout_s=600), int(guest.told("asked"))
    guest.finish()
    story.note(f"{what}: {seconds:.1f} s to multi-user, {asked / 1e6:.1f} MB read by the guest")
    return seconds


def run(story):
    # A server has to be written to by the guest that boots from it: it gets a copy.
    root = os.path.join(story.directory("copy"), "root")
    subprocess.run(["cp", "-a", os.path.join(os.environ["ROWAN_ASSETS"], "root"), root],
                   check=True)
    origin = Ganesha(story, [root], access="RW")
    start_link(story, NFS_LINK, origin.port)
    start_link(story, MOUNT_LINK, origin.mount_port)
    rowan = Rowan(story)
    rowan.command("image", "add", "debian",
                  f"nfs://127.0.0.1{root}?nfsport={NFS_LINK}&mountport={MOUNT_LINK}")
    rowan.command("create", "cold", "--image", "debian")
    rowan.command("create", "warm", "--image", "debian")

    cold = boot(story, "through Rowan, cold, the server behind the link", rowan.export("cold"))
    fetched = rowan.fetched_bytes()
    warm = boot(story, "through Rowan, warm, the server behind the link", rowan.export("warm"))
    story.note(f"fetched by the cold boot {fetched / 1e6:.1f} MB, by the warm one "
               f"{(rowan.fetched_bytes() - fetched) / 1e6:.1f} MB")
    local = boot(story, "nfs-ganesha, no link", (origin.port, origin.mount_port, root))
    again = boot(story, "nfs-ganesha, no link, again", (origin.port, origin.mount_port, root))
    far = boot(story, "nfs-ganesha, behind the link", (NFS_LINK, MOUNT_LINK, root))
    local = min(local, again)
    story.note(f"against the local server: warm {warm / local:.2f} x, cold {cold / local:.2f} x, "
               f"without Rowan {far / local:.2f} x")


if __name__ == "__main__":
    tell(run, tools=["ganesha.nfsd", "rpcbind", "qemu-system-x86_64"], needs_assets=True)
