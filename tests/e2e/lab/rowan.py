"""The proxy under test: the daemon of the build directory and its command."""

import json
import os
import subprocess
import time

from lab import sandbox
from lab.child import LabError, wait_until


def binary():
    """The `rowan` to test, as Meson names it."""
    path = os.environ.get("ROWAN", "")
    if not os.access(path, os.X_OK):
        sandbox.skip(f"no rowan to test: set ROWAN to the built program (now {path!r})")
    return path


class Rowan:
    """`rowan serve` on loopback with a state directory of its own.

    Around it: `prefix`, words before it (a program that changes limits and then becomes it); `env`,
    more environment; `listen`, an address (default 127.0.0.1)."""

    def __init__(self, story, *, state=None, port=2049, options=(), name="rowan", **around):
        self.story, self.port, self.name = story, port, name
        self.state = state or story.directory(name)
        self.options = list(options)
        self.prefix, self.env = list(around.pop("prefix", ())), around.pop("env", None)
        self.listen = around.pop("listen", "127.0.0.1")
        assert not around, around
        self.child = None
        self.start()

    def start(self):
        """Until it says that it serves; clients are let in earlier, and told to wait."""
        log = os.path.join(self.story.directory("logs"), self.name)
        said = os.path.getsize(log) if os.path.exists(log) else 0
        self.child = self.story.start(
            self.name, [*self.prefix, binary(), "serve", "--listen", f"{self.listen}:{self.port}",
                        "--state", self.state, *self.options], env=self.env)
        wait_until(lambda: self._serves(said), 60, f"{self.name} to serve")

    def _serves(self, said):
        if not self.child.running:
            raise LabError(f"{self.name} ended with status {self.child.process.returncode}\n"
                           + self.child.log_tail())
        with open(self.child.log_path, "rb") as log:
            log.seek(said)
            return b"rowan: serving" in log.read()

    def kill(self):
        """As a crash does: SIGKILL, no farewell."""
        self.child.kill()

    def stop(self):
        """In good order; LabError unless its status is 0."""
        status = self.child.stop()
        if status != 0:
            raise LabError(f"{self.name} ended with {status} after SIGTERM\n"
                           + self.child.log_tail())

    def freeze(self, seconds):
        """SIGSTOP, and SIGCONT after so many seconds."""
        self.child.pause()
        time.sleep(seconds)
        self.child.resume()

    def restart(self, crash=True):
        if crash:
            self.kill()
        else:
            self.stop()
        self.start()

    def _try(self, *arguments):
        done = subprocess.run([binary(), *arguments, "--state", self.state], timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False)
        return done.returncode, done.stdout, done.stderr

    def attempt(self, *arguments):
        """(status, stdout, stderr) of a command that may fail."""
        return self._try(*arguments)

    def command(self, *arguments):
        """The output of a command that must succeed."""
        status, out, err = self._try(*arguments)
        if status:
            raise LabError(f"rowan {' '.join(arguments)} ended with {status}\n{out}{err}")
        return out

    def json(self, *arguments):
        return json.loads(self.command(*arguments, "--json"))

    def resident_kb(self):
        with open(f"/proc/{self.child.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def fetched_bytes(self):
        """Data fetched from all sources in this life of the daemon."""
        return sum(version["bytes_fetched"] for image in self.json("status")["images"]
                   for version in image["versions"])

    def export(self, appliance):
        """What a guest needs to mount it."""
        return (self.port, self.port, f"/{appliance}")

    def url(self, appliance, path=""):
        """What libnfs needs to mount it."""
        return (f"nfs://127.0.0.1/{appliance}{path}"
                f"?nfsport={self.port}&mountport={self.port}&version=3")
