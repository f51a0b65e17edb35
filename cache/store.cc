// The redirect store over its table: reading records, and handing transactions to a stage
// (store_stage.cc).
#include "cache/store.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "cache/store_extents.h"
#include "cache/store_impl.h"
#include "cache/store_records.h"
#include "cache/store_stage.h"
#include "rpc/base/check.h"
#include "rpc/base/random.h"

namespace rowan::cache {
namespace {

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

bool frees_space(const Transaction& transaction) {
  bool frees = false;
  for (const Transaction::Step& step : transaction.steps()) {
    if (std::holds_alternative<Transaction::Write>(step)) return false;
    if (const auto* put = std::get_if<Transaction::PutName>(&step))
      frees = frees || put->record.child == no_object;
    frees = frees || std::holds_alternative<Transaction::RemoveObject>(step) ||
            std::holds_alternative<Transaction::Truncate>(step) ||
            std::holds_alternative<Transaction::EraseName>(step);
  }
  return frees;
}

Result<void> stage_step(StoreStage& stage, const Transaction::Step& step) {
  using T = Transaction;
  return std::visit(
      Overloaded{
          [&](const T::PutObject& s) { return stage.put_object(s.id, s.record); },
          [&](const T::RemoveObject& s) { return stage.remove_object(s.id, s.last); },
          [&](const T::PutName& s) { return stage.put_name(s.directory, s.name, s.record); },
          [&](const T::EraseName& s) { return stage.erase_name(s.directory, s.name); },
          [&](const T::Write& s) { return stage.write(s); },
          [&](const T::Truncate& s) { return stage.truncate(s.id, s.size); },
          [&](const T::TakeRecord& s) { return stage.take_record(s.key, s.value); },
          [&](const T::TakeWindow& s) { return stage.take_window(*s.window); },
      },
      step);
}

Error about(const Error& error, ObjectId id) {
  if (error.code != Errc::corrupt && error.code != Errc::io) return error;
  return Error(error.code, "object " + std::to_string(to_number(id)) + ": " + error.detail);
}

std::array<std::byte, 8> verifier_bytes(std::uint64_t number) {
  std::array<std::byte, 8> bytes;
  store_be(bytes.data(), number);
  return bytes;
}

}  // namespace

StoreImpl::StoreImpl(StoreFamilyImpl& family, StateId state, std::unique_ptr<Table> table,
                     StoreMemory memory, const StoreOptions& options)
    : family_(family), state_(state), table_(std::move(table)), quota_bytes_(options.quota_bytes),
      eager_drops_(options.eager_drops) {
  reload(std::move(memory));
}

StoreImpl::~StoreImpl() { family_.forget(state_, this); }

void StoreImpl::reload(StoreMemory memory) {
  counters_ = durable_counters_ = memory.counters;
  purges_ = std::move(memory.purges);
  purge_cursors_.clear();
  purge_damaged_.clear();
  // What was not committed is gone with the content it was for.
  verifier_ = random_number();
}

std::array<std::byte, 8> StoreImpl::write_verifier() const {
  // Once a sync failed, nobody knows what of the unstable data is left.
  return verifier_bytes(table_->failure() ? ~verifier_ : verifier_);
}

void StoreImpl::prepare_close() {
  stop_purging();
  if (family_owned_) family_owned_->prepare_close();
}

// ---- reading

Result<ObjectRecord> StoreImpl::object(ObjectId id) {
  auto value = table_->get(object_key(id));
  if (!value) return about(value.error(), id);
  auto record = decode_object(*value);
  if (!record) return about(record.error(), id);
  return record;
}

Result<NameRecord> StoreImpl::name(ObjectId directory, std::string_view name) {
  auto value = table_->get(name_key(directory, name));
  if (!value) return about(value.error(), directory);
  auto record = decode_name(*value);
  if (!record) return about(record.error(), directory);
  return record;
}

Result<std::vector<NamedEntry>> StoreImpl::names_after(ObjectId directory, std::uint64_t sequence,
                                                       std::size_t limit) {
  std::vector<NamedEntry> names;
  if (sequence == ~std::uint64_t{0}) return names;
  auto entries = table_->scan(sequence_key(directory, sequence + 1),
                              prefix_end(key_prefix(RecordKind::sequence, directory)), limit);
  if (!entries) return about(entries.error(), directory);
  for (const TableEntry& entry : *entries) {
    auto key = parse_key(entry.key);
    if (!key) return about(key.error(), directory);
    auto record = decode_sequence(entry.value);
    if (!record) return about(record.error(), directory);
    names.push_back({std::move(record->name), {record->child, key->number}});
  }
  return names;
}

Result<bool> StoreImpl::has_names(ObjectId directory) {
  const std::string prefix = key_prefix(RecordKind::name, directory);
  auto entries = table_->scan(prefix, prefix_end(prefix), 1);
  if (!entries) return about(entries.error(), directory);
  return !entries->empty();
}

// The stored extents that touch [from, to), without what purge marks call dead.
Result<std::vector<StoredExtent>> StoreImpl::stored(ObjectId id, std::uint64_t from,
                                                    std::uint64_t to) {
  std::vector<StoredExtent> found;
  const auto marks = purges_.find(id);
  auto take = [&](std::string_view key, std::string_view value) -> Result<bool> {
    TRY(const ParsedKey parsed, parse_key(key));
    TRY(StoredExtent extent, decode_extent(parsed, value));
    if (extent.start >= to) return false;
    const bool more = extent.end < to;
    if (marks == purges_.end()) {
      found.push_back(std::move(extent));
    } else if (auto live = live_part(extent, marks->second)) {
      found.push_back(std::move(*live));
    }
    return more;
  };
  TRY_VOID(table_->visit(extent_key(id, from + 1),
                         prefix_end(key_prefix(RecordKind::extent, id)), take));
  return found;
}

Result<std::vector<Extent>> StoreImpl::extents(ObjectId id, const ObjectRecord& record,
                                               std::uint64_t offset, std::uint64_t length) {
  std::vector<Extent> runs;
  const auto end = checked_add(offset, length);
  if (!end || *end > ~std::uint64_t{0} >> 1) return Error(Errc::too_big, "a range beyond 2^63");
  auto found = stored(id, offset, *end);
  if (!found) return about(found.error(), id);
  std::uint64_t at = offset;
  auto fill_to = [&](std::uint64_t to) {
    const std::uint64_t base_end = std::clamp(record.base_size, at, to);
    if (base_end > at) runs.push_back({at, base_end - at, Extent::Kind::base, {}, {}, id});
    if (to > base_end) runs.push_back({base_end, to - base_end, Extent::Kind::zero, {}, {}, id});
    at = to;
  };
  for (const StoredExtent& extent : *found) {
    for (const ByteRange& range : ranges_within(extent, offset, *end)) {
      if (range.begin > at) fill_to(range.begin);
      const std::uint64_t skip = range.begin / data_block_size - extent.first_block();
      const std::uint64_t last = (range.end - 1) / data_block_size - extent.first_block();
      Extent run{range.begin, range.end - range.begin, Extent::Kind::local, extent.data, {}, id};
      run.data.block += static_cast<std::uint32_t>(skip);
      run.sums.assign(extent.sums.begin() + static_cast<std::ptrdiff_t>(skip),
                      extent.sums.begin() + static_cast<std::ptrdiff_t>(last + 1));
      runs.push_back(std::move(run));
      at = range.end;
    }
  }
  if (at < *end) fill_to(*end);
  return runs;
}

Result<void> StoreImpl::read(const Extent& extent, ByteSpan into) {
  CHECK(extent.kind == Extent::Kind::local);
  CHECK_EQ(into.size(), extent.length);
  const std::uint64_t skip = extent.offset % data_block_size;
  const std::size_t whole = extent.sums.size() * data_block_size;
  const bool direct = skip == 0 && whole == into.size();
  Buffer blocks(direct ? 0 : whole);
  auto got = table_->read_data(extent.data, extent.sums, direct ? into : blocks.span());
  if (!got) return about(got.error(), extent.owner);
  if (!direct) std::memcpy(into.data(), blocks.data() + skip, into.size());
  return {};
}

// ---- changing

Result<Ticket> StoreImpl::commit(StoreStage& stage, bool frees) {
  TRY(const Ticket ticket, stage.commit(durable_counters_, frees));
  counters_ = durable_counters_ = stage.counters;
  for (const auto& [id, marks] : stage.changed_marks()) {
    if (marks.empty()) purges_.erase(id);
    else purges_[id] = marks;
  }
  return ticket;
}

Result<Ticket> StoreImpl::apply(Transaction& transaction) {
  StoreStage stage(*table_, counters_, purges_, eager_drops_);
  for (const Transaction::Step& step : transaction.steps()) TRY_VOID(stage_step(stage, step));
  const std::uint64_t blocks = stage.counters.data_blocks;
  if (quota_bytes_ != 0 && blocks > counters_.data_blocks &&
      blocks * data_block_size > quota_bytes_)
    return Error(Errc::quota, "the quota of " + std::to_string(quota_bytes_) + " bytes is used up");
  TRY(const Ticket ticket, commit(stage, frees_space(transaction)));
  // A new mark may reach below what a purge has already looked at.
  for (const auto& [id, marks] : stage.changed_marks()) purge_cursors_.erase(id);
  transaction.clear();
  transaction.set_data_blocks(stage.take_data_blocks());
  return ticket;
}

// Takes some dead extents away; what it has to load or to wait for ends it for now.
void StoreImpl::purge_some() {
  const auto next = std::find_if(purges_.begin(), purges_.end(), [this](const auto& purge) {
    return !purge_damaged_.contains(purge.first);
  });
  if (next == purges_.end()) return;
  const ObjectId id = next->first;
  StoreStage stage(*table_, counters_, purges_, eager_drops_);
  std::uint64_t cursor = purge_cursors_[id];
  auto over = stage.purge(id, cursor);
  if (over.failed_with(Errc::corrupt) || over.failed_with(Errc::io)) {
    // It stays as it is until the next opening, and does not keep others from theirs.
    purge_damaged_.insert(id);
    return purge_some();
  }
  if (!over) return;
  auto ticket = commit(stage, true);
  if (!ticket) return;
  purge_cursors_[id] = cursor;
  if (*over) purge_cursors_.erase(id);
  table_->want_durable(*ticket);
}

std::unique_ptr<Job> StoreImpl::purge_job() {
  if (purges_.empty() || !purging_ || table_->failure()) return nullptr;
  purge_some();
  if (auto load = table_->take_load()) return load;
  return table_->next_job();
}

std::unique_ptr<Job> StoreImpl::next_job() {
  if (auto job = table_->next_job()) return job;
  return purge_job();
}

// ---- transactions

void Transaction::put_object(ObjectId id, ObjectRecord record) {
  steps_.push_back(PutObject{id, std::move(record)});
}
void Transaction::remove_object(ObjectId id, ObjectRecord last) {
  steps_.push_back(RemoveObject{id, std::move(last)});
}
void Transaction::put_name(ObjectId directory, std::string name, NameRecord record) {
  steps_.push_back(PutName{directory, std::move(name), record});
}
void Transaction::erase_name(ObjectId directory, std::string name) {
  steps_.push_back(EraseName{directory, std::move(name)});
}
void Transaction::write(ObjectId id, std::uint64_t offset, ByteView bytes,
                        std::shared_ptr<const Buffer> owner) {
  steps_.push_back(Write{id, offset, bytes, std::move(owner)});
}
void Transaction::truncate(ObjectId id, std::uint64_t size) {
  steps_.push_back(Truncate{id, size});
}
void Transaction::take_record(std::string key, std::optional<std::string> value) {
  steps_.push_back(TakeRecord{std::move(key), std::move(value)});
}
void Transaction::take_window(const PortableWindow& window) {
  steps_.push_back(TakeWindow{&window});
}

}  // namespace rowan::cache
