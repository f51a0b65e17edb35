"""The image server: nfs-ganesha, unmodified, NFSv3 over TCP, with the port mapper it insists on.

It hands names like "/etc/passwd" to the system as they are, as root. Therefore it runs confined: it
can change its export (if that may be written) and its own files, and nothing else.
"""

import os

from lab import sandbox
from lab.child import port_answers, wait_until

CORE = """
NFS_CORE_PARAM {{
  NFS_Port = {port}; MNT_Port = {mount_port}; Protocols = 3; NFS_Protocols = 3;
  Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false;
  mount_path_pseudo = false;
}}
LOG {{ Default_Log_Level = EVENT; }}
"""
EXPORT = """
EXPORT {{
  Export_Id = {number}; Path = {path}; Pseudo = {path}; Access_Type = {access}; Protocols = 3;
  Transports = TCP; SecType = sys; Squash = {squash}; Disable_ACL = true;
  Attr_Expiration_Time = {attribute_seconds};
  FSAL {{ Name = VFS; }}
}}
"""


def bench():
    """The `rowan-bench` that confines it, as Meson names it."""
    path = os.environ.get("ROWAN_BENCH", "")
    if not os.access(path, os.X_OK):
        sandbox.skip(f"no rowan-bench to confine nfs-ganesha: set ROWAN_BENCH (now {path!r})")
    return path


class Ganesha:
    """Exports `trees` (paths), read-only unless `access` says RW; believes its own attributes of
    a file for `attribute_seconds`. One per sandbox, on fixed ports."""

    port, mount_port = 12049, 12048

    def __init__(self, story, trees, access="RO", attribute_seconds=60,
                 squash="No_Root_Squash"):
        self.story = story
        self.trees, self.access = [os.path.realpath(tree) for tree in trees], access
        self.directory = story.directory("ganesha")
        self.config = os.path.join(self.directory, "ganesha.conf")
        self.exports = [{"path": path, "access": access, "squash": squash,
                         "attribute_seconds": attribute_seconds} for path in trees]
        self.configure(first_number=1)
        self.child = None
        self.start()

    def configure(self, first_number):
        """For the next start. Handles carry the number of their export: another one makes all
        handles stale that were given out before."""
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(CORE.format(port=self.port, mount_port=self.mount_port))
            for number, export in enumerate(self.exports, start=first_number):
                out.write(EXPORT.format(number=number, **export))

    def start(self):
        self._start_port_mapper()
        for folder in ("/run/ganesha", "/var/run/ganesha"):
            os.makedirs(folder, exist_ok=True)
        log = os.path.join(self.directory, "log")
        self.child = self.story.start("ganesha", [
            bench(), "confine", *self._confinement(), "--",
            "ganesha.nfsd", "-F", "-f", self.config, "-L", log,
            "-p", os.path.join(self.directory, "pid")], log_path=log)
        self.child.wait_port(self.port)
        self.child.wait_port(self.mount_port)

    def _confinement(self):
        writable = [os.path.realpath(self.directory), "/run"]
        if self.access == "RW":
            writable = self.trees + writable
        return [word for path in writable for word in ("--writable", path)] + [
            word for path in self.trees if path not in writable for word in ("--readable", path)]

    def _start_port_mapper(self):
        if port_answers(111):
            return
        os.makedirs("/run/rpcbind", exist_ok=True)
        self.story.start("rpcbind", ["rpcbind", "-f"])
        wait_until(lambda: port_answers(111), 10, "rpcbind on port 111")

    def stop(self):
        # Its orderly end takes longer than a test should; its clients see the same either way.
        self.child.kill()

    def pause(self):
        self.child.pause()

    def resume(self):
        self.child.resume()

    def url(self, tree):
        """The source as `rowan` and libnfs write it."""
        return f"nfs://127.0.0.1{tree}?nfsport={self.port}&mountport={self.mount_port}"
