"""The client: a Debian kernel in QEMU (TCG), booted diskless with its root over NFS.

The guest runs one shell script, handed over in a second initramfs archive, and answers on the
serial console. A script says things with `say KEY VALUE`; the harness reads them with `told`.
"""

import os
import re
import subprocess
import threading
import time

from lab.child import LabError

PRELUDE = """
say() { key=$1; shift; echo "SAY $key=$*"; }
die() { say died "$*"; exit 1; }
"""


def cpio_archive(files):
    """A "newc" archive of {path: (mode, bytes)}; the kernel unpacks it over the first one."""
    out = bytearray()

    def add(name, mode, data, inode):
        raw = name.encode() + b"\0"
        fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
        out.extend(b"070701" + b"".join(b"%08X" % field for field in fields) + raw)
        out.extend(bytes(-len(out) % 4))
        out.extend(data)
        out.extend(bytes(-len(out) % 4))

    for inode, (name, (mode, data)) in enumerate(files.items(), start=1):
        add(name, mode, data, inode)
    add("TRAILER!!!", 0, b"", 0)
    return bytes(out)


class Guest:
    """One boot, from power on to power off."""

    def __init__(self, story, assets, server, script, files=None, options=""):
        """`server` is (port, mount port, export); `script` is the shell text to run inside;
        `files` ({name: text}) appear beside it in /run/rowan; `options` are of the mount."""
        self.started_at = time.monotonic()
        self.number = story.count("guest")
        self.transcript = ""
        self._changed = threading.Condition()
        port, mount_port, export = server
        append = (f"console=ttyS0 panic=-1 quiet rowan.port={port} rowan.mountport={mount_port} "
                  f"rowan.export={export}")
        if options:
            append += f" rowan.options={options}"
        initrd = self._initrd(story, assets, {"script": PRELUDE + script, **(files or {})})
        self.log_path = os.path.join(story.directory("guests"), f"console-{self.number}")
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-nographic",
             "-no-reboot", "-nodefaults", "-serial", "stdio", "-monitor", "none",
             "-kernel", os.path.join(assets, "vmlinuz"), "-initrd", initrd,
             "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
             "-append", append],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True)
        story.adopt(self)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _initrd(self, story, assets, files):
        path = os.path.join(story.directory("guests"), f"initrd-{self.number}")
        extra = {"rowan": (0o40755, b"")}
        for name, text in files.items():
            extra[f"rowan/{name}"] = (0o100755, text.encode())
        with open(path, "wb") as out:
            with open(os.path.join(assets, "initramfs"), "rb") as first:
                data = first.read()
            out.write(data + bytes(-len(data) % 4) + cpio_archive(extra))
        return path

    def _read(self):
        with open(self.log_path, "wb") as log:
            while data := os.read(self.process.stdout.fileno(), 65536):
                log.write(data)
                log.flush()
                with self._changed:
                    self.transcript += data.decode(errors="replace").replace("\r", "")
                    self._changed.notify_all()
        with self._changed:
            self.transcript += "\n[console closed]\n"
            self._changed.notify_all()

    def expect(self, pattern, timeout_s=120):
        """Waits for a line that matches; returns the match. The guest's end is a failure."""
        deadline = time.monotonic() + timeout_s
        wanted = re.compile(pattern, re.MULTILINE)
        with self._changed:
            while True:
                if found := wanted.search(self.transcript):
                    return found
                if self.transcript.endswith("[console closed]\n"):
                    raise LabError(f"guest {self.number} ended before it said '{pattern}'")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LabError(f"guest {self.number} did not say '{pattern}' within "
                                   f"{timeout_s} s")
                self._changed.wait(left)

    def told(self, key, timeout_s=120):
        """The value of `say KEY VALUE`, waiting for it if need be."""
        return self.expect(rf"^SAY {re.escape(key)}=(.*)\n", timeout_s).group(1)

    def up_s(self, timeout_s=180):
        """Seconds of guest uptime when multi-user.target was active; LabError if never."""
        seconds, state = self.expect(r"^ROWAN-UP ([0-9.]+) (\S+)\n", timeout_s).groups()
        if state != "active":
            raise LabError(f"guest {self.number}: multi-user.target is {state}")
        return float(seconds)

    def finish(self, timeout_s=300):
        """Waits for the script's end and the power-off; LabError unless its status was 0."""
        status = self.expect(r"^ROWAN-DONE ([0-9]+)\n", timeout_s).group(1)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"guest {self.number} did not power off") from error
        self.reader.join(5)
        if status != "0":
            raise LabError(f"guest {self.number}: the script ended with {status}")

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
