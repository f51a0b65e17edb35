// One appliance over doubles, asked through NfsService as a client would: typed calls as a given
// user, each run until it has its answer. Paths are walked by LOOKUP as root.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/exports.h"
#include "proxy/nfs_service.h"
#include "tests/support/manual_loop.h"
#include "tests/support/memory_image.h"
#include "tests/support/memory_store.h"

namespace rowan::test {

PeerAddress loopback_peer();
PeerAddress peer_of(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d);
CallContext context_of(std::uint32_t uid, std::uint32_t gid, GroupList groups = {});
proxy::ApplianceSettings plain_settings(const std::string& name = "vm1", std::uint64_t id = 0x11);

class ApplianceFixture {
 public:
  explicit ApplianceFixture(const MemoryStoreOptions& options = {},
                            const proxy::ApplianceSettings& settings = plain_settings());
  ApplianceFixture(const ApplianceFixture&) = delete;
  ~ApplianceFixture();

  // Opens the appliance; called by the first use. The image is built before.
  proxy::Appliance& start();
  proxy::Appliance& appliance() { return start(); }
  MemoryStore& store() { return *store_; }
  // A power cut and a new life; `extra` as MemoryStore::crash.
  void crash(std::size_t extra = 0);

  nfs3::Handle root() { return handle_of(cache::image_root); }
  nfs3::Handle handle_of(cache::ObjectId id);
  nfs3::Handle walk(std::string_view path);  // CHECKs that it exists
  nfs3::Status status_of_path(std::string_view path);
  nfs3::Attributes attributes(std::string_view path);
  std::string content(std::string_view path);
  std::vector<std::string> names(std::string_view path);  // by READDIR, without dots, in order

  // Shorthands as the current user. `path` is DIRECTORY/NAME, the directory is walked to.
  nfs3::CreateRes create(std::string_view path, nfs3::CreateMode how = nfs3::CreateMode::guarded,
                         std::uint32_t mode = 0644);
  nfs3::CreateRes mkdir(std::string_view path, std::uint32_t mode = 0755);
  nfs3::CreateRes symlink(std::string_view path, std::string_view target);
  nfs3::RemoveRes remove(std::string_view path);
  nfs3::RemoveRes rmdir(std::string_view path);
  nfs3::RenameRes rename(std::string_view from, std::string_view to);
  nfs3::LinkRes link(std::string_view existing, std::string_view path);
  nfs3::WriteRes write(std::string_view path, std::uint64_t offset, std::string_view bytes,
                       nfs3::StableHow stable = nfs3::StableHow::file_sync);
  nfs3::ReadRes read(std::string_view path, std::uint64_t offset, std::uint32_t count);
  nfs3::SetattrRes setattr(std::string_view path, const nfs3::SetAttributes& set);
  nfs3::LookupRes lookup(std::string_view path);
  std::uint32_t access(std::string_view path, std::uint32_t asked = 0x3f);

  template <class T>
  T run(Task<T> task) {
    return run_task(loop, disk, std::move(task));
  }

  ManualLoop loop;
  ManualDiskPool disk;
  MemoryImage image{loop};
  proxy::Exports exports;
  proxy::NfsService service{exports};
  CallContext context = context_of(0, 0);  // the current user

 private:
  struct Place {
    nfs3::Handle directory;
    std::string_view name;
  };
  Place place(std::string_view path);

  MemoryStoreOptions options_;
  proxy::ApplianceSettings settings_;
  MemoryStore* store_ = nullptr;
};

}  // namespace rowan::test
