#include "proxy/offline.h"

#include <optional>

#include "cache/file_posix.h"
#include "proxy/admin_api.h"
#include "proxy/image_set.h"
#include "proxy/source_opener.h"
#include "proxy/store_maker.h"
#include "rpc/asio_loop.h"
#include "rpc/disk_threads.h"

namespace rowan::proxy {
namespace {

constexpr std::uint64_t unlimited_bytes = std::uint64_t{1} << 60;

// Nothing is being served; sources can be asked and stores can be checked.
class OfflineHost final : public Host {
 public:
  OfflineHost(AsioLoop& loop, DiskPool& disk, StateDir& state, Registry& registry)
      : loop_(loop),
        disk_(disk),
        state_(state),
        registry_(registry),
        pools_(loop, disk),
        versions_(loop, disk, registry, pools_, exports_) {
    pools_.set_prepare([this](Pool& pool) { drop_orphans_of(pool); });
  }

  Task<Result<void>> probe_source(std::string source) override {
    return proxy::probe_source(std::move(source), loop_, disk_);
  }
  std::optional<DaemonStatus> daemon() const override { return std::nullopt; }
  VersionStatus version_status(const ImageVersion&) const override { return {}; }
  ApplianceStatus appliance_status(std::string_view) const override { return {}; }
  Versions& versions() override { return versions_; }
  void update(const ApplianceRecord&) override {}
  Task<Result<void>> start(const ApplianceRecord&) override { co_return Result<void>(); }
  Task<Result<void>> stop(std::string) override { co_return Result<void>(); }
  Task<Result<void>> forget_image(ImageRecord image, std::string version) override;
  Task<Result<std::vector<std::string>>> check_store(ApplianceRecord record, bool) override {
    co_return check_appliance_store(registry_, record.name);
  }

 private:
  void drop_orphans_of(Pool& pool);

  AsioLoop& loop_;
  DiskPool& disk_;
  StateDir& state_;
  Registry& registry_;
  Exports exports_;  // none
  PoolSet pools_;
  Versions versions_;
};

void OfflineHost::drop_orphans_of(Pool& pool) {
  std::vector<ApplianceRecord> users;
  for (const auto& [name, record] : registry_.appliances()) {
    if (record.pool == pool.id()) users.push_back(record);
  }
  if (registry_.all_known() && !users.empty()) drop_orphans(pool.family(), users);
}

Task<Result<void>> OfflineHost::forget_image(ImageRecord image, std::string version) {
  CO_TRY(auto directory, state_.cache());
  cache::BlockCacheOptions options;
  // What the daemon's limit is, is not known here; nothing else shall be evicted.
  options.limit_bytes = unlimited_bytes;
  CO_TRY(auto blocks, cache::BlockCache::open(*directory, options));
  ImageSet images(loop_, disk_, *blocks);
  Result<void> done = co_await forget_in(images, registry_, std::move(image), std::move(version));
  co_await images.drain();
  co_return done;
}

// Runs the loop until the API has answered.
HttpReply run_request(AsioLoop& loop, AdminApi& api, const HttpRequest& request) {
  std::optional<HttpReply> reply;
  auto body = [](AdminApi& asked, const HttpRequest& what, std::optional<HttpReply>& into,
                 AsioLoop& running) -> Task<void> {
    into = co_await asked.handle(what);
    running.stop();
  };
  TaskGroup tasks;
  tasks.start(body(api, request, reply, loop));
  if (!reply) loop.run();
  CHECK(reply.has_value());
  return std::move(*reply);
}

// Only making something may make the state directory as well.
Result<std::unique_ptr<cache::Directory>> open_root(const std::string& state,
                                                    const HttpRequest& request) {
  auto root = cache::open_directory(state, request.method == "POST");
  if (!root.failed_with(Errc::not_found)) return root;
  return Error(
      Errc::not_found,
      "there is no state in " + state +
          " yet; 'rowan image add' or 'rowan serve' makes it, --state chooses another place");
}

}  // namespace

Result<HttpReply> answer_offline(const std::string& state_path, const HttpRequest& request,
                                 std::string_view who) {
  TRY(auto root, open_root(state_path, request));
  TRY(auto state, StateDir::open(std::move(root), who, lock_patience));
  TRY(auto registry, Registry::load(*state, real_clock(), make_store));
  AsioLoop loop;
  DiskThreadsLimits limits;
  limits.threads = 1;
  TRY(auto disk, DiskThreads::start(limits));
  OfflineHost host(loop, *disk, *state, *registry);
  AdminApi api(*registry, host, loop, *disk);
  return run_request(loop, api, request);
}

}  // namespace rowan::proxy
