// What the admin interface asks of the process around it: the daemon (proxy/daemon.h) has
// everything running, the command without a daemon (proxy/offline_host.h) can only ask sources.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/block_cache.h"
#include "cache/catalog.h"
#include "proxy/appliance.h"
#include "proxy/names.h"
#include "proxy/records.h"
#include "proxy/store_walk.h"
#include "proxy/versions.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

// One version of an image since the process started.
struct VersionStatus {
  bool in_use = false;                 // some appliance has it open; all else is 0 if not
  std::uint64_t bytes_served = 0;      // image bytes given to the redirect layer
  std::uint64_t bytes_fetched = 0;     // from the source
  std::uint64_t hits = 0, misses = 0;  // units asked of the block cache
  std::uint64_t objects = 0;           // known
  std::uint64_t known_bytes = 0;       // sum of the sizes of known regular files
  std::uint64_t cached_bytes = 0;      // of it in the block cache, if that can be told
  std::string trouble;                 // of the source now; empty: none known
  std::vector<std::string> drifted;    // paths, at most a few
};

struct ApplianceStatus {
  bool serving = false;
  bool opening = false;              // not served yet, and nothing is known to be wrong
  std::string trouble;               // why it is not served, or is read-only
  std::vector<std::string> clients;  // that mounted it and did not unmount, as far as is known
  ApplianceStats stats;
};

struct DaemonStatus {
  std::int64_t pid = 0;
  std::uint64_t uptime_seconds = 0;
  std::vector<std::string> listen;  // as bound
  std::uint64_t connections = 0, calls = 0, bytes_received = 0, bytes_sent = 0;
  cache::BlockCacheUsage cache;
};

// What a repair did to a store that was damaged.
struct Repaired {
  bool changed = false;                     // false: nothing had to be
  std::vector<std::string> findings, lost;  // the damage with its places; what is gone, by path
};

class Host {
 public:
  virtual ~Host() = default;

  // Asks the source for its root. What is wrong with it, with the remedy.
  virtual Task<Result<void>> probe_source(std::string source) = 0;

  // Nothing: no daemon runs.
  virtual std::optional<DaemonStatus> daemon() const = 0;
  virtual VersionStatus version_status(const ImageVersion& version) const = 0;
  virtual ApplianceStatus appliance_status(std::string_view name) const = 0;

  virtual Versions& versions() = 0;
  // An appliance, or a checkpoint of it, to be looked at: hold a Call at once. busy: it is not
  // being served; not_found: no such checkpoint. Without a daemon see proxy/offline_session.h.
  virtual Task<Result<Appliance*>> open_state(ApplianceRecord, std::string) {
    co_return Error(Errc::not_supported, "no appliance is served here");
  }
  // A version of an image, until it is released. Looks into the registry.
  struct UsedImage {
    Image* image = nullptr;
    cache::VersionId version{};
  };
  virtual Task<Result<UsedImage>> acquire_image(ImageName) {
    co_return Error(Errc::not_supported, "no image is open here");
  }
  virtual Task<void> release_image(cache::VersionId) { co_return; }
  // An appliance's record was changed.
  virtual void update(const ApplianceRecord& record) = 0;

  // Serves an appliance that was just made. Without a daemon: success, nothing to do.
  virtual Task<Result<void>> start(const ApplianceRecord& appliance) = 0;
  // Stops serving it and closes its store; success if it is not served.
  virtual Task<Result<void>> stop(std::string name) = 0;
  // Forgets the cached blocks of an image that nobody uses, which is about to be removed; with a
  // version's label only that one's, and what the catalogue knows of it.
  virtual Task<Result<void>> forget_image(ImageRecord image, std::string version) = 0;
  // The first `limit` names that a version has shown, behind one of them (cache/catalog.h).
  virtual Task<Result<std::vector<cache::KnownName>>> known_names(std::string image,
                                                                  ImageVersion version,
                                                                  cache::KnownName behind,
                                                                  std::size_t limit) = 0;
  // Another host's names; done when they are on disk. exists: they are known otherwise here.
  virtual Task<Result<void>> take_names(std::string image, ImageVersion version,
                                        std::vector<cache::KnownName> names) = 0;
  // Makes the damaged store of an appliance one that opens. It is closed meanwhile, and its clients
  // wait. After an error the store is what it was.
  virtual Task<Result<Repaired>> repair_store(ApplianceRecord record, StoreWalk& walk) = 0;
  // Walks the store of an appliance: one line per finding. While it is being served all that its
  // states show; with `offline` it is closed meanwhile, its clients wait, and what the store
  // believes of its own space is looked at as well.
  // try_later: the walk was stopped.
  virtual Task<Result<std::vector<std::string>>> check_store(ApplianceRecord record, bool offline,
                                                             StoreWalk& walk) = 0;
};

}  // namespace rowan::proxy
