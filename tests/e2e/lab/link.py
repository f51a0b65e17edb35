"""A link between two parties: rowan-link, with a delay, a rate, jitter and losses."""

import json
import os
import re

from lab import sandbox
from lab.child import wait_until


class Link:
    """Forwards `port` of loopback to another one; `options` are those of rowan-link."""

    def __init__(self, story, to_port, *options):
        program = os.environ.get("ROWAN_LINK", "")
        if not os.access(program, os.X_OK):
            sandbox.skip(f"no rowan-link: set ROWAN_LINK (now {program!r})")
        self.child = story.start(f"link-{story.count('link')}", [
            program, "--listen", "127.0.0.1:0", "--to", f"127.0.0.1:{to_port}", *options])
        said = wait_until(lambda: re.search(r'"listening":(\d+)', self.child.log_tail()), 10,
                          "rowan-link to listen")
        self.port = int(said.group(1))

    def statistics(self):
        """What has passed; ends the link."""
        self.child.stop()
        return json.loads(self.child.log_tail().splitlines()[-1])
