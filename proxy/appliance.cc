#include "proxy/appliance.h"

#include <utility>

#include "proxy/merged_view.h"
#include "rpc/base/check.h"

namespace rowan::proxy {

Appliance::Appliance(ApplianceSettings settings, std::unique_ptr<cache::Store> store, Image& image,
                     Loop& loop, DiskPool& disk)
    : settings_(std::move(settings)),
      store_(std::move(store)),
      image_(&image),
      loop_(&loop),
      view_(std::make_unique<MergedView>(settings_, *store_, image, loop, disk)),
      drained_(std::make_unique<Signal>(loop)) {
  CHECK(static_cast<std::uint64_t>(settings_.id) != 0);
  CHECK(settings_.fsid != 0);
  store_->set_quota(settings_.quota_bytes);
}

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
  if (calls_in_flight_ > 0) co_await drained_->wait();
  Result<void> result;
  if (store_->stalled()) {
    result = *store_->stalled();
  } else {
    result = co_await view_->durable(store_->applied());
  }
  // A failed store has nothing to note; a stalled one would wait for room.
  if (result) store_->prepare_close();
  co_await view_->drain();
  co_return result;
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
}

Appliance::Call::~Call() {
  Duration took = appliance_->loop_->clock().now() - received_;
  appliance_->procedures_[static_cast<std::size_t>(procedure_)].served(status_, took);
  --appliance_->calls_in_flight_;
  if (appliance_->closing_ && appliance_->calls_in_flight_ == 0) appliance_->drained_->set();
}

}  // namespace rowan::proxy
