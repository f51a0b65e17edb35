"""A child process: its log, its readiness, its end. Every wait has a deadline."""

import os
import signal
import socket
import subprocess
import time


class LabError(Exception):
    """The laboratory itself or what it watches did not do what the story needs."""


def wait_until(condition, timeout_s, what):
    """Polls `condition` until it is true; LabError naming `what` after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(0.02)


def port_answers(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Child:
    def __init__(self, name, argv, log_path, env=None):
        self.name = name
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})}, start_new_session=True)

    @property
    def running(self):
        return self.process.poll() is None

    def wait_port(self, port, timeout_s=30):
        def ready():
            if not self.running:
                raise LabError(f"{self.name} ended with status {self.process.returncode} before "
                               f"it answered on port {port}\n{self.log_tail()}")
            return port_answers(port)
        wait_until(ready, timeout_s, f"{self.name} on port {port}\n{self.log_tail()}")

    def send(self, number):
        if self.running:
            os.killpg(self.process.pid, number)

    def pause(self):
        self.send(signal.SIGSTOP)

    def resume(self):
        self.send(signal.SIGCONT)

    def kill(self):
        self.send(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout_s=20):
        """Asks it to end and returns its exit status; LabError if it needs force."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise LabError(f"{self.name} did not end within {timeout_s} s of SIGTERM") from error

    def log_tail(self, lines=25):
        with open(self.log_path, "rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 16384))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
