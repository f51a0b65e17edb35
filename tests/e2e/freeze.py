"""The proxy stopped for 90 s under a running kernel: it says "not responding", then "OK", no more.

The machine's whole root lies on the proxy; it reads and writes all the time.
"""

import os

from lab.guest import Guest
from lab.nfs import Mount
from lab.rowan import Rowan
from lab.story import tell

STOPPED_S = 90

# By itself the kernel complains after three minutes only.
OPTIONS = "timeo=100,retrans=1"

WORK = """
said() { dmesg | grep -c "nfs: server 10.0.2.2 $1"; }
number=0
while :; do
  number=$((number + 1))
  [ $number -le 100000 ] || die "no freeze came"
  echo "line $number" >> /root/log && sync /root/log || die "write $number"
  cat /etc/hostname > /dev/null || die "read $number"
  [ "$(said OK)" -eq 0 ] || break
  [ $number -ne 3 ] || say ready yes
done
say lines $number
say silent "$(said 'not responding')"
say complaints "$(dmesg | grep -ciE 'stale|I/O error|nfs.*error|timed out')"
"""


def run(story):
    rowan = Rowan(story)
    rowan.command("create", "vm", os.path.join(os.environ["ROWAN_ASSETS"], "root"))
    guest = Guest(story, os.environ["ROWAN_ASSETS"], rowan.export("vm"), WORK, options=OPTIONS)
    guest.told("ready", 240)
    rowan.freeze(STOPPED_S)
    lines = int(guest.told("lines", 240))
    story.check("a machine goes on after its proxy was stopped for 90 s", lines > 3,
                f"{lines} writes")
    story.check("its kernel noticed that nobody answered", int(guest.told("silent")) > 0)
    story.equal("and saw no error", guest.told("complaints"), "0")
    guest.finish()
    mount = Mount(rowan.url("vm"))
    story.equal("each write of it is there, once, in order", mount.read("/root/log").decode(),
                "".join(f"line {number}\n" for number in range(1, lines + 1)))
    mount.close()
    rowan.stop()
    rowan.command("check", "vm")


if __name__ == "__main__":
    tell(run, tools=["qemu-system-x86_64"], needs_assets=True)
