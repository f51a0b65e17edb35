// Everything that a running daemon serves, on one strand: the block cache, the images, the
// appliances.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "proxy/exports.h"
#include "proxy/host.h"
#include "proxy/image_set.h"
#include "proxy/mount_service.h"
#include "proxy/nfs_service.h"
#include "proxy/registry.h"
#include "rpc/asio_loop.h"

namespace rowan::proxy {

class LiveHost final : public Host {
 public:
  // All outlive the host, which may be destroyed once shut_down() is done.
  LiveHost(AsioLoop& loop, DiskPool& disk, Registry& registry, cache::BlockCache& blocks)
      : loop_(loop),
        disk_(disk),
        registry_(registry),
        blocks_(blocks),
        images_(loop, disk, blocks) {}

  nfs3::Service& nfs() { return nfs_; }
  mount3::Service& mount() { return mount_; }
  // Tells what the process around it knows; set before the first request.
  void set_status_source(std::function<DaemonStatus()> source) {
    status_source_ = std::move(source);
  }

  // Opens all appliances; what cannot be opened is logged and shown as failed.
  Task<void> start_all();
  // Lets calls end, makes everything durable, closes. Errors are logged by appliance.
  Task<void> shut_down();

  std::size_t serving() const { return open_.size(); }
  std::size_t failed() const { return failed_.size(); }

  Task<Result<void>> probe_source(std::string source) override;
  std::optional<DaemonStatus> daemon() const override;
  VersionStatus version_status(const ImageVersion& version) const override;
  ApplianceStatus appliance_status(std::string_view name) const override;
  Task<Result<void>> start(const ApplianceRecord& appliance) override;
  Task<Result<void>> stop(std::string name) override;
  Task<Result<void>> forget_image(ImageRecord image) override;
  Task<Result<std::vector<std::string>>> check_store(std::string name) override;

 private:
  struct Open {
    cache::ApplianceId id{};
    cache::VersionId version{};
    std::unique_ptr<cache::Directory> store_directory;
  };

  Task<Result<void>> open_appliance(ApplianceRecord record);
  Task<Result<void>> open_store(ApplianceRecord record, cache::VersionId version, Image* image);
  Task<void> close_appliance(std::string name, Open open, std::unique_ptr<Appliance> appliance);

  AsioLoop& loop_;
  DiskPool& disk_;
  Registry& registry_;
  cache::BlockCache& blocks_;
  ImageSet images_;
  Exports exports_;
  NfsService nfs_{exports_};
  MountService mount_{exports_};
  std::map<std::string, Open, std::less<>> open_;
  std::map<std::string, std::string, std::less<>> failed_;  // why
  std::function<DaemonStatus()> status_source_;
};

}  // namespace rowan::proxy
