#include "proxy/live_host.h"

#include "proxy/blocking.h"
#include "proxy/source_opener.h"
#include "proxy/store_maker.h"
#include "rpc/base/log.h"

namespace rowan::proxy {
namespace {

Result<ApplianceSettings> settings_of(const ApplianceRecord& record) {
  ApplianceSettings settings;
  settings.name = record.name;
  settings.id = record.id;
  settings.key = record.key;
  settings.fsid = record.fsid;
  settings.image = record.image;
  settings.image_version = record.version;
  if (!record.allow.empty()) {
    TRY(settings.allow, AccessList::parse(record.allow));
  }
  settings.quota_bytes = record.quota_bytes;
  settings.durability = record.durability;
  settings.root_squash = record.root_squash;
  return settings;
}

}  // namespace

Task<void> LiveHost::start_all() {
  for (const DamagedEntry& entry : registry_.damaged_appliances()) {
    log(Level::error, "appliance.damaged",
        {{"appliance", entry.name}, {"why", to_string(entry.error)}});
  }
  for (const DamagedEntry& entry : registry_.damaged_images()) {
    log(Level::error, "image.damaged", {{"image", entry.name}, {"why", to_string(entry.error)}});
  }
  for (const auto& [name, record] : registry_.appliances()) {
    Result<void> started = co_await start(record);
    // start() has logged the reason; the others are served all the same.
    if (!started) continue;
  }
}

Task<Result<void>> LiveHost::start(const ApplianceRecord& appliance) {
  Result<void> opened = co_await open_appliance(appliance);
  failed_.erase(appliance.name);
  if (opened) co_return Result<void>();
  failed_[appliance.name] = to_string(opened.error());
  log(Level::error, "appliance.failed",
      {{"appliance", appliance.name}, {"why", to_string(opened.error())}});
  co_return opened;
}

Task<Result<void>> LiveHost::open_appliance(ApplianceRecord record) {
  ImageName name{record.image, record.version};
  CO_TRY(ImageVersion version, registry_.version(name));
  CO_TRY(auto catalog, registry_.image_catalog(record.image));
  Result<Image*> image = co_await images_.acquire(record.image, version, std::move(catalog));
  if (!image) co_return std::move(image).error();
  Result<void> opened = co_await open_store(record, version.id, *image);
  if (!opened) co_await images_.release(version.id);
  co_return opened;
}

Task<Result<void>> LiveHost::open_store(ApplianceRecord record, cache::VersionId version,
                                        Image* image) {
  CO_TRY(ApplianceSettings settings, settings_of(record));
  Open open;
  open.id = record.id;
  open.version = version;
  CO_TRY(open.store_directory, registry_.appliance_store(record.name));
  cache::Directory& directory = *open.store_directory;
  auto open_it = [&directory, &record] {
    return cache::Store::open(directory, store_options(record));
  };
  Result<std::unique_ptr<cache::Store>> store = co_await run_blocking(disk_, loop_, open_it);
  if (!store) co_return std::move(store).error();
  auto appliance = std::make_unique<Appliance>(settings, std::move(*store), *image, loop_, disk_);
  CO_TRY_VOID(exports_.add(std::move(appliance)));
  open_.emplace(record.name, std::move(open));
  co_return Result<void>();
}

Task<Result<void>> LiveHost::stop(std::string name) {
  failed_.erase(name);
  auto found = open_.find(name);
  if (found == open_.end()) co_return Result<void>();
  Open open = std::move(found->second);
  open_.erase(found);
  std::unique_ptr<Appliance> appliance = exports_.remove(open.id);
  co_await close_appliance(name, std::move(open), std::move(appliance));
  co_return Result<void>();
}

Task<void> LiveHost::close_appliance(std::string name, Open open,
                                     std::unique_ptr<Appliance> appliance) {
  Result<void> closed = co_await appliance->close();
  if (!closed) {
    log(Level::error, "appliance.close_failed",
        {{"appliance", name}, {"why", to_string(closed.error())}});
  }
  appliance.reset();
  co_await images_.release(open.version);
}

Task<void> LiveHost::shut_down() {
  // They stay among the exports while they close: clients are told to wait, not that their files
  // are gone.
  for (Appliance* appliance : exports_.all()) {
    Result<void> closed = co_await appliance->close();
    if (!closed) {
      log(Level::error, "appliance.close_failed",
          {{"appliance", appliance->settings().name}, {"why", to_string(closed.error())}});
    }
  }
  while (!open_.empty()) {
    Open open = std::move(open_.begin()->second);
    open_.erase(open_.begin());
    exports_.remove(open.id).reset();
    co_await images_.release(open.version);
  }
  co_await images_.drain();
}

Task<Result<void>> LiveHost::probe_source(std::string source) {
  return proxy::probe_source(std::move(source), loop_, disk_);
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
  status.drifted = stats.drifted_paths;
  return status;
}

ApplianceStatus LiveHost::appliance_status(std::string_view name) const {
  ApplianceStatus status;
  if (auto why = failed_.find(name); why != failed_.end()) status.trouble = why->second;
  const Appliance* appliance = exports_.find(name);
  if (appliance == nullptr) return status;
  status.serving = true;
  status.stats = appliance->stats();
  if (appliance->failure()) status.trouble = to_string(*appliance->failure());
  status.clients = mount_.clients_of(name);
  return status;
}

Task<Result<void>> LiveHost::forget_image(ImageRecord image) {
  for (const ImageVersion& version : image.versions) images_.drop_blocks(version.id);
  co_return Result<void>();
}

Task<Result<std::vector<std::string>>> LiveHost::check_store(std::string name) {
  if (open_.contains(name)) {
    co_return Error(Errc::busy,
                    "appliance '" + name + "' is being served; stop the daemon to check its store");
  }
  auto check = [this, &name] { return check_appliance_store(registry_, name); };
  co_return co_await run_blocking(disk_, loop_, std::move(check));
}

}  // namespace rowan::proxy
