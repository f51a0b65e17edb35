"""The second client: libnfs through ctypes, and its utilities. Not ours, not the kernel's."""

import ctypes
import os
import re
import subprocess

_CHUNK = 256 << 10


class _Url(ctypes.Structure):
    _fields_ = [("server", ctypes.c_char_p), ("path", ctypes.c_char_p), ("file", ctypes.c_char_p)]


class _Stat(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in (
        "dev", "ino", "mode", "nlink", "uid", "gid", "rdev", "size", "blksize", "blocks",
        "atime", "mtime", "ctime", "atime_nsec", "mtime_nsec", "ctime_nsec", "used")]


class _Entry(ctypes.Structure):
    _fields_ = [("next", ctypes.c_void_p), ("name", ctypes.c_char_p)]


def _library():
    lib = ctypes.CDLL("libnfs.so.13")
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    size = ctypes.c_uint64
    signatures = {
        "nfs_init_context": ([], pointer), "nfs_destroy_context": ([pointer], None),
        "nfs_parse_url_dir": ([pointer, text], ctypes.POINTER(_Url)),
        "nfs_set_timeout": ([pointer, number], None), "nfs_get_error": ([pointer], text),
        "nfs_mount": ([pointer, text, text], number),
        "nfs_open": ([pointer, text, number, pointer], number),
        "nfs_creat": ([pointer, text, number, pointer], number),
        "nfs_close": ([pointer, pointer], number), "nfs_fsync": ([pointer, pointer], number),
        "nfs_pread": ([pointer, pointer, size, size, pointer], number),
        "nfs_pwrite": ([pointer, pointer, size, size, pointer], number),
        "nfs_stat64": ([pointer, text, pointer], number),
        "nfs_unlink": ([pointer, text], number), "nfs_mkdir": ([pointer, text], number),
        "nfs_rename": ([pointer, text, text], number),
        "nfs_opendir": ([pointer, text, pointer], number),
        "nfs_readdir": ([pointer, pointer], ctypes.POINTER(_Entry)),
        "nfs_closedir": ([pointer, pointer], None),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(lib, name)
        function.argtypes, function.restype = arguments, result
    return lib


def status_of(error):
    """The NFS status behind an OSError of a Mount, as RFC 1813 names it, or its text.

    Of a failed READ or WRITE libnfs says EFAULT and, as text, the raw result, which begins with
    the status; of other calls it names the status."""
    if named := re.search(r"NFS3ERR_\w+", str(error)):
        return named.group()
    if raw := re.search(r'failed with "(.)', error.strerror or "", re.DOTALL):
        return {5: "NFS3ERR_IO", 28: "NFS3ERR_NOSPC", 69: "NFS3ERR_DQUOT",
                70: "NFS3ERR_STALE"}.get(ord(raw.group(1)), str(error))
    return str(error)


class Mount:
    """One mount by libnfs. Every failed call is an OSError with the errno libnfs gives."""

    def __init__(self, url, timeout_s=30):
        self.lib = _library()
        self.nfs = self.lib.nfs_init_context()
        parsed = self.lib.nfs_parse_url_dir(self.nfs, url.encode())
        if not parsed:
            raise ValueError(f"libnfs does not understand {url}")
        self.lib.nfs_set_timeout(self.nfs, int(timeout_s * 1000))
        self._try("mount", self.lib.nfs_mount(
            self.nfs, parsed.contents.server, parsed.contents.path), url)

    def _try(self, what, code, path):
        if code < 0:
            message = (self.lib.nfs_get_error(self.nfs) or b"").decode(errors="replace")
            raise OSError(-code, f"{what}: {message}", path)
        return code

    def close(self):
        if self.nfs:
            self.lib.nfs_destroy_context(self.nfs)
            self.nfs = None

    def _handle(self, what, call, path, *arguments):
        handle = ctypes.c_void_p()
        self._try(what, call(self.nfs, os.fsencode(path), *arguments, ctypes.byref(handle)), path)
        return handle

    def read(self, path, offset=0, count=None):
        """Bytes from `offset`: `count` of them, or all that there are."""
        handle = self._handle("open", self.lib.nfs_open, path, os.O_RDONLY)
        buffer, out = ctypes.create_string_buffer(_CHUNK), bytearray()
        try:
            while count is None or len(out) < count:
                want = _CHUNK if count is None else min(_CHUNK, count - len(out))
                got = self._try("read", self.lib.nfs_pread(
                    self.nfs, handle, offset + len(out), want, buffer), path)
                if got == 0:
                    break
                out += buffer.raw[:got]
        finally:
            self.lib.nfs_close(self.nfs, handle)
        return bytes(out)

    def write(self, path, data, offset=0):
        """Writes and syncs; makes the file if it is not there."""
        try:
            handle = self._handle("open", self.lib.nfs_open, path, os.O_RDWR)
        except FileNotFoundError:
            handle = self._handle("create", self.lib.nfs_creat, path, 0o644)
        try:
            done = 0
            while done < len(data):
                piece = data[done:done + _CHUNK]
                done += self._try("write", self.lib.nfs_pwrite(
                    self.nfs, handle, offset + done, len(piece), piece), path)
            self._try("commit", self.lib.nfs_fsync(self.nfs, handle), path)
        finally:
            self.lib.nfs_close(self.nfs, handle)

    def stat(self, path):
        info = _Stat()
        self._try("stat", self.lib.nfs_stat64(
            self.nfs, os.fsencode(path), ctypes.byref(info)), path)
        return info

    def names(self, path):
        handle = self._handle("opendir", self.lib.nfs_opendir, path)
        found = []
        while entry := self.lib.nfs_readdir(self.nfs, handle):
            found.append(os.fsdecode(entry.contents.name))
        self.lib.nfs_closedir(self.nfs, handle)
        return sorted(name for name in found if name not in (".", ".."))

    def unlink(self, path):
        self._try("unlink", self.lib.nfs_unlink(self.nfs, os.fsencode(path)), path)

    def mkdir(self, path):
        self._try("mkdir", self.lib.nfs_mkdir(self.nfs, os.fsencode(path)), path)

    def rename(self, path, to):
        self._try("rename", self.lib.nfs_rename(
            self.nfs, os.fsencode(path), os.fsencode(to)), path)


def utility(name, *arguments, timeout_s=30):
    """Runs nfs-ls, nfs-cat or nfs-cp: (status, stdout, stderr). They spin when a server dies."""
    done = subprocess.run([name, *arguments], capture_output=True, check=False, timeout=timeout_s)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")
