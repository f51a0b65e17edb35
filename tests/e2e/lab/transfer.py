"""`rowan send | rowan receive` between two daemons, or into and out of bytes."""

import subprocess

from lab.child import LabError
from lab.rowan import binary

PATIENCE_S = 300


def send(rowan, state, *options):
    """(stream, what it said on standard error); LabError if it fails."""
    done = subprocess.run([binary(), "send", state, *options, "--state", rowan.state],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False)
    if done.returncode:
        raise LabError(f"rowan send {state} ended with {done.returncode}\n{done.stderr.decode()}")
    return done.stdout, done.stderr.decode()


def receive(rowan, name, stream, *options):
    """(status, stdout, stderr)"""
    done = subprocess.run([binary(), "receive", name, *options, "--state", rowan.state],
                          input=stream, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE_S, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def pipe(source, state, target, name, *, since=None, options=()):
    """From the one to the other through a pipe; the name of the checkpoint that was sent."""
    words = [binary(), "send", state, "--state", source.state]
    if since:
        words += ["--since", since]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as sender:
        done = subprocess.run([binary(), "receive", name, *options, "--state", target.state],
                              stdin=sender.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=PATIENCE_S, check=False)
        sender.stdout.close()
        said = sender.stderr.read().decode()
        status = sender.wait(PATIENCE_S)
    if status or done.returncode:
        raise LabError(f"send ended with {status}, receive with {done.returncode}\n"
                       f"{said}{done.stderr.decode()}")
    return sent_checkpoint(said)


def sent_checkpoint(said):
    """The checkpoint's name from what send says: 'rowan: send: vm1@NAME sent: ...'."""
    line = next(line for line in said.splitlines() if " sent: " in line)
    return line.split("@", 1)[1].split(" ", 1)[0]
