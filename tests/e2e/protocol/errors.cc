// The errors of RFC 1813 (2.6): each that a client can bring about must have been met in a walk.
#include <cstdio>

#include "tests/e2e/protocol/cases.h"

namespace rowan::protocol {
namespace {

struct ErrorOfNfs {
  int status;
  const char* elsewhere;  // what brings it about instead, or why nothing does; null: this walk
};

constexpr ErrorOfNfs errors[] = {
    {NFS3ERR_PERM, nullptr},
    {NFS3ERR_NOENT, nullptr},
    {NFS3ERR_ACCES, nullptr},
    {NFS3ERR_EXIST, nullptr},
    {NFS3ERR_NOTDIR, nullptr},
    {NFS3ERR_ISDIR, nullptr},
    {NFS3ERR_INVAL, nullptr},
    {NFS3ERR_FBIG, nullptr},
    {NFS3ERR_NAMETOOLONG, nullptr},
    {NFS3ERR_NOTEMPTY, nullptr},
    {NFS3ERR_STALE, nullptr},
    {NFS3ERR_BADHANDLE, nullptr},
    {NFS3ERR_NOT_SYNC, nullptr},
    {NFS3ERR_BAD_COOKIE, nullptr},
    {NFS3ERR_TOOSMALL, nullptr},
    {NFS3ERR_BADTYPE, nullptr},
    {NFS3ERR_MLINK, "an image file that has all links it may have: protocol.py"},
    {NFS3ERR_XDEV, "needs two exports: hostile.py"},
    {NFS3ERR_NOSPC, "needs a full disk: full_disk.py"},
    {NFS3ERR_DQUOT, "needs a quota: full_disk.py"},
    {NFS3ERR_IO, "needs damage, or an image that changed: drift.py, lost_disk.py"},
    {NFS3ERR_JUKEBOX, "needs an image server that does not answer: outage.py"},
    {NFS3ERR_ROFS, "needs an export that may only be read"},
    {NFS3ERR_NXIO, "devices are names here: READ and WRITE of one is INVAL, as of a FIFO"},
    {NFS3ERR_NODEV, "the same"},
    {NFS3ERR_REMOTE, "of NFSv2's servers that were clients themselves"},
    {NFS3ERR_NOTSUPP, "every procedure and type of object is supported"},
    {NFS3ERR_SERVERFAULT, "says that the server's own code is wrong"},
};

}  // namespace

bool met_every_error(const std::set<int>& met) {
  bool all = true;
  for (const auto& [status, elsewhere] : errors) {
    if (elsewhere != nullptr || met.contains(status)) continue;
    std::printf("FAILED the walk never met %s\n", nfsstat3_to_str(status));
    all = false;
  }
  return all;
}

}  // namespace rowan::protocol
