// A host whose world is a few members.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "proxy/host.h"

namespace rowan::proxy {

class FakeHost final : public Host {
 public:
  explicit FakeHost(Versions& versions) : versions_(versions) {}
  Versions& versions() override { return versions_; }
  void update(const ApplianceRecord& record) override { updated.push_back(record.name); }
  Task<Result<void>> probe_source(std::string source) override {
    probed.push_back(source);
    if (source_waits != nullptr) co_await source_waits->wait();
    if (!source_error.empty()) co_return Error(Errc::timed_out, source_error);
    co_return Result<void>();
  }
  std::optional<DaemonStatus> daemon() const override { return status; }
  VersionStatus version_status(const ImageVersion&) const override { return version; }
  ApplianceStatus appliance_status(std::string_view name) const override {
    ApplianceStatus shown;
    shown.serving = true;
    if (name == mounted) shown.clients = {"10.0.0.7"};
    shown.stats.procedures[1].served(nfs3::Status::ok, std::chrono::microseconds(100));
    return shown;
  }
  Task<Result<void>> start(const ApplianceRecord& appliance) override {
    started.push_back(appliance.name);
    if (!start_error.empty()) co_return Error(Errc::corrupt, start_error);
    co_return Result<void>();
  }
  Task<Result<void>> stop(std::string name) override {
    stopped.push_back(name);
    co_return Result<void>();
  }
  Task<Result<void>> forget_image(ImageRecord image, std::string version) override {
    forgotten.push_back(image.name + (version.empty() ? "" : "@" + version));
    co_return Result<void>();
  }
  Task<Result<std::vector<cache::KnownName>>> known_names(std::string, ImageVersion,
                                                          cache::KnownName behind,
                                                          std::size_t limit) override {
    auto at = names.begin();
    if (!behind.name.empty()) at = std::find(names.begin(), names.end(), behind) + 1;
    const auto left = static_cast<std::size_t>(names.end() - at);
    co_return std::vector<cache::KnownName>(at, at + static_cast<long>(std::min(limit, left)));
  }
  Task<Result<void>> take_names(std::string, ImageVersion,
                                std::vector<cache::KnownName> told) override {
    if (!names_error.empty()) co_return Error(Errc::exists, names_error);
    names.insert(names.end(), told.begin(), told.end());
    co_return Result<void>();
  }
  Task<Result<Repaired>> repair_store(ApplianceRecord, StoreWalk& walk) override {
    walk.reached(walk_progress);
    if (walk_waits != nullptr) co_await walk_waits->wait();
    co_return Repaired{true, findings, {"/etc/fstab: bytes 0 to 4096 are lost"}};
  }
  Task<Result<std::vector<std::string>>> check_store(ApplianceRecord, bool,
                                                     StoreWalk& walk) override {
    walk.reached(walk_progress);
    if (walk_waits != nullptr) co_await walk_waits->wait();
    if (walk_stopped != nullptr) *walk_stopped = walk.is_stopped();
    if (walk.is_stopped()) co_return Error(Errc::try_later, "stopped");
    if (!walk_error.empty()) co_return Error(Errc::corrupt, walk_error);
    co_return findings;
  }

  std::optional<DaemonStatus> status = DaemonStatus{};
  VersionStatus version;
  std::string mounted, source_error, start_error, names_error, walk_error;
  std::vector<cache::KnownName> names;   // shown, and taken
  Signal *source_waits = nullptr, *walk_waits = nullptr;
  bool* walk_stopped = nullptr;
  cache::CheckProgress walk_progress;
  std::vector<std::string> probed, started, stopped, updated, forgotten, findings;

 private:
  Versions& versions_;
};

}  // namespace rowan::proxy
