// The object graph of the daemon, from the bottom:
//
//   state directory, registry         what there is
//   loop, disk threads                who runs it
//   block cache, images, appliances   LiveHost
//   dispatchers, servers              the clients' way in
//   admin socket                      the operator's way in
//
// Clients are let in at once; those of appliances that are not open yet are told to wait. Ready is
// said when every appliance was tried once. The way down is the way up reversed. A deadline bounds
// it: what a dead disk or source holds up is given up, with exit status 1.
#include "proxy/daemon.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "cache/file_posix.h"
#include "proxy/admin_api.h"
#include "proxy/blocking.h"
#include "proxy/live_host.h"
#include "proxy/log_sinks.h"
#include "proxy/memory_limit.h"
#include "proxy/service_manager.h"
#include "proxy/size_text.h"
#include "proxy/state_dir.h"
#include "proxy/stop_signals.h"
#include "proxy/store_maker.h"
#include "rpc/disk_threads.h"
#include "rpc/dispatcher.h"
#include "rpc/rpcbind.h"
#include "rpc/server.h"
#include "rpc/socket_address.h"
#include "rpc/udp_server.h"

namespace rowan::proxy {
namespace {

// Calls in flight may wait for a source, whose deadline is 10 s.
constexpr Duration drain_patience = std::chrono::seconds(12);
constexpr std::chrono::seconds shutdown_patience{30};
constexpr Duration progress_interval = std::chrono::seconds(1);

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) log(Level::warn, "limit.descriptors_kept");
}

class Daemon {
 public:
  Daemon(std::string state, ServeConfig config)
      : path_(std::move(state)), config_(std::move(config)) {}

  Result<void> run(const std::function<void(const std::string&)>& ready) {
    TRY_VOID(open());
    StopSignals signals([this] { loop_.post([this] { stop(); }); });
    // The disk threads inherit the signal mask, so they start after it is set.
    TRY(disk_, DiskThreads::start(DiskThreadsLimits()));
    host_.emplace(loop_, *disk_, *state_, *registry_, *blocks_);
    host_->set_status_source([this] { return status(); });
    ready_ = ready;
    tasks_.start(start());
    loop_.run();
    return std::move(outcome_);
  }

 private:
  // What needs no loop.
  Result<void> open() {
    raise_descriptor_limit();
    TRY(auto root, cache::open_directory(path_, true));
    TRY(state_, StateDir::open(std::move(root), "rowan serve", lock_patience));
    TRY(registry_, Registry::load(*state_, real_clock(), make_store));
    TRY(cache_directory_, state_->cache());
    cache::BlockCacheOptions options;
    options.limit_bytes = config_.cache_bytes;
    TRY(blocks_, cache::BlockCache::open(*cache_directory_, options));
    return {};
  }

  Task<void> start() {
    started_ = loop_.clock().now();
    outcome_ = let_in();
    if (!outcome_) {
      stop();
      co_return;
    }
    if (watchdog_interval() > Duration::zero()) feed_watchdog();
    appliance_count_ = registry_->appliances().size();
    report_progress();
    co_await host_->start_all();
    if (!stopping_ && config_.rpcbind) co_await register_ports();
    if (stopping_) co_return;
    loop_.cancel(progress_timer_);
    std::string served = std::to_string(host_->serving()) + " appliances";
    if (host_->failed() > 0) served += " (" + std::to_string(host_->failed()) + " failed)";
    ready_("rowan: serving " + served + " at " + addresses());
    notify_ready("serving " + served);
  }

  // Many appliances, or long journals after a crash, take their time: the service manager's limit
  // is for a start that does not get on.
  void report_progress() {
    notify_starting("opened " + std::to_string(host_->serving()) + " of " +
                    std::to_string(appliance_count_) + " appliances");
    progress_timer_ = loop_.call_after(progress_interval, [this] { report_progress(); });
  }

  Result<void> let_in() {
    dispatcher_.emplace(loop_, rpc::Dispatcher::Services{&host_->nfs(), &host_->mount()});
    rpc::ServerLimits limits;
    limits.bytes_total = memory_for_calls(memory_limit());
    server_.emplace(loop_, *dispatcher_, limits);
    udp_dispatcher_.emplace(loop_, rpc::Dispatcher::Services{nullptr, &host_->mount()});
    udp_server_.emplace(loop_, *udp_dispatcher_);
    for (const std::string& text : config_.listen) {
      TRY(ListenAddress address, parse_listen_address(text));
      TRY(PeerAddress bound, server_->listen(address.host, address.port));
      // The same number for both: a free one may have been taken for TCP.
      TRY(PeerAddress bound_udp, udp_server_->listen(address.host, bound.port));
      CHECK_EQ(bound_udp.port, bound.port);
      bound_.push_back(bound);
    }
    rpc::ServicePorts ports{bound_.front().port, bound_.front().port};
    dispatcher_->set_ports(ports);
    udp_dispatcher_->set_ports(ports);
    api_.emplace(*registry_, *host_, loop_, *disk_);
    TRY(admin_, AdminServer::listen(loop_, socket_path(path_), *api_));
    api_->watch_receives();
    return {};
  }

  // The first port of each family that is listened on. Without it clients must be told the port,
  // nothing more: a warning.
  Task<void> register_ports() {
    registered_.clear();
    for (bool ipv6 : {false, true}) {
      auto first = std::find_if(bound_.begin(), bound_.end(), [ipv6](const PeerAddress& address) {
        return (rpc::to_socket_address(address).family() == AF_INET6) == ipv6;
      });
      if (first == bound_.end()) continue;
      registered_.push_back({nfs3::program, nfs3::version, false, first->port, ipv6});
      registered_.push_back({mount3::program, mount3::version, false, first->port, ipv6});
      registered_.push_back({mount3::program, mount3::version, true, first->port, ipv6});
    }
    auto call = [this] { return rpc::register_with_rpcbind(registered_); };
    Result<void> done = co_await run_blocking(*disk_, loop_, std::move(call));
    if (done) co_return;
    registered_.clear();
    log(Level::warn, "rpcbind.refused", {{"why", to_string(done.error())}});
  }

  Task<void> unregister_ports() {
    auto call = [this]() -> Result<void> {
      rpc::unregister_from_rpcbind(registered_);
      return {};
    };
    Result<void> done = co_await run_blocking(*disk_, loop_, std::move(call));
    CHECK(done.has_value());
  }

  std::string addresses() const {
    std::string text;
    for (const PeerAddress& address : bound_)
      text += (text.empty() ? "" : ", ") + to_string(address);
    return text;
  }

  void feed_watchdog() {
    notify_watchdog();
    loop_.call_after(watchdog_interval(), [this] { feed_watchdog(); });
  }

  void stop() {
    if (stopping_) return;
    stopping_ = true;
    log(Level::info, "daemon.stopping");
    notify_stopping();
    loop_.cancel(progress_timer_);
    host_->stop_opening();
    loop_.call_after(shutdown_patience, [] {
      log(Level::error, "daemon.stop_timed_out", {{"seconds", shutdown_patience.count()}});
      ::_exit(1);
    });
    tasks_.start(shut_down());
  }

  Task<void> shut_down() {
    // A start-up under way ends first: it owns half-made things.
    while (tasks_.running() > 1) co_await sleep_for(loop_, std::chrono::milliseconds(10));
    if (!registered_.empty()) co_await unregister_ports();
    if (udp_server_) co_await udp_server_->drain();
    if (server_) co_await server_->drain(drain_patience);
    if (admin_) co_await admin_->close();
    if (api_) co_await api_->close();
    co_await host_->shut_down();
    loop_.stop();
  }

  DaemonStatus status() const {
    DaemonStatus status;
    status.pid = ::getpid();
    status.uptime_seconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(real_clock().now() - started_).count());
    for (const PeerAddress& address : bound_) status.listen.push_back(to_string(address));
    if (!server_) return status;
    const rpc::ServerCounters& counters = server_->counters();
    status.connections = counters.connections;
    status.calls = counters.calls;
    status.bytes_received = counters.bytes_received;
    status.bytes_sent = counters.bytes_sent;
    return status;
  }

  std::string path_;
  ServeConfig config_;
  std::unique_ptr<StateDir> state_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<cache::Directory> cache_directory_;
  std::unique_ptr<cache::BlockCache> blocks_;
  AsioLoop loop_;
  std::unique_ptr<DiskThreads> disk_;
  std::optional<LiveHost> host_;
  std::optional<rpc::Dispatcher> dispatcher_;
  std::optional<rpc::Server> server_;
  std::optional<rpc::Dispatcher> udp_dispatcher_;
  std::optional<rpc::UdpServer> udp_server_;
  std::vector<PeerAddress> bound_;
  std::vector<rpc::Registration> registered_;
  std::optional<AdminApi> api_;
  std::unique_ptr<AdminServer> admin_;
  std::function<void(const std::string&)> ready_;
  MonotonicTime started_{};
  std::size_t appliance_count_ = 0;  // to be opened at the start
  Loop::TimerId progress_timer_ = 0;
  bool stopping_ = false;
  Result<void> outcome_;
  TaskGroup tasks_;
};

}  // namespace

Result<void> run_daemon(const std::string& state, const ServeConfig& config,
                        const std::function<void(const std::string&)>& ready) {
  share_one_heap();
  LineSink::Style style = stderr_is_journal() ? LineSink::Style::journal : LineSink::Style::time;
  LineSink sink(STDERR_FILENO, style, real_clock());
  set_log_sink(&sink);
  set_log_level(config.log_level);
  Result<void> outcome;
  {
    auto daemon = std::make_unique<Daemon>(state, config);
    outcome = daemon->run(ready);
  }
  set_log_sink(nullptr);
  return outcome;
}

}  // namespace rowan::proxy
