// What the admin interface asks of a process that serves nothing, so that an operator can prepare
// images and appliances before the first `rowan serve`: sources can be asked, stores be checked,
// repaired, sent and received.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/repair.h"
#include "proxy/exports.h"
#include "proxy/host.h"
#include "proxy/pool_set.h"
#include "proxy/registry.h"
#include "proxy/state_dir.h"
#include "rpc/asio_loop.h"

namespace rowan::proxy {

class OfflineHost final : public Host {
 public:
  // All outlive the host.
  OfflineHost(AsioLoop& loop, DiskPool& disk, StateDir& state, Registry& registry)
      : loop_(loop),
        disk_(disk),
        state_(state),
        registry_(registry),
        pools_(loop, disk),
        versions_(loop, disk, registry, pools_, exports_) {
    pools_.set_prepare([this](Pool& pool) { drop_orphans_of(pool); });
  }

  Task<Result<void>> probe_source(std::string source) override;
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
  Task<Result<Repaired>> repair_store(ApplianceRecord record, StoreWalk& walk) override;
  Task<Result<std::vector<std::string>>> check_store(ApplianceRecord record, bool offline,
                                                     StoreWalk& walk) override;

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

}  // namespace rowan::proxy
