#include "tools/doctor_files.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <random>

#include "proxy/size_text.h"

namespace rowan::tools {
namespace {

using bench::FileHandle;
using bench::RawClient;
using Level = Finding::Level;

constexpr std::uint32_t read_bytes = 64u << 10;
constexpr std::uint32_t write_bytes = 64u << 10;
// Directories that are listed in the search for a file to read.
constexpr std::size_t max_directories = 200;

std::string quoted(const std::string& text) { return "'" + text + "'"; }
std::uint64_t nanoseconds_since(std::chrono::steady_clock::time_point start) {
  auto passed = std::chrono::steady_clock::now() - start;
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(passed).count());
}
std::string status_text(int status) { return nfsstat3_to_str(status); }
std::uint32_t within(std::uint32_t wanted, std::uint32_t limit) {
  return limit == 0 ? wanted : std::min(wanted, limit);
}

class FileExamination {
 public:
  FileExamination(RawClient& nfs, const FileHandle& root, FileLimits limits, Notebook& notebook)
      : nfs_(&nfs), root_(root), limits_(limits), notebook_(notebook) {}

  void read_something() {
    auto found = find_file();
    if (!found) {
      add(Level::fail, "read", found.error().detail, "see the server's log");
      return;
    }
    if (!*found) {
      add(Level::warn, "read", "no file to read near the root");
      return;
    }
    const Found& file = **found;
    notebook_.step("reading " + quoted(file.path));
    auto start = std::chrono::steady_clock::now();
    auto bytes = read_at_start(file.file, within(read_bytes, limits_.read));
    std::uint64_t took = nanoseconds_since(start);
    if (!bytes) {
      bool later = bytes.error().detail.find("JUKEBOX") != std::string::npos;
      add(Level::fail, "read", quoted(file.path) + ": " + bytes.error().detail,
          later ? "the proxy's image source does not answer: 'rowan status' names it, 'rowan "
                  "doctor' examines it"
                : "see the server's log");
    } else if (bytes->empty()) {
      add(Level::fail, "read",
          quoted(file.path) + " of " + std::to_string(file.size) + " bytes gave none",
          "see the server's log");
    } else {
      add(Level::ok, "read",
          std::to_string(bytes->size()) + " bytes of " + quoted(file.path) + " in " +
              proxy::duration_text(took));
    }
  }

  void write_something() {
    std::random_device random;
    std::string name = ".rowan-doctor-" + std::to_string(random()) + std::to_string(random());
    notebook_.step("creating " + quoted(name));
    CREATE3args args{};
    args.where.dir = root_.borrow();
    args.where.name = name.data();
    args.how.mode = GUARDED;
    sattr3& attributes = args.how.createhow3_u.obj_attributes;
    attributes.mode.set_it = 1;
    attributes.mode.set_mode3_u.mode = 0600;
    int status = NFS3_OK;
    FileHandle file;
    auto made = nfs_->call<CREATE3res>(rpc_nfs3_create_async, args, [&](const CREATE3res& reply) {
      status = reply.status;
      if (status != NFS3_OK || !reply.CREATE3res_u.resok.obj.handle_follows) return;
      file = FileHandle(reply.CREATE3res_u.resok.obj.post_op_fh3_u.handle);
    });
    if (!made || status != NFS3_OK || file.empty()) {
      add(Level::fail, "write",
          "no file can be made in the root directory: " +
              (made ? status_text(status) : made.error().detail),
          "check the permissions above, the quota and the space");
      return;
    }
    Result<std::uint64_t> took = write_and_compare(file);
    Result<void> removed = remove_file(name);
    if (!took) {
      add(Level::fail, "write", took.error().detail,
          "see the server's log; 'rowan status' shows whether the store is read-only");
    } else if (!removed) {
      add(Level::warn, "write",
          quoted(name) + " was written but not removed: " + removed.error().detail,
          "remove it by hand");
    } else {
      add(Level::ok, "write",
          std::to_string(write_bytes) + " bytes written to disk in " + proxy::duration_text(*took) +
              ", read back the same, and removed");
    }
  }

 private:
  void add(Level level, const char* topic, std::string text, std::string remedy = "") {
    notebook_.write({level, topic, std::move(text), std::move(remedy)});
  }

  // Directories found on the way go to `directories`; the first file that is not empty ends the
  // search.
  struct Found {
    FileHandle file;
    std::string path;
    std::uint64_t size = 0;
  };
  Result<std::optional<Found>> search_page(
      const FileHandle& directory, const std::string& path,
      std::deque<std::pair<FileHandle, std::string>>& directories) {
    READDIRPLUS3args args{};
    args.dir = directory.borrow();
    args.dircount = 4096;
    args.maxcount = 32768;
    int status = NFS3_OK;
    std::optional<Found> found;
    TRY_VOID(nfs_->call<READDIRPLUS3res>(
        rpc_nfs3_readdirplus_async, args, [&](const READDIRPLUS3res& reply) {
          status = reply.status;
          if (status != NFS3_OK) return;
          for (entryplus3* entry = reply.READDIRPLUS3res_u.resok.reply.entries; entry != nullptr;
               entry = entry->nextentry) {
            std::string name = entry->name;
            if (name == "." || name == ".." || !entry->name_attributes.attributes_follow ||
                !entry->name_handle.handle_follows)
              continue;
            const fattr3& attributes = entry->name_attributes.post_op_attr_u.attributes;
            FileHandle handle(entry->name_handle.post_op_fh3_u.handle);
            if (attributes.type == NF3DIR && directories.size() < max_directories)
              directories.emplace_back(handle, path + "/" + name);
            if (attributes.type == NF3REG && attributes.size > 0 && !found)
              found = Found{handle, path + "/" + name, attributes.size};
          }
        }));
    if (status != NFS3_OK && status != NFS3ERR_ACCES)
      return Error(Errc::io,
                   "listing " + quoted(path.empty() ? "/" : path) + ": " + status_text(status));
    return found;
  }

  Result<std::optional<Found>> find_file() {
    std::deque<std::pair<FileHandle, std::string>> directories;
    directories.emplace_back(root_, "");
    for (std::size_t looked = 0; looked < max_directories && !directories.empty(); ++looked) {
      auto [directory, path] = directories.front();
      directories.pop_front();
      notebook_.step("listing " + quoted(path.empty() ? "/" : path));
      TRY(auto found, search_page(directory, path, directories));
      if (found) return found;
    }
    return std::optional<Found>();
  }

  Result<std::string> read_at_start(const FileHandle& file, std::uint32_t count) {
    READ3args args{};
    args.file = file.borrow();
    args.count = count;
    int status = NFS3_OK;
    std::string bytes;
    TRY_VOID(nfs_->call<READ3res>(rpc_nfs3_read_async, args, [&](const READ3res& reply) {
      status = reply.status;
      if (status != NFS3_OK) return;
      const READ3resok& read = reply.READ3res_u.resok;
      bytes.assign(read.data.data_val, read.data.data_len);
    }));
    if (status != NFS3_OK) return Error(Errc::io, status_text(status));
    return bytes;
  }

  Result<std::uint64_t> write_and_compare(const FileHandle& file) {
    std::mt19937 random(std::random_device{}());
    std::string bytes(within(write_bytes, limits_.write), '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    notebook_.step("writing");
    WRITE3args args{};
    args.file = file.borrow();
    args.count = static_cast<count3>(bytes.size());
    args.stable = FILE_SYNC;
    args.data.data_len = static_cast<u_int>(bytes.size());
    args.data.data_val = bytes.data();
    int status = NFS3_OK;
    std::uint32_t count = 0;
    auto start = std::chrono::steady_clock::now();
    TRY_VOID(nfs_->call<WRITE3res>(rpc_nfs3_write_async, args, [&](const WRITE3res& reply) {
      status = reply.status;
      if (status == NFS3_OK) count = reply.WRITE3res_u.resok.count;
    }));
    std::uint64_t took = nanoseconds_since(start);
    if (status != NFS3_OK) return Error(Errc::io, "WRITE: " + status_text(status));
    if (count == 0 || count > bytes.size())
      return Error(Errc::io, "WRITE took " + std::to_string(count) + " bytes");
    bytes.resize(count);
    notebook_.step("reading back");
    TRY(std::string back, read_at_start(file, count));
    if (back != bytes) return Error(Errc::io, "what was read back is not what was written");
    return took;
  }

  Result<void> remove_file(std::string& name) {
    notebook_.step("removing " + quoted(name));
    REMOVE3args args{};
    args.object.dir = root_.borrow();
    args.object.name = name.data();
    int status = NFS3_OK;
    TRY_VOID(nfs_->call<REMOVE3res>(rpc_nfs3_remove_async, args,
                                    [&](const REMOVE3res& reply) { status = reply.status; }));
    if (status != NFS3_OK) return Error(Errc::io, status_text(status));
    return {};
  }

  RawClient* nfs_;
  const FileHandle& root_;
  FileLimits limits_;
  Notebook& notebook_;
};

}  // namespace

void examine_files(RawClient& nfs, const FileHandle& root, FileLimits limits, bool write,
                   Notebook& notebook) {
  FileExamination files(nfs, root, limits, notebook);
  files.read_something();
  if (write) files.write_something();
}

}  // namespace rowan::tools
