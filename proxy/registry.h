// Which images and appliances this state directory holds: their records, and the rules between
// them. Knows no loop and serves nobody; the daemon and the command without a daemon share it.
//
// Synchronous, not thread-safe: the daemon calls it from one admin request at a time, on a disk
// thread.
#pragma once

#include <cstdint>
#include <functional>
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
  // Makes a pool with an empty redirect store in an empty directory, durably.
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
  // A new identity and the other's settings, for a running state in the other's pool.
  Result<ApplianceRecord> adopt_clone(const ApplianceRecord& origin, std::string_view name,
                                      cache::StateId head);
  // exists: an appliance of that name, identity or pool is there.
  Result<void> check_received(const ApplianceRecord& record) const;
  // One that comes from another host, identity and all; its pool is an empty one (new_pool()).
  Result<void> adopt_received(const ApplianceRecord& record);
  // A fresh id, key and fsid.
  void give_identity(ApplianceRecord& record) const;
  // What is half received, by name. Its pool stays as long as it is here. Forgotten at a start when
  // nobody went on with it for receive_patience_seconds; later that is the receiver's to see to.
  const std::map<std::string, ReceiveRecord, std::less<>>& receives() const { return receives_; }
  Result<void> add_receive(const ReceiveRecord& receive);
  // It is gone on with now.
  Result<void> touch_receive(std::string_view name);
  // With its pool, if nobody else uses that.
  Result<void> remove_receive(std::string_view name);
  // Replaces the record: settings, image version, head. Identity and pool stay.
  Result<void> update_appliance(const ApplianceRecord& record);
  // Removes the record; also of a damaged one. Its pool goes as well if nobody else uses it; the
  // states in a pool that others use are the caller's to drop.
  Result<void> remove_appliance(std::string_view name);
  // Names of the appliances whose stores lie in the pool.
  std::vector<std::string> users(PoolId pool) const;
  // Whose states may be in a pool without being in `appliances()`?
  bool all_known() const { return damaged_appliances_.empty(); }

  Result<std::unique_ptr<cache::Directory>> image_catalog(std::string_view name);
  // A pool with one empty running state. Removed at the next start if no appliance uses it by then.
  Result<PoolId> new_pool();
  Result<std::unique_ptr<cache::Directory>> pool_directory(PoolId pool);

 private:
  Registry(StateDir& state, Clock& clock, MakeStore make_store)
      : state_(state), clock_(clock), make_store_(make_store) {}
  Result<void> load_receives();
  bool is_receiving(PoolId pool) const;
  Result<void> save_image(const ImageRecord& image);
  Result<void> publish_appliance(const ApplianceRecord& record);
  void remove_pool(PoolId pool);
  Result<void> remove_unused_pools();

  StateDir& state_;
  Clock& clock_;
  MakeStore make_store_;
  std::map<std::string, ImageRecord> images_;
  std::map<std::string, ApplianceRecord> appliances_;
  std::vector<DamagedEntry> damaged_images_, damaged_appliances_;
  std::map<std::string, ReceiveRecord, std::less<>> receives_;
};

}  // namespace rowan::proxy
