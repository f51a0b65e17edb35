"""A story: named checks over one sandbox, one closing line, and the logs when it goes wrong."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

from lab import sandbox
from lab.child import Child, LabError

ASSETS_SCRIPT = os.path.join(os.path.dirname(__file__), "..", "..", "assets", "make-assets")


class Failed(Exception):
    """A check of the story did not hold."""


class Story:
    def __init__(self, name):
        self.name = name
        self.started_at = time.monotonic()
        self.work = tempfile.mkdtemp(prefix=f"rowan-{name}-", dir=os.environ.get("TMPDIR", "/tmp"))
        self.owned = []
        self.counts = {}
        self.passed = 0

    # What the story is made of.

    def note(self, text):
        print(f"[{time.monotonic() - self.started_at:6.1f} s] {text}", flush=True)

    def check(self, sentence, holds, detail=""):
        """One check, said as a sentence; the story ends at the first that does not hold."""
        if not holds:
            raise Failed(f"{sentence}\n{detail}" if detail else sentence)
        self.passed += 1
        self.note(f"ok: {sentence}" + (f" ({detail})" if detail else ""))

    def equal(self, sentence, got, wanted):
        if got != wanted:
            raise Failed(f"{sentence}\n  wanted {wanted!r}\n  got    {got!r}")
        self.check(sentence, True)

    def directory(self, *names):
        path = os.path.join(self.work, *names)
        os.makedirs(path, exist_ok=True)
        return path

    def count(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.counts[kind]

    def start(self, name, argv, log_path=None, env=None):
        """Starts a child that ends with the story."""
        log_path = log_path or os.path.join(self.directory("logs"), name)
        child = Child(name, argv, log_path, env)
        self.adopt(child)
        return child

    def adopt(self, owned):
        self.owned.append(owned)

    # Its end.

    def close(self, keep):
        for owned in reversed(self.owned):
            try:
                owned.kill() if isinstance(owned, Child) else owned.stop()
            except (OSError, LabError) as error:
                self.note(f"while ending {owned}: {error}")
        for mounted in reversed(mounts_below(self.work)):
            subprocess.run(["umount", "--lazy", mounted], check=False)
        if keep:
            self.note(f"logs and state are kept in {self.work}")
        else:
            shutil.rmtree(self.work, ignore_errors=True)

    def print_logs(self):
        seen = set()
        for owned in self.owned:
            path = owned.log_path
            if path in seen:
                continue
            seen.add(path)
            with open(path, "rb") as log:
                lines = log.read().decode(errors="replace").splitlines()[-30:]
            print(f"--- the end of {path}\n" + "\n".join(lines), flush=True)


def mounts_below(directory):
    """In the order in which they were made."""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
        points = [line.split(" ")[1] for line in mounts]
    return [point for point in points if point.startswith(directory + os.sep)]


def assets():
    """The directory with root/, vmlinuz and initramfs; made now if it is not there."""
    made = subprocess.run([ASSETS_SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    lines = made.stdout.strip().splitlines()
    if made.returncode == sandbox.SKIP:
        sandbox.skip(lines[-1])
    if made.returncode:
        print(made.stdout)
        print("0 passed, 1 failed")
        sys.exit(1)
    return lines[-1]


def tell(run, tools=(), needs_assets=False):
    """The main of a story file: enters the sandbox, runs, prints the count, sets the status."""
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    inside = os.environ.get(sandbox.MARK)
    if needs_assets and not inside:
        os.environ["ROWAN_ASSETS"] = assets()
    sandbox.enter(tools)
    story = Story(name)
    failed = 0
    try:
        run(story)
    except Failed as failure:
        failed = 1
        story.note(f"FAILED: {failure}")
    except (LabError, OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        failed = 1
        story.note(f"FAILED: {error}")
        traceback.print_tb(error.__traceback__, file=sys.stdout)
    if failed:
        story.print_logs()
    story.close(keep=failed and "ROWAN_KEEP" in os.environ)
    print(f"{story.passed} passed, {failed} failed", flush=True)
    sys.exit(failed)
