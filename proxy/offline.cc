#include "proxy/offline.h"

#include <optional>

#include "cache/catalog.h"
#include "cache/file_posix.h"
#include "cache/repair.h"
#include "proxy/admin_api.h"
#include "proxy/image_set.h"
#include "proxy/lost_paths.h"
#include "proxy/source_opener.h"
#include "proxy/store_maker.h"
#include "rpc/asio_loop.h"
#include "rpc/disk_threads.h"

namespace rowan::proxy {
namespace {

constexpr Duration loop_patience = std::chrono::seconds(1);
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
  Task<Result<std::vector<cache::KnownName>>> known_names(std::string image, ImageVersion version,
                                                          cache::KnownName behind,
                                                          std::size_t limit) override;
  Task<Result<void>> take_names(std::string image, ImageVersion version,
                                std::vector<cache::KnownName> names) override;
  Task<Result<Repaired>> repair_store(ApplianceRecord record) override;
  Task<Result<std::vector<std::string>>> check_store(ApplianceRecord record, bool) override {
    co_return check_appliance_store(registry_, record.name);
  }

 private:
  Task<Result<void>> name_lost(const ApplianceRecord& record, Pool& pool,
                               std::vector<cache::LostPart> lost, Repaired& done);
  struct OpenCatalog;
  void drop_orphans_of(Pool& pool);
  Result<OpenCatalog> open_catalog(const std::string& image);
  Task<void> close_catalog(OpenCatalog& open);

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
  if (registry_.all_known() && !users.empty())
    drop_orphans(pool.family(), users, loop_.clock().wall().seconds);
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

// A catalogue for one question.
struct OfflineHost::OpenCatalog {
  std::unique_ptr<cache::Directory> directory;
  std::unique_ptr<cache::Catalog> catalog;
  std::unique_ptr<JobRunner<cache::Catalog>> jobs;
};

Result<OfflineHost::OpenCatalog> OfflineHost::open_catalog(const std::string& image) {
  OpenCatalog open;
  TRY(open.directory, registry_.image_catalog(image));
  TRY(open.catalog, cache::Catalog::open(*open.directory));
  open.jobs = std::make_unique<JobRunner<cache::Catalog>>(loop_, disk_, *open.catalog);
  return open;
}

Task<void> OfflineHost::close_catalog(OpenCatalog& open) {
  open.catalog->prepare_close();
  co_await open.jobs->drain();
}

Task<Result<std::vector<cache::KnownName>>> OfflineHost::known_names(std::string image,
                                                                     ImageVersion version,
                                                                     cache::KnownName behind,
                                                                     std::size_t limit) {
  CO_TRY(OpenCatalog open, open_catalog(image));
  Result<std::vector<cache::KnownName>> names =
      co_await known_names_in(*open.catalog, *open.jobs, version.id, behind, limit);
  co_await close_catalog(open);
  co_return names;
}

Task<Result<void>> OfflineHost::take_names(std::string image, ImageVersion version,
                                           std::vector<cache::KnownName> names) {
  CO_TRY(OpenCatalog open, open_catalog(image));
  Result<void> taken =
      co_await take_names_in(*open.catalog, *open.jobs, version.id, std::move(names));
  co_await close_catalog(open);
  co_return taken;
}

// By path, as the store and what is known of the image tell it.
Task<Result<void>> OfflineHost::name_lost(const ApplianceRecord& record, Pool& pool,
                                          std::vector<cache::LostPart> lost, Repaired& done) {
  CO_TRY(OpenCatalog open, open_catalog(record.image));
  Result<std::unique_ptr<cache::Store>> store = co_await pool.store(record.head);
  if (!store) co_return std::move(store).error();
  PathInImage path = [&open](cache::ObjectId id) -> Task<std::string> {
    auto question = [&open, id] { return open.catalog->path(id); };
    Result<std::string> known = co_await open.jobs->with_loads(question);
    co_return known ? *known : std::string();
  };
  LostPaths paths{**store, pool.jobs(), path};
  done.lost = co_await lost_lines(std::move(lost), paths);
  co_await close_catalog(open);
  co_return Result<void>();
}

Task<Result<Repaired>> OfflineHost::repair_store(ApplianceRecord record) {
  CO_TRY(auto directory, registry_.pool_directory(record.pool));
  CO_TRY(cache::RepairReport report, cache::repair_store(*directory, {}));
  Repaired done{report.repaired, std::move(report.findings), {}};
  if (report.lost.empty()) co_return done;
  Result<Pool*> pool = co_await pools_.acquire(record.pool, std::move(directory));
  if (!pool) co_return std::move(pool).error();
  Result<void> named = co_await name_lost(record, **pool, std::move(report.lost), done);
  Result<void> closed = co_await pools_.release(record.pool);
  if (!named) co_return std::move(named).error();
  if (!closed) co_return std::move(closed).error();
  co_return done;
}

// Runs the loop until the task is done.
void run_task(AsioLoop& loop, Task<void> task) {
  TaskGroup tasks;
  tasks.start(std::move(task));
  while (tasks.running() > 0) loop.run_some(loop_patience);
}

// Runs the loop until the API has answered.
HttpReply run_request(AsioLoop& loop, AdminApi& api, const HttpRequest& request) {
  std::optional<HttpReply> reply;
  auto body = [](AdminApi& asked, const HttpRequest& what,
                 std::optional<HttpReply>& into) -> Task<void> {
    into = co_await asked.handle(what);
  };
  run_task(loop, body(api, request, reply));
  CHECK(reply.has_value());
  return std::move(*reply);
}

Result<std::unique_ptr<cache::Directory>> open_root(const std::string& state,
                                                    bool create) {
  auto root = cache::open_directory(state, create);
  if (!root.failed_with(Errc::not_found)) return root;
  return Error(
      Errc::not_found,
      "there is no state in " + state +
          " yet; 'rowan image add' or 'rowan serve' makes it, --state chooses another place");
}

}  // namespace

class OfflineAdmin::Impl {
 public:
  Impl(std::unique_ptr<StateDir> state, std::unique_ptr<Registry> registry,
       std::unique_ptr<DiskThreads> disk)
      : state_(std::move(state)),
        registry_(std::move(registry)),
        disk_(std::move(disk)),
        host_(loop_, *disk_, *state_, *registry_),
        api_(*registry_, host_, loop_, *disk_) {}
  ~Impl() { run_task(loop_, api_.close()); }

  HttpReply answer(const HttpRequest& request) { return run_request(loop_, api_, request); }

 private:
  std::unique_ptr<StateDir> state_;
  std::unique_ptr<Registry> registry_;
  AsioLoop loop_;
  std::unique_ptr<DiskThreads> disk_;
  OfflineHost host_;
  AdminApi api_;
};

OfflineAdmin::OfflineAdmin(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OfflineAdmin::~OfflineAdmin() = default;

HttpReply OfflineAdmin::answer(const HttpRequest& request) { return impl_->answer(request); }

Result<std::unique_ptr<OfflineAdmin>> OfflineAdmin::open(const std::string& path, bool create,
                                                             std::string_view who) {
  TRY(auto root, open_root(path, create));
  TRY(auto state, StateDir::open(std::move(root), who, lock_patience));
  TRY(auto registry, Registry::load(*state, real_clock(), make_store));
  DiskThreadsLimits limits;
  limits.threads = 1;
  TRY(auto disk, DiskThreads::start(limits));
  auto impl = std::make_unique<Impl>(std::move(state), std::move(registry), std::move(disk));
  return std::unique_ptr<OfflineAdmin>(new OfflineAdmin(std::move(impl)));
}

Result<HttpReply> answer_offline(const std::string& state, const HttpRequest& request,
                                 std::string_view who) {
  // Only making something may make the state directory as well.
  TRY(auto session, OfflineAdmin::open(state, request.method == "POST", who));
  return session->answer(request);
}

}  // namespace rowan::proxy
