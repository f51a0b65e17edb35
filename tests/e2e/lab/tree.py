"""What a file tree is: names, modes, owners, times, link targets, contents, as one digest."""

import hashlib
import os
import stat


def _content(path, info):
    if stat.S_ISLNK(info.st_mode):
        return os.readlink(path)
    if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        return f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}".encode()
    if stat.S_ISREG(info.st_mode):
        digest = hashlib.blake2b(digest_size=16)
        with open(path, "rb", buffering=0) as data:
            while block := data.read(1 << 20):
                digest.update(block)
        return digest.digest()
    return b""


def entries(root):
    """Yields (path below root, description) in a fixed order; all as bytes, mtime to the ns."""
    root = os.fsencode(root)
    pending = [b""]
    while pending:
        below = pending.pop()
        path = os.path.join(root, below) if below else root
        info = os.lstat(path)
        size = info.st_size if stat.S_ISREG(info.st_mode) else 0
        fields = (info.st_mode, info.st_uid, info.st_gid, info.st_nlink, size, info.st_mtime_ns)
        yield below, repr(fields).encode() + b" " + _content(path, info)
        if stat.S_ISDIR(info.st_mode):
            names = sorted(os.listdir(path), reverse=True)
            pending.extend(os.path.join(below, name) for name in names)


def digest_of(root):
    """One hexadecimal digest of the whole tree, ctime and atime apart."""
    whole = hashlib.blake2b(digest_size=16)
    for path, description in entries(root):
        whole.update(path + b"\0" + description + b"\n")
    return whole.hexdigest()


if __name__ == "__main__":
    import sys
    print(digest_of(sys.argv[1]))
