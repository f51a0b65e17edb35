"""ONC RPC and NFSv3 by hand (RFC 5531, RFC 1813): a client that can say anything."""

import socket
import struct

NFS, MOUNT, PORTMAP = 100003, 100005, 100000
GETATTR, SETATTR, LOOKUP, ACCESS, READLINK, READ, WRITE, CREATE = range(1, 9)
MKDIR, SYMLINK, MKNOD, REMOVE, RMDIR, RENAME, LINK, READDIR, READDIRPLUS = range(9, 18)
FSSTAT, FSINFO, PATHCONF, COMMIT = range(18, 22)

OK, PERM, NOENT, IO, ACCES, EXIST, XDEV, NOTDIR, ISDIR, INVAL = 0, 1, 2, 5, 13, 17, 18, 20, 21, 22
FBIG, NOSPC, ROFS, MLINK, NAMETOOLONG, STALE = 27, 28, 30, 31, 63, 70
BADHANDLE, JUKEBOX = 10001, 10008

SUCCESS, PROG_UNAVAIL, PROG_MISMATCH, PROC_UNAVAIL, GARBAGE_ARGS = range(5)
LAST = 0x80000000


def u32(*values):
    return b"".join(struct.pack(">I", value & 0xffffffff) for value in values)


def u64(value):
    return struct.pack(">Q", value & 0xffffffffffffffff)


def opaque(data):
    return u32(len(data)) + data + b"\0" * (-len(data) % 4)


def auth_sys(uid=0, gid=0, groups=(), machine=b"hostile"):
    body = u32(1) + opaque(machine) + u32(uid, gid, len(groups), *groups)
    return u32(1) + opaque(body)


AUTH_NONE = u32(0, 0)
NO_CHANGE = u32(0, 0, 0, 0, 0, 0)  # sattr3


def mode(bits):
    return u32(1, bits, 0, 0, 0, 0, 0)


def call(xid, procedure, arguments=b"", **header):
    """A call message; `header` may set program, version, rpc and credential."""
    fields = {"program": NFS, "version": 3, "rpc": 2, "credential": auth_sys(), **header}
    return (u32(xid, 0, fields["rpc"], fields["program"], fields["version"], procedure)
            + fields["credential"] + AUTH_NONE + arguments)


def record(message):
    return u32(LAST | len(message)) + message


class Reply:
    """A parsed reply header; `body` is what follows it, as the procedure defines."""

    def __init__(self, message):
        self.message = message
        self.xid, self.kind, self.denied = struct.unpack_from(">III", message)
        if self.denied:
            self.reason, = struct.unpack_from(">I", message, 12)
            self.accept, self.body = None, message[16:]
            return
        _, length, = struct.unpack_from(">II", message, 12)
        at = 20 + length + (-length % 4)
        self.accept, = struct.unpack_from(">I", message, at)
        self.reason, self.body = None, message[at + 4:]

    @property
    def status(self):
        """nfsstat3 or mountstat3; None unless the call was accepted and executed."""
        if self.denied or self.accept != SUCCESS:
            return None
        return struct.unpack_from(">I", self.body)[0]

    def __repr__(self):
        if self.denied:
            return f"<denied, reason {self.reason}>"
        return f"<accept status {self.accept}, status {self.status if self.body else None}>"


class Closed(Exception):
    """The server ended the connection."""


class Wire:
    """One TCP connection. Every wait has a deadline (`timeout_s`, socket.timeout)."""

    def __init__(self, port, timeout_s=10, source=None, host="127.0.0.1"):
        self.socket = socket.create_connection(
            (host, port), timeout_s, source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self.xid = 0x10000

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def _take(self, count):
        while len(self.pending) < count:
            try:
                more = self.socket.recv(1 << 16)
            except ConnectionResetError as error:
                raise Closed from error
            if not more:
                raise Closed
            self.pending += more
        taken, self.pending = self.pending[:count], self.pending[count:]
        return taken

    def receive(self):
        """The next whole record, its fragments joined."""
        message = b""
        while True:
            mark, = struct.unpack(">I", self._take(4))
            message += self._take(mark & ~LAST)
            if mark & LAST:
                return message

    def exchange(self, message):
        self.send(record(message))
        return Reply(self.receive())

    def ask(self, procedure, arguments=b"", **header):
        """A call with a fresh xid, and its reply."""
        self.xid += 1
        reply = self.exchange(call(self.xid, procedure, arguments, **header))
        assert reply.xid == self.xid, (reply.xid, self.xid)
        return reply

    def is_closed(self, within_s=5):
        """True once the server has ended the connection; False if it did not in time."""
        self.socket.settimeout(within_s)
        try:
            while self.socket.recv(1 << 16):
                pass
            return True
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    # The few procedures that tests need to get somewhere.

    def mount(self, path):
        """(mountstat3, handle)"""
        path = path if isinstance(path, bytes) else path.encode()
        reply = self.ask(1, opaque(path), program=MOUNT)
        if reply.status != OK:
            return reply.status, None
        length, = struct.unpack_from(">I", reply.body, 4)
        return OK, reply.body[8:8 + length]

    def lookup(self, directory, name):
        """(nfsstat3, handle)"""
        reply = self.ask(LOOKUP, opaque(directory) + opaque(name))
        if reply.status != OK:
            return reply.status, None
        length, = struct.unpack_from(">I", reply.body, 4)
        return OK, reply.body[8:8 + length]

    def read(self, handle, offset, count):
        """(nfsstat3, bytes)"""
        reply = self.ask(READ, read_arguments(handle, offset, count))
        if reply.status != OK:
            return reply.status, b""
        has_attributes, = struct.unpack_from(">I", reply.body, 4)
        at = 8 + 84 * has_attributes
        length, = struct.unpack_from(">I", reply.body, at + 8)
        return OK, reply.body[at + 12:at + 12 + length]

    def write(self, handle, offset, data):
        """nfsstat3 of a FILE_SYNC write."""
        return self.ask(WRITE, write_arguments(handle, offset, data)).status

    def create(self, directory, name, **header):
        return self.ask(CREATE, create_arguments(directory, name), **header).status

    def size(self, handle):
        reply = self.ask(GETATTR, opaque(handle))
        assert reply.status == OK, reply
        return struct.unpack_from(">Q", reply.body, 4 + 20)[0]


def create_arguments(directory, name):
    return opaque(directory) + opaque(name) + u32(1) + mode(0o644)


def write_arguments(handle, offset, data, count=None, stable=2):
    count = len(data) if count is None else count
    return opaque(handle) + u64(offset) + u32(count, stable) + opaque(data)


def read_arguments(handle, offset, count):
    return opaque(handle) + u64(offset) + u32(count)
