"""rowan-dump's words and exit statuses: dump_cli_test.py PROGRAM."""

import json
import os
import subprocess
import sys
import tempfile
import unittest


def run(*words):
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class Words(unittest.TestCase):
    def setUp(self):
        self.room = tempfile.TemporaryDirectory()
        self.addCleanup(self.room.cleanup)

    def write(self, name, content):
        path = os.path.join(self.room.name, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def test_help_says_what_it_is_for(self):
        status, out, _ = run("--help")
        self.assertEqual(status, 0)
        self.assertIn("block cache", out)

    def test_words_that_are_off_are_usage(self):
        for words in [(), ("--no-such-flag", "x"), ("--state", "seven", "x")]:
            status, _, err = run(*words)
            self.assertEqual(status, 2, words)
            self.assertIn("--help", err)

    def test_a_directory_that_is_not_there_is_named(self):
        status, _, err = run(os.path.join(self.room.name, "nowhere"))
        self.assertEqual(status, 1)
        self.assertIn("nowhere", err)

    def test_damage_is_printed_and_is_the_exit_status(self):
        path = self.write("superblock", b"rubbish" * 10000)
        for target in (self.room.name, path):
            status, out, err = run(target)
            self.assertEqual(status, 1)
            self.assertIn("superblock offset 0: superblock DAMAGED: wrong checksum", out)
            self.assertIn("2 damaged places", err)

    def test_json_is_an_object_a_line(self):
        self.write("superblock", b"rubbish" * 10000)
        self.write("index", bytes(128))
        status, out, _ = run("--json", self.room.name)
        self.assertEqual(status, 1)
        items = [json.loads(line) for line in out.splitlines()]
        self.assertEqual({item["at"] for item in items}, {
            "superblock offset 0", "superblock offset 65536",
            "index offset 0", "index offset 64"})

    def test_nothing_is_changed_and_nothing_is_made(self):
        self.write("superblock", b"rubbish")
        run(self.room.name)
        self.assertEqual(os.listdir(self.room.name), ["superblock"])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop()
    program = unittest.main(exit=False)
    bad = len(program.result.failures) + len(program.result.errors)
    print(f"{program.result.testsRun - bad} passed, {bad} failed")
    sys.exit(bool(bad))
