#include "proxy/appliance.h"

#include <utility>

#include "proxy/merged_view.h"
#include "rpc/base/check.h"

namespace rowan::proxy {

Appliance::Appliance(ApplianceSettings&& settings, std::unique_ptr<cache::Store>&& store,
                     std::unique_ptr<StoreJobs>&& own_jobs, StoreJobs* shared_jobs,
                     Image& image, Loop& loop)
    : settings_(std::move(settings)),
      store_(std::move(store)),
      own_jobs_(std::move(own_jobs)),
      jobs_(own_jobs_ ? own_jobs_.get() : shared_jobs),
      image_(&image),
      loop_(&loop),
      view_(std::make_unique<MergedView>(settings_, *store_, *jobs_, image, loop)),
      last_call_(loop.clock().now()) {
  CHECK(static_cast<std::uint64_t>(settings_.id) != 0);
  CHECK(settings_.fsid != 0);
  store_->set_quota(settings_.quota_bytes);
}

Appliance::Appliance(ApplianceSettings settings, std::unique_ptr<cache::Store> store,
                     StoreJobs& jobs, Image& image, Loop& loop)
    : Appliance(std::move(settings), std::move(store), nullptr, &jobs, image, loop) {}

Appliance::Appliance(ApplianceSettings settings, std::unique_ptr<cache::Store> store, Image& image,
                     Loop& loop, DiskPool& disk)
    : Appliance(std::move(settings), std::move(store),
                std::make_unique<StoreJobs>(loop, disk, *store), nullptr, image, loop) {}

Appliance::~Appliance() { CHECK_EQ(calls_in_flight_, 0u); }

void Appliance::update(const ApplianceSettings& settings) {
  settings_.allow = settings.allow;
  settings_.quota_bytes = settings.quota_bytes;
  settings_.durability = settings.durability;
  settings_.root_squash = settings.root_squash;
  store_->set_quota(settings_.quota_bytes);
}

Task<Result<void>> Appliance::close() {
  CHECK(!closing_);
  closing_ = true;
  co_await calls_ended();
  Result<void> result;
  if (!store_->stalled()) result = co_await view_->durable(store_->applied());
  if (store_->stalled()) result = *store_->stalled();
  // A failed store has nothing to note; a stalled one would wait for room.
  if (result) store_->prepare_close();
  if (own_jobs_) co_await own_jobs_->drain();
  co_return result;
}

Task<void> Appliance::pause() {
  CHECK(!waiting());
  paused_ = true;
  co_await calls_ended();
}

// What the view remembers may be of other content.
void Appliance::resume() {
  CHECK(paused_ && calls_in_flight_ == 0);
  view_ = std::make_unique<MergedView>(settings_, *store_, *jobs_, *image_, *loop_);
  paused_ = false;
}

Task<void> Appliance::calls_ended() {
  if (calls_in_flight_ == 0) co_return;
  // Who closes it may come while somebody waits to pause it.
  if (!drained_) drained_ = std::make_unique<Signal>(*loop_);
  co_await drained_->wait();
  if (calls_in_flight_ == 0) drained_.reset();
}

ApplianceStats Appliance::stats() const {
  ApplianceStats stats;
  stats.procedures = procedures_;
  stats.bytes_read = bytes_read_;
  stats.bytes_written = bytes_written_;
  stats.calls_in_flight = calls_in_flight_;
  stats.store = store_->usage();
  return stats;
}

Appliance::Call::Call(Appliance& appliance, nfs3::Procedure procedure, MonotonicTime received)
    : appliance_(&appliance), procedure_(procedure), received_(received) {
  ++appliance_->calls_in_flight_;
  appliance_->last_call_ = received;
}

Appliance::Call::~Call() {
  Duration took = appliance_->loop_->clock().now() - received_;
  appliance_->procedures_[static_cast<std::size_t>(procedure_)].served(status_, took);
  --appliance_->calls_in_flight_;
  if (appliance_->drained_ && appliance_->calls_in_flight_ == 0) appliance_->drained_->set();
}

}  // namespace rowan::proxy
