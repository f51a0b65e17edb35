#include "rpc/nfs3_status.h"

#include <array>
#include <cerrno>
#include <initializer_list>

#include "rpc/base/check.h"

namespace rowan::nfs3 {
namespace {

// A set of statuses: those below 70 have their own bit, those from 10001 on the bits from 100 on.
class StatusSet {
 public:
  constexpr StatusSet() = default;
  constexpr StatusSet(std::initializer_list<Status> statuses) {
    for (Status status : statuses) add(status);
  }
  constexpr bool has(Status status) const {
    auto bit = bit_of(status);
    return bit < 128 && (words_[bit / 64] >> (bit % 64) & 1) != 0;
  }
  constexpr StatusSet operator|(const StatusSet& other) const {
    StatusSet both = *this;
    for (std::size_t i = 0; i < words_.size(); ++i) both.words_[i] |= other.words_[i];
    return both;
  }

 private:
  static constexpr std::uint32_t bit_of(Status status) {
    auto value = static_cast<std::uint32_t>(status);
    if (value <= 71) return value;
    return value > 10'000 && value <= 10'008 ? value - 10'000 + 100 : 128;
  }
  constexpr void add(Status status) {
    auto bit = bit_of(status);
    words_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
  std::array<std::uint64_t, 2> words_{};
};

using enum Status;

constexpr StatusSet common = {stale, badhandle, serverfault};
constexpr StatusSet makes = common | StatusSet{io, acces, exist, notdir, nospc, rofs, nametoolong,
                                               dquot, notsupp};

// RFC 1813, 3.3.1 to 3.3.21, "ERRORS".
constexpr std::array<StatusSet, procedure_count> listed = {
    StatusSet{},                                                          // NULL
    common | StatusSet{io},                                               // GETATTR
    common | StatusSet{perm, io, acces, inval, nospc, rofs, dquot, not_sync},  // SETATTR
    common | StatusSet{io, noent, acces, notdir, nametoolong},            // LOOKUP
    common | StatusSet{io},                                               // ACCESS
    common | StatusSet{io, inval, acces, notsupp},                        // READLINK
    common | StatusSet{io, nxio, acces, inval},                           // READ
    common | StatusSet{io, acces, fbig, dquot, nospc, rofs, inval},       // WRITE
    makes,                                                                // CREATE
    makes,                                                                // MKDIR
    makes,                                                                // SYMLINK
    makes | StatusSet{badtype},                                           // MKNOD
    common | StatusSet{noent, io, acces, notdir, nametoolong, rofs},      // REMOVE
    common | StatusSet{noent, io, acces, inval, exist, notdir, nametoolong, rofs, notempty,
                       notsupp},                                          // RMDIR
    makes | StatusSet{noent, xdev, isdir, inval, mlink, notempty},        // RENAME
    makes | StatusSet{xdev, inval, mlink},                                // LINK
    common | StatusSet{io, acces, notdir, bad_cookie, toosmall},          // READDIR
    common | StatusSet{io, acces, notdir, bad_cookie, toosmall, notsupp}, // READDIRPLUS
    common | StatusSet{io},                                               // FSSTAT
    common,                                                               // FSINFO
    common,                                                               // PATHCONF
    common | StatusSet{io},                                               // COMMIT
};

// Beyond the lists. JUKEBOX is for every procedure (RFC 1813, 2.6 describes it, no list has it).
// ACCES: an address that may not use the export. The others are what POSIX says of the operation
// behind the procedure, what Linux' server passes on, and what every client maps to the errno of
// the same name.
constexpr StatusSet always = {jukebox, acces};
constexpr StatusSet changes_names = {perm, inval, noent, isdir, nospc, dquot, mlink};
constexpr std::array<StatusSet, procedure_count> practice = {
    StatusSet{},                                // NULL
    StatusSet{},                                // GETATTR
    StatusSet{fbig, isdir, noent},              // SETATTR
    StatusSet{inval, perm},                     // LOOKUP
    StatusSet{rofs},                            // ACCESS
    StatusSet{isdir},                           // READLINK
    StatusSet{isdir, perm},                     // READ
    StatusSet{isdir, perm, nxio},               // WRITE
    changes_names,                              // CREATE
    changes_names,                              // MKDIR
    changes_names,                              // SYMLINK
    changes_names,                              // MKNOD
    changes_names,                              // REMOVE
    changes_names,                              // RMDIR
    changes_names,                              // RENAME
    changes_names,                              // LINK
    StatusSet{inval, perm, not_sync},           // READDIR
    StatusSet{inval, perm, not_sync},           // READDIRPLUS
    StatusSet{},                                // FSSTAT
    StatusSet{io},                              // FSINFO
    StatusSet{io},                              // PATHCONF
    StatusSet{nospc, dquot, rofs, isdir, inval, fbig},  // COMMIT
};

std::size_t index_of(Procedure procedure) {
  auto index = static_cast<std::size_t>(procedure);
  CHECK_LT(index, std::size_t{procedure_count});
  return index;
}

}  // namespace

Status status_of(Errc code) {
  switch (code) {
    case Errc::not_permitted: return perm;
    case Errc::not_found: return noent;
    case Errc::io: return io;
    case Errc::no_device: return nxio;
    case Errc::access: return acces;
    case Errc::exists: return exist;
    case Errc::cross_device: return xdev;
    case Errc::not_directory: return notdir;
    case Errc::is_directory: return isdir;
    case Errc::invalid: return inval;
    case Errc::too_big: return fbig;
    case Errc::no_space: return nospc;
    case Errc::read_only: return rofs;
    case Errc::too_many_links: return mlink;
    case Errc::name_too_long: return nametoolong;
    case Errc::not_empty: return notempty;
    case Errc::quota: return dquot;
    case Errc::stale: return stale;
    case Errc::bad_handle: return badhandle;
    case Errc::not_sync: return not_sync;
    case Errc::bad_cookie: return bad_cookie;
    case Errc::not_supported: return notsupp;
    case Errc::too_small: return toosmall;
    case Errc::server_fault: return serverfault;
    case Errc::bad_type: return badtype;
    // Damage and drift do not pass by waiting.
    case Errc::corrupt:
    case Errc::drift: return io;
    // These do: the source comes back or is repaired, descriptors and memory become free. An
    // answer that makes no sense is of them: the connection was dropped and the call asked again
    // (rpc/client.h) before it came to this; nothing of it was kept, and a hard mount must not tell
    // its programs of a fault that passes.
    case Errc::try_later:
    case Errc::malformed:
    case Errc::limit:
    case Errc::disconnected:
    case Errc::timed_out:
    case Errc::busy: return jukebox;
    // These say that our own code is wrong.
    case Errc::needs_load:
    case Errc::usage: return serverfault;
  }
  return serverfault;
}

Errc errc_of(Status status) {
  switch (status) {
    case ok: break;
    case perm: return Errc::not_permitted;
    case noent: return Errc::not_found;
    case io: return Errc::io;
    case nxio:
    case nodev: return Errc::no_device;
    case acces: return Errc::access;
    case exist: return Errc::exists;
    case xdev: return Errc::cross_device;
    case notdir: return Errc::not_directory;
    case isdir: return Errc::is_directory;
    case inval: return Errc::invalid;
    case fbig: return Errc::too_big;
    case nospc: return Errc::no_space;
    case rofs: return Errc::read_only;
    case mlink: return Errc::too_many_links;
    case nametoolong: return Errc::name_too_long;
    case notempty: return Errc::not_empty;
    case dquot: return Errc::quota;
    case stale: return Errc::stale;
    case remote: return Errc::not_supported;
    case badhandle: return Errc::bad_handle;
    case not_sync: return Errc::not_sync;
    case bad_cookie: return Errc::bad_cookie;
    case notsupp: return Errc::not_supported;
    case toosmall: return Errc::too_small;
    case serverfault: return Errc::server_fault;
    case badtype: return Errc::bad_type;
    case jukebox: return Errc::try_later;
  }
  return Errc::server_fault;
}

Errc errc_of_errno(int number) {
  switch (number) {
    case EPERM: return Errc::not_permitted;
    case ENOENT: return Errc::not_found;
    case ENXIO:
    case ENODEV: return Errc::no_device;
    case EACCES: return Errc::access;
    case EEXIST: return Errc::exists;
    case EXDEV: return Errc::cross_device;
    case ENOTDIR: return Errc::not_directory;
    case EISDIR: return Errc::is_directory;
    case ELOOP:  // a symlink where none is followed
    case EINVAL: return Errc::invalid;
    case EOVERFLOW:
    case EFBIG: return Errc::too_big;
    case ENOSPC: return Errc::no_space;
    case EROFS: return Errc::read_only;
    case EMLINK: return Errc::too_many_links;
    case ENAMETOOLONG: return Errc::name_too_long;
    case ENOTEMPTY: return Errc::not_empty;
    case EDQUOT: return Errc::quota;
    case ESTALE: return Errc::stale;
    case EOPNOTSUPP:
    case ENOSYS: return Errc::not_supported;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS: return Errc::limit;
    case EAGAIN:
    case EINTR: return Errc::try_later;
    case EBUSY:
    case ETXTBSY: return Errc::busy;
    case ETIMEDOUT: return Errc::timed_out;
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case EHOSTUNREACH:
    case ENETUNREACH: return Errc::disconnected;
    default: return Errc::io;
  }
}

bool is_listed(Procedure procedure, Status status) {
  return listed[index_of(procedure)].has(status);
}

Status allowed_status(Procedure procedure, Status status) {
  if (status == ok) return status;
  std::size_t index = index_of(procedure);
  if ((listed[index] | practice[index] | always).has(status)) return status;
  return listed[index].has(io) ? io : serverfault;
}

}  // namespace rowan::nfs3

namespace rowan::mount3 {

Status status_of(Errc code) {
  switch (code) {
    case Errc::not_permitted: return Status::perm;
    case Errc::not_found:
    case Errc::stale:
    case Errc::bad_handle: return Status::noent;
    case Errc::access: return Status::acces;
    case Errc::not_directory: return Status::notdir;
    case Errc::invalid:
    case Errc::usage: return Status::inval;
    case Errc::name_too_long: return Status::nametoolong;
    case Errc::not_supported: return Status::notsupp;
    case Errc::io:
    case Errc::corrupt:
    case Errc::drift: return Status::io;
    // MOUNT has no JUKEBOX; clients try again after SERVERFAULT as after any failed mount.
    default: return Status::serverfault;
  }
}

Errc errc_of(Status status) {
  switch (status) {
    case Status::ok: break;
    case Status::perm: return Errc::not_permitted;
    case Status::noent: return Errc::not_found;
    case Status::io: return Errc::io;
    case Status::acces: return Errc::access;
    case Status::notdir: return Errc::not_directory;
    case Status::inval: return Errc::invalid;
    case Status::nametoolong: return Errc::name_too_long;
    case Status::notsupp: return Errc::not_supported;
    case Status::serverfault: return Errc::server_fault;
  }
  return Errc::server_fault;
}

std::string_view to_string(Status status) {
  switch (status) {
    case Status::ok: return "MNT3_OK";
    case Status::perm: return "MNT3ERR_PERM";
    case Status::noent: return "MNT3ERR_NOENT";
    case Status::io: return "MNT3ERR_IO";
    case Status::acces: return "MNT3ERR_ACCES";
    case Status::notdir: return "MNT3ERR_NOTDIR";
    case Status::inval: return "MNT3ERR_INVAL";
    case Status::nametoolong: return "MNT3ERR_NAMETOOLONG";
    case Status::notsupp: return "MNT3ERR_NOTSUPP";
    case Status::serverfault: return "MNT3ERR_SERVERFAULT";
  }
  return {};
}

}  // namespace rowan::mount3
