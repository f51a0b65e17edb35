// Walks over the tree of a state beside those of its children: which of them is next, and what is
// asked without dropping anything. One walk at a time, each in steps of a bounded number of pages.
#include <algorithm>
#include <utility>

#include "cache/table_impl.h"

namespace rowan::cache {

bool TableImpl::walk_due() const {
  if (walk_out_) return true;
  return !closing_ && (drop_ || measure_ || !to_measure_.empty() || next_to_drop() != no_state);
}

void TableImpl::advance_walks() {
  if (closing_ || failure_ || frozen_ || maintenance_out_) return;
  if (drop_ && drop_->walked) return finish_drop();
  if (drop_ || measure_) return;
  begin_drop();
  if (!drop_) begin_measure();
}

void TableImpl::settle_pages() {
  if (!drop_ && !measure_) allocator_.settle();
}

void TableImpl::begin_walk(StateWalk& work, StateId id) {
  const std::vector<StateId> children = states_.children(id);
  auto unmerged = [&](StateId which) {
    const State& state = states_.all().at(which);
    return !state.version->root || (state.active && !state.active->empty());
  };
  if (unmerged(id) || std::any_of(children.begin(), children.end(), unmerged)) freeze_all();
  const State& state = states_.all().at(id);
  work.state = id;
  work.since = applied_;
  work.after = states_.frozen_at(state.info.parent);
  work.version = state.version;
  for (const StateId child : children) work.children.push_back(states_.all().at(child).version);
}

std::unique_ptr<Job> TableImpl::make_walk() {
  if (walk_out_ || closing_ || (drop_ && drop_->walked)) return nullptr;
  StateWalk* work = drop_ ? static_cast<StateWalk*>(drop_.get()) : measure_.get();
  if (work == nullptr) return nullptr;
  if (!work->walk) {
    DropInput input;
    if (!work->version->root) return nullptr;
    for (const auto& child : work->children) {
      if (!child->root) return nullptr;
      input.children.push_back(*child->root);
    }
    input.tree = tree_;
    input.epoch = superblock_.epoch;
    input.state = *work->version->root;
    input.after = work->after;
    input.through = states_.frozen_at(work->state);
    input.find_data = options_.find_data;
    work->walk = std::make_shared<DropWalk>(std::move(input));
  }
  auto job = std::make_unique<WalkJob>();
  job->walk = work->walk;
  walk_out_ = true;
  return job;
}

void TableImpl::done(WalkJob& job) {
  walk_out_ = false;
  if (drop_) end_drop_walk(std::move(job.over));
  else end_measure(std::move(job.over));
}

// ---- what a state alone needs

bool TableImpl::still_holds(const MeasuredState& measured, StateId state) const {
  return measured.parent == states_.all().at(state).info.parent &&
         measured.children == states_.children(state);
}

Result<std::uint64_t> TableImpl::unique_bytes(StateId checkpoint) {
  TRY(const State* state, visible(checkpoint));
  if (state->info.head)
    return Error(Errc::invalid, "state " + std::to_string(to_number(checkpoint)) +
                                    " is a head; make a checkpoint of it first");
  const auto known = measured_.find(checkpoint);
  if (known != measured_.end()) {
    const MeasuredState found = known->second;
    const bool holds = still_holds(found, checkpoint);
    if (!holds || !found.lasting) measured_.erase(known);
    if (holds) return found.bytes;
  }
  if (failure_) return *failure_;
  if (merge_stall_.error()) {
    merge_stall_.poke();
    return Error(Errc::no_space, merge_stall_.error()->detail);
  }
  to_measure_.insert(checkpoint);
  return Error(Errc::try_later, "it is being found out");
}

void TableImpl::begin_measure() {
  while (!to_measure_.empty()) {
    const StateId id = *to_measure_.begin();
    to_measure_.erase(to_measure_.begin());
    const State* state = states_.find(id);
    if (state == nullptr) continue;
    measure_ = std::make_unique<MeasureWork>();
    MeasuredState& found = measure_->found;
    found.parent = state->info.parent;
    found.children = states_.children(id);
    // Heads let go of what they share with it.
    found.lasting = std::none_of(found.children.begin(), found.children.end(), [&](StateId child) {
      return states_.all().at(child).info.head;
    });
    return begin_walk(*measure_, id);
  }
}

void TableImpl::end_measure(Result<bool> over) {
  if (over && !*over) return;
  MeasuredState& found = measure_->found;
  if (over) {
    std::uint64_t bytes = 0;
    for (const PagePointer& page : measure_->walk->pages())
      bytes += page.copy == 0 ? page_size : 2 * page_size;
    for (const DeadRange& range : measure_->walk->blocks())
      bytes += std::uint64_t{range.count} * data_block_size;
    found.bytes = bytes;
  } else {
    found.bytes = std::move(over).error();
    found.lasting = false;
  }
  std::erase_if(measured_, [&](const auto& known) { return states_.find(known.first) == nullptr; });
  measured_.insert_or_assign(measure_->state, std::move(found));
  measure_.reset();
  settle_pages();
}

}  // namespace rowan::cache
