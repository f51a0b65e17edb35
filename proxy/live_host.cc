#include "proxy/live_host.h"

#include "cache/repair.h"
#include "proxy/lost_paths.h"
#include "proxy/source_opener.h"
#include "proxy/store_maker.h"
#include "rpc/base/log.h"

namespace rowan::proxy {
namespace {

// Clients that leave may give back what a store is short of: descriptors, or room.
constexpr Duration stall_patience = std::chrono::seconds(3);

}  // namespace

LiveHost::LiveHost(Loop& loop, DiskPool& disk, StateDir& state, Registry& registry,
                   cache::BlockCache& blocks, const LiveOptions& options)
    : loop_(loop),
      disk_(disk),
      registry_(registry),
      blocks_(blocks),
      open_source_(options.open_source),
      all_known_(registry.all_known()),
      images_(loop, disk, blocks, options.open_source),
      pools_(loop, disk, options.stores),
      versions_(loop, disk, registry, pools_, exports_),
      views_(loop, registry, images_, pools_, exports_),
      appliances_(loop, disk, registry, {images_, pools_, views_, exports_}, options.opening),
      scheduler_(loop, versions_,
                 {[this] { return appliances_.scheduled(); },
                  [this](const std::string& name) { return appliances_.scheduled(name); }}),
      mounts_(loop, disk, state.root(), mount_.mounted()) {
  connect();
  mounts_.start();
}

LiveHost::LiveHost(AsioLoop& loop, DiskPool& disk, StateDir& state, Registry& registry,
                   cache::BlockCache& blocks, OpeningLimits limits)
    : LiveHost(loop, disk, state, registry, blocks,
               LiveOptions{real_sources(loop, disk), limits, {}}) {}

// Who must hear of what the others do.
void LiveHost::connect() {
  pools_.set_prepare([this](Pool& pool) {
    const std::vector<ApplianceRecord> users = appliances_.users(pool.id());
    // With a record that cannot be read nobody knows whose states there are; and one that is being
    // received has no user yet.
    if (!all_known_ || users.empty()) return;
    const std::size_t count = drop_orphans(pool.family(), users, loop_.clock().wall().seconds);
    if (count > 0) log(Level::info, "pool.orphans_dropped", {{"count", std::to_string(count)}});
  });
  Versions::Watch watch;
  watch.made = [this](const ApplianceRecord& record, const Checkpoint& checkpoint) {
    appliances_.checkpoint_made(record, checkpoint);
  };
  watch.changed = [this](const ApplianceRecord& record, const History& history) {
    appliances_.checkpoints_changed(record, history);
  };
  versions_.set_watch(std::move(watch));
  exports_.set_opener([this](std::string name) { return views_.open(std::move(name)); });
  exports_.set_summon([this](cache::ApplianceId id) { views_.summon(id); });
}

Task<void> LiveHost::start_all() {
  for (const DamagedEntry& entry : registry_.damaged_appliances()) {
    log(Level::error, "appliance.damaged",
        {{"appliance", entry.name}, {"why", to_string(entry.error)}});
  }
  for (const DamagedEntry& entry : registry_.damaged_images()) {
    log(Level::error, "image.damaged", {{"image", entry.name}, {"why", to_string(entry.error)}});
  }
  co_await appliances_.open_all();
  scheduler_.start();
}

Task<Result<void>> LiveHost::start(const ApplianceRecord& appliance) {
  return appliances_.open(appliance);
}

Task<Result<void>> LiveHost::stop(std::string name) {
  mount_.forget_clients_of(name);
  co_await appliances_.close(std::move(name));
  co_return Result<void>();
}

void LiveHost::stop_opening() {
  stopping_ = true;
  appliances_.stop_opening();
  const MonotonicTime from = loop_.clock().now() + stall_patience;
  pools_.stop_waiting(from);
  images_.stop_waiting(from);
}

Task<void> LiveHost::shut_down() {
  co_await scheduler_.stop();
  co_await mounts_.close();
  co_await appliances_.close_all();
  co_await images_.drain();
}

Task<Result<void>> LiveHost::probe_source(std::string source) {
  return proxy::probe_source(std::move(source), open_source_);
}

std::optional<DaemonStatus> LiveHost::daemon() const {
  DaemonStatus status = status_source_ ? status_source_() : DaemonStatus();
  status.cache = blocks_.usage();
  return status;
}

VersionStatus LiveHost::version_status(const ImageVersion& version) const {
  VersionStatus status;
  const CachedImage* image = images_.find(version.id);
  if (image == nullptr) return status;
  ImageStats stats = image->stats();
  status.in_use = true;
  status.bytes_served = stats.data.bytes_served;
  status.bytes_fetched = stats.data.bytes_fetched;
  status.hits = stats.data.hits;
  status.misses = stats.data.misses;
  status.objects = image->object_count();
  status.known_bytes = image->known_bytes();
  status.trouble = stats.trouble;
  status.drifted = images_.drifted_before(version.id);
  for (const std::string& path : stats.drifted_paths) status.drifted.push_back(path);
  return status;
}

ApplianceStatus LiveHost::appliance_status(std::string_view name) const {
  ApplianceStatus status;
  status.trouble = appliances_.trouble(name);
  status.opening = appliances_.opening(name);
  status.clients = mount_.clients_of(name);
  const Appliance* appliance = exports_.find(name);
  if (appliance == nullptr) return status;
  status.serving = true;
  status.stats = appliance->stats();
  if (appliance->failure()) status.trouble = to_string(*appliance->failure());
  return status;
}

Task<Result<Appliance*>> LiveHost::open_state(ApplianceRecord record, std::string checkpoint) {
  Appliance* running = exports_.find(record.id);
  if (running == nullptr || running->waiting()) {
    const std::string why = appliances_.trouble(record.name);
    co_return Error(Errc::busy, "appliance '" + record.name + "' is not being served now" +
                                    (why.empty() ? "; try again in a moment" : ": " + why));
  }
  if (checkpoint.empty()) co_return running;
  Result<Appliance*> opened = co_await views_.open(record.name + "@" + checkpoint);
  if (!opened.failed_with(Errc::not_found)) co_return opened;
  co_return Error(Errc::not_found, "no checkpoint '" + record.name + "@" + checkpoint +
                                       "'; 'rowan log " + record.name + "' shows what there is");
}

Task<Result<Host::UsedImage>> LiveHost::acquire_image(ImageName name) {
  CO_TRY(ImageVersion version, registry_.version(name));
  CO_TRY(auto catalog, registry_.image_catalog(name.name));
  UsedImage used;
  used.version = version.id;
  Result<Image*> image = co_await images_.acquire(name.name, version, std::move(catalog));
  if (!image) co_return std::move(image).error();
  used.image = *image;
  co_return used;
}

Task<Result<void>> LiveHost::forget_image(ImageRecord image, std::string version) {
  return forget_in(images_, registry_, std::move(image), std::move(version));
}

Task<Result<std::vector<cache::KnownName>>> LiveHost::known_names(std::string image,
                                                                  ImageVersion version,
                                                                  cache::KnownName behind,
                                                                  std::size_t limit) {
  CO_TRY(auto catalog, registry_.image_catalog(image));
  co_return co_await images_.known_names(std::move(image), std::move(version), std::move(catalog),
                                         std::move(behind), limit);
}

Task<Result<void>> LiveHost::take_names(std::string image, ImageVersion version,
                                        std::vector<cache::KnownName> names) {
  CO_TRY(auto catalog, registry_.image_catalog(image));
  co_return co_await images_.take_names(std::move(image), std::move(version), std::move(catalog),
                                        std::move(names));
}

Task<Result<Repaired>> LiveHost::repair_store(ApplianceRecord record, StoreWalk& walk) {
  CO_TRY(auto directory, registry_.pool_directory(record.pool));
  std::shared_ptr<cache::Directory> store = std::move(directory);
  auto report = std::make_shared<cache::RepairReport>();
  cache::RepairOptions options;
  options.progress = [&walk](const cache::CheckProgress& progress) { walk.reached(progress); };
  auto repair = [store, report, &options]() -> Result<std::vector<std::string>> {
    TRY(*report, cache::repair_store(*store, options));
    return report->findings;
  };
  auto findings = co_await appliances_.while_closed(record.name, std::move(repair));
  if (!findings) co_return std::move(findings).error();
  Repaired done{report->repaired, std::move(*findings), {}};
  Appliance* appliance = exports_.find(record.id);
  if (appliance == nullptr) {
    for (const cache::LostPart& part : report->lost) done.lost.push_back(describe(part));
    co_return done;
  }
  Appliance::Call call(*appliance, nfs3::Procedure::null, loop_.clock().now());
  Image& image = appliance->image();
  PathInImage path = [&image](cache::ObjectId id) -> Task<std::string> {
    co_return image.path(id);
  };
  LostPaths paths{appliance->store(), appliance->jobs(), path};
  done.lost = co_await lost_lines(report->lost, paths);
  call.done(nfs3::Status::ok);
  co_return done;
}

Task<Result<std::vector<std::string>>> LiveHost::check_store(ApplianceRecord record, bool offline,
                                                             StoreWalk& walk) {
  cache::CheckOptions options = walk.check_options();
  options.stopped = [this, &walk] { return stopping_.load() || walk.is_stopped(); };
  if (exports_.find(record.id) != nullptr && !offline) {
    co_return co_await versions_.check(record, options);
  }
  CO_TRY(auto directory, registry_.pool_directory(record.pool));
  // Not through the registry: it may change while this runs on another thread.
  std::shared_ptr<cache::Directory> store = std::move(directory);
  auto check = [store, &options] { return check_store_in(*store, options); };
  co_return co_await appliances_.while_closed(record.name, std::move(check));
}

}  // namespace rowan::proxy
