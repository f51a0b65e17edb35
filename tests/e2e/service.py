"""What a service manager is told: ready, alive, stopping; as tools/rowan.service asks for it."""

import configparser
import os
import shlex
import socket
import subprocess

from lab.child import port_answers
from lab.rowan import Rowan, binary
from lab.story import tell

UNIT = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "rowan.service")


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, story):
        self.path = os.path.join(story.directory("manager"), "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(30)

    def expect(self, wanted):
        """The fields of the next message that has `wanted`; the ones before it are let go."""
        while True:
            lines = self.socket.recv(4096).decode().splitlines()
            if wanted in lines:
                return dict(line.split("=", 1) for line in lines)


def unit():
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNIT)
    return parser["Service"]


def run(story):
    service = unit()
    story.equal("the unit waits for readiness", service["Type"], "notify")
    words = shlex.split(service["ExecStart"].replace("$ROWAN_OPTIONS", ""))
    done = subprocess.run([binary(), *words[1:], "--help"], capture_output=True, check=False)
    story.equal("its command line is understood", done.returncode, 0)

    manager = Manager(story)
    rowan = Rowan(story, env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "300000"})
    ready = manager.expect("READY=1")
    story.check("READY comes once the port answers", port_answers(rowan.port))
    story.check("with a status for people", "serving" in ready.get("STATUS", ""), str(ready))
    for number in range(3):
        manager.expect("WATCHDOG=1")
    story.check("the watchdog is fed again and again", True)
    rowan.child.pause()
    rowan.child.resume()
    manager.expect("WATCHDOG=1")
    story.check("also after a freeze", True)
    rowan.stop()
    story.check("its end is announced", "STATUS" in manager.expect("STOPPING=1"))

    limited = float(service["WatchdogSec"])
    story.check("the unit gives the watchdog room", limited >= 10, f"{limited} s")


if __name__ == "__main__":
    tell(run)
