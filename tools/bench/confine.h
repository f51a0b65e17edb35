// A view of the machine in which a program can change nothing but what is meant for it.
//
// nfs-ganesha hands the names that a client sends to the system as they are: a LOOKUP, CREATE or
// REMOVE of "/etc/passwd", "../x" or "/proc/1/root/x" reaches the file of that name, with root's
// rights. Whoever starts it with an export that may be written, starts it confined.
#pragma once

#include <filesystem>
#include <vector>

#include "rpc/base/result.h"

namespace rowan::bench {

// Directories that the program sees as they are, at the places they have; absolute, without "..".
// Names do not lead out of them, but do lead from one to another; and a server that opens files by
// handle uses one mount of a file system for all of it, so directories that it serves from one file
// system are best given as one, or all with the same right.
struct Confinement {
  std::vector<std::filesystem::path> writable, readable;
};

// Gives this process (one thread) mounts of its own: the root file system as a read-only overlay,
// an empty /proc with nothing but the table of mounts, a /dev of four harmless devices, and the
// given directories. Programs have to be on the root file system. Needs root and overlayfs; the
// errors say which of them is missing. For good: there is no way back, also for children.
//
// An overlay and no read-only bind mount, for a file handle ignores mounts: one that a LOOKUP got
// for a file outside could be opened for writing through a writable mount of the same file system.
Result<void> confine(const Confinement& confinement);

}  // namespace rowan::bench
