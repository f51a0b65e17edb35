"""A hostile client: whatever it sends, Rowan neither believes nor dies, and serves the others.

Malformed, endless, fragmented, replayed, forged and out-of-range input, each by raw socket.
After every case a well-behaved client must be answered, and memory must not have grown.
"""

import os
import random
import socket
import struct
import time

from lab import wire
from lab.child import wait_until
from lab.rowan import Rowan
from lab.story import tell
from lab.wire import Closed, Wire, opaque, u32, u64

MEMORY_GROWTH_KB = 96 << 10
SEED = int(os.environ.get("ROWAN_SEED", "20270"))
DATA_BYTES = 4 << 20


class Victim:
    """The proxy, its appliance, and the well-behaved client that checks on it."""

    def __init__(self, story):
        self.story = story
        image = story.directory("image")
        with open(os.path.join(image, "data"), "wb") as out:
            out.write(random.Random(SEED).randbytes(DATA_BYTES))
        os.mkdir(os.path.join(image, "sub"))
        self.rowan = Rowan(story)
        self.rowan.command("image", "add", "image", image)
        for name in ("vm1", "vm2"):
            self.rowan.command("create", name, "--image", "image")
        with self.wire() as client:
            self.root = client.mount("/vm1")[1]
            self.other_root = client.mount("/vm2")[1]
            self.data = client.lookup(self.root, b"data")[1]
            for offset in range(0, DATA_BYTES, 1 << 20):  # warm, so that growth means a leak
                client.ask(wire.READ, wire.read_arguments(self.data, offset, 1 << 20))
        self.memory = self.rowan.resident_kb()

    @property
    def port(self):
        return self.rowan.port

    def wire(self, **options):
        return Wire(self.port, **options)

    def is_well(self, after):
        with self.wire(timeout_s=5) as client:
            status = client.ask(wire.GETATTR, opaque(self.root)).status
        self.story.equal(f"after {after} others are served", status, wire.OK)
        grown = self.rowan.resident_kb() - self.memory
        self.story.check(f"after {after} memory has not grown without bound",
                         grown < MEMORY_GROWTH_KB, f"{grown} KiB more than at the start")


def sample_calls(v):
    """One well-formed call's arguments for each family of procedures."""
    where = opaque(v.root) + opaque(b"sample")
    return {
        wire.GETATTR: opaque(v.root),
        wire.SETATTR: opaque(v.root) + wire.mode(0o755) + u32(0),
        wire.LOOKUP: opaque(v.root) + opaque(b"data"),
        wire.ACCESS: opaque(v.root) + u32(63),
        wire.READ: wire.read_arguments(v.data, 0, 100),
        wire.WRITE: wire.write_arguments(v.data, 0, b"twelve bytes"),
        wire.CREATE: where + u32(1) + wire.mode(0o644),
        wire.MKDIR: where + wire.mode(0o755),
        wire.SYMLINK: where + wire.mode(0o777) + opaque(b"target"),
        wire.MKNOD: where + u32(7) + wire.mode(0o600),
        wire.REMOVE: where,
        wire.RENAME: where + opaque(v.root) + opaque(b"to"),
        wire.LINK: opaque(v.data) + where,
        wire.READDIR: opaque(v.root) + u64(0) + u64(0) + u32(4096),
        wire.READDIRPLUS: opaque(v.root) + u64(0) + u64(0) + u32(4096, 4096),
        wire.FSINFO: opaque(v.root),
        wire.COMMIT: opaque(v.data) + u64(0) + u32(0),
    }


def outcome(v, message):
    """The reply to one message on a connection of its own; None if the server closed it."""
    with v.wire() as client:
        try:
            return client.exchange(message)
        except Closed:
            return None


def cut_calls(story, v):
    wrong = []
    for procedure, arguments in sample_calls(v).items():
        for length in range(0, len(arguments), 4):
            reply = outcome(v, wire.call(1, procedure, arguments[:length]))
            if reply and reply.accept != wire.GARBAGE_ARGS:
                wrong.append((procedure, length, reply))
        whole = wire.call(1, procedure, arguments)
        for length in range(0, len(whole) - len(arguments), 4):  # within the header
            reply = outcome(v, whole[:length])
            if reply and not reply.denied and reply.accept == wire.SUCCESS:
                wrong.append((procedure, -length, reply))
        reply = outcome(v, wire.call(1, procedure, arguments + u32(0)))
        if reply and reply.accept != wire.GARBAGE_ARGS:
            wrong.append((procedure, "longer", reply))
    story.equal("a call cut at any word, or too long, is GARBAGE_ARGS or ends the connection",
                wrong, [])
    v.is_well("cut calls")


def huge_lengths(story, v):
    for procedure, arguments in sample_calls(v).items():
        if procedure in (wire.SETATTR, wire.REMOVE):
            continue  # other words of these are valid and change the root
        for at in range(0, len(arguments), 4):
            for value in (0xffffffff, 0x80000000, 0x7fffffff, 1 << 20):
                changed = arguments[:at] + u32(value) + arguments[at + 4:]
                outcome(v, wire.call(at, procedure, changed))
    v.is_well("huge lengths in every word")


def random_mutations(story, v):
    numbers = random.Random(SEED)
    samples = list(sample_calls(v).items())
    for _ in range(3000):
        procedure, arguments = numbers.choice(samples)
        message = bytearray(wire.call(numbers.getrandbits(32), procedure, arguments))
        for _ in range(numbers.randint(1, 6)):
            message[numbers.randrange(len(message))] = numbers.getrandbits(8)
        outcome(v, bytes(message))
    v.is_well(f"3000 random mutations (ROWAN_SEED={SEED})")


def endless_record(story, v):
    limit, sent = 24 << 20, 0  # the kernel's buffers hold some of what Rowan no longer reads
    with v.wire(timeout_s=5) as client:
        try:
            while sent < limit:
                client.send(u32(64 << 10) + bytes(64 << 10))
                sent += 64 << 10
            closed = client.is_closed()
        except (Closed, socket.timeout):
            closed = True
    story.check("a record that never ends is cut off", closed and sent < limit,
                f"{sent} bytes sent")
    v.is_well("an endless record")


def fragment_claims(story, v):
    for mark in (0x7fffffff, 0xffffffff, 0x80200000, 0x00200000):
        with v.wire() as client:
            client.send(u32(mark))
            story.check(f"a fragment mark of {mark:#x} ends the connection", client.is_closed())
    with v.wire() as client:
        try:
            for _ in range(300):
                client.send(u32(0) * 1000)
            client.send(wire.record(wire.call(7, wire.GETATTR, opaque(v.root))))
            answered = wire.Reply(client.receive()).status == wire.OK
        except Closed:
            answered = None
    story.check("300,000 empty fragments end the connection or are skipped", answered is not False)
    v.is_well("300,000 empty fragments")


def tiny_fragments(story, v):
    message = wire.call(9, wire.LOOKUP, opaque(v.root) + opaque(b"data"))
    with v.wire() as client:
        for at in range(len(message) - 1):
            client.send(u32(1) + message[at:at + 1])
        client.send(u32(wire.LAST | 1) + message[-1:])
        story.equal("a call in fragments of one byte is answered",
                    wire.Reply(client.receive()).status, wire.OK)
    with v.wire() as client:
        for byte in wire.record(message):
            client.send(bytes([byte]))
        story.equal("a call in segments of one byte is answered",
                    wire.Reply(client.receive()).status, wire.OK)
    with v.wire() as client:
        client.send(b"".join(wire.record(wire.call(xid, wire.GETATTR, opaque(v.root)))
                             for xid in range(200)))
        xids = {wire.Reply(client.receive()).xid for _ in range(200)}
        story.equal("200 calls in one segment are all answered", xids, set(range(200)))


def slow_reader(story, v):
    count, size = 2000, 64 << 10
    with v.wire(timeout_s=30) as client:
        calls = b"".join(
            wire.record(wire.call(xid, wire.READ, wire.read_arguments(
                v.data, xid * size % DATA_BYTES, size))) for xid in range(count))
        client.socket.setblocking(False)
        sent = 0
        until = time.monotonic() + 3
        while sent < len(calls) and time.monotonic() < until:
            try:
                sent += client.socket.send(calls[sent:])
            except BlockingIOError:
                time.sleep(0.01)
        v.is_well("2000 READs whose replies nobody reads")
        # It has read nothing, and will not until this is answered.
        with v.wire() as other:
            other.ask(wire.READ, wire.read_arguments(v.data, 0, size))
            story.check("a slow reader holds up nobody else", True)
        # Read at last: nothing is lost.
        client.socket.setblocking(True)
        client.socket.settimeout(30)
        seen = set()
        while len(seen) < count:
            if sent < len(calls):
                try:
                    client.socket.setblocking(False)
                    sent += client.socket.send(calls[sent:])
                except BlockingIOError:
                    pass
                finally:
                    client.socket.settimeout(30)
            reply = wire.Reply(client.receive())
            if reply.status != wire.OK or reply.xid in seen:
                break
            seen.add(reply.xid)
        story.equal("each of its calls is answered once it reads", len(seen), count)


def idle_connections(story, v):
    crowd = [v.wire() for _ in range(800)]
    v.is_well("800 idle connections")
    with v.wire(timeout_s=5) as client:
        story.equal("a further one is served", client.ask(0).accept, wire.SUCCESS)
    answered = sum(1 for client in crowd if client.ask(0).accept == wire.SUCCESS)
    story.equal("each of the 800 is", answered, 800)
    for client in crowd:
        client.close()
    v.is_well("they are gone")


def bad_headers(story, v):
    with v.wire() as client:
        reply = client.ask(0, rpc=3)
        story.equal("RPC version 3 is denied, 2 is offered",
                    (reply.denied, reply.reason, reply.body), (1, 0, u32(2, 2)))
    with v.wire() as client:
        story.equal("an unknown program", client.ask(0, program=100099).accept, wire.PROG_UNAVAIL)
        for version in (0, 2, 4, 0xffffffff):
            reply = client.ask(0, version=version)
            story.equal(f"NFS version {version}", (reply.accept, reply.body),
                        (wire.PROG_MISMATCH, u32(3, 3)))
        for procedure in (22, 23, 9999, 0xffffffff):
            story.equal(f"procedure {procedure}", client.ask(procedure).accept, wire.PROC_UNAVAIL)
        story.equal("a MOUNT procedure too far", client.ask(6, program=wire.MOUNT).accept,
                    wire.PROC_UNAVAIL)


def bad_credentials(story, v):
    seventeen = wire.auth_sys(groups=range(17))
    long_name = u32(1) + opaque(u32(1) + opaque(b"m" * 256) + u32(0, 0, 0))
    cases = {
        "flavour 6 (GSS)": u32(6) + opaque(b"\0" * 20),
        "flavour 99": u32(99) + opaque(b""),
        "17 groups": seventeen,
        "a machine name of 256 bytes": long_name,
        "an AUTH_SYS body cut short": u32(1) + opaque(u32(1, 4)),
        "an AUTH_SYS body too long": u32(1) + opaque(wire.auth_sys()[8:] + u32(0)),
        "a body of 404 bytes": u32(1) + opaque(bytes(404)),
        "a huge length": u32(1, 0xfffffff0),
    }
    for what, credential in cases.items():
        reply = outcome(v, wire.call(3, wire.GETATTR, opaque(v.root), credential=credential))
        refused = reply is None or reply.denied and reply.reason == 1 \
            or reply.accept == wire.GARBAGE_ARGS
        story.check(f"{what}: AUTH_ERROR, GARBAGE_ARGS or the end", refused, repr(reply))
    reply = outcome(v, wire.call(3, wire.CREATE, wire.create_arguments(v.root, b"nobody's"),
                                 credential=wire.AUTH_NONE))
    refused = reply is None or reply.denied or reply.status == wire.ACCES
    story.check("AUTH_NONE may not create in root's directory", refused, repr(reply))
    reply = outcome(v, u32(5, 1) + bytes(20))
    story.check("a reply instead of a call gets no success",
                reply is None or reply.denied or reply.accept != wire.SUCCESS, repr(reply))
    v.is_well("bad headers and credentials")


def reply_to_call_is_dropped(story, v):
    with v.wire(timeout_s=2) as client:
        client.send(wire.record(u32(77, 1, 0, 0, 0, 0)))
        try:
            reply = client.ask(0)
            story.equal("after a stray reply the connection goes on", reply.accept, wire.SUCCESS)
        except Closed:
            story.check("a stray reply ends the connection", True)


def replays(story, v):
    made = wire.call(0x5151, wire.CREATE, wire.create_arguments(v.root, b"once"))
    with v.wire() as client:
        first, again = client.exchange(made), client.exchange(made)
    story.equal("a CREATE is done", first.status, wire.OK)
    story.check("the same xid on the same connection repeats the reply",
                first.message == again.message, repr(again))
    with v.wire() as client:
        later = client.exchange(made)
        story.check("and after a reconnect", later.message == first.message, repr(later))
        other = wire.call(0x5151, wire.CREATE, wire.create_arguments(v.root, b"twice"))
        story.equal("another call with that xid is executed", client.exchange(other).status,
                    wire.OK)
        story.equal("really", client.lookup(v.root, b"twice")[0], wire.OK)
        removal = wire.call(0x5252, wire.REMOVE, opaque(v.root) + opaque(b"once"))
        story.equal("a REMOVE is done", client.exchange(removal).status, wire.OK)
        story.equal("its replay succeeds too", client.exchange(removal).status, wire.OK)
        story.equal("a REMOVE with a new xid does not",
                    client.ask(wire.REMOVE, opaque(v.root) + opaque(b"once")).status, wire.NOENT)
    with v.wire() as client:
        burst = [wire.record(wire.call(0x6000, wire.MKDIR,
                                       opaque(v.root) + opaque(b"dir") + wire.mode(0o755)))] * 20
        client.send(b"".join(burst))
        # A duplicate of a call in progress may be dropped; none may fail.
        client.socket.settimeout(2)
        statuses = []
        try:
            for _ in burst:
                statuses.append(wire.Reply(client.receive()).status)
        except socket.timeout:
            pass
        story.check("20 copies of one MKDIR at once are done once", set(statuses) == {wire.OK},
                    f"{statuses}")


def exclusive_create(story, v):
    def attempt(verifier):
        with v.wire() as client:
            return client.ask(wire.CREATE, opaque(v.root) + opaque(b"exclusive") + u32(2)
                              + verifier).status
    mine, other = bytes(range(0xf8, 0x100)), bytes(8)
    story.equal("EXCLUSIVE", attempt(mine), wire.OK)
    story.equal("retried", attempt(mine), wire.OK)
    story.equal("by somebody else", attempt(other), wire.EXIST)
    v.rowan.restart(crash=True)
    v.memory = v.rowan.resident_kb()
    story.equal("retried after a crash", attempt(mine), wire.OK)
    story.equal("by somebody else after a crash", attempt(other), wire.EXIST)


def forged_handles(story, v):
    with v.wire() as client:
        story.equal("CREATE", client.create(v.root, b"doomed"), wire.OK)
        doomed = client.lookup(v.root, b"doomed")[1]
        client.ask(wire.REMOVE, opaque(v.root) + opaque(b"doomed"))
        story.equal("the handle of a removed file",
                    client.ask(wire.GETATTR, opaque(doomed)).status, wire.STALE)
        accepted = []
        for bit in range(len(v.data) * 8):
            forged = bytearray(v.data)
            forged[bit // 8] ^= 1 << bit % 8
            status = client.ask(wire.GETATTR, opaque(bytes(forged))).status
            if status not in (wire.STALE, wire.BADHANDLE):
                accepted.append((bit, status))
        story.equal("no bit of a handle can be changed", accepted, [])
        for size in range(0, 65):
            status = client.ask(wire.GETATTR, opaque(v.data[:size].ljust(size, b"\0"))).status
            wanted = (wire.OK,) if size == len(v.data) else (wire.STALE, wire.BADHANDLE)
            if status not in wanted:
                accepted.append((size, status))
        story.equal("nor its length", accepted, [])
        reply = client.ask(wire.GETATTR, opaque(bytes(65)))
        story.equal("65 bytes are no handle", reply.accept, wire.GARBAGE_ARGS)
        story.equal("LINK into another appliance",
                    client.ask(wire.LINK, opaque(v.data) + opaque(v.other_root)
                               + opaque(b"x")).status, wire.XDEV)
        story.equal("RENAME into another appliance",
                    client.ask(wire.RENAME, opaque(v.root) + opaque(b"data") + opaque(v.other_root)
                               + opaque(b"x")).status, wire.XDEV)


def odd_names(story, v):
    with v.wire() as client:
        for name in (b"", b"sub/x", b"/etc/passwd", b"a\0b", b"\0", b"../vm2", b"sub/"):
            status = client.lookup(v.root, name)[0]
            story.check(f"LOOKUP of {name} is refused",
                        status in (wire.NOENT, wire.ACCES, wire.INVAL), f"status {status}")
            status = client.create(v.root, name)
            story.check(f"CREATE of {name} is refused", status in (wire.ACCES, wire.INVAL,
                                                                   wire.NOENT), f"status {status}")
        for size in (256, 1000, 4096):
            story.equal(f"a name of {size} bytes", client.create(v.root, b"n" * size),
                        wire.NAMETOOLONG)
        raw = bytes(set(range(1, 256)) - {ord("/")})[:255]
        story.equal("255 bytes of every value", client.create(v.root, raw), wire.OK)
        story.equal("are kept as they are", client.lookup(v.root, raw)[0], wire.OK)
        status, above = client.lookup(v.root, b"..")
        same = status != wire.OK or \
            client.ask(wire.GETATTR, opaque(above)).body == client.ask(
                wire.GETATTR, opaque(v.root)).body
        story.check("'..' of the root leads nowhere else", same)


def odd_writes(story, v):
    with v.wire() as client:
        client.create(v.root, b"target")
        file = client.lookup(v.root, b"target")[1]

    def attempt(arguments):
        reply = outcome(v, wire.call(11, wire.WRITE, arguments))
        with v.wire() as client:
            return reply, client.size(file)

    reply, size = attempt(wire.write_arguments(file, 0, b"short", count=100))
    story.check("a count above the data takes no more than was sent",
                size <= 5 and (reply is None or reply.status != wire.OK or size == 5),
                f"{reply!r}, size {size}")
    reply, size = attempt(wire.write_arguments(file, 0, b"0123456789", count=3))
    story.check("a count below the data takes no more than it says", size <= 5, f"{reply!r}")
    for offset in (1 << 63, (1 << 63) - 1, (1 << 64) - 1, (1 << 64) - 4):
        reply, size = attempt(wire.write_arguments(file, offset, b"12345678"))
        story.check(f"a WRITE at {offset} is refused",
                    reply is not None and reply.status in (wire.INVAL, wire.FBIG) and size <= 5,
                    repr(reply))
    reply, size = attempt(wire.write_arguments(file, 0, b"x" * 20, stable=7))
    story.check("an unknown stability is refused", size <= 5 and
                (reply is None or reply.accept == wire.GARBAGE_ARGS or reply.status == wire.INVAL),
                repr(reply))
    above = b"y" * ((1 << 20) + 4096)
    reply, size = attempt(wire.write_arguments(file, 0, above))
    story.check("more than wtmax is refused or taken in part", size <= len(above) and
                (reply is None or reply.status in (wire.OK, wire.INVAL, None)), repr(reply))
    v.is_well("odd WRITEs")


def odd_mounts(story, v):
    with v.wire() as client:
        for path in (b"", b"/", b"/nope", b"vm1/..", b"/vm1/..", b"/vm1/../vm2", b"/..",
                     b"/../../etc", b"/vm1/nope", b"/vm1\0", b"/vm1/sub\0x", b"/" + b"x" * 1024,
                     b"/vm1@nope"):
            with v.wire() as fresh:
                try:
                    reply = fresh.ask(1, opaque(path), program=wire.MOUNT)
                    refused = reply.accept == wire.GARBAGE_ARGS or reply.status in (
                        wire.NOENT, wire.ACCES, wire.INVAL, wire.NAMETOOLONG, wire.NOTDIR)
                except Closed:
                    reply, refused = None, True
            story.check(f"MNT of {path[:20]} is refused", refused, repr(reply))
        status = client.mount(b"/vm1/data")[0]
        story.equal("MNT of a file", status, wire.NOTDIR)
        story.equal("MNT of a directory below", client.mount(b"/vm1/sub")[0], wire.OK)


def unlisted_clients(story, v):
    v.rowan.command("create", "private", "--image", "image",
                    "--allow", "127.0.0.1/32")
    with v.wire() as friend:
        status, stolen = friend.mount("/private")
        story.equal("the listed client mounts", status, wire.OK)
    with v.wire(source="127.0.0.2") as stranger:
        story.equal("another client does not", stranger.mount("/private")[0], wire.ACCES)
        reply = stranger.ask(wire.GETATTR, opaque(stolen))
        story.check("nor does a stolen handle help it",
                    reply.denied or reply.status in (wire.ACCES, wire.PERM, wire.STALE),
                    repr(reply))
        reply = stranger.ask(wire.CREATE, wire.create_arguments(stolen, b"x"))
        story.check("nor for changes", reply.denied or reply.status != wire.OK, repr(reply))


CASES = (cut_calls, huge_lengths, random_mutations, endless_record, fragment_claims,
         tiny_fragments, slow_reader, idle_connections, bad_headers, bad_credentials,
         reply_to_call_is_dropped, replays, exclusive_create, forged_handles, odd_names, odd_writes,
         odd_mounts, unlisted_clients)


def run(story):
    v = Victim(story)
    only = os.environ.get("ROWAN_ONLY", "")
    for case in CASES:
        if only in case.__name__:
            story.note(case.__name__.replace("_", " "))
            case(story, v)
    wait_until(lambda: v.rowan.child.running, 1, "the proxy, alive at the end")
    v.rowan.stop()


tell(run)
