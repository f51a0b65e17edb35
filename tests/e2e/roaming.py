"""A running guest's appliance moves to another host: the guest sees one pause, and no error.

The guest mounts a stable address (rowan-link here; elsewhere an IP address that moves). Its
appliance is sent while it works, then what changed meanwhile; then the address is taken away, the
last increment follows, and the address comes back in front of the other host.
"""

import os
import time

from lab import transfer
from lab.child import wait_until
from lab.ganesha import Ganesha
from lab.guest import Guest
from lab.rowan import Rowan
from lab.story import tell
from lab.tree import digest_of
from lab.wire import OK, Wire

ADDRESS = 2070

# Writes, drops the cache, reads back, all the time; a wrong byte or a failed call ends it. It makes
# and removes no files meanwhile: of such a call whose reply is lost no client of NFSv3 can tell
# whether it was done.
LOAD = """
mkdir -p /srv/load && cd /srv/load || die "mkdir"
for file in 0 1 2 3 4; do echo start > file-$file; done; sync
say load started
round=0; worst=0
while [ $round -lt 60 ] || [ ! -e /srv/load/moved ]; do
  [ $round -lt 2000 ] || die "nobody said that it moved"
  before=$(cut -d. -f1 /proc/uptime)
  file=file-$((round % 5))
  { echo "round $round"; head -c 150000 /dev/urandom; } > /run/wanted || die "make"
  cat /run/wanted > $file || die "write in round $round"
  sync $file || die "sync in round $round"
  echo 1 > /proc/sys/vm/drop_caches
  cmp $file /run/wanted || die "round $round: other bytes came back"
  after=$(cut -d. -f1 /proc/uptime)
  [ $((after - before)) -gt $worst ] && worst=$((after - before))
  round=$((round + 1))
  [ $((round % 5)) -eq 0 ] && say round-$round yes
done
say worst $worst
say rounds $round
ls /usr/share/doc > /dev/null || die "an image directory"
head -c 100 /usr/bin/* > /dev/null || die "image files"
mkdir after && echo "written after the move" > after/file && sync || die "after the move"
say complaints "$(dmesg | grep -ciE 'stale|I/O error|nfs.*error')"
say digest "$(cat file-* after/file | sha256sum | cut -c1-64)"
"""


class Address:
    """What the guest mounts: a port of loopback that leads to one proxy, or to nobody."""

    def __init__(self, story):
        self.story, self.child = story, None

    def lead_to(self, rowan):
        self.child = self.story.start(f"address-{self.story.count('address')}", [
            os.environ["ROWAN_LINK"], "--listen", f"127.0.0.1:{ADDRESS}", "--to",
            f"127.0.0.1:{rowan.port}"])
        wait_until(lambda: "listening" in self.child.log_tail(), 10, "the address")

    def take_away(self):
        self.child.kill()


def run(story):
    root = os.path.join(os.environ["ROWAN_ASSETS"], "root")
    before = digest_of(root)
    origin = Ganesha(story, [root])
    one, two = Rowan(story, name="one"), Rowan(story, name="two", port=2050)
    one.command("image", "add", "debian", origin.url(root))
    one.command("create", "vm", "--image", "debian")
    address = Address(story)
    address.lead_to(one)

    guest = Guest(story, os.environ["ROWAN_ASSETS"], (ADDRESS, ADDRESS, "/vm"), LOAD)
    story.check("a guest boots through the address", guest.up_s() > 0)
    guest.told("load")
    guest.told("round-5")
    checkpoint = transfer.pipe(one, "vm", two, "vm")
    story.check("its appliance is sent while it works", True)
    guest.told("round-10")
    checkpoint = transfer.pipe(one, "vm", two, "vm", since=checkpoint)
    story.check("then what it wrote meanwhile", True)
    guest.told("round-15")

    address.take_away()
    started = time.monotonic()
    transfer.pipe(one, "vm", two, "vm", since=checkpoint)
    address.lead_to(two)
    story.check("the address moves once the last increment is there", True,
                f"away for {time.monotonic() - started:.2f} s")
    one.stop()
    say_moved(two)
    story.check("the guest goes on, every byte as it wrote it", int(guest.told("rounds")) >= 60,
                f"{guest.told('rounds')} rounds, the longest {guest.told('worst')} s")
    story.equal("its kernel has seen no error", guest.told("complaints"), "0")
    digest = guest.told("digest")
    guest.finish()

    again = Guest(story, os.environ["ROWAN_ASSETS"], two.export("vm"),
                  'cd /srv/load && say digest '
                  '"$(cat file-* after/file | sha256sum | cut -c1-64)"\n')
    again.up_s()
    story.equal("a boot from the other host finds it", again.told("digest"), digest)
    again.finish()
    two.stop()
    story.equal("the store passes the checker", two.attempt("check")[0], 0)
    story.equal("the image server's tree is what it was", digest_of(root), before)


def say_moved(rowan):
    """The guest's loop ends when this file appears; made by a client beside it."""
    with Wire(rowan.port) as client:
        at = client.mount("/vm")[1]
        for name in (b"srv", b"load"):
            at = client.lookup(at, name)[1]
        if client.create(at, b"moved") != OK:
            raise ValueError("cannot make the file")


if __name__ == "__main__":
    tell(run, tools=["ganesha.nfsd", "rpcbind", "qemu-system-x86_64"], needs_assets=True)
