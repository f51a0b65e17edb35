#include "tests/support/memory_store.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "rpc/base/bytes.h"
#include "rpc/base/check.h"

namespace rowan::test {

using cache::NamedEntry;
using cache::NameRecord;
using cache::ObjectId;
using cache::ObjectRecord;
using cache::Ticket;
using cache::Transaction;

namespace {

struct LoadJob final : Job {
  void run() noexcept override {}
};

struct SyncJob final : Job {
  explicit SyncJob(Ticket t) : ticket(t) {}
  void run() noexcept override {}
  Ticket ticket;
};

}  // namespace

MemoryStore::MemoryStore(const MemoryStoreOptions& options) : options_(options) {
  if (options.seed) random_.emplace(*options.seed);
  new_verifier();
}

MemoryStore::~MemoryStore() = default;

std::unique_ptr<MemoryStore> MemoryStore::crash(std::size_t extra) const {
  CHECK(options_.keep_history);
  auto after = std::make_unique<MemoryStore>(options_);
  std::size_t kept = std::min<std::size_t>(durable_ + extra, history_.size());
  for (std::size_t i = 0; i < kept; ++i) {
    for (const KeptStep& step : history_[i]) after->play(step.step);
    after->history_.push_back(history_[i]);
  }
  // The bytes of the copied history have moved.
  for (auto& steps : after->history_) {
    for (KeptStep& kept_step : steps) {
      if (auto* write = std::get_if<Transaction::Write>(&kept_step.step)) {
        write->bytes = as_bytes(kept_step.bytes);
      }
    }
  }
  after->applied_ = after->durable_ = after->wanted_ = kept;
  // Never reused, also where the transaction that used them was lost.
  after->next_object_ = next_object_;
  after->next_sequence_ = next_sequence_;
  after->lives_ = lives_ + 1;
  after->space_ = space_;
  if (random_) after->random_.emplace(lives_ * 7919 + *options_.seed);
  after->new_verifier();
  return after;
}

std::size_t MemoryStore::undurable() const { return applied_ - durable_; }

// True: the answer "is on disk" this time.
bool MemoryStore::must_load() {
  ++questions_;
  if (!random_) return false;
  if (std::exchange(load_done_, false)) return false;
  load_wanted_ = (*random_)() % 8 == 0;
  return load_wanted_;
}

Result<ObjectRecord> MemoryStore::object(ObjectId id) {
  if (must_load()) return Errc::needs_load;
  auto found = objects_.find(id);
  if (found == objects_.end()) return Errc::not_found;
  ObjectRecord record = found->second;
  record.data_blocks = data_blocks(id);
  return record;
}

std::uint64_t MemoryStore::data_blocks(ObjectId id) const {
  constexpr std::uint64_t size = cache::data_block_size;
  auto runs = runs_.find(id);
  if (runs == runs_.end()) return 0;
  std::uint64_t count = 0, counted_to = 0;  // block numbers
  for (const auto& [offset, run] : runs->second) {
    std::uint64_t first = std::max(offset / size, counted_to);
    std::uint64_t end = (offset + run.length + size - 1) / size;
    if (end > first) count += end - first;
    counted_to = std::max(counted_to, end);
  }
  return count;
}

Result<NameRecord> MemoryStore::name(ObjectId directory, std::string_view name) {
  if (must_load()) return Errc::needs_load;
  auto found = directories_.find(directory);
  if (found == directories_.end()) return Errc::not_found;
  auto entry = found->second.names.find(name);
  if (entry == found->second.names.end()) return Errc::not_found;
  return entry->second;
}

Result<std::vector<NamedEntry>> MemoryStore::names_after(ObjectId directory, std::uint64_t sequence,
                                                         std::size_t limit) {
  if (must_load()) return Errc::needs_load;
  std::vector<NamedEntry> entries;
  auto found = directories_.find(directory);
  if (found == directories_.end()) return entries;
  const Directory& names = found->second;
  for (auto at = names.order.upper_bound(sequence); at != names.order.end(); ++at) {
    if (entries.size() == limit) break;
    entries.push_back({at->second, names.names.find(at->second)->second});
  }
  return entries;
}

Result<bool> MemoryStore::has_names(ObjectId directory) {
  if (must_load()) return Errc::needs_load;
  auto found = directories_.find(directory);
  return found != directories_.end() && !found->second.names.empty();
}

Result<std::vector<cache::Extent>> MemoryStore::extents(ObjectId id, const ObjectRecord& record,
                                                        std::uint64_t offset,
                                                        std::uint64_t length) {
  if (must_load()) return Errc::needs_load;
  std::vector<cache::Extent> result;
  const Runs& runs = runs_[id];
  std::uint64_t end = offset + length;
  auto next = runs.upper_bound(offset);
  if (next != runs.begin() && std::prev(next)->first + std::prev(next)->second.length > offset)
    --next;
  while (offset < end) {
    cache::Extent extent;
    extent.offset = offset;
    bool in_run = next != runs.end() && next->first <= offset;
    std::uint64_t until = next == runs.end() ? end : next->first;
    if (in_run) {
      until = next->first + next->second.length;
      extent.kind = cache::Extent::Kind::local;
      extent.data.segment = next->second.piece;
      extent.data.birth = next->second.skip + (offset - next->first);
      ++next;
    } else if (offset < record.base_size) {
      until = std::min(until, record.base_size);
      extent.kind = cache::Extent::Kind::base;
    }
    extent.length = std::min(until, end) - offset;
    offset += extent.length;
    result.push_back(std::move(extent));
  }
  return result;
}

Result<void> MemoryStore::read(const cache::Extent& extent, ByteSpan into) {
  if (must_load()) return Errc::needs_load;
  const Piece& piece = pieces_.at(extent.data.segment);
  if (std::find(damaged_.begin(), damaged_.end(), piece.owner) != damaged_.end()) {
    return Error(Errc::corrupt, "memory store, piece " + std::to_string(extent.data.segment));
  }
  CHECK_LE(extent.data.birth + into.size(), piece.bytes.size());
  std::memcpy(into.data(), piece.bytes.data() + extent.data.birth, into.size());
  return {};
}

ObjectId MemoryStore::next_object() { return ObjectId{cache::local_object_bit | next_object_++}; }

Result<Ticket> MemoryStore::apply(Transaction& transaction) {
  if (failure_) return *failure_;
  if (must_load()) return Errc::needs_load;
  if (random_ && (*random_)() % 16 == 0) return Errc::try_later;
  auto adds = [](const Transaction::Step& step) {
    return std::holds_alternative<Transaction::Write>(step);
  };
  bool grows = std::any_of(transaction.steps().begin(), transaction.steps().end(), adds);
  if (grows && refuse_) return *refuse_;
  if (grows && options_.quota_bytes != 0 && usage().data_bytes >= options_.quota_bytes)
    return Errc::quota;
  ++applied_;
  if (options_.keep_history) {
    auto& kept = history_.emplace_back();
    for (const Transaction::Step& step : transaction.steps()) {
      kept.push_back({step, {}});
      if (auto* write = std::get_if<Transaction::Write>(&kept.back().step)) {
        kept.back().bytes = as_text(write->bytes);
      }
    }
    for (KeptStep& step : kept) {
      if (auto* write = std::get_if<Transaction::Write>(&step.step))
        write->bytes = as_bytes(step.bytes);
    }
  }
  std::map<ObjectId, std::uint64_t> blocks;
  for (const Transaction::Step& step : transaction.steps()) play(step);
  for (const Transaction::Step& step : transaction.steps()) {
    if (const auto* put = std::get_if<Transaction::PutObject>(&step))
      blocks[put->id] = data_blocks(put->id);
  }
  transaction.clear();
  transaction.set_data_blocks(std::move(blocks));
  return applied_;
}

void MemoryStore::play(const Transaction::Step& step) {
  std::visit([this](const auto& one) { play(one); }, step);
}

void MemoryStore::play(const Transaction::PutObject& step) { objects_[step.id] = step.record; }

void MemoryStore::play(const Transaction::RemoveObject& step) {
  runs_.erase(step.id);
  if (cache::is_local(step.id)) {
    objects_.erase(step.id);
    return;
  }
  objects_[step.id] = step.last;
  objects_[step.id].removed = true;
}

void MemoryStore::play(const Transaction::PutName& step) {
  Directory& directory = directories_[step.directory];
  auto found = directory.names.find(step.name);
  if (found != directory.names.end()) directory.order.erase(found->second.sequence);
  directory.names[step.name] = step.record;
  if (step.record.child != cache::no_object) directory.order[step.record.sequence] = step.name;
}

void MemoryStore::play(const Transaction::EraseName& step) {
  Directory& directory = directories_[step.directory];
  auto found = directory.names.find(step.name);
  if (found == directory.names.end()) return;
  directory.order.erase(found->second.sequence);
  directory.names.erase(found);
}

void MemoryStore::play(const Transaction::Write& step) {
  Runs& runs = runs_[step.id];
  cut(runs, step.offset, step.offset + step.bytes.size());
  auto piece = static_cast<std::uint32_t>(pieces_.size());
  pieces_.push_back({std::string(as_text(step.bytes)), step.id});
  runs[step.offset] = {piece, 0, step.bytes.size()};
}

void MemoryStore::play(const Transaction::Truncate& step) {
  cut(runs_[step.id], step.size, ~std::uint64_t{0});
}

// Takes [from, to) out of the runs.
void MemoryStore::cut(Runs& runs, std::uint64_t from, std::uint64_t to) {
  auto at = runs.upper_bound(from);
  if (at != runs.begin()) --at;
  while (at != runs.end() && at->first < to) {
    std::uint64_t start = at->first;
    Run run = at->second;
    std::uint64_t end = start + run.length;
    if (end <= from) {
      ++at;
      continue;
    }
    at = runs.erase(at);
    if (start < from) runs[start] = {run.piece, run.skip, from - start};
    if (end > to) runs[to] = {run.piece, run.skip + (to - start), end - to};
  }
}

void MemoryStore::want_durable(Ticket ticket) { wanted_ = std::max(wanted_, ticket); }

std::unique_ptr<Job> MemoryStore::take_load() {
  if (!std::exchange(load_wanted_, false)) return nullptr;
  ++jobs_out_;
  return std::make_unique<LoadJob>();
}

std::unique_ptr<Job> MemoryStore::next_job() {
  if (failure_ || wanted_ <= syncing_) return nullptr;
  syncing_ = applied_;  // a group: everything applied so far
  ++jobs_out_;
  return std::make_unique<SyncJob>(syncing_);
}

void MemoryStore::complete(std::unique_ptr<Job> job) {
  --jobs_out_;
  auto* sync = dynamic_cast<SyncJob*>(job.get());
  if (sync == nullptr) {
    load_done_ = true;
    return;
  }
  if (std::exchange(fail_sync_, false)) {
    failure_ = Error(Errc::io, "memory store: sync failed as the test wants");
    ++lives_;
    new_verifier();
    return;
  }
  if (!failure_) durable_ = std::max(durable_, sync->ticket);
}

cache::StoreUsage MemoryStore::usage() const {
  cache::StoreUsage usage;
  for (const auto& [id, runs] : runs_) {
    for (const auto& [offset, run] : runs) usage.data_bytes += run.length;
  }
  auto lives = [](const auto& object) { return !object.second.removed; };
  usage.objects =
      static_cast<std::uint64_t>(std::count_if(objects_.begin(), objects_.end(), lives));
  usage.disk_bytes = usage.data_bytes;
  return usage;
}

void MemoryStore::new_verifier() { store_be(verifier_.data(), lives_ * 0x9e3779b97f4a7c15u); }

}  // namespace rowan::test
