// Everything that a running daemon serves, on one strand: the block cache, the images, the
// appliances.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "proxy/appliance_set.h"
#include "proxy/exports.h"
#include "proxy/host.h"
#include "proxy/image_set.h"
#include "proxy/mount_keeper.h"
#include "proxy/mount_service.h"
#include "proxy/nfs_service.h"
#include "proxy/pool_set.h"
#include "proxy/registry.h"
#include "proxy/scheduler.h"
#include "rpc/asio_loop.h"

namespace rowan::proxy {

struct LiveOptions {
  OpenSource open_source;
  OpeningLimits opening;
  cache::StoreOptions stores;   // of the pools
};

class LiveHost final : public Host {
 public:
  // All outlive the host, which may be destroyed once shut_down() is done.
  LiveHost(Loop& loop, DiskPool& disk, StateDir& state, Registry& registry,
           cache::BlockCache& blocks, const LiveOptions& options);
  // With sources as they are in real life.
  LiveHost(AsioLoop& loop, DiskPool& disk, StateDir& state, Registry& registry,
           cache::BlockCache& blocks, OpeningLimits limits = {});

  nfs3::Service& nfs() { return nfs_; }
  mount3::Service& mount() { return mount_; }
  // Tells what the process around it knows; set before the first request.
  void set_status_source(std::function<DaemonStatus()> source) {
    status_source_ = std::move(source);
  }

  // Opens all appliances, a few at a time; done when each was tried once. What cannot be opened is
  // logged, shown as failed and tried again. Clients may be let in from its first step on: those of
  // appliances that are not open yet are told to wait.
  Task<void> start_all();
  // Opens nothing more, and soon nobody waits for room on a full disk any more; shut_down() can
  // then be quick.
  void stop_opening();
  // Lets calls end, makes everything durable, closes. Errors are logged by appliance.
  Task<void> shut_down();

  std::size_t serving() const { return appliances_.serving(); }
  std::size_t failed() const { return appliances_.failed(); }

  Task<Result<void>> probe_source(std::string source) override;
  std::optional<DaemonStatus> daemon() const override;
  VersionStatus version_status(const ImageVersion& version) const override;
  ApplianceStatus appliance_status(std::string_view name) const override;
  Versions& versions() override { return versions_; }
  Task<Result<Appliance*>> open_state(ApplianceRecord record, std::string checkpoint) override;
  Task<Result<UsedImage>> acquire_image(ImageName name) override;
  Task<void> release_image(cache::VersionId version) override { return images_.release(version); }
  void update(const ApplianceRecord& record) override { appliances_.update(record); }
  Task<Result<void>> start(const ApplianceRecord& appliance) override;
  Task<Result<void>> stop(std::string name) override;
  Task<Result<void>> forget_image(ImageRecord image, std::string version) override;
  Task<Result<std::vector<cache::KnownName>>> known_names(std::string image, ImageVersion version,
                                                          cache::KnownName behind,
                                                          std::size_t limit) override;
  Task<Result<void>> take_names(std::string image, ImageVersion version,
                                std::vector<cache::KnownName> names) override;
  Task<Result<Repaired>> repair_store(ApplianceRecord record, StoreWalk& walk) override;
  Task<Result<std::vector<std::string>>> check_store(ApplianceRecord record, bool offline,
                                                     StoreWalk& walk) override;

 private:
  void connect();

  Loop& loop_;
  DiskPool& disk_;
  Registry& registry_;
  cache::BlockCache& blocks_;
  OpenSource open_source_;
  bool all_known_;  // when the process started
  std::atomic<bool> stopping_ = false;
  ImageSet images_;
  Exports exports_;
  NfsService nfs_{exports_};
  MountService mount_{exports_};
  PoolSet pools_;
  Versions versions_;
  CheckpointViews views_;
  ApplianceSet appliances_;
  Scheduler scheduler_;
  MountKeeper mounts_;
  std::function<DaemonStatus()> status_source_;
};

}  // namespace rowan::proxy
