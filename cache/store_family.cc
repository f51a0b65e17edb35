// A store's counters and purge marks are in memory, and a rollback must change them together with
// the records. So the family knows the store of every head; of checkpoints there may be any number.
#include "cache/store_family.h"

#include <algorithm>
#include <utility>

#include "cache/store_impl.h"
#include "rpc/base/check.h"
#include "rpc/base/random.h"

namespace rowan::cache {
namespace {

constexpr std::size_t scan_page = 256;

VersionedTable& run_all(VersionedTable& table) {
  while (auto job = table.next_job()) {
    job->run();
    table.complete(std::move(job));
  }
  return table;
}

// A call that may need loads, at opening only.
template <class Call>
auto wait_for(StoreFamily& family, Call call) {
  auto answer = call();
  while (answer.failed_with(Errc::needs_load)) {
    auto job = family.take_load();
    job->run();
    family.complete(std::move(job));
    answer = call();
  }
  return answer;
}

TableOptions table_options(const StoreOptions& options) {
  TableOptions table = options.table;
  table.find_data = find_extent_data;
  return table;
}

bool is_head(const VersionedTable& table, StateId id) {
  for (const StateInfo& info : table.states()) {
    if (info.id == id) return info.head;
  }
  return false;
}

Result<std::unique_ptr<Store>> only_store(std::unique_ptr<StoreFamily> family) {
  auto& impl = static_cast<StoreFamilyImpl&>(*family);
  TRY(auto store, wait_for(impl, [&] { return impl.open_store(first_state); }));
  store->own(std::move(family));
  return std::unique_ptr<Store>(std::move(store));
}

// Objects that were shown before the disk had them, and that a crash has lost, leave handles
// behind, which must not lead to others made later. What was given out cannot be known: so each
// opening takes up at another place.
std::uint64_t random_gap() {
  return std::uint64_t{1} + static_cast<std::uint32_t>(random_number());
}

}  // namespace

Result<StoreMemory> read_memory(Table& table) {
  StoreMemory memory;
  const auto value = table.get(counters_key());
  if (value.failed_with(Errc::not_found))
    return Error(Errc::corrupt, "the store has no counters; it was never finished or is damaged");
  if (!value) return value.error();
  TRY(memory.counters, decode_counters(*value));
  std::string from(1, static_cast<char>(RecordKind::purge));
  const std::string to = prefix_end(from);
  while (true) {
    TRY(const auto entries, table.scan(from, to, scan_page));
    for (const TableEntry& entry : entries) {
      TRY(const ParsedKey key, parse_key(entry.key));
      TRY(memory.purges[key.id], decode_purge(entry.value));
    }
    if (entries.size() < scan_page) return memory;
    from = entries.back().key + '\0';
  }
}

// ---- opening

Result<std::unique_ptr<StoreFamily>> StoreFamily::create(Directory& directory,
                                                         const StoreOptions& options) {
  TRY(auto table, VersionedTable::create(directory, table_options(options)));
  auto family = std::make_unique<StoreFamilyImpl>(std::move(table), options);
  TRY_VOID(family->begin());
  return std::unique_ptr<StoreFamily>(std::move(family));
}

Result<std::unique_ptr<StoreFamily>> StoreFamily::open(Directory& directory,
                                                       const StoreOptions& options) {
  TRY(auto table, VersionedTable::open(directory, table_options(options)));
  // Nothing at all was ever applied: create() was interrupted.
  const bool fresh = table->applied() == 0;
  auto family = std::make_unique<StoreFamilyImpl>(std::move(table), options);
  if (fresh) TRY_VOID(family->begin());
  else family->resume();
  return std::unique_ptr<StoreFamily>(std::move(family));
}

Result<std::unique_ptr<Store>> Store::create(Directory& directory, const StoreOptions& options) {
  TRY(auto family, StoreFamily::create(directory, options));
  return only_store(std::move(family));
}

Result<std::unique_ptr<Store>> Store::open(Directory& directory, const StoreOptions& options) {
  TRY(auto family, StoreFamily::open(directory, options));
  auto store = only_store(std::move(family));
  if (!store) return Error(store.error().code, directory.path() + ": " + store.error().detail);
  return store;
}

Result<void> StoreFamilyImpl::begin() {
  Batch batch;
  batch.put(counters_key(), encode(Counters{}));
  batch.opens_store = true;
  TRY(const Ticket ticket, table_->view(first_state)->apply(batch));
  table_->want_durable(ticket);
  if (run_all(*table_).failure()) return *table_->failure();
  return {};
}

Result<std::unique_ptr<StoreImpl>> StoreFamilyImpl::open_store(StateId state) {
  if (heads_.contains(state))
    return Error(Errc::busy, "state " + std::to_string(to_number(state)) + " is in use");
  auto table = table_->view(state);
  TRY(StoreMemory memory, read_memory(*table));
  if (resumed_) memory.counters.next_object += random_gap();
  auto store = std::make_unique<StoreImpl>(*this, state, std::move(table), std::move(memory),
                                           options_);
  if (is_head(*table_, state)) heads_[state] = store.get();
  else store->stop_purging();
  return store;
}

Result<std::unique_ptr<Store>> StoreFamilyImpl::store(StateId state) {
  TRY(auto store, open_store(state));
  return std::unique_ptr<Store>(std::move(store));
}

void StoreFamilyImpl::forget(StateId state, const StoreImpl* store) {
  const auto head = heads_.find(state);
  if (head != heads_.end() && head->second == store) heads_.erase(head);
}

// ---- states

Result<StateId> StoreFamilyImpl::checkpoint(StateId head, std::string_view label) {
  return table_->checkpoint(head, label);
}

Result<StateId> StoreFamilyImpl::branch(StateId checkpoint, std::string_view label) {
  return table_->branch(checkpoint, label);
}

Result<Counters> StoreFamilyImpl::counters_of(StateId head) {
  const auto open = heads_.find(head);
  if (open != heads_.end()) return open->second->counters();
  auto view = table_->view(head);
  TRY(const std::string_view value, view->get(counters_key()));
  return decode_counters(value);
}

// What the head gave out stays given out: a handle to an object that the rollback took away must
// not lead to another one made later.
Result<StateId> StoreFamilyImpl::rollback(StateId head, StateId to, std::string_view label) {
  TRY(StoreMemory memory, read_memory(*table_->view(to)));
  TRY(const Counters now, counters_of(head));
  Counters& counters = memory.counters;
  counters.next_object = std::max(counters.next_object, now.next_object);
  counters.next_sequence = std::max(counters.next_sequence, now.next_sequence);
  Batch then;
  then.put(counters_key(), encode(counters));
  TRY(const StateId made, table_->rollback(head, to, label, &then));
  const auto open = heads_.find(head);
  if (open != heads_.end()) open->second->reload(std::move(memory));
  return made;
}

Result<void> StoreFamilyImpl::freeze(StateId head, std::string_view label) {
  TRY_VOID(table_->freeze(head, label));
  no_more_head(head);
  return {};
}

Result<void> StoreFamilyImpl::drop(StateId state) {
  TRY_VOID(table_->drop(state));
  no_more_head(state);
  return {};
}

void StoreFamilyImpl::no_more_head(StateId state) {
  const auto open = heads_.find(state);
  if (open == heads_.end()) return;
  open->second->stop_purging();
  heads_.erase(open);
}

Result<void> StoreFamilyImpl::set_label(StateId state, std::string_view label) {
  return table_->set_label(state, label);
}

// ---- jobs

std::unique_ptr<Job> StoreFamilyImpl::next_job() {
  if (auto job = table_->next_job()) return job;
  for (const auto& [state, store] : heads_) {
    if (auto job = store->purge_job()) return job;
  }
  return nullptr;
}

void StoreFamilyImpl::prepare_close() {
  for (const auto& [state, store] : heads_) store->stop_purging();
  table_->prepare_close();
}

// ---- differences

namespace {

template <class Value, class Decode>
Result<std::optional<Value>> decode_side(const std::optional<std::string>& side, Decode decode) {
  if (!side) return std::optional<Value>();
  TRY(Value value, decode(*side));
  return std::optional<Value>(std::move(value));
}

template <class Difference, class Value, class Decode>
Result<StoreDifference> decode_sides(Difference into, const TableDifference& from, Decode decode) {
  TRY(into.before, decode_side<Value>(from.before, decode));
  TRY(into.after, decode_side<Value>(from.after, decode));
  return StoreDifference(std::move(into));
}

}  // namespace

Result<StoreDifference> decode_difference(const TableDifference& difference) {
  TRY(const ParsedKey key, parse_key(difference.key));
  switch (key.kind) {
    case RecordKind::object:
      return decode_sides<ObjectDifference, ObjectRecord>({key.id, {}, {}}, difference,
                                                          decode_object);
    case RecordKind::name:
      return decode_sides<NameDifference, NameRecord>({key.id, key.name, {}, {}}, difference,
                                                      decode_name);
    case RecordKind::extent:
      return decode_sides<ExtentDifference, StoredExtent>(
          {key.id, {}, {}}, difference,
          [&](std::string_view value) { return decode_extent(key, value); });
    case RecordKind::purge: {
      PurgeDifference purge{key.id, {}, {}};
      if (difference.before) {
        TRY(purge.before, decode_purge(*difference.before));
      }
      if (difference.after) {
        TRY(purge.after, decode_purge(*difference.after));
      }
      return StoreDifference(std::move(purge));
    }
    case RecordKind::counters:
    case RecordKind::sequence:
      break;
  }
  return StoreDifference();
}

}  // namespace rowan::cache
