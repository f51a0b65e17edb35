"""Builds what the tests need, runs the suites, adds up what every test program counted.

Called by tools/check, which has installed the tools. The logs stay in build*/meson-logs.
"""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Tests whose programs run threads: what the thread sanitizer is for.
THREADED = ["loop", "server", "client", "daemon"]


@dataclass
class Stage:
    name: str
    directory: str
    suites: list
    setup: list = field(default_factory=list)  # options of `meson setup`
    only: list = None  # names of tests; None: all of the suites
    patience: int = 1  # multiplies the tests' time limits
    parallel: int = 2  # tests at a time
    seeds: int = None  # of each simulation; None: as few as each finds enough
    asked: bool = False  # runs only if it is named


STAGES = [
    Stage("plain", "build", ["unit", "sim", "fuzz"]),
    Stage("asan", "build-asan", ["unit", "sim", "fuzz"], patience=4, setup=[
        "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"]),
    Stage("tsan", "build-tsan", ["unit", "sim"], only=THREADED, patience=6, setup=[
        "-Db_sanitize=thread", "-Db_lundef=false", "-Doptimization=1"]),
    Stage("e2e", "build", ["e2e"], parallel=1),
    Stage("nightly", "build", ["seeds"], patience=100, seeds=1000, asked=True),
]
ASKED = [stage.name for stage in STAGES if stage.asked]


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def line(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")

    def add(self, entry):
        """Counts one entry of Meson's test log; returns what is to be shown of it, or None."""
        out = entry.get("stdout", "") + entry.get("stderr", "")
        result = entry["result"]
        if result == "SKIP":
            self.skipped += 1
            return f"SKIPPED {entry['name']}: {skip_reason(out)}"
        passed, failed = cases(out)
        if result != "OK" and not failed:
            failed = 1  # it crashed, hung, or found its fault outside of a case
        if result == "OK" and not passed:
            if re.search(r"^No tests ran", out, re.MULTILINE):
                failed = 1
            else:
                passed = 1
        self.passed += passed
        self.failed += failed
        if failed:
            tail = "\n".join(out.splitlines()[-80:])
            return f"FAILED {entry['name']} ({result})\n{tail}"
        return None


def cases(out):
    """(passed, failed) as the program counted them: ours, or Catch2's; (0, 0) if it did not."""
    if own := re.findall(r"^(\d+) passed, (\d+) failed$", out, re.MULTILINE):
        return int(own[-1][0]), int(own[-1][1])
    if good := re.search(r"All tests passed \(\d+ assertions? in (\d+) test cases?\)", out):
        return int(good.group(1)), 0
    if mixed := re.search(r"^test cases: +\d+ \|(.*)$", out, re.MULTILINE):
        counts = dict((word, int(number))
                      for number, word in re.findall(r"(\d+) (passed|failed)", mixed.group(1)))
        return counts.get("passed", 0), counts.get("failed", 0)
    return 0, 0


def skip_reason(out):
    reasons = [line for line in out.splitlines() if line.startswith("skipped:")]
    return reasons[-1][len("skipped:"):].strip() if reasons else "no reason given"


def say(text):
    print(text, flush=True)


def run_logged(argv, log_path, env=None):
    """Runs to the end with the output in a file; shows its tail if that was a failure."""
    with open(log_path, "wb") as log:
        status = subprocess.run(argv, stdout=log, stderr=subprocess.STDOUT, cwd=TOP, check=False,
                                env={**os.environ, **(env or {})}).returncode
    if status:
        with open(log_path, encoding="utf-8", errors="replace") as log:
            lines = log.read().splitlines()
        errors = [line for line in lines if re.search(r"error:|FAILED:|ERROR", line)][:20]
        say("\n".join(errors + ["..."] + lines[-15:]))
        say(f"{' '.join(argv)} ended with {status}; the whole log is {log_path}")
    return status == 0


def configure(stage):
    directory = os.path.join(TOP, stage.directory)
    log = os.path.join(directory, "check-setup.log")
    if os.path.exists(os.path.join(directory, "build.ninja")):
        # Of changed build files too: what is introspected next is to know all tests.
        return run_logged(["ninja", "-C", stage.directory, "build.ninja"], log)
    env = {"CXX": os.environ.get("CXX", "ccache g++")}
    wipe = ["--wipe"] if os.path.exists(os.path.join(directory, "meson-private")) else []
    os.makedirs(directory, exist_ok=True)
    return run_logged(["meson", "setup", *wipe, stage.directory, *stage.setup], log, env)


def introspect(stage, what):
    out = subprocess.run(["meson", "introspect", what, stage.directory], cwd=TOP, check=True,
                         stdout=subprocess.PIPE).stdout
    return json.loads(out)


def tests_of(stage):
    """[(name, ninja targets it runs)] of the stage; a script's are those it is handed."""
    top = os.path.join(TOP, stage.directory)
    files = {target["id"]: [os.path.relpath(name, top) for name in target["filename"]]
             for target in introspect(stage, "--targets")}
    return [(test["name"], [name for target in test["depends"] for name in files[target]])
            for test in introspect(stage, "--tests") if chosen(stage, test)]


def chosen(stage, test):
    suites = {suite.split(":")[-1] for suite in test["suite"]}
    named = not stage.only or test["name"] in stage.only
    return named and bool(suites.intersection(stage.suites))


def build(stage, tests):
    targets = [] if stage.directory == "build" else sorted({t for _, ts in tests for t in ts})
    log = os.path.join(TOP, stage.directory, "check-build.log")
    return run_logged(["ninja", "-C", stage.directory, *targets], log)


def test_command(stage, names):
    # A name alone would also mean the test of that name in another suite.
    suites = [part for suite in stage.suites for part in ("--suite", suite)]
    return ["meson", "test", "-C", stage.directory, "--no-rebuild", "--logbase",
            f"check-{stage.name}", "--num-processes", str(stage.parallel),
            "--timeout-multiplier", str(stage.patience), *suites, *names]


def test_environment(stage):
    """Of the test programs: ROWAN_SIM_SEEDS from outside counts more than the stage's."""
    if stage.seeds is None:
        return dict(os.environ)
    return {"ROWAN_SIM_SEEDS": str(stage.seeds), **os.environ}


def run_tests(stage, tests, tally):
    base = f"check-{stage.name}"
    log = os.path.join(TOP, stage.directory, "meson-logs", base + ".json")
    if os.path.exists(log):
        os.unlink(log)
    argv = test_command(stage, [name for name, _ in tests])
    with open(os.path.join(TOP, stage.directory, base + ".out"), "wb") as out:
        subprocess.run(argv, cwd=TOP, stdout=out, stderr=subprocess.STDOUT, check=False,
                       env=test_environment(stage))
    if not os.path.exists(log):
        tally.failed += 1
        say(f"meson test wrote no log; see {stage.directory}/{base}.out")
        return
    ran = 0
    with open(log, encoding="utf-8") as entries:
        for entry in map(json.loads, entries):
            ran += 1
            if shown := tally.add(entry):
                say(shown)
    if ran != len(tests):
        tally.failed += 1
        say(f"{ran} test programs of stage {stage.name} ran, not {len(tests)}")


def run_stage(stage):
    tally, started = Tally(), time.monotonic()
    say(f"== {stage.name}: building in {stage.directory}/")
    if not configure(stage):
        tally.failed += 1
        return tally
    tests = tests_of(stage)
    if not tests:
        say(f"no tests of {', '.join(stage.suites)} in {stage.directory}/")
        tally.failed += 1
        return tally
    if not build(stage, tests):
        tally.failed += 1
        return tally
    built = time.monotonic()
    say(f"== {stage.name}: {len(tests)} test programs (built in {built - started:.0f} s)")
    run_tests(stage, tests, tally)
    say(f"== {stage.name}: {tally.line()} in {time.monotonic() - built:.0f} s")
    return tally


def run_tidy():
    tally = Tally()
    say("== tidy")
    good = subprocess.run([sys.executable, os.path.join("tools", "tidy.py")], cwd=TOP,
                          check=False).returncode == 0
    tally.passed, tally.failed = int(good), int(not good)
    return tally


def main(wanted):
    names = ["tidy"] + [stage.name for stage in STAGES]
    if unknown := [name for name in wanted if name not in names]:
        print(f"usage: tools/check [{'|'.join(names)}]...  (not {unknown[0]})", file=sys.stderr)
        return 2
    started, whole = time.monotonic(), Tally()
    runs = [("tidy", run_tidy)] + [(s.name, lambda s=s: run_stage(s)) for s in STAGES]
    for name, run in runs:
        if name not in wanted if wanted else name in ASKED:
            continue
        part = run()
        whole.passed += part.passed
        whole.failed += part.failed
        whole.skipped += part.skipped
    if whole.skipped and os.environ.get("CI") == "true":
        say(f"in CI a skipped test is a failed one ({whole.skipped})")
        whole.failed += whole.skipped
        whole.skipped = 0
    say(f"== all in {time.monotonic() - started:.0f} s")
    say(whole.line())
    return 1 if whole.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
