// A table in memory: the plain model of cache/table.h, and a way to test what is built on one. With
// a seed, reads say needs_load now and then, and syncs finish when their job is run and not before.
// It keeps what was durable in a MemoryDisk, from which the next one is made: a crash is to drop
// the table.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "cache/table.h"
#include "rpc/base/check.h"

namespace rowan::test {

struct MemoryDisk {
  std::map<std::string, std::string> durable;
  cache::Ticket ticket = 0;
  bool fail_syncs = false;
  bool full = false;
};

class MemoryTable final : public cache::Table {
 public:
  explicit MemoryTable(MemoryDisk& disk, std::uint64_t seed = 0)
      : disk_(disk), map_(disk.durable), random_(seed), cold_(seed != 0), applied_(disk.ticket),
        durable_(disk.ticket) {}

  Result<std::string_view> get(std::string_view key) override {
    if (wants_load()) return Errc::needs_load;
    auto found = map_.find(std::string(key));
    if (found == map_.end()) return Errc::not_found;
    answer_ = found->second;   // a copy: views do not outlive the next call
    return std::string_view(answer_);
  }
  Result<void> visit(std::string_view from, std::string_view to,
                     cache::EntryVisitor visitor) override {
    if (wants_load()) return Errc::needs_load;
    auto at = map_.lower_bound(std::string(from));
    for (; at != map_.end() && at->first < to; ++at) {
      TRY(const bool more, visitor(at->first, at->second));
      if (!more) break;
    }
    return {};
  }
  Result<void> read_data(cache::DataPointer, std::span<const std::uint64_t>, ByteSpan) override {
    return Errc::not_supported;
  }
  Result<cache::Ticket> apply(cache::Batch& batch) override {
    if (failure_) return *failure_;
    if (disk_.full) return Errc::no_space;
    CHECK(batch.edit_count() <= cache::max_batch_edits && !batch.empty());
    for (const auto& edit : batch.edits()) {
      CHECK(edit.key.size() <= cache::max_key_bytes && edit.value.size() <= cache::max_value_bytes);
      if (edit.kind == cache::Batch::Edit::Kind::put) map_[edit.key] = edit.value;
      else map_.erase(edit.key);
    }
    batch.clear();
    return ++applied_;
  }
  void want_durable(cache::Ticket ticket) override { wanted_ = std::max(wanted_, ticket); }
  cache::Ticket applied() const override { return applied_; }
  cache::Ticket durable() const override { return durable_; }
  const std::optional<Error>& failure() const override { return failure_; }
  std::unique_ptr<Job> take_load() override {
    if (!load_wanted_) return nullptr;
    load_wanted_ = false;
    return std::make_unique<EmptyJob>();
  }
  std::unique_ptr<Job> next_job() override {
    if (syncing_ || failure_ || wanted_ <= durable_) return nullptr;
    syncing_ = true;
    auto job = std::make_unique<SyncJob>();
    job->map = map_;
    job->ticket = applied_;
    return job;
  }
  void complete(std::unique_ptr<Job> job) override {
    auto* sync = dynamic_cast<SyncJob*>(job.get());
    if (sync == nullptr) {
      loaded_ = 2000;   // a page cache large enough for any one question
      return;
    }
    syncing_ = false;
    if (disk_.fail_syncs) {
      failure_ = Error(Errc::io, "test disk");
      return;
    }
    disk_.durable = std::move(sync->map);
    disk_.ticket = durable_ = sync->ticket;
  }
  bool busy() const override { return syncing_ || (!failure_ && wanted_ > durable_); }
  void prepare_close() override { wanted_ = applied_; }
  const std::optional<Error>& stalled() const override { return none_; }
  cache::TableUsage usage() const override { return {}; }
  Result<cache::DiskSpace> disk_space() const override { return cache::DiskSpace{}; }

  std::size_t entries() const { return map_.size(); }

 private:
  struct EmptyJob final : Job {
    void run() noexcept override {}
  };
  struct SyncJob final : Job {
    void run() noexcept override {}
    std::map<std::string, std::string> map;
    cache::Ticket ticket = 0;
  };

  bool wants_load() {
    if (!cold_) return false;
    if (loaded_ > 0) {
      --loaded_;
      return false;
    }
    if (random_() % 8 != 0) return false;
    load_wanted_ = true;
    return true;
  }

  MemoryDisk& disk_;
  std::map<std::string, std::string> map_;
  std::mt19937_64 random_;
  bool cold_;
  int loaded_ = 0;
  bool load_wanted_ = false, syncing_ = false;
  cache::Ticket applied_, durable_, wanted_ = 0;
  std::string answer_;
  std::optional<Error> failure_, none_;
};

}  // namespace rowan::test
