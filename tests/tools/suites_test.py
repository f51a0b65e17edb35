"""The count at the end of tools/check is the sum of what the programs counted, faults included."""

import os
import sys
import unittest

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


if __name__ == "__main__":
    program = unittest.main(exit=False)
    bad = len(program.result.failures) + len(program.result.errors)
    print(f"{program.result.testsRun - bad} passed, {bad} failed")
    sys.exit(bool(bad))
