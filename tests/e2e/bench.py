"""rowan-bench runs every kind of load against Rowan, and says so in figures that can be true."""

import json
import os
import subprocess

from lab import sandbox
from lab.nfs import Mount
from lab.rowan import Rowan
from lab.story import tell

WORKS = ("null", "getattr", "lookup", "access", "readdirplus", "read", "randread", "write",
         "randwrite", "writenew", "readback", "randreadback", "create")
SECONDS = 0.3
MEGABYTES = 8.38  # overwritten by a quick run of `versions`


def program(*arguments):
    path = os.environ.get("ROWAN_BENCH", "")
    if not os.access(path, os.X_OK):
        sandbox.skip(f"no rowan-bench to test: set ROWAN_BENCH (now {path!r})")
    return subprocess.run([path, *arguments], timeout=240, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)


def bench(*arguments):
    return program("run", *arguments)


def figures(url, works, *options):
    done = bench(url, "--json", "--work", ",".join(works), "--seconds", str(SECONDS),
                 "--file-size", "4m", "--objects", "50", *options)
    if done.returncode:
        raise ValueError(f"rowan-bench ended with {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def versions():
    """The lines of a quick run of `versions`, by what was measured and of whom."""
    done = program("versions", "--quick", "--rounds", "2", "--seconds", str(SECONDS), "--json",
                   "--rowan", os.environ["ROWAN"])
    if done.returncode:
        raise ValueError(f"rowan-bench versions ended with {done.returncode}: {done.stderr}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {(line["work"], line["by"]): line for line in lines}


def at(line):
    """{column: median} of a line."""
    return {column: figure["median"] for column, figure in line["figures"].items()}


def check_versions(story):
    lines = versions()
    for work in ("checkpoint", "rollback", "clone", "diff with the image",
                 "diff of two checkpoints, one file apart"):
        figures = at(lines[work, "rowan"])
        story.equal(f"{work} is timed at both sizes", list(figures), ["1,000", "10,000"])
        story.check(f"{work} takes time", all(ms > 0 for ms in figures.values()), str(figures))
    for work in ("warm 4k random read", "4k random write + COMMIT", "durable create",
                 "restart of the daemon until a READ is answered"):
        figures = at(lines[work, "rowan"])
        story.check(f"{work}: with 1, 10 and 100 checkpoints",
                    len(figures) == 3 and all(rate > 0 for rate in figures.values()), str(figures))
        story.check(f"{work} is judged", "reached" in lines[work, "rowan"])
    sent = at(next(line for (work, by), line in lines.items() if line["unit"] == "MB/s"
                   and by == "rowan"))
    story.check("a state is sent and received", list(sent) == ["receive", "send"]
                and all(rate > 0 for rate in sent.values()), str(sent))
    space = next(line for (work, by), line in lines.items() if "overwrites" in work
                 and by == "rowan")
    plain, kept = at(space).values()
    story.check("overwritten blocks take space, twice as much once a checkpoint keeps old ones",
                plain > MEGABYTES and kept > 2 * MEGABYTES, f"{plain} MB, {kept} MB")
    for (work, by), line in lines.items():
        story.check(f"{work} of {by}: figures, or why there are none",
                    bool(line["figures"]) != bool(line.get("not_measured")), str(line))


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
    rowan.stop()
    check_versions(story)


tell(run)
