// One appliance: what a client mounts. Owns its redirect store and the merged view over the image;
// borrows the image, the loop whose strand it belongs to, and who runs the store's disk jobs.
// Everything here runs on that loop. A checkpoint that is mounted is one too, a read-only one.
//
// Life: the constructor starts the appliance; close() drains it; only then may it be destroyed.
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
#include "proxy/job_runner.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"
#include "rpc/call_stats.h"
#include "rpc/nfs3.h"

namespace rowan::proxy {

class MergedView;
// Runs the disk jobs of a store, or of all stores of a family.
using StoreJobs = JobRunner<cache::JobSource>;

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
  bool read_only = false;    // whatever would change something is ROFS
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
  // Everything borrowed outlives the appliance. `settings.quota_bytes` is set on the store.
  Appliance(ApplianceSettings settings, std::unique_ptr<cache::Store> store, StoreJobs& jobs,
            Image& image, Loop& loop);
  // The same with a store that shares its files with no other.
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
  // The same without an end: the store may be given other content meanwhile. One at a time, and
  // not while it closes.
  Task<void> pause();
  void resume();
  // Calls are to be answered JUKEBOX.
  bool waiting() const { return closing_ || paused_; }
  bool closing() const { return closing_; }
  bool paused() const { return paused_; }
  MonotonicTime last_call() const { return last_call_; }

  ApplianceStats stats() const;
  // The store's sticky failure, if it has one: the appliance is read-only since, with the reason to
  // show.
  const std::optional<Error>& failure() const { return store_->failure(); }

  MergedView& view() { return *view_; }
  cache::Store& store() { return *store_; }
  StoreJobs& jobs() { return *jobs_; }
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
  // By reference: the store is looked at before it is moved.
  Appliance(ApplianceSettings&& settings, std::unique_ptr<cache::Store>&& store,
            std::unique_ptr<StoreJobs>&& own_jobs, StoreJobs* shared_jobs, Image& image,
            Loop& loop);
  Task<void> calls_ended();

  ApplianceSettings settings_;
  std::unique_ptr<cache::Store> store_;
  std::unique_ptr<StoreJobs> own_jobs_;  // null: shared with others
  StoreJobs* jobs_;
  Image* image_;
  Loop* loop_;
  std::unique_ptr<MergedView> view_;
  std::array<rpc::ProcedureStats, nfs3::procedure_count> procedures_;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t bytes_written_ = 0;
  std::uint64_t calls_in_flight_ = 0;
  bool closing_ = false, paused_ = false;
  MonotonicTime last_call_;           // its arrival; the appliance's start before the first
  std::unique_ptr<Signal> drained_;   // somebody waits until no call is in flight
};

}  // namespace rowan::proxy
