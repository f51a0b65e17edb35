// Every NFSv3 procedure as one waiting call of libnfs, with results that own their bytes. A call
// that gets no answer, or an RPC-level refusal, throws Unanswered: the test program reports it and
// ends the case.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tools/bench/raw_client.h"

namespace rowan::protocol {

using bench::FileHandle;

struct Unanswered : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Wcc {
  std::optional<wcc_attr> before;
  std::optional<fattr3> after;
};
struct Attr {
  int status;
  fattr3 attr{};
};
struct Changed {
  int status;
  Wcc wcc;
};
struct Found {
  int status;
  FileHandle handle;
  std::optional<fattr3> attr, dir_attr;
};
struct Access {
  int status;
  std::uint32_t granted = 0;
};
struct Target {
  int status;
  std::string target;
};
struct Read {
  int status;
  std::string data;
  bool eof = false;
  std::uint32_t count = 0;
  std::optional<fattr3> attr;
};
using Verifier = std::array<char, 8>;
struct Written {
  int status;
  std::uint32_t count = 0;
  int committed = 0;
  Verifier verifier{};
  Wcc wcc;
};
struct Made {
  int status;
  FileHandle handle;
  std::optional<fattr3> attr;
  Wcc dir_wcc;
};
struct Renamed {
  int status;
  Wcc from, to;
};
struct Linked {
  int status;
  std::optional<fattr3> attr;
  Wcc dir_wcc;
};
struct Entry {
  std::uint64_t fileid = 0, cookie = 0;
  std::string name;
  std::optional<fattr3> attr;
  FileHandle handle;
};
struct Listing {
  int status;
  std::vector<Entry> entries;
  bool eof = false;
  Verifier verifier{};
};
struct Position {
  std::uint64_t cookie = 0;
  Verifier verifier{};
};

// What SETATTR and the creating calls may set.
struct Set {
  std::optional<std::uint32_t> mode = {}, uid = {}, gid = {};
  std::optional<std::uint64_t> size = {};
  std::optional<nfstime3> atime = {}, mtime = {};
  bool mtime_now = false;
};

class Calls {
 public:
  // `port` of NFS; the export's root comes from MOUNT.
  explicit Calls(const bench::Target& target);

  const FileHandle& root() const { return root_; }
  void as(std::uint32_t uid, std::uint32_t gid, std::vector<std::uint32_t> groups = {}) {
    client_->set_user(uid, gid, std::move(groups));
  }

  void null();
  Attr getattr(const FileHandle& object);
  Changed setattr(const FileHandle& object, const Set& set, std::optional<nfstime3> guard = {});
  Found lookup(const FileHandle& dir, const std::string& name);
  Access access(const FileHandle& object, std::uint32_t wanted);
  Target readlink(const FileHandle& link);
  Read read(const FileHandle& file, std::uint64_t offset, std::uint32_t count);
  Written write(const FileHandle& file, std::uint64_t offset, std::string data,
                stable_how how = FILE_SYNC);
  Made create(const FileHandle& dir, const std::string& name, const Set& set = {.mode = 0644},
              createmode3 mode = GUARDED);
  Made create_exclusive(const FileHandle& dir, const std::string& name, const Verifier& verifier);
  Made mkdir(const FileHandle& dir, const std::string& name, const Set& set = {.mode = 0755});
  Made symlink(const FileHandle& dir, const std::string& name, const std::string& target);
  Made mknod(const FileHandle& dir, const std::string& name, ftype3 type, specdata3 device = {});
  Changed remove(const FileHandle& dir, const std::string& name);
  Changed rmdir(const FileHandle& dir, const std::string& name);
  Renamed rename(const FileHandle& from, const std::string& old_name, const FileHandle& to,
                 const std::string& new_name);
  Linked link(const FileHandle& file, const FileHandle& dir, const std::string& name);
  Listing readdir(const FileHandle& dir, const Position& at, std::uint32_t count);
  Listing readdirplus(const FileHandle& dir, const Position& at, std::uint32_t count);
  // The whole directory in calls of `count` bytes.
  Listing list(const FileHandle& dir, std::uint32_t count, bool plus = false);
  int fsstat(const FileHandle& root, FSSTAT3resok& result);
  int fsinfo(const FileHandle& root, FSINFO3resok& result);
  int pathconf(const FileHandle& object, PATHCONF3resok& result);
  struct Committed {
    int status;
    Verifier verifier{};
  };
  Committed commit(const FileHandle& file, std::uint64_t offset = 0, std::uint32_t count = 0);

  // Sets `status` and calls `use` with the whole result.
  template <class Res, class Args>
  void call(int (*queue)(rpc_context*, rpc_cb, Args*, void*), Args args,
            std::function<void(const Res&)> use) {
    require(client_->call<Res>(queue, std::move(args), std::move(use)));
  }

 private:
  void require(const Result<void>& done) const;

  std::unique_ptr<bench::RawClient> client_;
  FileHandle root_;
};

// The MOUNT program on its own connection.
class Mounts {
 public:
  explicit Mounts(const bench::Target& target);
  int mount(std::string path, FileHandle* handle = nullptr);
  std::vector<std::string> exports();
  std::vector<std::string> dump();
  void unmount(std::string path);
  void unmount_all();
  void null();

 private:
  void wait(const std::function<int(rpc_cb, void*)>& queue, const std::function<void(void*)>& use);
  std::unique_ptr<bench::RawClient> client_;
};

}  // namespace rowan::protocol
