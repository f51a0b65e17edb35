// Applying batches and operations on states; and one state shown as a table.
#include "cache/table.h"

#include <algorithm>
#include <utility>

#include "cache/disk_codec.h"
#include "cache/table_impl.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

// Layers of changes that a read may have to look through.
constexpr std::size_t most_layers = 64;

class TableView final : public Table {
 public:
  // `closes`: the table was opened for this state alone.
  TableView(std::shared_ptr<TableImpl> table, StateId state, bool closes)
      : table_(std::move(table)), state_(state), closes_(closes) {}

  Result<std::string_view> get(std::string_view key) override { return table_->get(state_, key); }
  Result<void> visit(std::string_view from, std::string_view to, EntryVisitor visitor) override {
    return table_->visit(state_, from, to, visitor);
  }
  Result<void> read_data(DataPointer first, std::span<const std::uint64_t> sums,
                         ByteSpan into) override {
    return table_->read_data(first, sums, into);
  }
  Result<Ticket> apply(Batch& batch) override { return table_->apply(state_, batch); }
  void want_durable(Ticket ticket) override { table_->want_durable(ticket); }
  Ticket applied() const override { return table_->applied(); }
  Ticket durable() const override { return table_->durable(); }
  const std::optional<Error>& failure() const override { return table_->failure(); }
  std::unique_ptr<Job> take_load() override { return table_->take_load(); }
  std::unique_ptr<Job> next_job() override { return table_->next_job(); }
  void complete(std::unique_ptr<Job> job) override { table_->complete(std::move(job)); }
  bool busy() const override { return table_->busy(); }
  void prepare_close() override {
    if (closes_) table_->prepare_close();
  }
  const std::optional<Error>& stalled() const override { return table_->stalled(); }
  TableUsage usage() const override { return table_->usage(); }
  Result<DiskSpace> disk_space() const override { return table_->disk_space(); }

 private:
  std::shared_ptr<TableImpl> table_;
  StateId state_;
  bool closes_;
};

}  // namespace

Result<std::vector<TableEntry>> Table::scan(std::string_view from, std::string_view to,
                                            std::size_t limit) {
  std::vector<TableEntry> found;
  if (limit == 0) return found;
  TRY_VOID(visit(from, to, [&](std::string_view key, std::string_view value) {
    found.push_back({std::string(key), std::string(value)});
    return Result<bool>(found.size() < limit);
  }));
  return found;
}

Result<std::unique_ptr<Table>> Table::create(Directory& directory, const TableOptions& options) {
  TRY(std::shared_ptr<TableImpl> table, create_table(directory, options));
  return std::unique_ptr<Table>(
      std::make_unique<TableView>(std::move(table), first_state, true));
}

Result<std::unique_ptr<Table>> Table::open(Directory& directory, const TableOptions& options) {
  TRY(std::shared_ptr<TableImpl> table, open_table(directory, options));
  return std::unique_ptr<Table>(
      std::make_unique<TableView>(std::move(table), first_state, true));
}

std::unique_ptr<Table> TableImpl::view(StateId state) {
  // The view borrows the table.
  return std::make_unique<TableView>(std::shared_ptr<TableImpl>(std::shared_ptr<void>(), this),
                                     state, false);
}

// ---- what is admitted

Result<void> TableImpl::check(const Batch& batch, bool needs_edits) const {
  if (failure_) return *failure_;
  if (closing_) return Error(Errc::read_only, directory_.path() + " is being closed");
  if (needs_edits && batch.edit_count() == 0) return Error(Errc::invalid, "a batch without edits");
  if (batch.edit_count() > max_batch_edits || batch.data_bytes() > max_batch_data_bytes)
    return Error(Errc::too_big, "a batch of " + std::to_string(batch.edit_count()) + " edits and " +
                                    std::to_string(batch.data_bytes()) + " bytes");
  for (const Batch::Edit& edit : batch.edits()) {
    if (edit.kind == Batch::Edit::Kind::release) continue;
    if (edit.key.empty() || edit.key[0] == '\0') return Error(Errc::invalid, "a reserved key");
    if (edit.key.size() > max_key_bytes || edit.value.size() > max_value_bytes)
      return Error(Errc::too_big, "a key or value that is too long");
  }
  return {};
}

Result<void> TableImpl::admit(std::uint64_t bytes, const Batch& batch) {
  const std::uint64_t pending = journal_.pending_bytes();
  if (pending != 0 && pending + bytes > options_.pending_bytes) {
    wanted_ = std::max(wanted_, applied_);  // else little might be waiting for ever, and in the way
    return Error(Errc::try_later, "too much is not written yet");
  }
  if (frozen_ && states_.unmerged_bytes() + ledger_.bytes() >= 2 * options_.memory_table_bytes)
    return Error(Errc::try_later, "the last merge is not over yet");
  if (write_stall_.error()) {
    write_stall_.poke();
    return *write_stall_.error();
  }
  TRY_VOID(space_.admit(pending + bytes, batch.frees_space, batch.opens_store));
  space_.took(bytes);
  return {};
}

// A read looks through every layer that has no tree yet.
Result<void> TableImpl::check_depth(const StateOperation& operation) {
  const State* state = states_.find(operation.state);
  if (state == nullptr || !state->active || state->active->empty()) return {};
  if (state->version->root || state->version->depth < most_layers) return {};
  merge_wanted_ = true;
  return Error(Errc::try_later, "too many checkpoints are not merged yet");
}

// ---- batches

Result<Ticket> TableImpl::apply(StateId state, Batch& batch) {
  TRY_VOID(check(batch, true));
  TRY(const State* found, visible(state));
  if (!found->info.head)
    return Error(Errc::read_only, "state " + std::to_string(to_number(state)) + " is frozen");
  TRY_VOID(commit(state, batch, nullptr));
  return applied_;
}

Result<void> TableImpl::commit(StateId state, Batch& batch, const StateOperation* operation) {
  std::size_t edits_bytes = batch_start_size;
  for (const Batch::Edit& edit : batch.edits()) edits_bytes += encoded_size(edit);
  if (operation != nullptr)
    edits_bytes += encoded_size({.kind = Batch::Edit::Kind::operation, .value = operation->label});
  // Head and copy round up to a block each.
  TRY_VOID(admit(batch.data_bytes() + 2 * edits_bytes + 2 * data_block_size, batch));
  const auto blocks = static_cast<std::uint32_t>(batch.data_bytes() / data_block_size);
  DataPointer first = journal_.open_for(blocks, edits_bytes, options_.pending_bytes);
  take_spent();
  segments_.insert(first.segment);
  first.birth = ++applied_;
  encode(state, batch, operation, first);
  ledger_.add_written(first.segment, batch.data_blocks_);
  journal_.add(applied_, edits_, std::move(batch.data_));
  if (operation != nullptr) states_.apply(*operation, applied_);
  take(state, batch);
  if (freeze_due()) freeze_all();
  return {};
}

// Makes the batch's pointers final and puts it into edits_ as the journal has it.
void TableImpl::encode(StateId state, Batch& batch, const StateOperation* operation,
                       DataPointer first) {
  auto final_pointer = [&](DataPointer pointer) {
    if (!Batch::is_provisional(pointer)) return pointer;
    return DataPointer{first.segment, first.block + pointer.block, first.birth};
  };
  edits_.clear();
  const std::size_t count = batch.edits_.size() + (operation != nullptr ? 1 : 0);
  encode_batch_start(edits_, state, static_cast<std::uint32_t>(count));
  if (operation != nullptr)
    encode_edit(edits_, {.kind = Batch::Edit::Kind::operation,
                         .value = operation->label,
                         .operation = static_cast<std::uint8_t>(operation->kind),
                         .other = operation->other});
  for (Batch::Edit& edit : batch.edits_) {
    edit.released = final_pointer(edit.released);
    if (edit.pointer_at != Batch::no_pointer) {
      auto* at = reinterpret_cast<std::byte*>(edit.value.data()) + edit.pointer_at;
      final_pointer(DataPointer::decode(at)).encode(at);
    }
    encode_edit(edits_, edit);
  }
}

void TableImpl::take(StateId state, Batch& batch) {
  for (Batch::Edit& edit : batch.edits_) {
    if (edit.kind == Batch::Edit::Kind::release) {
      release(state, edit.released, edit.released_blocks);
    } else {
      const bool put = edit.kind == Batch::Edit::Kind::put;
      states_.set(state, applied_, std::move(edit.key),
                  put ? MemoryTable::Value(std::move(edit.value)) : MemoryTable::Value());
    }
  }
  batch.clear();
}

void TableImpl::release(StateId head, const DataPointer& first, std::uint32_t blocks) {
  if (states_.is_held(head, first.birth)) note_held(head, first, blocks);
  else ledger_.release(first, blocks);
}

// ---- operations on states

Result<StateId> TableImpl::operate(StateOperation operation, Batch* then) {
  Batch none;
  Batch& batch = then != nullptr ? *then : none;
  TRY_VOID(check(batch, false));
  CHECK_EQ(batch.data_bytes(), 0u);
  TRY_VOID(states_.check(operation));
  TRY_VOID(check_depth(operation));
  if (operation.kind == StateOperation::Kind::branch) operation.state = made_by(applied_ + 1);
  const StateId state = operation.state;
  batch.frees_space = operation.kind == StateOperation::Kind::drop;
  TRY_VOID(commit(state, batch, &operation));
  return made_by(applied_);
}

Result<StateId> TableImpl::checkpoint(StateId head, std::string_view label) {
  return operate({StateOperation::Kind::checkpoint, head, no_state, std::string(label)}, nullptr);
}

Result<StateId> TableImpl::branch(StateId checkpoint, std::string_view label) {
  return operate({StateOperation::Kind::branch, no_state, checkpoint, std::string(label)},
                 nullptr);
}

Result<StateId> TableImpl::rollback(StateId head, StateId to, std::string_view label,
                                    Batch* then) {
  return operate({StateOperation::Kind::rollback, head, to, std::string(label)}, then);
}

Result<void> TableImpl::freeze(StateId head, std::string_view label) {
  TRY_VOID(operate({StateOperation::Kind::freeze, head, no_state, std::string(label)}, nullptr));
  return {};
}

Result<void> TableImpl::drop(StateId state) {
  TRY_VOID(operate({StateOperation::Kind::drop, state, no_state, {}}, nullptr));
  return {};
}

Result<void> TableImpl::set_label(StateId state, std::string_view label) {
  TRY_VOID(operate({StateOperation::Kind::set_label, state, no_state, std::string(label)},
                   nullptr));
  return {};
}

std::vector<StateInfo> TableImpl::states() const {
  std::vector<StateInfo> found;
  for (const auto& [id, state] : states_.all()) found.push_back(state.info);
  return found;
}

// ---- room

TableUsage TableImpl::usage() const {
  TableUsage usage;
  for (const auto& [segment, blocks] : live_) usage.live_data_blocks += blocks;
  std::int64_t change = 0;
  auto add = [&](const BlockLedger& ledger) {
    usage.memory_bytes += ledger.bytes();
    for (const auto& [segment, blocks] : ledger.live_changes()) change += blocks;
    for (const DeadRange& range : ledger.dead())
      usage.disk_bytes += std::uint64_t{range.count} * data_block_size;
  };
  add(ledger_);
  usage.memory_bytes += states_.unmerged_bytes();
  if (frozen_) {
    add(frozen_->ledger);
    for (const auto& version : frozen_->versions) usage.memory_bytes += version->changes->bytes();
  }
  usage.live_data_blocks = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, static_cast<std::int64_t>(usage.live_data_blocks) + change));
  usage.tree_pages = allocator_.used_count();
  usage.segments = segments_.size();
  usage.memory_bytes += journal_.pending_bytes() + pages_.bytes();
  usage.disk_bytes += usage.live_data_blocks * data_block_size +
                      std::uint64_t{superblock_.page_count} * page_size + space_.reserved_bytes();
  return usage;
}

}  // namespace rowan::cache
