"""rowan-bench runs every kind of load against Rowan, and says so in figures that can be true."""

import json
import os
import subprocess

from lab import sandbox
from lab.nfs import Mount
from lab.rowan import Rowan
from lab.story import tell

WORKS = ("null", "getattr", "lookup", "access", "readdirplus", "read", "randread", "write",
         "randwrite", "writenew", "create")
SECONDS = 0.3


def bench(*arguments):
    program = os.environ.get("ROWAN_BENCH", "")
    if not os.access(program, os.X_OK):
        sandbox.skip(f"no rowan-bench to test: set ROWAN_BENCH (now {program!r})")
    return subprocess.run([program, "run", *arguments], timeout=120, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)


def figures(url, works, *options):
    done = bench(url, "--json", "--work", ",".join(works), "--seconds", str(SECONDS),
                 "--file-size", "4m", "--objects", "50", *options)
    if done.returncode:
        raise ValueError(f"rowan-bench ended with {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def run(story):
    rowan = Rowan(story)
    rowan.command("create", "vm1", story.directory("image"))
    url = rowan.url("vm1")
    results = figures(url, WORKS, "--server-pid", str(rowan.child.process.pid))
    story.equal("every kind of load runs", [row["work"] for row in results], list(WORKS))
    for row in results:
        work = row["work"]
        rate = row["calls"] / row["seconds"]
        story.check(f"{work}: calls fit their rate", row["calls"] > 0 and
                    abs(rate - row["calls_per_second"]) < 0.01 * rate, str(row))
        story.check(f"{work}: half the calls are no slower than nearly all",
                    0 < row["p50_us"] <= row["p99_us"])
    data = {row["work"]: row["bytes"] for row in results}
    story.check("reads and writes move bytes", all(data[work] > 0 for work in WORKS[5:10]))
    counted = figures(url, ["randread"], "--count", "500", "--size", "64k")[0]
    story.equal("a run of 500 calls has 500", counted["calls"], 500)
    story.equal("of 64 KiB each", counted["bytes"], 500 * 65536)
    left = Mount(url).names("/rowan-bench")
    story.equal("create leaves nothing behind", sorted(left), ["data", "names", "scratch"])
    story.equal("an unknown work is a usage error", bench(url, "--work", "erase").returncode, 2)
    story.equal("an unknown appliance is a failure",
                bench(rowan.url("vm9"), "--work", "getattr").returncode, 1)


tell(run)
