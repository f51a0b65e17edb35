"""A diskless Debian boots from an image server through Rowan, and every write stays here.

Three boots tell it: a cold one that writes and compiles while the proxy is killed and frozen; one
of the same appliance with the image server gone; one of a second appliance on the same image.
"""

import os
import subprocess

from lab.ganesha import Ganesha
from lab.guest import Guest
from lab.rowan import Rowan
from lab.story import tell
from lab.tree import digest_of

# Run on the host and in the guest: the image's odd objects must look the same in both.
LOOK = """
export LC_ALL=C
find . -printf '%P %m %U:%G %n %s %Ts %l\\n' | sort
cat linked sparse name-* nnn* | sha256sum
ls -l device | cut -c1-30
"""

WORKLOAD = """
mkdir -p /root/work/src && cd /root/work/src || die "mkdir"
i=1
while [ $i -le 20 ]; do
  { echo '#include <stdio.h>'; echo '#include <stdlib.h>'; echo '#include <string.h>'
    echo "int part_$i(int x) { char b[64]; snprintf(b, sizeof b, \\"%d\\", x + $i);"
    echo "return atoi(b) + (int)strlen(b); }"; } > part$i.c
  i=$((i + 1))
done
{ seq 20 | sed 's/.*/int part_&(int);/'; echo '#include <stdio.h>'
  echo 'int main(void) { int s = 0;'; seq 20 | sed 's/.*/s += part_&(s % 100);/'
  echo 'printf("%d", s); puts(""); return 0; }'; } > main.c
cat > Makefile <<'END'
OBJECTS = $(patsubst %.c,%.o,$(wildcard *.c))
program: $(OBJECTS)
	gcc -o $@ $(OBJECTS)
%.o: %.c
	@gcc -O1 -c $< -o $@ && echo "SAY built-$*=yes"
END
"""

# What an appliance of its own owner leaves behind, told in a way that can be told again.
TRACES = """
traces() {
  cd / && { cat /etc/machine-id /etc/rowan-wrote /etc/motd
    find root/work srv/odd etc/hostname \\( -type f -o -type l -o -type d \\) \
      -printf '%i %p %m %s %n %l\\n' | sort
    find root/work srv/odd -type f | sort | xargs -d '\\n' sha256sum; } 2>&1 | sha256sum
}
"""

FIRST_BOOT = WORKLOAD + TRACES + """
say looks "$(cd /srv/odd && sh /run/rowan/look | sha256sum)"
say mounted "$(grep -c '^10.0.2.2:.* / nfs ' /proc/mounts)"
say asked "$(sed -n '/ on \\/ with /,/^device/p' /proc/self/mountstats |
  awk '$1 == "bytes:" {print $6; exit}')"
say machine "$(cat /etc/machine-id)"
say fetch-me ready

echo "written by vm1" > /etc/rowan-wrote || die "a new file"
echo "appended by vm1" >> /etc/motd || die "append to an image file"
dd if=/dev/urandom of=/root/work/random bs=1M count=8 conv=fsync status=none || die "8 MiB"
printf 'inside' | dd of=/srv/odd/sparse bs=1 seek=4000000 conv=notrunc,fsync status=none || die in
mv /srv/odd/linked /srv/odd/renamed || die "rename an image file"
rm /srv/odd/fifo || die "remove an image object"
mkdir /srv/odd/made && mv /srv/odd/made /srv/made-and-moved || die "move a directory"
mv /usr/share/base-files /usr/share/base-files-moved || die "rename an image directory"
chmod 600 /etc/hostname || die "chmod an image file"
ln /root/work/random /root/work/random-link || die "hard link"

cd /root/work/src
say compile started
make program > /run/make.log 2>&1 < /dev/null & maker=$!
tail -f --pid=$maker /run/make.log | grep --line-buffered '^SAY' &
wait $maker || die "make ended with $?: $(tail -n 5 /run/make.log)"
say compile "ended $(./program)"
say again "$(rm -f program part1.o && make program 2>&1 < /dev/null | tail -n 1; ./program)"
sync
say complaints "$(dmesg | grep -ciE 'stale|I/O error|nfs.*error')"
say traces "$(traces)"
"""

# With the image server gone only what somebody has read before can be run: shell built-ins here.
PRESENT = """
present() { for path; do [ -e "$path" ] && echo "$path"; done; }
"""

SECOND_BOOT = TRACES + PRESENT + """
say traces "$(traces)"
say program "$(/root/work/src/program)"
say gone "$(present /srv/odd/fifo /srv/odd/linked /usr/share/base-files)"
echo "the origin is away" > /etc/rowan-wrote && rm -r /root/work/src || die "writes while away"
"""

OTHER_APPLIANCE = PRESENT + """
say looks "$(cd /srv/odd && sh /run/rowan/look | sha256sum)"
say foreign "$(present /etc/rowan-wrote /root/work /srv/made-and-moved \
  /usr/share/base-files-moved)"
say machine "$(cat /etc/machine-id)"
"""


def look_on_host(root):
    out = subprocess.run(["sh", "-c", LOOK], cwd=os.path.join(root, "srv", "odd"),
                         stdout=subprocess.PIPE, check=True).stdout
    return subprocess.run(["sha256sum"], input=out, stdout=subprocess.PIPE,
                          check=True).stdout.decode().strip()


def boot(story, rowan, appliance, script):
    files = {"look": LOOK}
    return Guest(story, os.environ["ROWAN_ASSETS"], rowan.export(appliance), script, files=files)


def cold_boot_with_crashes(story, rowan, host_looks):
    guest = boot(story, rowan, "vm1", FIRST_BOOT)
    story.check("a diskless guest boots from an empty cache to multi-user", guest.up_s() > 0,
                f"{guest.up_s():.1f} s of guest time")
    story.equal("the image's odd objects look the same as on the server",
                guest.told("looks"), host_looks)
    story.equal("its root is the appliance", guest.told("mounted"), "1")
    asked = int(guest.told("asked"))
    guest.told("fetch-me")
    fetched = rowan.fetched_bytes()
    story.check("a cold boot fetches at most 1.1 times what the client read",
                0 < fetched <= 1.1 * asked,
                f"{fetched / asked:.3f}: {fetched} fetched, {asked} read")
    guest.told("compile")
    for part in ("part10", "part13", "part18"):
        guest.told(f"built-{part}")
        rowan.restart(crash=True)
        story.note(f"proxy killed and started again after {part}")
    guest.told("built-part3")
    rowan.freeze(5)
    story.check("a compile finishes through three kills and a freeze of the proxy",
                guest.expect(r"^SAY compile=ended [0-9]+\n"))
    story.equal("the guest's kernel has seen no error", guest.told("complaints"), "0")
    traces, machine = guest.told("traces"), guest.told("machine")
    guest.finish()
    return traces, machine, fetched


def run(story):
    root = os.path.join(os.environ["ROWAN_ASSETS"], "root")
    before, host_looks = digest_of(root), look_on_host(root)
    origin = Ganesha(story, [root])
    rowan = Rowan(story)
    rowan.command("image", "add", "debian", origin.url(root))
    rowan.command("create", "vm1", "--image", "debian")
    rowan.command("create", "vm2", "--image", "debian")

    traces, machine, cold_bytes = cold_boot_with_crashes(story, rowan, host_looks)

    origin.stop()
    rowan.restart(crash=True)
    guest = boot(story, rowan, "vm1", SECOND_BOOT)
    story.check("it boots again, proxy restarted, with the image server gone", guest.up_s() > 0,
                f"{guest.up_s():.1f} s of guest time")
    story.equal("it finds its writes, byte for byte and inode for inode",
                guest.told("traces"), traces)
    story.check("what it compiled runs", int(guest.told("program")) > 0)
    story.equal("what it removed or renamed stays so", guest.told("gone"), "")
    guest.finish()

    origin.start()
    already = rowan.fetched_bytes()
    guest = boot(story, rowan, "vm2", OTHER_APPLIANCE)
    story.check("a second appliance boots from the shared cache", guest.up_s() > 0,
                f"{guest.up_s():.1f} s of guest time")
    story.equal("it sees the image", guest.told("looks"), host_looks)
    story.equal("it sees no write of the first", guest.told("foreign"), "")
    story.check("it is another machine", guest.told("machine") not in ("", machine))
    guest.finish()
    more = rowan.fetched_bytes() - already
    story.check("its boot fetched at most a tenth of the first", more <= cold_bytes / 10,
                f"{more} of {cold_bytes} bytes")

    rowan.stop()
    story.check("the stores of both pass the checker", check_stores(rowan))
    story.equal("the image server's tree is what it was", digest_of(root), before)


def check_stores(rowan):
    return all(rowan.command("check", name) is not None for name in ("vm1", "vm2"))


if __name__ == "__main__":
    tell(run, tools=["ganesha.nfsd", "rpcbind", "qemu-system-x86_64"], needs_assets=True)
