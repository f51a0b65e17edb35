// NFS version 3 as plain structs (RFC 1813). Field names are the RFC's without their prefixes. A
// handler takes an Args and gives a Res; bytes on the wire are nfs3_codec's business alone.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/base/buffer.h"
#include "rpc/base/bytes.h"

namespace rowan::nfs3 {

inline constexpr std::uint32_t program = 100003;
inline constexpr std::uint32_t version = 3;

// Sizes of RFC 1813, 2.4, and the limits of this implementation. Names and paths have no limit on
// the wire; longer ones than these are decoded up to the decode limit, so that they can be answered
// NAMETOOLONG.
inline constexpr std::uint32_t max_handle_size = 64;
inline constexpr std::uint32_t max_name_length = 255;
inline constexpr std::uint32_t max_path_length = 1024;
inline constexpr std::uint32_t max_symlink_length = 4095;
inline constexpr std::uint32_t name_decode_limit = 4096;
inline constexpr std::uint32_t max_transfer_size = 1u << 20;  // rtmax, wtmax

enum class Procedure : std::uint32_t {
  null = 0, getattr, setattr, lookup, access, readlink, read, write, create, mkdir, symlink,
  mknod, remove, rmdir, rename, link, readdir, readdirplus, fsstat, fsinfo, pathconf, commit,
};
inline constexpr std::uint32_t procedure_count = 22;
std::string_view to_string(Procedure procedure);

enum class Status : std::uint32_t {
  ok = 0, perm = 1, noent = 2, io = 5, nxio = 6, acces = 13, exist = 17, xdev = 18, nodev = 19,
  notdir = 20, isdir = 21, inval = 22, fbig = 27, nospc = 28, rofs = 30, mlink = 31,
  nametoolong = 63, notempty = 66, dquot = 69, stale = 70, remote = 71, badhandle = 10001,
  not_sync = 10002, bad_cookie = 10003, notsupp = 10004, toosmall = 10005, serverfault = 10006,
  badtype = 10007, jukebox = 10008,
};
std::string_view to_string(Status status);  // "NFS3ERR_NOENT"; empty for a number without a name

enum class FileType : std::uint32_t {
  regular = 1, directory = 2, block = 3, character = 4, symlink = 5, socket = 6, fifo = 7,
};

using FileId = std::uint64_t;
using Cookie = std::uint64_t;
using Verifier = std::array<std::byte, 8>;  // cookieverf3, createverf3 and writeverf3

struct Time {  // nfstime3
  std::uint32_t seconds = 0;
  std::uint32_t nseconds = 0;
  friend auto operator<=>(const Time&, const Time&) = default;
};

struct SpecData {  // specdata3: major and minor number of a device
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  friend bool operator==(const SpecData&, const SpecData&) = default;
};

// nfs_fh3: up to 64 opaque bytes, kept in place.
struct Handle {
  std::uint8_t size = 0;
  std::array<std::byte, max_handle_size> bytes{};
  ByteView view() const { return {bytes.data(), size}; }
  friend bool operator==(const Handle& a, const Handle& b) {
    return a.size == b.size && std::memcmp(a.bytes.data(), b.bytes.data(), a.size) == 0;
  }
};

struct Attributes {  // fattr3
  FileType type = FileType::regular;
  std::uint32_t mode = 0;  // the low 12 bits
  std::uint32_t nlink = 1;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t size = 0;
  std::uint64_t used = 0;
  SpecData rdev;
  std::uint64_t fsid = 0;
  FileId fileid = 0;
  Time atime, mtime, ctime;
  friend bool operator==(const Attributes&, const Attributes&) = default;
};
using PostOpAttributes = std::optional<Attributes>;  // post_op_attr

struct WccAttributes {  // wcc_attr
  std::uint64_t size = 0;
  Time mtime, ctime;
  friend bool operator==(const WccAttributes&, const WccAttributes&) = default;
};
struct WccData {  // wcc_data: the object just before and just after, as one atomic step saw them
  std::optional<WccAttributes> before;
  PostOpAttributes after;
};

enum class TimeHow : std::uint32_t { dont_change = 0, server_time = 1, client_time = 2 };
struct SetTime {
  TimeHow how = TimeHow::dont_change;
  Time time;  // with client_time only
};
struct SetAttributes {  // sattr3
  std::optional<std::uint32_t> mode, uid, gid;
  std::optional<std::uint64_t> size;
  SetTime atime, mtime;
};

struct DirOpArgs {  // diropargs3; `name` borrows from the call's record
  Handle dir;
  std::string_view name;
};

// --- GETATTR
struct GetattrArgs { Handle object; };
struct GetattrRes { Status status = Status::ok; Attributes attributes; };

// --- SETATTR
struct SetattrArgs { Handle object; SetAttributes attributes; std::optional<Time> guard; };
struct SetattrRes { Status status = Status::ok; WccData wcc; };

// --- LOOKUP
struct LookupArgs { DirOpArgs what; };
struct LookupRes {
  Status status = Status::ok;
  Handle object;
  PostOpAttributes attributes, dir_attributes;
};

// --- ACCESS
inline constexpr std::uint32_t access_read = 0x01, access_lookup = 0x02, access_modify = 0x04,
                               access_extend = 0x08, access_delete = 0x10, access_execute = 0x20;
struct AccessArgs { Handle object; std::uint32_t access = 0; };
struct AccessRes {
  Status status = Status::ok;
  PostOpAttributes attributes;
  std::uint32_t access = 0;
};

// --- READLINK
struct ReadlinkArgs { Handle symlink; };
struct ReadlinkRes { Status status = Status::ok; PostOpAttributes attributes; std::string target; };

// --- READ: data.size() is the count; the buffer goes out by scatter write
struct ReadArgs { Handle file; std::uint64_t offset = 0; std::uint32_t count = 0; };
struct ReadRes {
  Status status = Status::ok;
  PostOpAttributes attributes;
  bool eof = false;
  Buffer data;
};

// --- WRITE: `data` borrows from the call's record; who wants it for longer keeps its owner, if it
// has one.
enum class StableHow : std::uint32_t { unstable = 0, data_sync = 1, file_sync = 2 };
struct WriteArgs {
  Handle file;
  std::uint64_t offset = 0;
  std::uint32_t count = 0;
  StableHow stable = StableHow::unstable;
  ByteView data;
  std::shared_ptr<const Buffer> data_owner{};   // not on the wire
};
struct WriteRes {
  Status status = Status::ok;
  WccData wcc;
  std::uint32_t count = 0;
  StableHow committed = StableHow::unstable;
  Verifier verifier{};
};

// --- CREATE, MKDIR, SYMLINK, MKNOD share one result
enum class CreateMode : std::uint32_t { unchecked = 0, guarded = 1, exclusive = 2 };
struct CreateArgs {
  DirOpArgs where;
  CreateMode how = CreateMode::unchecked;
  SetAttributes attributes;  // unless exclusive
  Verifier verifier{};       // exclusive only
};
struct MkdirArgs { DirOpArgs where; SetAttributes attributes; };
struct SymlinkArgs { DirOpArgs where; SetAttributes attributes; std::string_view target; };
struct MknodArgs {
  DirOpArgs where;
  FileType type = FileType::fifo;  // regular, directory and symlink decode and are answered BADTYPE
  SetAttributes attributes;        // block, character, socket, fifo
  SpecData device;                 // block, character
};
struct CreateRes {
  Status status = Status::ok;
  std::optional<Handle> object;
  PostOpAttributes attributes;
  WccData dir_wcc;
};

// --- REMOVE and RMDIR
struct RemoveArgs { DirOpArgs what; };
struct RemoveRes { Status status = Status::ok; WccData dir_wcc; };

// --- RENAME
struct RenameArgs { DirOpArgs from, to; };
struct RenameRes { Status status = Status::ok; WccData from_wcc, to_wcc; };

// --- LINK
struct LinkArgs { Handle file; DirOpArgs link; };
struct LinkRes { Status status = Status::ok; PostOpAttributes attributes; WccData dir_wcc; };

// --- READDIR and READDIRPLUS
struct ReaddirArgs { Handle dir; Cookie cookie = 0; Verifier verifier{}; std::uint32_t count = 0; };
struct ReaddirplusArgs {
  Handle dir;
  Cookie cookie = 0;
  Verifier verifier{};
  std::uint32_t dircount = 0, maxcount = 0;
};
struct DirEntry {
  FileId fileid = 0;
  std::string name;
  Cookie cookie = 0;
  PostOpAttributes attributes;    // READDIRPLUS only
  std::optional<Handle> object;   // READDIRPLUS only
};
struct ReaddirRes {
  Status status = Status::ok;
  PostOpAttributes dir_attributes;
  Verifier verifier{};
  std::vector<DirEntry> entries;
  bool eof = false;
};
// Bytes the entry takes in a reply (RFC 1813: count and maxcount bound the whole result).
std::uint32_t encoded_size(const DirEntry& entry, bool plus);
// Bytes of a successful result without entries: status, attributes, verifier, end of list, eof.
std::uint32_t encoded_overhead(bool with_attributes);

// --- FSSTAT
struct FsstatArgs { Handle root; };
struct FsstatRes {
  Status status = Status::ok;
  PostOpAttributes attributes;
  std::uint64_t tbytes = 0, fbytes = 0, abytes = 0, tfiles = 0, ffiles = 0, afiles = 0;
  std::uint32_t invarsec = 0;
};

// --- FSINFO
inline constexpr std::uint32_t fsf_link = 0x01, fsf_symlink = 0x02, fsf_homogeneous = 0x08,
                               fsf_cansettime = 0x10;
struct FsinfoArgs { Handle root; };
struct FsinfoRes {
  Status status = Status::ok;
  PostOpAttributes attributes;
  std::uint32_t rtmax = 0, rtpref = 0, rtmult = 0, wtmax = 0, wtpref = 0, wtmult = 0, dtpref = 0;
  std::uint64_t maxfilesize = 0;
  Time time_delta;
  std::uint32_t properties = 0;
};

// --- PATHCONF
struct PathconfArgs { Handle object; };
struct PathconfRes {
  Status status = Status::ok;
  PostOpAttributes attributes;
  std::uint32_t linkmax = 0, name_max = 0;
  bool no_trunc = true, chown_restricted = true, case_insensitive = false, case_preserving = true;
};

// --- COMMIT
struct CommitArgs { Handle file; std::uint64_t offset = 0; std::uint32_t count = 0; };
struct CommitRes { Status status = Status::ok; WccData wcc; Verifier verifier{}; };

}  // namespace rowan::nfs3
