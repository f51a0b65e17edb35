#include "rpc/nfs3.h"

#include <array>

namespace rowan::nfs3 {

std::string_view to_string(Procedure procedure) {
  static constexpr std::array<std::string_view, procedure_count> names = {
      "NULL",   "GETATTR", "SETATTR", "LOOKUP", "ACCESS",  "READLINK",    "READ",   "WRITE",
      "CREATE", "MKDIR",   "SYMLINK", "MKNOD",  "REMOVE",  "RMDIR",       "RENAME", "LINK",
      "READDIR", "READDIRPLUS", "FSSTAT", "FSINFO", "PATHCONF", "COMMIT",
  };
  auto index = static_cast<std::size_t>(procedure);
  return index < names.size() ? names[index] : "unknown procedure";
}

std::string_view to_string(Status status) {
  switch (status) {
    case Status::ok: return "NFS3_OK";
    case Status::perm: return "NFS3ERR_PERM";
    case Status::noent: return "NFS3ERR_NOENT";
    case Status::io: return "NFS3ERR_IO";
    case Status::nxio: return "NFS3ERR_NXIO";
    case Status::acces: return "NFS3ERR_ACCES";
    case Status::exist: return "NFS3ERR_EXIST";
    case Status::xdev: return "NFS3ERR_XDEV";
    case Status::nodev: return "NFS3ERR_NODEV";
    case Status::notdir: return "NFS3ERR_NOTDIR";
    case Status::isdir: return "NFS3ERR_ISDIR";
    case Status::inval: return "NFS3ERR_INVAL";
    case Status::fbig: return "NFS3ERR_FBIG";
    case Status::nospc: return "NFS3ERR_NOSPC";
    case Status::rofs: return "NFS3ERR_ROFS";
    case Status::mlink: return "NFS3ERR_MLINK";
    case Status::nametoolong: return "NFS3ERR_NAMETOOLONG";
    case Status::notempty: return "NFS3ERR_NOTEMPTY";
    case Status::dquot: return "NFS3ERR_DQUOT";
    case Status::stale: return "NFS3ERR_STALE";
    case Status::remote: return "NFS3ERR_REMOTE";
    case Status::badhandle: return "NFS3ERR_BADHANDLE";
    case Status::not_sync: return "NFS3ERR_NOT_SYNC";
    case Status::bad_cookie: return "NFS3ERR_BAD_COOKIE";
    case Status::notsupp: return "NFS3ERR_NOTSUPP";
    case Status::toosmall: return "NFS3ERR_TOOSMALL";
    case Status::serverfault: return "NFS3ERR_SERVERFAULT";
    case Status::badtype: return "NFS3ERR_BADTYPE";
    case Status::jukebox: return "NFS3ERR_JUKEBOX";
  }
  return {};
}

}  // namespace rowan::nfs3
