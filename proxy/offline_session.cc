#include "proxy/offline_session.h"

#include <optional>

#include "cache/file_posix.h"
#include "proxy/admin_api.h"
#include "proxy/live_host.h"
#include "proxy/offline_host.h"
#include "proxy/state_dir.h"
#include "proxy/store_maker.h"
#include "rpc/asio_loop.h"
#include "rpc/disk_threads.h"

namespace rowan::proxy {
namespace {

// What the daemon's limit is, is not known here; nothing else shall be evicted.
constexpr std::uint64_t unlimited_bytes = std::uint64_t{1} << 60;
constexpr Duration poll = std::chrono::seconds(1);

Result<std::unique_ptr<cache::Directory>> open_root(const std::string& state, bool create) {
  auto root = cache::open_directory(state, create);
  if (create || !root.failed_with(Errc::not_found)) return root;
  return Error(
      Errc::not_found,
      "there is no state in " + state +
          " yet; 'rowan image add' or 'rowan serve' makes it, --state chooses another place");
}

}  // namespace

class OfflineSession::Impl {
 public:
  Result<void> open(const std::string& path, std::string_view who, const OfflineNeeds& needs) {
    TRY(auto root, open_root(path, needs.create));
    TRY(state_, StateDir::open(std::move(root), who, lock_patience));
    TRY(registry_, Registry::load(*state_, real_clock(), make_store));
    TRY(disk_, DiskThreads::start(DiskThreadsLimits()));
    if (needs.appliances.empty()) {
      host_ = std::make_unique<OfflineHost>(loop_, *disk_, *state_, *registry_);
    } else {
      TRY_VOID(open_live());
    }
    api_.emplace(*registry_, *host_, loop_, *disk_);
    for (const std::string& name : needs.appliances) TRY_VOID(start(name));
    return {};
  }

  HttpReply ask(const HttpRequest& request) { return run(api_->handle(request)); }

  ~Impl() {
    if (!api_) return;
    if (live_ != nullptr) live_->stop_opening();
    run(close());
  }

 private:
  Result<void> open_live() {
    TRY(cache_directory_, state_->cache());
    cache::BlockCacheOptions options;
    options.limit_bytes = unlimited_bytes;
    TRY(blocks_, cache::BlockCache::open(*cache_directory_, options));
    auto live = std::make_unique<LiveHost>(loop_, *disk_, *state_, *registry_, *blocks_);
    live_ = live.get();
    host_ = std::move(live);
    return {};
  }

  Result<void> start(const std::string& name) {
    Result<ApplianceRecord> record = registry_->appliance(name);
    if (record.failed_with(Errc::not_found)) return {};
    if (!record) return std::move(record).error();
    return run(host_->start(*record));
  }

  Task<bool> close() {
    co_await api_->close();
    if (live_ != nullptr) co_await live_->shut_down();
    co_return true;
  }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> answer;
    auto body = [](Task<T> inner, std::optional<T>& into) -> Task<void> {
      T value = co_await inner;
      into.emplace(std::move(value));
    };
    TaskGroup tasks;
    tasks.start(body(std::move(task), answer));
    while (!answer || tasks.running() > 0) loop_.run_some(poll);
    return std::move(*answer);
  }

  std::unique_ptr<StateDir> state_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<cache::Directory> cache_directory_;
  std::unique_ptr<cache::BlockCache> blocks_;
  AsioLoop loop_;
  std::unique_ptr<DiskThreads> disk_;
  std::unique_ptr<Host> host_;
  LiveHost* live_ = nullptr;  // the host, where appliances are opened
  std::optional<AdminApi> api_;
};

OfflineSession::OfflineSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OfflineSession::~OfflineSession() = default;

Result<std::unique_ptr<OfflineSession>> OfflineSession::open(const std::string& state,
                                                             std::string_view who,
                                                             const OfflineNeeds& needs) {
  auto impl = std::make_unique<Impl>();
  TRY_VOID(impl->open(state, who, needs));
  return std::unique_ptr<OfflineSession>(new OfflineSession(std::move(impl)));
}

HttpReply OfflineSession::ask(const HttpRequest& request) { return impl_->ask(request); }

}  // namespace rowan::proxy
