// The appliances that one strand serves, and owns. NFS calls find theirs by the id in the handle,
// MOUNT by name. Found appliances stay valid until remove(). Besides, the names and ids of those
// that exist and cannot be served now: their clients must wait, not give up.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "cache/ids.h"
#include "proxy/appliance.h"

namespace rowan::proxy {

class Exports {
 public:
  // Null if there is none.
  Appliance* find(cache::ApplianceId id) const {
    auto found = by_id_.find(static_cast<std::uint64_t>(id));
    return found == by_id_.end() ? nullptr : found->second;
  }
  Appliance* find(std::string_view name) const {
    for (const auto& appliance : appliances_) {
      if (appliance->settings().name == name) return appliance.get();
    }
    return nullptr;
  }
  // In the order they were added.
  std::vector<Appliance*> all() const {
    std::vector<Appliance*> found;
    for (const auto& appliance : appliances_) found.push_back(appliance.get());
    return found;
  }

  // From now on until forget(), not being found means: not yet, or not now.
  void expect(cache::ApplianceId id, std::string_view name) {
    expected_ids_.insert(static_cast<std::uint64_t>(id));
    expected_names_.emplace(name);
  }
  void forget(cache::ApplianceId id, const std::string& name) {
    expected_ids_.erase(static_cast<std::uint64_t>(id));
    expected_names_.erase(name);
  }
  bool expects(cache::ApplianceId id) const {
    return expected_ids_.contains(static_cast<std::uint64_t>(id));
  }
  bool expects(std::string_view name) const { return expected_names_.contains(name); }

  // Told of an expected one that somebody asks for: what is opened on demand is opened then.
  void set_summon(std::function<void(cache::ApplianceId)> summon) { summon_ = std::move(summon); }
  void summon(cache::ApplianceId id) const {
    if (summon_) summon_(id);
  }
  // Opens one that is expected; null: it is not one of those that are opened on demand.
  using Opener = std::function<Task<Result<Appliance*>>(std::string name)>;
  void set_opener(Opener opener) { opener_ = std::move(opener); }
  const Opener& opener() const { return opener_; }

  // exists: an appliance of that name or id is there already.
  Result<void> add(std::unique_ptr<Appliance> appliance) {
    const ApplianceSettings& settings = appliance->settings();
    if (find(settings.id) != nullptr || find(settings.name) != nullptr) {
      return Error(Errc::exists, "appliance " + settings.name);
    }
    by_id_.emplace(static_cast<std::uint64_t>(settings.id), appliance.get());
    appliances_.push_back(std::move(appliance));
    return {};
  }
  // Takes the appliance out, null if there is none: calls that come now find nothing. Those
  // in flight go on, so await its close() before destroying it.
  std::unique_ptr<Appliance> remove(cache::ApplianceId id) {
    for (auto it = appliances_.begin(); it != appliances_.end(); ++it) {
      if ((*it)->settings().id != id) continue;
      std::unique_ptr<Appliance> taken = std::move(*it);
      appliances_.erase(it);
      by_id_.erase(static_cast<std::uint64_t>(id));
      return taken;
    }
    return nullptr;
  }

 private:
  std::vector<std::unique_ptr<Appliance>> appliances_;
  std::unordered_map<std::uint64_t, Appliance*> by_id_;
  std::unordered_set<std::uint64_t> expected_ids_;
  std::set<std::string, std::less<>> expected_names_;
  std::function<void(cache::ApplianceId)> summon_;
  Opener opener_;
};

}  // namespace rowan::proxy
