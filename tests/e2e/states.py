"""What changed between states of an appliance, in the words of files; files of old states read and
put back. First asked of a daemon under a mount, then of the state directory without one."""

import json
import os
import subprocess

from lab.nfs import Mount
from lab.rowan import Rowan, binary
from lab.story import tell

HOSTS = b"127.0.0.1 localhost\n10.0.0.1 router\n10.0.0.2 printer\n"


def make_image(path):
    for folder in ("etc", "usr/bin"):
        os.makedirs(os.path.join(path, folder))
    for name, content in (("etc/hosts", HOSTS), ("etc/fstab", b"/dev/vda / ext4\n"),
                          ("usr/bin/cc", os.urandom(300_000))):
        with open(os.path.join(path, name), "wb") as out:
            out.write(content)
    os.chmod(os.path.join(path, "usr/bin/cc"), 0o755)
    os.symlink("usr/bin", os.path.join(path, "bin"))


def changes_of(rowan, *states):
    """{"+ /path", "M /path"...} of a diff."""
    return {f"{line['change']} {line['path']}" for line in rowan.json("diff", *states)["changes"]}


def monday(story, rowan, mount):
    mount.write("/etc/hosts", HOSTS.replace(b"router", b"gateway"))
    mount.mkdir("/srv")
    mount.write("/srv/data", os.urandom(100_000))
    mount.rename("/usr/bin/cc", "/srv/compiler")
    mount.unlink("/etc/fstab")
    lines = rowan.command("diff", "vm").splitlines()
    story.equal("diff tells what an appliance changed of its image", lines,
                ["- /etc/fstab", "M /etc/hosts  (content 4.0 KiB)", "+ /srv/",
                 "R /usr/bin/cc -> /srv/compiler", "+ /srv/data"])
    rowan.command("checkpoint", "vm", "monday")


def tuesday(story, rowan, mount):
    mount.rename("/srv", "/opt")
    mount.write("/opt/data", b"X" * 10, 50_000)
    mount.write("/opt/more", b"more")
    story.equal("a directory that moved is one line", changes_of(rowan, "vm@monday", "vm"),
                {"renamed /opt", "modified /opt/data", "added /opt/more"})
    rowan.command("checkpoint", "vm", "tuesday")
    mount.unlink("/opt/more")
    both = rowan.json("diff", "vm@monday", "@tuesday")
    story.equal("between two checkpoints nothing later is told",
                {line["path"] for line in both["changes"]}, {"/opt", "/opt/data", "/opt/more"})
    story.equal("bytes are those of the blocks that changed", both["totals"]["content_bytes"], 4096)
    story.equal("totals count the lines", [both["totals"][key] for key in
                                           ("added", "removed", "renamed", "modified")],
                [1, 0, 1, 1])
    back = changes_of(rowan, "vm@tuesday", "vm@monday")
    story.check("the other way round added is removed", "removed /opt/more" in back, str(back))
    stat = rowan.command("diff", "vm@monday", "@tuesday", "--stat")
    story.check("--stat says how much", stat.startswith("vm@monday -> vm@tuesday: 1 added"), stat)


def content(story, rowan):
    wanted = ("--- /etc/hosts\timage of vm\n+++ /etc/hosts\tvm\n@@ -1,3 +1,3 @@\n"
              " 127.0.0.1 localhost\n-10.0.0.1 router\n+10.0.0.1 gateway\n 10.0.0.2 printer\n")
    story.equal("--content compares a text file line by line",
                rowan.command("diff", "vm", "--content", "/etc/hosts"), wanted)
    gone = rowan.command("diff", "vm", "--content", "etc/fstab")
    story.check("a file that is gone has lost all its lines",
                gone.endswith("+++ /dev/null\n@@ -1 +0,0 @@\n-/dev/vda / ext4\n"), gone)
    binary_diff = rowan.command("diff", "vm@monday", "vm", "--content", "/opt/data")
    story.check("bytes are no text", binary_diff == "Binary files /opt/data differ\n", binary_diff)


def cat(rowan, state, path):
    return subprocess.run([binary(), "cat", state, path, "--state", rowan.state], timeout=60,
                          stdout=subprocess.PIPE, check=True).stdout


def old_files(story, rowan, image):
    with open(os.path.join(image, "usr/bin/cc"), "rb") as original:
        compiler = original.read()
    story.check("cat gives the bytes of a file of an old state",
                cat(rowan, "vm@monday", "/srv/compiler") == compiler)
    story.check("paths lead through links", cat(rowan, "vm@monday", "/etc/../etc/./hosts")
                == HOSTS.replace(b"router", b"gateway"))
    names = [entry["name"] for entry in rowan.json("ls", "vm@monday", "/")["entries"]]
    story.equal("ls lists a directory of an old state", names, ["bin", "etc", "srv", "usr"])
    text = rowan.command("ls", "vm@monday", "/srv")
    story.check("as ls -l does", "-rwxr-xr-x" in text and "compiler" in text, text)
    story.check("a link shows where it leads", "bin -> usr/bin" in rowan.command("ls", "vm@monday"))


def restored(story, rowan, mount):
    mount.write("/etc/hosts", b"BROKEN" * 20)
    report = rowan.json("restore", "vm@monday", "/etc/hosts")
    story.equal("a file comes back into the running appliance", mount.read("/etc/hosts"),
                HOSTS.replace(b"router", b"gateway"))
    story.equal("restore reports what it did", (report["path"], report["files"]),
                ("/etc/hosts", 1))
    rowan.command("restore", "vm@monday", "/srv", "--to", "/monday")
    story.equal("a directory comes back elsewhere", sorted(mount.names("/monday")),
                ["compiler", "data"])
    story.equal("nothing else was left there", sorted(mount.names("/")),
                ["bin", "etc", "monday", "opt", "usr"])
    mount.mkdir("/dir")
    status, _, err = rowan.attempt("restore", "vm@monday", "/etc/hosts", "--to", "/dir")
    story.check("no directory gives way unasked", status == 1 and "--force" in err, err)


def refusals(story, rowan, image):
    rowan.command("create", "other", image)
    for words, wanted in ((("diff", "vm@never"), "rowan log vm"),
                          (("diff", "vm@monday", "other"), "nothing in common"),
                          (("cat", "vm@monday", "/none"), "'/none' in vm@monday"),
                          (("cat", "vm@monday", "/etc"), "directory, not a file"),
                          (("ls", "vm@never", "/"), "no checkpoint 'vm@never'"),
                          (("ls", "nobody", "/"), "no appliance 'nobody'"),
                          (("restore", "vm@monday", "/none"), "'/none' in vm@monday"),
                          (("diff", "vm", "--content", "/none"), "/none")):
        status, _, err = rowan.attempt(*words)
        story.check(f"'{' '.join(words)}' is refused with the reason",
                    status == 1 and wanted in err, err.strip())
    status, _, err = rowan.attempt("restore", "vm", "/etc/hosts")
    story.check("restore wants a checkpoint", status == 2 and "@CHECKPOINT" in err, err.strip())


def clone(story, rowan):
    rowan.command("clone", "vm@monday", "twin")
    mount = Mount(rowan.url("twin"))
    mount.write("/srv/mine", b"x")
    mount.close()
    story.equal("a clone is compared with what it came from",
                changes_of(rowan, "vm@monday", "twin"), {"added /srv/mine"})


def without_daemon(story, rowan):
    told = rowan.command("diff", "vm@monday", "vm")
    rowan.stop()
    story.equal("without a daemon diff says the same", rowan.command("diff", "vm@monday", "vm"),
                told)
    story.check("so does cat", cat(rowan, "vm@monday", "/etc/hosts")
                == HOSTS.replace(b"router", b"gateway"))
    story.check("and ls", "compiler" in rowan.command("ls", "vm@monday", "/srv"))
    rowan.command("restore", "vm@monday", "/srv/data", "--to", "/etc/data")
    rowan.start()
    mount = Mount(rowan.url("vm"))
    story.equal("what was restored without it is there with it", mount.stat("/etc/data").size,
                100_000)
    mount.close()


def run(story):
    image = story.directory("image")
    make_image(image)
    rowan = Rowan(story)
    rowan.command("create", "vm", image)
    mount = Mount(rowan.url("vm"))
    monday(story, rowan, mount)
    tuesday(story, rowan, mount)
    content(story, rowan)
    old_files(story, rowan, image)
    restored(story, rowan, mount)
    mount.close()
    refusals(story, rowan, image)
    clone(story, rowan)
    names = [entry["name"] for entry in rowan.json("log", "vm")["checkpoints"]]
    story.equal("comparing leaves no checkpoint behind", sorted(names), ["monday", "tuesday"])
    without_daemon(story, rowan)
    rowan.stop()
    story.equal("the stores pass the checker", json.loads(rowan.command("check", "--json"))
                ["appliances"][0]["ok"], True)


if __name__ == "__main__":
    tell(run)
