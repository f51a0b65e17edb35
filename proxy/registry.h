// Which images and appliances this state directory holds: their records, and the rules between
// them. Knows no loop and serves nobody; the daemon and the command without a daemon share it.
//
// Synchronous, not thread-safe: the daemon calls it from one admin request at a time, on a disk
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/names.h"
#include "proxy/records.h"
#include "proxy/state_dir.h"
#include "rpc/base/clock.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

// An entry whose record cannot be trusted. Its name stays taken; nothing else is affected.
struct DamagedEntry {
  std::string name;
  Error error;
};

struct NewAppliance {
  std::string name, image;
  std::string version;             // empty: the image's newest
  std::vector<std::string> allow;  // CIDR
  std::uint64_t quota_bytes = 0;
  Durability durability = Durability::sync;
  bool root_squash = false;
};

class Registry {
 public:
  // Makes an empty redirect store in an empty directory, durably.
  using MakeStore = Result<void> (*)(cache::Directory& directory);

  // Damaged records are kept apart; an error means that the directories cannot be read at all.
  // `state` and `clock` outlive the registry.
  static Result<std::unique_ptr<Registry>> load(StateDir& state, Clock& clock,
                                                MakeStore make_store);

  const std::map<std::string, ImageRecord>& images() const { return images_; }
  const std::map<std::string, ApplianceRecord>& appliances() const { return appliances_; }
  const std::vector<DamagedEntry>& damaged_images() const { return damaged_images_; }
  const std::vector<DamagedEntry>& damaged_appliances() const { return damaged_appliances_; }

  // not_found, corrupt: with the remedy. An empty version is the newest.
  Result<ImageVersion> version(const ImageName& name) const;
  Result<ImageRecord> image(std::string_view name) const;
  Result<ApplianceRecord> appliance(std::string_view name) const;
  // Names of the appliances that use the image (or only that version of it).
  std::vector<std::string> users(const ImageName& name) const;

  // Would add_version() refuse? Asked before the source is.
  Result<void> check_new_version(const ImageName& name) const;
  // Adds a version to an image, which is made if there is none; an empty label counts up from "1".
  Result<ImageVersion> add_version(const ImageName& name, std::string_view source);
  // Would remove_image() refuse? Asked before anything is forgotten.
  Result<void> check_remove_image(const ImageName& name) const;
  // busy: appliances use it; names them. Removes the whole image, or one version of several.
  Result<void> remove_image(const ImageName& name);

  Result<void> check_new_appliance(const NewAppliance& wanted) const;
  Result<ApplianceRecord> create_appliance(const NewAppliance& wanted);
  // Removes the record, the store and everything in it; also of a damaged one.
  Result<void> remove_appliance(std::string_view name);

  Result<std::unique_ptr<cache::Directory>> image_catalog(std::string_view name);
  Result<std::unique_ptr<cache::Directory>> appliance_store(std::string_view name);

 private:
  Registry(StateDir& state, Clock& clock, MakeStore make_store)
      : state_(state), clock_(clock), make_store_(make_store) {}
  Result<void> save_image(const ImageRecord& image);

  StateDir& state_;
  Clock& clock_;
  MakeStore make_store_;
  std::map<std::string, ImageRecord> images_;
  std::map<std::string, ApplianceRecord> appliances_;
  std::vector<DamagedEntry> damaged_images_, damaged_appliances_;
};

}  // namespace rowan::proxy
