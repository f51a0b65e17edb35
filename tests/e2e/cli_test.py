"""The `rowan` command from outside: words, exit statuses, JSON, the admin socket, a daemon's life.

Python's standard library only. Runs as any user, on ports that the kernel chooses. The NFS part
needs the libnfs utilities and is skipped, with the reason, without them.
"""

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import unittest

ROWAN = os.environ.get("ROWAN", "")
PATIENCE = 60  # seconds; only a hang takes that long


class Daemon:
    """`rowan serve` on a free port; ready when its first line says so."""

    def __init__(self, state, *options):
        self.process = subprocess.Popen(
            [ROWAN, "serve", "--state", state, "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self._first_line()
        found = re.search(r" at (\S+):(\d+)", line)
        if not found:
            raise AssertionError(f"not ready: {line!r} {self.end()}")
        self.line = line
        self.port = int(found.group(2))

    def _first_line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        return self.process.stdout.readline() if ready else "(nothing)"

    def end(self, how=signal.SIGTERM):
        """Exit status and what was logged."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        _, log = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, log

    def url(self, path):
        return f"nfs://127.0.0.1{path}?nfsport={self.port}&mountport={self.port}"


class Case(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="rowan-cli-")
        self.addCleanup(shutil.rmtree, self.work)
        self.state = os.path.join(self.work, "state")
        self.image = os.path.join(self.work, "image")
        os.makedirs(os.path.join(self.image, "docs"))
        with open(os.path.join(self.image, "docs", "hello"), "w", encoding="utf8") as out:
            out.write("hello from the image\n")
        self.daemons = []

    def tearDown(self):
        for daemon in self.daemons:
            if daemon.process.poll() is None:
                daemon.end(signal.SIGKILL)

    def serve(self, *options):
        daemon = Daemon(self.state, *options)
        self.daemons.append(daemon)
        return daemon

    def run_rowan(self, *words, state=True, fed=None):
        place = ["--state", self.state] if state else []
        done = subprocess.run([ROWAN, *words, *place], capture_output=True, text=True, input=fed,
                              timeout=PATIENCE, check=False)
        return done.returncode, done.stdout, done.stderr

    def ok(self, *words):
        status, out, err = self.run_rowan(*words)
        self.assertEqual((status, err), (0, ""), words)
        return out

    def json(self, *words):
        return json.loads(self.ok(*words, "--json"))

    def fails(self, status, *words, says=""):
        found, out, err = self.run_rowan(*words)
        self.assertEqual(found, status, (words, out, err))
        self.assertTrue(err.startswith("rowan: "), err)
        self.assertIn(says, err)
        return err


class Words(Case):
    def test_usage_errors_end_with_2(self):
        for words in (["dance"], ["create"], ["image"], ["list", "--odd"],
                      ["serve", "--cache-size", "huge"], ["serve", "--cache-size", "1K"],
                      ["serve", "--listen", "localhost:1"],
                      ["create", "../x", "--image", "debian"], ["create", "vm"],
                      ["create", "vm", "--image", "a", "--quota", "much"],
                      ["image", "add", "a@b", "/"],
                      ["image", "add", "a", "http://h/"],
                      ["diff", "vm", "--stat", "--content", "/etc/fstab"],
                      ["doctor", "--write"], ["doctor", "nfs://"],
                      ["serve", "--config", "/nothing/there"]):
            self.fails(2, *words)
        self.assertFalse(os.path.exists(self.state))

    def test_a_directory_that_is_not_there_is_no_mistake_of_usage(self):
        self.fails(1, "image", "add", "a", "/nothing/there", says="give a directory")
        self.fails(1, "create", "a", "/nothing/there", says="/nothing/there: No such file")

    def test_a_checkpoint_in_the_place_of_an_appliance_is_told_where_it_belongs(self):
        for words, says in ((("show", "vm1@a"), "rowan log vm1"),
                            (("checkpoint", "vm1@a"), "rowan checkpoint vm1 a"),
                            (("check", "vm1@a"), "rowan check vm1"),
                            (("check", "vm1@a", "--repair"), "rowan check vm1"),
                            (("log", "vm1@a"), "rowan log vm1"),
                            (("create", "vm1@a", "/"), "rowan clone vm1@a NEW"),
                            (("receive", "vm1@a"), "rowan receive vm1")):
            self.fails(2, *words, says=says)
        self.fails(2, "show", "vm1@", says="cannot name")

    def test_a_stream_that_does_not_come_is_laid_to_its_sender(self):
        for fed, says in (("", "nothing arrived"), ("ROWANSTR", "ends at byte 8")):
            status, _, err = self.run_rowan("receive", "vm1", fed=fed)
            self.assertEqual(status, 1)
            self.assertIn(says, err)
            self.assertIn("see what it said", err)
            self.assertNotIn("what arrived is kept", err)

    def test_a_word_that_is_no_command_is_named(self):
        self.fails(2, "dance", says="there is no command 'dance'; try 'rowan --help'")
        self.fails(2, "image", "dance", says="image: there is no command 'dance'")
        self.fails(2, "image", says="subcommand is required")

    def test_a_mistake_in_the_configuration_is_named_with_its_place(self):
        path = os.path.join(self.work, "rowan.toml")
        with open(path, "w", encoding="utf8") as out:
            out.write("rpcbind = false\ncache-siz = '1G'\n")
        self.fails(2, "serve", "--config", path, says=f"{path}:2:")

    def test_help_is_everywhere(self):
        for words in ([], ["serve"], ["image"], ["image", "add"], ["create"], ["list"],
                      ["show"], ["remove"],
                      ["check"], ["status"], ["doctor"]):
            status, out, err = self.run_rowan(*words, "--help", state=False)
            self.assertEqual((status, err), (0, ""))
            self.assertIn("rowan", out)

    def test_what_the_readme_shows_exists(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md")
        with open(path, encoding="utf8") as readme:
            text = readme.read()
        shown = [" ".join(span.split()) for span in re.findall(r"`(rowan\s[^`]+)`", text)]
        shown += re.findall(r"^    \$ (rowan .*)$", text, re.MULTILINE)
        self.assertGreater(len(shown), 20)
        for command in (part for line in shown for part in re.findall(r"rowan [^|;&>]+", line)):
            words = command.split()[1:]
            named = words[:2] if words[0] == "image" else words[:1]
            status, out, err = self.run_rowan(*named, "--help", state=False)
            self.assertEqual((status, err), (0, ""), command)
            for option in re.findall(r"--[a-z-]+", command):
                self.assertIn(option, out, command)

    def test_reading_makes_no_state(self):
        self.fails(1, "list", says="no state")
        self.fails(1, "status", says="the daemon is not running")
        self.assertFalse(os.path.exists(self.state))


class Records(Case):
    """Without a daemon."""

    def test_images_and_appliances_come_and_go(self):
        self.ok("image", "add", "debian", self.image)
        self.ok("image", "add", "debian", self.image, "--version", "b")
        self.fails(1, "image", "add", "debian", self.image, "--version", "b", says="has a version")
        versions = self.json("image", "show", "debian")["versions"]
        self.assertEqual([entry["version"] for entry in versions], ["1", "b"])
        self.ok("create", "vm1", "--image", "debian@1", "--allow", "10.0.0.0/8",
                "--quota", "1G", "--root-squash",
                "--durability", "async")
        shown = self.json("show", "vm1")
        self.assertEqual((shown["image"], shown["version"], shown["quota"]),
                         ("debian", "1", 1 << 30))
        self.assertEqual((shown["durability"], shown["root_squash"]), ("async", True))
        self.assertEqual(shown["state"], "stopped")
        self.fails(1, "create", "vm1", "--image", "debian", says="'vm1' already exists")
        self.fails(1, "create", "vm2", "--image", "fedora", says="no image 'fedora'")
        self.fails(2, "create", "vm2", "--image", "debian", "--allow", "everybody")
        self.fails(1, "image", "remove", "debian", says="'vm1'")
        self.fails(1, "remove", "vm9", says="no appliance 'vm9'")
        self.fails(1, "status", says="the daemon is not running; start it with 'rowan serve")
        self.assertIn("vm1", self.ok("list"))
        self.assertEqual(self.json("check")["appliances"][0]["ok"], True)
        self.ok("remove", "vm1")
        self.ok("image", "remove", "debian@b")
        self.ok("image", "remove", "debian")
        self.assertEqual(self.json("image", "list"), {"images": []})

    def test_a_source_makes_its_own_image(self):
        self.ok("create", "vm1", self.image)
        self.ok("create", "vm2", os.path.relpath(self.image))
        self.assertEqual(self.json("show", "vm2")["image"], "image")
        self.assertEqual(len(self.json("image", "show", "image")["versions"]), 1)

    def test_a_source_that_is_not_there_adds_nothing(self):
        closed = socket.create_server(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        closed.close()
        self.fails(1, "image", "add", "far", f"nfs://127.0.0.1/x?nfsport={port}&mountport={port}")
        self.assertEqual(self.json("image", "list"), {"images": []})

    def test_nobody_else_can_read_keys(self):
        self.ok("create", "vm1", self.image)
        path = os.path.join(self.state, "appliances", "vm1", "appliance.json")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o700)
        with open(path, encoding="utf8") as record:
            key = json.load(record)["record"]["key"]
        self.assertNotIn(key, self.ok("show", "vm1", "--json"))


class Life(Case):
    """With a daemon."""

    def curl(self, request):
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(PATIENCE)
            admin.connect(os.path.join(self.state, "rowan.sock"))
            admin.sendall(request)
            answer = b""
            while chunk := admin.recv(65536):
                answer += chunk
        return answer

    def test_serve_create_crash_and_serve_again(self):
        daemon = self.serve()
        self.assertIn("serving 0 appliances", daemon.line)
        self.ok("image", "add", "debian", self.image)
        self.ok("create", "vm1", "--image", "debian")
        shown = self.json("show", "vm1")
        self.assertEqual(shown["state"], "serving")
        status = self.json("status")
        self.assertEqual(status["daemon"]["listen"], [f"127.0.0.1:{daemon.port}"])
        self.assertIn("vm1", self.ok("status"))
        self.read_and_write(daemon)
        status, _ = daemon.end(signal.SIGKILL)
        self.assertEqual(status, -signal.SIGKILL)
        again = self.serve()
        self.assertEqual(self.json("show", "vm1")["id"], shown["id"])
        self.read_back(again)
        status, log = again.end()
        self.assertEqual(status, 0, log)
        self.assertFalse(os.path.exists(os.path.join(self.state, "rowan.sock")))
        self.assertEqual(self.json("check", "vm1")["appliances"][0]["findings"], [])

    def read_and_write(self, daemon):
        if not shutil.which("nfs-cat"):
            print("SKIP reading and writing: no libnfs utilities")
            return
        self.assertIn("hello", self.nfs("nfs-ls", daemon.url("/vm1/docs")))
        hello = self.nfs("nfs-cat", daemon.url("/vm1/docs/hello"))
        self.assertEqual(hello, "hello from the image\n")
        local = os.path.join(self.work, "local")
        with open(local, "w", encoding="utf8") as out:
            out.write("written here\n")
        self.nfs("nfs-cp", local, daemon.url("/vm1/new"))
        procedures = self.json("show", "vm1")["procedures"]
        self.assertGreater(procedures["READ"]["calls"], 0)

    def read_back(self, daemon):
        if shutil.which("nfs-cat"):
            self.assertEqual(self.nfs("nfs-cat", daemon.url("/vm1/new")), "written here\n")
            hello = self.nfs("nfs-cat", daemon.url("/vm1/docs/hello"))
            self.assertEqual(hello, "hello from the image\n")

    def nfs(self, *words):
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, (words, done.stderr))
        return done.stdout

    def test_a_second_daemon_is_refused_at_once_and_the_first_unharmed(self):
        daemon = self.serve()
        self.fails(1, "serve", "--listen", "127.0.0.1:0",
                   says=f"process {daemon.process.pid} (rowan serve)")
        self.assertIsInstance(self.json("status")["daemon"], dict)

    def test_a_taken_port_is_named(self):
        daemon = self.serve()
        other = os.path.join(self.work, "other")
        status, _, err = self.run_rowan("serve", "--state", other, "--listen",
                                        f"127.0.0.1:{daemon.port}", state=False)
        self.assertEqual(status, 1)
        self.assertIn(str(daemon.port), err)

    def test_a_damaged_appliance_does_not_stop_the_others(self):
        self.ok("create", "good", self.image)
        self.ok("create", "bad", self.image)
        path = os.path.join(self.state, "appliances", "bad", "appliance.json")
        with open(path, "r+", encoding="utf8") as record:
            text = record.read().replace('"quota": 0', '"quota": 7')
            record.seek(0)
            record.write(text)
        daemon = self.serve()
        states = {entry["name"]: entry["state"] for entry in self.json("list")["appliances"]}
        self.assertEqual(states, {"good": "serving", "bad": "damaged"})
        self.fails(1, "show", "bad", says="damaged")
        self.ok("remove", "bad")
        status, log = daemon.end()
        self.assertEqual(status, 0)
        self.assertIn("appliance=bad", log)

    def test_removing_while_serving(self):
        self.serve()
        self.ok("create", "vm1", self.image)
        self.assertEqual(self.ok("check", "vm1"), "appliance vm1: sound\n")
        self.ok("remove", "vm1")
        self.assertEqual(os.listdir(os.path.join(self.state, "appliances")), [])
        self.ok("image", "remove", "image")

    def test_the_admin_socket_speaks_http_and_refuses_nonsense(self):
        self.serve()
        path = os.path.join(self.state, "rowan.sock")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        answer = self.curl(b"GET /v1/appliances HTTP/1.1\r\nHost: rowan\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
        self.assertEqual(json.loads(answer.split(b"\r\n\r\n", 1)[1]), {"appliances": []})
        self.assertIn(b" 404 ", self.curl(b"GET /etc/passwd HTTP/1.1\r\nHost: rowan\r\n\r\n"))
        self.assertIn(b" 400 ", self.curl(b"nonsense\r\n\r\n"))
        self.assertIsInstance(self.json("status")["daemon"], dict)

    def test_other_users_are_not_answered(self):
        python = "/usr/bin/python3"  # one that the other user may run as well
        if os.geteuid() != 0 or not os.access(python, os.X_OK):
            self.skipTest("needs root to become another user, and " + python)
        self.serve()
        os.chmod(self.work, 0o755)
        os.chmod(self.state, 0o755)
        os.chmod(os.path.join(self.state, "rowan.sock"), 0o666)
        child = subprocess.run(
            [python, "-c", "import socket, sys\n"
             "s = socket.socket(socket.AF_UNIX)\n"
             "s.connect(sys.argv[1])\n"
             "s.sendall(b'GET /v1/status HTTP/1.1\\r\\nHost: rowan\\r\\n\\r\\n')\n"
             "print(len(s.recv(100)))\n", os.path.join(self.state, "rowan.sock")],
            user=65534, group=65534, extra_groups=[], capture_output=True, text=True,
            timeout=PATIENCE, check=False)
        self.assertTrue(child.stdout == "0\n" or "Reset" in child.stderr or
                        "Broken pipe" in child.stderr, (child.stdout, child.stderr))

    def test_a_socket_path_that_is_not_its_own_is_left_alone(self):
        os.makedirs(self.state, mode=0o700)
        path = os.path.join(self.state, "rowan.sock")
        os.symlink("/nothing/there", path)
        status, _, err = self.run_rowan("serve", "--listen", "127.0.0.1:0")
        self.assertEqual(status, 1)
        self.assertIn("rowan.sock exists and is not a socket", err)
        self.assertTrue(os.path.islink(path))


class StandIn:
    """A daemon of a few canned answers, by request: the last of each is given again."""

    def __init__(self, state, answers):
        os.makedirs(state, mode=0o700, exist_ok=True)
        self.answers = {request: list(bodies) for request, bodies in answers.items()}
        self.heard = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(os.path.join(state, "rowan.sock"))
        self.socket.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with client:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += client.recv(65536)
                request = " ".join(head.decode().split()[:2])
                self.heard.append(request)
                bodies = self.answers.get(request, [{}])
                body = json.dumps(bodies.pop(0) if len(bodies) > 1 else bodies[0]).encode()
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                               % (len(body), body))

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(PATIENCE)
        self.socket.close()


class Progress(Case):
    """Long work shows how far it is: on one line of a terminal, and never beside JSON."""

    WORK = "GET /v1/work/5?wait=true"
    CHECK = {"POST /v1/appliances/vm1/check?background=true": [{"work": 5}],
             WORK: [{"done": False, "name": "vm1", "unit": "pages", "looked_at": 12,
                     "to_look_at": 0},
                    {"done": False, "name": "vm1", "unit": "bytes", "looked_at": 1 << 20,
                     "to_look_at": 4 << 20},
                    {"done": True, "kind": "check", "name": "vm1", "ok": True, "findings": []}]}
    REPAIR = {"POST /v1/appliances/vm1/check?background=true&repair=true": [{"work": 5}],
              WORK: [{"done": False, "name": "vm1", "unit": "bytes", "looked_at": 1,
                      "to_look_at": 100, "repair": True},
                     {"done": True, "kind": "check", "name": "vm1", "repaired": True,
                      "findings": ["damage"], "lost": []}]}
    DIFF = {"POST /v1/appliances/vm1/diff": [{"work": 5}],
            WORK: [{"done": False, "records": 7, "to_look_at": 0},
                   {"done": True, "before": "a", "after": "b", "totals": {}}]}

    def on_terminal(self, answers, *words):
        """Exit status, standard output, and what a terminal was sent."""
        daemon = StandIn(self.state, answers)
        ours, theirs = pty.openpty()
        try:
            done = subprocess.run([ROWAN, *words, "--state", self.state], stdout=subprocess.PIPE,
                                  stderr=theirs, text=True, timeout=PATIENCE, check=False)
            os.write(theirs, b"END")
            shown = b""
            while not shown.endswith(b"END"):
                shown += os.read(ours, 65536)
        finally:
            os.close(theirs)
            os.close(ours)
            daemon.close()
            os.unlink(os.path.join(self.state, "rowan.sock"))
        self.assertIn("DELETE /v1/work/5", daemon.heard)
        return done.returncode, done.stdout, shown[:-3].decode()

    def test_a_terminal_sees_one_line_that_is_gone_at_the_end(self):
        clear = "\r\033[K"
        status, out, shown = self.on_terminal(self.CHECK, "check", "vm1")
        self.assertEqual((status, out), (0, "appliance vm1: sound\n"))
        self.assertEqual(shown, clear + "checking vm1: 12 pages of its records" + clear +
                         "checking vm1: 25 % of 4.0 MiB of data" + clear)
        status, out, shown = self.on_terminal(self.REPAIR, "check", "vm1", "--repair")
        self.assertEqual((status, out), (0, "  damage\nappliance vm1: repaired\n"))
        self.assertIn("repairing vm1: 1 % of", shown)
        self.assertTrue(shown.endswith(clear), shown)
        _, _, shown = self.on_terminal(self.DIFF, "diff", "vm1", "--stat")
        self.assertEqual(shown, clear + "comparing: 7 records differ" + clear)

    def test_nothing_of_it_beside_json(self):
        for answers, words in ((self.CHECK, ("check", "vm1")), (self.DIFF, ("diff", "vm1"))):
            status, out, shown = self.on_terminal(answers, *words, "--json")
            self.assertEqual((status, shown), (0, ""))
            json.loads(out)

    def test_short_work_says_nothing_of_it_in_a_pipe(self):
        daemon = StandIn(self.state, self.CHECK)
        self.assertEqual(self.ok("check", "vm1"), "appliance vm1: sound\n")
        daemon.close()
        self.assertEqual(daemon.heard.count(self.WORK), 3)


    def test_a_daemon_that_dies_before_it_answers_is_not_called_a_refusal(self):
        os.makedirs(self.state, mode=0o700)
        with socket.socket(socket.AF_UNIX) as dying:
            dying.bind(os.path.join(self.state, "rowan.sock"))
            dying.listen()

            def hear_and_die():
                client, _ = dying.accept()
                client.recv(65536)
                client.close()

            thread = threading.Thread(target=hear_and_die)
            thread.start()
            self.fails(1, "list", says="went away before it answered")
            thread.join(PATIENCE)


class OddBytes(Case):
    """What clients and operators write cannot drive a terminal."""

    def test_messages_show_control_characters(self):
        self.ok("create", "vm1", self.image)
        err = self.fails(1, "cat", "vm1", "/\x1b[2J\n")
        self.assertIn("'/\\033[2J\\012' in vm1", err)
        self.fails(2, "show", "\x1b[2J", says="'\\033[2J' cannot name")
        daemon = StandIn(self.state, {
            "POST /v1/appliances/vm1/check?background=true": [{"work": 5}],
            "GET /v1/work/5?wait=true": [{"done": True, "findings": ["/\x1b[2J: damaged"]}]})
        status, out, _ = self.run_rowan("check", "vm1")
        daemon.close()
        self.assertEqual((status, out), (1, "appliance vm1: 1 findings\n  /\\033[2J: damaged\n"))

    def test_json_is_json_only(self):
        daemon = StandIn(self.state, {"DELETE /v1/receives/vm1": [{"aborted": "vm1"}]})
        self.assertEqual(self.json("receive", "vm1", "--abort"), {"aborted": "vm1"})
        daemon.close()

    def test_an_empty_state_is_not_the_default_place(self):
        status, _, err = self.run_rowan("list", "--state", "", state=False)
        self.assertEqual(status, 2)
        self.assertIn("--state", err)


class Doctor(Case):
    def test_a_healthy_appliance(self):
        daemon = self.serve()
        self.ok("create", "vm1", self.image)
        found = self.json("doctor", f"127.0.0.1:{daemon.port}:/vm1", "--write")
        self.assertTrue(found["ok"], found)
        topics = {finding["topic"]: finding["level"] for finding in found["findings"]}
        for topic in ("portmap", "MOUNT", "NFS", "mount", "limits", "read", "write",
                      "round trip", "access"):
            self.assertEqual(topics.get(topic), "ok", found)
        status, out, _ = self.run_rowan("doctor", f"127.0.0.1:{daemon.port}:/vm9")
        self.assertEqual(status, 1)
        self.assertIn("->", out)

    def test_a_name_that_cannot_be_resolved_is_said_once(self):
        # No name of a host: nobody is asked for it.
        status, out, _ = self.run_rowan("doctor", "no..host:/vm1")
        self.assertEqual(status, 1)
        self.assertIn("the name 'no..host' cannot be resolved", out)
        self.assertIn("/etc/hosts", out)
        self.assertEqual(len(self.findings("no..host:/vm1")), 1)
        self.assertEqual(len(self.findings("nfs://no..host/vm1")), 1)

    def findings(self, target):
        status, out, _ = self.run_rowan("doctor", target, "--json")
        self.assertEqual(status, 1)
        return json.loads(out)["findings"]

    def test_nobody_listens(self):
        closed = socket.create_server(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        closed.close()
        status, out, _ = self.run_rowan("doctor", f"127.0.0.1:{port}:/vm1")
        self.assertEqual(status, 1)
        self.assertIn("fail", out)

    def test_a_server_that_never_answers_does_not_hang_it(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            status, out, _ = self.run_rowan("doctor", f"127.0.0.1:{port}:/vm1", "--timeout", "2")
            self.assertEqual(status, 1)
            self.assertIn("not done after 2 s", out)
            self.assertIn("fail", out)


if __name__ == "__main__":
    if not ROWAN or not os.access(ROWAN, os.X_OK):
        print(f"SKIP: no rowan to test: set ROWAN to the built program (now {ROWAN!r})")
        sys.exit(77)
    unittest.main(verbosity=2)
