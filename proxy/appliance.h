// One appliance: what a client mounts. Owns its redirect store and the merged view over the image;
// borrows the image, the loop whose strand it belongs to, and the disk threads. Everything here
// runs on that loop.
//
// Life: the store is opened or made on a start-up thread (Store::open blocks); the constructor
// starts the appliance; close() drains it; only then may it be destroyed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cache/ids.h"
#include "cache/store.h"
#include "proxy/access_list.h"
#include "proxy/handle.h"
#include "proxy/image.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"
#include "rpc/call_stats.h"
#include "rpc/nfs3.h"

namespace rowan::proxy {

class MergedView;

enum class Durability : std::uint8_t {
  sync,   // RFC 1813: a stable reply survives power loss
  async,  // for throw-away nodes: stable replies are given before the disk has them
};

struct ApplianceSettings {
  std::string name;                  // of the export: "/NAME"; no '/', not empty
  cache::ApplianceId id{};           // random, never zero
  ApplianceKey key{};                // random, secret
  std::uint64_t fsid = 0;            // never zero
  std::string image, image_version;  // for messages and for the process
  AccessList allow = AccessList::loopback();
  std::uint64_t quota_bytes = 0;  // 0: none
  Durability durability = Durability::sync;
  bool root_squash = false;  // uid and gid 0 of clients count as 65534
};

struct ApplianceStats {
  std::array<rpc::ProcedureStats, nfs3::procedure_count> procedures;  // by procedure number
  std::uint64_t bytes_read = 0;                                     // served by READ
  std::uint64_t bytes_written = 0;                                  // taken by WRITE
  std::uint64_t calls_in_flight = 0;
  cache::StoreUsage store;  // redirected bytes and objects
};

class Appliance {
 public:
  // `image`, `loop` and `disk` outlive the appliance. `settings.quota_bytes` is set on the store.
  Appliance(ApplianceSettings settings, std::unique_ptr<cache::Store> store, Image& image,
            Loop& loop, DiskPool& disk);
  Appliance(const Appliance&) = delete;
  Appliance& operator=(const Appliance&) = delete;
  ~Appliance();

  const ApplianceSettings& settings() const { return settings_; }
  // Takes over allow, quota_bytes, durability and root_squash, from the next call on; the rest is
  // identity and stays.
  void update(const ApplianceSettings& settings);

  // Lets calls in flight end (new ones are answered JUKEBOX, so that clients wait for the next
  // life), makes everything durable. An error says what may be lost; the appliance is closed all
  // the same. Once only.
  Task<Result<void>> close();
  bool closing() const { return closing_; }

  ApplianceStats stats() const;
  // The store's sticky failure, if it has one: the appliance is read-only since, with the reason to
  // show.
  const std::optional<Error>& failure() const { return store_->failure(); }

  MergedView& view() { return *view_; }
  cache::Store& store() { return *store_; }
  Image& image() { return *image_; }
  Loop& loop() { return *loop_; }

  // Held by a call from its arrival to its reply, for close() and the counters.
  class Call {
   public:
    Call(Appliance& appliance, nfs3::Procedure procedure, MonotonicTime received);
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call();
    // Without it the call counts as failed.
    void done(nfs3::Status status) { status_ = status; }

   private:
    Appliance* appliance_;
    nfs3::Procedure procedure_;
    MonotonicTime received_;
    nfs3::Status status_ = nfs3::Status::serverfault;
  };
  void count_read(std::uint64_t bytes) { bytes_read_ += bytes; }
  void count_written(std::uint64_t bytes) { bytes_written_ += bytes; }

 private:
  ApplianceSettings settings_;
  std::unique_ptr<cache::Store> store_;
  Image* image_;
  Loop* loop_;
  std::unique_ptr<MergedView> view_;
  std::array<rpc::ProcedureStats, nfs3::procedure_count> procedures_;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t bytes_written_ = 0;
  std::uint64_t calls_in_flight_ = 0;
  bool closing_ = false;
  std::unique_ptr<Signal> drained_;  // set when closing and the last call has ended
};

}  // namespace rowan::proxy
