"""The count at the end of tools/check is the sum of what the programs counted, faults included."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))
import suites  # noqa: E402


def tally_of(*entries):
    tally = suites.Tally()
    shown = [tally.add({"name": "t", "result": result, "stdout": out}) for result, out in entries]
    return (tally.passed, tally.failed, tally.skipped), shown


class Counting(unittest.TestCase):
    def test_the_cases_of_catch_are_counted(self):
        counts, _ = tally_of(("OK", "All tests passed (10 assertions in 4 test cases)\n"),
                             ("OK", "All tests passed (1 assertion in 1 test case)\n"))
        self.assertEqual(counts, (5, 0, 0))

    def test_a_mixed_result_is_split_and_shown(self):
        counts, shown = tally_of(("FAIL", "x\ntest cases:  7 | 5 passed | 2 failed\n"
                                          "assertions: 90 | 80 passed | 10 failed\n"))
        self.assertEqual(counts, (5, 2, 0))
        self.assertIn("FAILED t", shown[0])

    def test_a_crash_counts_as_a_failure_though_it_counted_nothing(self):
        self.assertEqual(tally_of(("FAIL", "Segmentation fault\n"))[0], (0, 1, 0))
        self.assertEqual(tally_of(("TIMEOUT", ""))[0], (0, 1, 0))

    def test_a_leak_after_a_good_count_is_a_failure(self):
        counts, _ = tally_of(("FAIL", "All tests passed (1 assertion in 3 test cases)\n"
                                      "ERROR: LeakSanitizer: detected memory leaks\n"))
        self.assertEqual(counts, (3, 1, 0))

    def test_a_program_without_any_test_is_a_failure(self):
        self.assertEqual(tally_of(("OK", "No tests ran\n"))[0], (0, 1, 0))

    def test_a_skip_is_shown_with_its_reason(self):
        counts, shown = tally_of(("SKIP", "skipped: no root\n"))
        self.assertEqual(counts, (0, 0, 1))
        self.assertEqual(shown, ["SKIPPED t: no root"])

    def test_a_program_that_counts_in_our_way_is_believed(self):
        self.assertEqual(tally_of(("OK", "1 passed, 0 failed\n12 passed, 0 failed\n"))[0],
                         (12, 0, 0))

    def test_the_closing_line_names_skips_only_if_there_are_any(self):
        tally = suites.Tally()
        tally.passed = 3
        self.assertEqual(tally.line(), "3 passed, 0 failed")
        tally.skipped = 1
        self.assertEqual(tally.line(), "3 passed, 0 failed, 1 skipped")

    def test_a_name_means_the_test_of_the_stage_only(self):
        stage = suites.Stage("asan", "build-asan", ["unit", "sim"])
        command = suites.test_command(stage, ["source"])
        self.assertEqual(command[-5:], ["--suite", "unit", "--suite", "sim", "source"])

    def test_the_programs_that_a_script_is_handed_are_built_before_it_runs(self):
        said = {
            "--targets": [{"id": "a", "filename": [os.path.join(TOP, "build-asan/tests/a")]},
                          {"id": "d", "filename": [os.path.join(TOP, "build-asan/tools/d")]}],
            "--tests": [{"name": "a", "suite": ["rowan:unit"], "depends": ["a"]},
                        {"name": "script", "suite": ["rowan:unit"], "depends": ["d"]},
                        {"name": "pure", "suite": ["rowan:unit"], "depends": []},
                        {"name": "other", "suite": ["rowan:e2e"], "depends": ["a"]}],
        }
        with unittest.mock.patch.object(suites, "introspect", lambda stage, what: said[what]):
            stage = suites.Stage("asan", "build-asan", ["unit"])
            self.assertEqual(suites.tests_of(stage),
                             [("a", ["tests/a"]), ("script", ["tools/d"]), ("pure", [])])
            stage.only = ["script"]
            self.assertEqual(suites.tests_of(stage), [("script", ["tools/d"])])

    def test_a_build_folder_from_before_learns_of_new_tests_first(self):
        with tempfile.TemporaryDirectory() as folder:
            stage = suites.Stage("plain", folder, ["unit"])
            asked = []
            with unittest.mock.patch.object(
                    suites, "run_logged", lambda argv, *_: asked.append(argv) or True):
                self.assertTrue(suites.configure(stage))
                with open(os.path.join(folder, "build.ninja"), "w", encoding="utf-8"):
                    pass
                self.assertTrue(suites.configure(stage))
            self.assertEqual(asked[0][:2], ["meson", "setup"])
            self.assertEqual(asked[1], ["ninja", "-C", folder, "build.ninja"])

    def test_the_nightly_stage_runs_the_simulations_with_many_seeds_and_only_if_named(self):
        nightly = [stage for stage in suites.STAGES if stage.name == "nightly"][0]
        self.assertEqual(suites.ASKED, ["nightly"])
        with unittest.mock.patch.dict(os.environ, clear=True):
            self.assertEqual(suites.test_environment(nightly)["ROWAN_SIM_SEEDS"], "1000")
            self.assertNotIn("ROWAN_SIM_SEEDS", suites.test_environment(suites.STAGES[0]))
            os.environ["ROWAN_SIM_SEEDS"] = "7"
            self.assertEqual(suites.test_environment(nightly)["ROWAN_SIM_SEEDS"], "7")
        for wanted, runs in [([], False), (["plain"], False), (["nightly"], True)]:
            ran = []
            with unittest.mock.patch.object(suites, "run_tidy", suites.Tally), \
                    unittest.mock.patch.object(
                        suites, "run_stage",
                        lambda stage, ran=ran: ran.append(stage.name) or suites.Tally()), \
                    unittest.mock.patch.object(suites, "say", lambda text: None):
                suites.main(wanted)
            self.assertEqual("nightly" in ran, runs)

    def test_every_program_with_seeds_is_in_the_nightly_suite(self):
        for folder, _, names in os.walk(os.path.join(TOP, "tests")):
            for name in (name for name in names if name.endswith("_test.cc")):
                with open(os.path.join(folder, name), encoding="utf-8") as source:
                    if "support/seeds.h" not in source.read():
                        continue
                with open(os.path.join(folder, "meson.build"), encoding="utf-8") as build:
                    self.assertIn("'seeds'", test_of(name, build.read()), name)


class Words(unittest.TestCase):
    """Words that are off are refused before anything is installed or built."""

    def run_tool(self, *words):
        done = subprocess.run([os.path.join(TOP, "tools", words[0]), *words[1:]], check=False,
                              capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def test_help_is_given_and_mistakes_end_with_2(self):
        for tool in ("check", "demo"):
            status, out, err = self.run_tool(tool, "--help")
            self.assertEqual((status, err), (0, ""))
            self.assertIn(f"tools/{tool}", out)
            status, out, err = self.run_tool(tool, "bogus")
            self.assertEqual((status, out), (2, ""))
            self.assertIn(f"tools/{tool}", err)
        self.assertIn("there is no stage 'bogus'", self.run_tool("check", "tidy", "bogus")[2])

    def test_the_script_knows_the_stages(self):
        with open(os.path.join(TOP, "tools", "check"), encoding="utf-8") as script:
            known = re.search(r"^ +(tidy [| a-z0-9]+)\) continue", script.read(), re.MULTILINE)
        self.assertEqual(set(known[1].split(" | ")),
                         {"tidy"} | {stage.name for stage in suites.STAGES})


def test_of(source, build):
    """The words of the test() whose program is made of this source, itself or by a variable."""
    named = re.search(rf"^(\w+) = executable\([^)]*'{re.escape(source)}'", build, re.MULTILINE)
    program = f"{named[1]}," if named else f"'{source}'"
    for words in re.split(r"^(?=\S)", build, flags=re.MULTILINE):
        if words.startswith("test(") and program in words:
            return words
    return ""


if __name__ == "__main__":
    program = unittest.main(exit=False)
    bad = len(program.result.failures) + len(program.result.errors)
    print(f"{program.result.testsRun - bad} passed, {bad} failed")
    sys.exit(bool(bad))
