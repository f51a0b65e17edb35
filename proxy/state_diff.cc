// Opening the two states, and the walk over the records that differ. What they leave open is looked
// up afterwards (state_diff_lookups.cc): an object or a name without a record on one side is there
// what the image has.
//
// Keys come in order: objects, extents, names, purge marks. Which extents count follows from purge
// marks, so the walk only notes which ranges of a file are touched; the stores are asked for them
// later.
#include "proxy/state_diff.h"

#include <utility>
#include <variant>

#include "proxy/blocking.h"
#include "proxy/state_question.h"

namespace rowan::proxy {

using cache::ObjectId;

namespace {

// Whatever else is ready on the loop goes first.
struct NextTurn {
  Loop& loop;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    loop.defer([waiter] { waiter.resume(); });
  }
  void await_resume() const noexcept {}
};

struct Step {
  bool more = false;
  std::vector<cache::StoreDifference> found;
};

Result<Step> step_on(cache::TableDiff& diff, const DiffLimits& limits) {
  Step step;
  std::vector<cache::TableDifference> records;
  TRY(step.more, diff.step(limits.pages_per_step, limits.records_per_step, records));
  step.found.reserve(records.size());
  for (const cache::TableDifference& record : records) {
    TRY(cache::StoreDifference difference, cache::decode_difference(record));
    step.found.push_back(std::move(difference));
  }
  return step;
}

std::optional<FileFacts> facts_if_there(const std::optional<cache::ObjectRecord>& record) {
  if (!record || record->removed) return std::nullopt;
  return facts_of(*record);
}

}  // namespace

Task<Result<std::unique_ptr<Comparison>>> StateDiff::run() {
  found_ = std::make_unique<Comparison>();
  found_->changes.root = cache::image_root;
  Result<void> done = co_await find_all();
  // The stores before the pins, and both before the caller drops the states.
  for (Side* side : {&old_, &new_}) {
    side->reader.reset();
    side->store.reset();
    side->pin.reset();
  }
  if (!done) co_return std::move(done).error();
  found_->lines = file_changes(found_->changes);
  co_return std::move(found_);
}

Task<Result<void>> StateDiff::find_all() {
  CO_TRY_VOID(co_await open(old_, before_));
  CO_TRY_VOID(co_await open(new_, after_));
  CO_TRY_VOID(co_await collect());
  progress_.to_look_at = open_objects_.size() + open_names_.size() + touched_.size() +
                         found_->changes.names.size() + 1;
  CO_TRY_VOID(co_await resolve_objects());
  CO_TRY_VOID(co_await resolve_names());
  CO_TRY_VOID(co_await resolve_children());
  CO_TRY_VOID(co_await compare_content());
  co_return co_await find_places();
}

Task<Result<void>> StateDiff::open(Side& side, const DiffEnd& end) {
  side.end = end;
  if (end.state != cache::no_state) {
    auto pinned = co_await pin_state(at_.family, at_.jobs, end.state);
    if (!pinned) co_return std::move(pinned).error();
    side.pin = std::move(*pinned);
    auto question = [this, &end] { return at_.family.store(end.state); };
    auto store = co_await at_.jobs.with_loads(question);
    if (!store) co_return std::move(store).error();
    side.store = std::move(*store);
  }
  side.reader = std::make_unique<StateReader>(side.store.get(), at_.jobs, *end.image);
  co_return Result<void>();
}

// ---- the records

Task<Result<void>> StateDiff::collect() {
  std::unique_ptr<cache::TableDiff> diff = at_.family.diff(old_.pin.get(), *new_.pin);
  bool more = true;
  while (more) {
    auto work = [this, &diff] { return step_on(*diff, limits_); };
    Result<Step> step = co_await run_blocking(at_.disk, at_.loop, std::move(work));
    if (!step) co_return std::move(step).error();
    for (cache::StoreDifference& difference : step->found)
      CO_TRY_VOID(note(std::move(difference)));
    if (stopped_) co_return Errc::timed_out;
    more = step->more;
  }
  co_return Result<void>();
}

Result<void> StateDiff::count_record() {
  if (++progress_.records <= limits_.most_records) return {};
  return Error(Errc::limit, "the two differ in more than " + std::to_string(limits_.most_records) +
                                " records; compare with a checkpoint between them");
}

Result<void> StateDiff::note(cache::StoreDifference&& difference) {
  if (std::holds_alternative<std::monostate>(difference)) return {};
  TRY_VOID(count_record());
  if (auto* object = std::get_if<cache::ObjectDifference>(&difference))
    note_object(std::move(*object));
  if (auto* name = std::get_if<cache::NameDifference>(&difference)) note_name(std::move(*name));
  if (auto* extent = std::get_if<cache::ExtentDifference>(&difference)) note_extent(*extent);
  if (auto* purge = std::get_if<cache::PurgeDifference>(&difference)) note_purge(*purge);
  return {};
}

void StateDiff::note_object(cache::ObjectDifference&& difference) {
  auto& objects = found_->changes.objects;
  ObjectChange& change = objects.try_emplace(objects.end(), difference.id)->second;
  change.before = facts_if_there(difference.before);
  change.after = facts_if_there(difference.after);
  if (cache::is_local(difference.id)) return;
  if (!difference.before) open_objects_.push_back({difference.id, false});
  if (!difference.after) open_objects_.push_back({difference.id, true});
}

void StateDiff::note_name(cache::NameDifference&& difference) {
  auto& names = found_->changes.names;
  NameChange change;
  change.directory = difference.directory;
  change.name = std::move(difference.name);
  if (difference.before) change.before = difference.before->child;
  if (difference.after) change.after = difference.after->child;
  names.push_back(std::move(change));
  if (cache::is_local(difference.directory)) return;
  if (!difference.before) open_names_.push_back({names.size() - 1, false});
  if (!difference.after) open_names_.push_back({names.size() - 1, true});
}

void StateDiff::note_extent(const cache::ExtentDifference& difference) {
  std::vector<cache::ByteRange>& ranges = touched_[difference.id].ranges;
  for (const auto* side : {&difference.before, &difference.after}) {
    if (!*side) continue;
    const cache::ByteRange range{(**side).start, (**side).end};
    if (!ranges.empty() && range.begin <= ranges.back().end && range.end >= ranges.back().end) {
      ranges.back().begin = std::min(ranges.back().begin, range.begin);
      ranges.back().end = range.end;
    } else {
      ranges.push_back(range);
    }
  }
}

void StateDiff::note_purge(const cache::PurgeDifference& difference) {
  Touched& touched = touched_[difference.id];
  for (const auto* side : {&difference.before, &difference.after}) {
    for (const cache::PurgeMark& mark : *side) touched.from = std::min(touched.from, mark.from);
  }
}

Task<Result<void>> StateDiff::turn() {
  if (stopped_) co_return Errc::timed_out;
  if (++progress_.looked_at % limits_.lookups_per_turn != 0) co_return Result<void>();
  NextTurn next{at_.loop};
  co_await next;
  co_return Result<void>();
}

}  // namespace rowan::proxy
