// What the dispatcher calls: one coroutine per procedure, typed arguments in, typed results out.
// Arguments may borrow from the call's record, which lives until the task ends.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/base/task.h"
#include "rpc/nfs3.h"

namespace rowan {

// A peer's address: IPv4 addresses are kept IPv4-mapped, so that 10.0.0.1 and ::ffff:10.0.0.1 are
// one peer.
struct PeerAddress {
  std::array<std::byte, 16> ip{};
  std::uint16_t port = 0;
  friend bool operator==(const PeerAddress&, const PeerAddress&) = default;
};
std::string to_string(const PeerAddress& peer);  // "10.0.0.1:683", "[2001:db8::1]:683"
std::string ip_to_string(const PeerAddress& peer);

// AUTH_SYS credentials (RFC 5531, appendix A); AUTH_NONE arrives as nobody.
inline constexpr std::uint32_t nobody_id = 65534;
inline constexpr std::size_t max_groups = 16;

// Supplementary groups, kept in place: a call's credentials allocate nothing. Looks like a vector.
class GroupList {
 public:
  GroupList() = default;
  GroupList(const GroupList& other) { *this = other; }
  GroupList& operator=(const GroupList& other) {
    size_ = other.size_;
    std::copy(other.begin(), other.end(), ids_.begin());
    return *this;
  }
  GroupList(std::initializer_list<std::uint32_t> ids) {
    for (std::uint32_t id : ids) push_back(id);
  }
  void push_back(std::uint32_t id) {
    CHECK_LT(size_, max_groups);
    ids_[size_++] = id;
  }
  void clear() { size_ = 0; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const std::uint32_t* begin() const { return ids_.data(); }
  const std::uint32_t* end() const { return ids_.data() + size_; }
  std::uint32_t operator[](std::size_t index) const { return ids_[index]; }
  friend bool operator==(const GroupList& a, const GroupList& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::size_t size_ = 0;
  std::array<std::uint32_t, max_groups> ids_;  // the first size_ of them
};

struct Credentials {
  std::uint32_t uid = nobody_id;
  std::uint32_t gid = nobody_id;
  GroupList groups;
  bool authenticated = false;  // true with AUTH_SYS
};

// Who asks, passed first to everything that serves a call.
struct CallContext {
  PeerAddress peer;
  Credentials credentials;
  std::uint32_t xid = 0;
  MonotonicTime received;
};

namespace nfs3 {

// `context` and `args` outlive the returned task.
class Service {
 public:
  virtual ~Service() = default;
  virtual Task<GetattrRes> getattr(const CallContext& context, const GetattrArgs& args) = 0;
  virtual Task<SetattrRes> setattr(const CallContext& context, const SetattrArgs& args) = 0;
  virtual Task<LookupRes> lookup(const CallContext& context, const LookupArgs& args) = 0;
  virtual Task<AccessRes> access(const CallContext& context, const AccessArgs& args) = 0;
  virtual Task<ReadlinkRes> readlink(const CallContext& context, const ReadlinkArgs& args) = 0;
  virtual Task<ReadRes> read(const CallContext& context, const ReadArgs& args) = 0;
  virtual Task<WriteRes> write(const CallContext& context, const WriteArgs& args) = 0;
  virtual Task<CreateRes> create(const CallContext& context, const CreateArgs& args) = 0;
  virtual Task<CreateRes> mkdir(const CallContext& context, const MkdirArgs& args) = 0;
  virtual Task<CreateRes> symlink(const CallContext& context, const SymlinkArgs& args) = 0;
  virtual Task<CreateRes> mknod(const CallContext& context, const MknodArgs& args) = 0;
  virtual Task<RemoveRes> remove(const CallContext& context, const RemoveArgs& args) = 0;
  virtual Task<RemoveRes> rmdir(const CallContext& context, const RemoveArgs& args) = 0;
  virtual Task<RenameRes> rename(const CallContext& context, const RenameArgs& args) = 0;
  virtual Task<LinkRes> link(const CallContext& context, const LinkArgs& args) = 0;
  virtual Task<ReaddirRes> readdir(const CallContext& context, const ReaddirArgs& args) = 0;
  virtual Task<ReaddirRes> readdirplus(const CallContext& context, const ReaddirplusArgs& args) = 0;
  virtual Task<FsstatRes> fsstat(const CallContext& context, const FsstatArgs& args) = 0;
  virtual Task<FsinfoRes> fsinfo(const CallContext& context, const FsinfoArgs& args) = 0;
  virtual Task<PathconfRes> pathconf(const CallContext& context, const PathconfArgs& args) = 0;
  virtual Task<CommitRes> commit(const CallContext& context, const CommitArgs& args) = 0;
};

}  // namespace nfs3

namespace mount3 {

inline constexpr std::uint32_t program = 100005;
inline constexpr std::uint32_t version = 3;
inline constexpr std::uint32_t max_path_length = 1024;  // MNTPATHLEN

enum class Status : std::uint32_t {  // mountstat3
  ok = 0,
  perm = 1,
  noent = 2,
  io = 5,
  acces = 13,
  notdir = 20,
  inval = 22,
  nametoolong = 63,
  notsupp = 10004,
  serverfault = 10006,
};
struct MntRes {
  Status status = Status::ok;
  nfs3::Handle root;
  std::vector<std::uint32_t> flavors;
};
struct MountEntry {
  std::string hostname, directory;
};  // DUMP
struct ExportEntry {
  std::string directory;
  std::vector<std::string> groups;
};  // EXPORT

class Service {
 public:
  virtual ~Service() = default;
  virtual Task<MntRes> mnt(const CallContext& context, std::string_view path) = 0;
  virtual Task<std::vector<MountEntry>> dump(const CallContext& context) = 0;
  virtual Task<void> umnt(const CallContext& context, std::string_view path) = 0;
  virtual Task<void> umntall(const CallContext& context) = 0;
  virtual Task<std::vector<ExportEntry>> exports(const CallContext& context) = 0;
};

}  // namespace mount3
}  // namespace rowan
