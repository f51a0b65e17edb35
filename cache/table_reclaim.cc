// Giving back what dropped states alone refer to, one state at a time; and pins.
//
//   begin    the child's changes so far are merged, so that its tree says what it referred to at
//            that moment. From then on data that the child's edge releases, which the state holds,
//            is noted (DropWork::held), and so are pages that merges replace there and leave to the
//            state (DropWork::kept).
//   walk     jobs compare the two trees (table_walk.cc). Pages that merges free meanwhile are not
//            used again.
//   finish   a merge takes the state away, and gives back what the walk and the notes found. From
//            the freeze for it on, the state is not there for later batches: on disk the same holds
//            for every batch behind that merge.
//
// All of it is in memory until the last merge is durable. A crash before finds the state, dropped,
// and begins again.
#include <algorithm>
#include <utility>

#include "cache/table_impl.h"
#include "rpc/base/check.h"

namespace rowan::cache {

// ---- pins

class TableImpl::Pin final : public StatePin {
 public:
  Pin(TableImpl& table, StateId state, TreeRoot root)
      : StatePin(state, root, table.superblock_.epoch), table_(table) {
    ++table_.pins_[state];
  }
  ~Pin() override {
    if (--table_.pins_[state()] == 0) table_.pins_.erase(state());
  }

 private:
  TableImpl& table_;
};

Result<std::unique_ptr<StatePin>> TableImpl::pin(StateId checkpoint) {
  TRY(const State* state, visible(checkpoint));
  if (state->info.head)
    return Error(Errc::invalid, "state " + std::to_string(to_number(checkpoint)) +
                                    " is a head; make a checkpoint of it first");
  if (!state->version->root) {
    if (failure_) return *failure_;
    merge_wanted_ = true;
    merge_stall_.poke();
    return Error(Errc::try_later, "the checkpoint is not merged yet");
  }
  return std::unique_ptr<StatePin>(
      std::make_unique<Pin>(*this, checkpoint, *state->version->root));
}

std::unique_ptr<TableDiff> TableImpl::diff(const StatePin* before, const StatePin& after) {
  return std::make_unique<TableDiff>(tree_, superblock_.epoch,
                                     before != nullptr ? before->root() : TreeRoot{},
                                     after.root());
}

// ---- dropping

StateId TableImpl::next_to_drop() const {
  for (const StateId id : states_.dropped()) {
    if (states_.all().at(id).children <= 1 && !pins_.contains(id) && !undroppable_.contains(id))
      return id;
  }
  return no_state;
}

void TableImpl::begin_drop() {
  const StateId id = next_to_drop();
  if (id == no_state) return;
  drop_ = std::make_unique<DropWork>();
  begin_walk(*drop_, id);
}

void TableImpl::end_drop_walk(Result<bool> over) {
  if (over) {
    drop_->walked = *over;
    return;
  }
  // Nothing is given back; the state stays hidden, and is looked at again at the next opening.
  damaged("state " + std::to_string(to_number(drop_->state)) +
          " cannot be given back: " + over.error().detail);
  undroppable_.insert(drop_->state);
  drop_.reset();
  settle_pages();
}

void TableImpl::finish_drop() {
  for (const DeadRange& range : drop_->walk->blocks())
    ledger_.release({range.segment, range.block, 0}, range.count);
  for (const auto& [first, blocks] : drop_->held) ledger_.release(first, blocks);
  states_.freeze_heads();
  states_.remove(drop_->state);
  freeze_all();
  frozen_->ends_drop = true;
  frozen_->pages = drop_->walk->pages();
  for (const PagePointer& page : drop_->kept) frozen_->pages.push_back(page);
}

// A release that the head's parent holds: the parent may be on its way out.
void TableImpl::note_held(StateId head, const DataPointer& first, std::uint32_t blocks) {
  if (!drop_ || first.birth <= drop_->after) return;
  if (states_.all().at(head).info.parent == drop_->state) drop_->held.emplace_back(first, blocks);
}

void TableImpl::note_kept(const Version& version, const std::vector<PagePointer>& kept) {
  if (!drop_ || version.over != drop_->state || version.changes->last <= drop_->since) return;
  for (const PagePointer& page : kept) {
    if (page.birth > drop_->after) drop_->kept.push_back(page);
  }
}

}  // namespace rowan::cache
