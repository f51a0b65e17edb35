// Checkpoints that clients mount read-only, as "APPLIANCE@CHECKPOINT": known as soon as they are
// made, opened when somebody mounts one or comes back with a handle of it, closed again when nobody
// asked for a while. Handles of a checkpoint are good as long as it exists, on every host that has
// it: they follow from the appliance's identity and the checkpoint's.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "proxy/exports.h"
#include "proxy/image_set.h"
#include "proxy/pool_set.h"
#include "proxy/registry.h"
#include "proxy/versions.h"

namespace rowan::proxy {

// The identity of a checkpoint's mount.
cache::ApplianceId view_id(cache::ApplianceId appliance, std::uint64_t guid);

struct ViewPatience {
  Duration idle = std::chrono::minutes(10);  // then it is closed
  Duration look = std::chrono::minutes(1);   // how often somebody looks
};

class CheckpointViews {
 public:
  // All outlive it. close_all() is done before it is destroyed.
  CheckpointViews(Loop& loop, Registry& registry, ImageSet& images, PoolSet& pools,
                  Exports& exports, ViewPatience patience = {})
      : loop_(loop),
        registry_(registry),
        images_(images),
        pools_(pools),
        exports_(exports),
        patience_(patience) {}

  // The checkpoints that an appliance has now; those that are gone are closed. `version` is the
  // image's that they are above.
  void know(const ApplianceRecord& record, const ImageVersion& version, const History& history);
  // One that came to them.
  void add(const ApplianceRecord& record, const ImageVersion& version,
           const Checkpoint& checkpoint);
  // The appliance is to be closed: its checkpoints are, and nobody opens them any more.
  Task<void> forget(cache::ApplianceId appliance);
  // not_found: not a checkpoint that is known.
  Task<Result<Appliance*>> open(std::string name);
  // Starts to open it, if it is one of these.
  void summon(cache::ApplianceId id);
  Task<void> close_all();

 private:
  struct View {
    explicit View(Loop& loop) : turn(loop) {}
    cache::ApplianceId id{};
    std::string name;
    ApplianceRecord record;
    ImageVersion version;
    Checkpoint checkpoint;
    bool doomed = false;  // not to be opened again
    Turn turn;            // of opening and closing
  };
  using Shared = std::shared_ptr<View>;

  Shared make_view(const ApplianceRecord& record, const ImageVersion& version,
                   const Checkpoint& checkpoint);
  Task<void> take_away(Shared view);
  Task<Result<Appliance*>> open_view(Shared view);
  Task<Result<void>> open_now(View& view);
  Task<void> close_view(Shared view);
  Task<void> open_unasked(Shared view);
  void watch();
  void close_idle();

  Loop& loop_;
  Registry& registry_;
  ImageSet& images_;
  PoolSet& pools_;
  Exports& exports_;
  ViewPatience patience_;
  std::map<cache::ApplianceId, Shared> views_;
  std::map<std::string, Shared> by_name_;
  Loop::TimerId timer_ = 0;
  bool stopping_ = false;
  TaskGroup tasks_;
};

}  // namespace rowan::proxy
