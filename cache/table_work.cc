// Which job is next, and what its end means.
//
// At most one journal write and one maintenance job are out at a time. Maintenance goes round:
// freeze the memory tables when they are full, merge them once the journal holds all of it, clean
// up what the merge made useless. The cleanup's list is part of the merge, so that a crash in
// between repeats it and leaks nothing.
#include <algorithm>
#include <utility>

#include "cache/table_impl.h"
#include "cache/table_own.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

constexpr std::size_t max_damage_reports = 64;
// Layers of changes under a head that bring the next merge forward.
constexpr std::size_t layers_to_merge = 8;
// Times the memory table's size; 256 MiB with the usual one.
constexpr std::uint64_t dead_worth_merging = 8;

bool may_pass(const Error& error) {
  return error.code == Errc::no_space || error.code == Errc::limit;
}

}  // namespace

void TableImpl::want_durable(Ticket ticket) {
  wanted_ = std::max(wanted_, std::min(ticket, applied_));
  write_stall_.poke();
  merge_stall_.poke();
}

void TableImpl::prepare_close() {
  closing_ = true;
  want_durable(applied_);
}

void TableImpl::fail(const Error& error, const char* what) {
  if (failure_) return;
  failure_ = Error(error.code == Errc::corrupt ? Errc::corrupt : Errc::io,
                   directory_.path() + ": " + what +
                       " failed, so nothing more is accepted until it is "
                       "opened again: " +
                       error.detail);
}

// ---- what is due

bool TableImpl::sync_due() const {
  return (options_.sync || closing_) && wanted_ > synced_ && written_ > synced_;
}

bool TableImpl::write_due() const {
  if (journal_.has_sealed()) return true;
  if (journal_.has_gathering() &&
      (wanted_ > written_ || journal_.gathering_bytes() >= options_.pending_bytes / 4))
    return true;
  return sync_due();
}

// What died in here is given back by a merge only. It may be half as much as what lives; a little
// is not worth the pages that a merge writes.
bool TableImpl::much_is_dead() const {
  const std::uint64_t dead = ledger_.dead_blocks();
  const std::uint64_t little = dead_worth_merging * (options_.memory_table_bytes / data_block_size);
  return dead >= little && dead >= live_blocks_ / 2;
}

void TableImpl::count_live() {
  live_blocks_ = 0;
  for (const auto& [segment, blocks] : live_) live_blocks_ += blocks;
}

bool TableImpl::freeze_due() const {
  if (frozen_ || closing_) return false;
  if (states_.anything_unmerged()) {
    if (merge_wanted_ || states_.deepest() >= layers_to_merge) return true;
    if (much_is_dead()) return true;
    if (states_.unmerged_bytes() + ledger_.bytes() >= options_.memory_table_bytes) return true;
  }
  // Little room: what died in here gives its space back after a merge.
  return space_.pressure() && !ledger_.dead().empty() && !cleanup_due_;
}

bool TableImpl::merge_due() const {
  if (!frozen_ || !frozen_->end || cleanup_due_) return false;
  return frozen_->through <= (options_.sync ? synced_ : written_);
}

bool TableImpl::close_due() const {
  return closing_ && !frozen_ && synced_ == applied_ && superblock_.durable_through < synced_;
}

bool TableImpl::busy() const {
  if (write_out_ || maintenance_out_ || loads_out_ != 0 || walk_out_) return true;
  if (failure_) return false;
  if (write_due() && !write_stall_.error()) return true;
  if (merge_stall_.error()) return false;
  if (space_.reserve_due()) return true;
  return cleanup_due_ || freeze_due() || merge_due() || close_due() || walk_due();
}

std::unique_ptr<Job> TableImpl::next_job() {
  if (failure_) return nullptr;
  if (space_.reserve_due() && !maintenance_out_) return make_reserve();
  advance_walks();
  if (!write_out_ && write_due() && write_stall_.may_run(space_)) return make_write();
  if (!maintenance_out_) {
    if (auto job = next_maintenance()) return job;
  }
  return make_walk();
}

std::unique_ptr<Job> TableImpl::next_maintenance() {
  std::unique_ptr<Job> job;
  if (cleanup_due_) {
    job = make_cleanup();
  } else if (freeze_due()) {
    freeze_all();
    if (!write_out_ && write_due() && write_stall_.may_run(space_)) return make_write();
  }
  if (!job && merge_due() && merge_stall_.may_run(space_)) job = make_merge();
  if (!job && close_due()) job = make_close();
  if (!job && !closing_ && space_.reserve_wanted()) return make_reserve();
  maintenance_out_ = job != nullptr;
  return job;
}

std::unique_ptr<Job> TableImpl::make_reserve() {
  maintenance_out_ = true;
  space_.reserve_begun();
  return std::make_unique<ReserveJob>(directory_, options_.reserve_bytes);
}

// ---- journal

void TableImpl::take_spent() {
  for (const DeadRange& range : journal_.take_spent()) ledger_.add_spent(range);
}

void TableImpl::seal() {
  journal_.seal();
  take_spent();
}

std::unique_ptr<Job> TableImpl::make_write() {
  if (!journal_.has_sealed()) seal();
  auto job = std::make_unique<WriteJob>(directory_);
  Ticket through = written_;
  if (journal_.has_sealed()) {
    job->group = journal_.first_sealed();
    job->segment = files_.find(job->group->header.segment);
    job->previous = journal_.written().chain;
    job->durable_through = synced_;
    through = job->group->header.last_ticket;
  }
  // A wanted ticket in a later group brings its own sync, which covers this one.
  job->sync = (options_.sync || closing_) && wanted_ > synced_ && wanted_ <= through;
  for (const auto& [segment, file] : dirty_) job->dirty.push_back(file);
  job->dirty_names = dirty_names_;
  write_out_ = true;
  return job;
}

void TableImpl::done(WriteJob& job) {
  write_out_ = false;
  if (job.reserve.used()) space_.reserve_used();
  if (job.group && job.segment) files_.insert(job.group->header.segment, job.segment);
  if (!job.written) {
    dirty_names_ = job.dirty_names;
    if (may_pass(job.written.error())) {
      write_stall_.set(job.written.error(), space_.free_bytes());
    } else {
      fail(job.written.error(), "writing the journal");
    }
    return;
  }
  write_stall_.clear();
  if (job.group) {
    journal_.first_written();
    written_ = job.group->header.last_ticket;
    if (frozen_ && !frozen_->end && written_ >= frozen_->through) frozen_->end = journal_.written();
  }
  if (!job.synced) return fail(job.synced.error(), "syncing the journal");
  if (job.sync) {
    synced_ = written_;
    dirty_.clear();
    dirty_names_ = false;
  } else if (job.group) {
    dirty_[job.group->header.segment] = job.segment;
    dirty_names_ = job.dirty_names;
  }
}

// ---- merging

void TableImpl::freeze_all() {
  seal();
  states_.freeze_heads();
  frozen_ = std::make_unique<FrozenTable>();
  frozen_->through = applied_;
  frozen_->versions = states_.take_unmerged();
  for (const auto& [id, state] : states_.all())
    frozen_->states.push_back({state.info, state.version});
  frozen_->ledger = std::exchange(ledger_, {});
  if (!journal_.has_sealed()) frozen_->end = journal_.written();
  wanted_ = std::max(wanted_, frozen_->through);
  merge_wanted_ = false;
}

void TableImpl::plan_blocks(MergeJob& job) const {
  job.live = live_;
  for (const auto& [segment, change] : frozen_->ledger.live_changes()) {
    const auto blocks = static_cast<std::int64_t>(job.live[segment]) + change;
    job.live[segment] = blocks > 0 ? static_cast<std::uint64_t>(blocks) : 0;
    job.own[own::segment_key(segment)] =
        blocks > 0 ? MemoryTable::Value(own::encode_live(job.live[segment])) : MemoryTable::Value();
    if (blocks <= 0) job.live.erase(segment);
  }
  for (const std::string& key : punch_keys_) job.own[key] = MemoryTable::Value();
  // A segment that is wholly dead is removed; no need to punch it.
  for (const DeadRange& range : join_ranges(frozen_->ledger.dead())) {
    if (range.segment >= frozen_->end->segment || job.live.contains(range.segment))
      job.dead.push_back(range);
  }
  for (auto& [key, value] : own::encode_dead(frozen_->through, job.dead)) {
    job.dead_keys.push_back(key);
    job.own[key] = std::move(value);
  }
}

void TableImpl::plan_versions(MergeJob& job) const {
  std::map<const Version*, std::size_t> steps;
  for (const auto& version : frozen_->versions) {
    MergeJob::Step step;
    step.changes = version->changes;
    step.keep = states_.frozen_at(version->over);
    const auto below = steps.find(version->below.get());
    if (below != steps.end()) step.below = below->second;
    else step.root = *version->below->root;
    steps.emplace(version.get(), job.steps.size());
    job.steps.push_back(std::move(step));
  }
  for (const auto& [info, version] : frozen_->states) {
    MergeJob::PlannedState state{info, std::nullopt, {}};
    if (version->root) state.root = *version->root;
    else state.step = steps.at(version.get());
    job.states.push_back(std::move(state));
  }
  job.stored = stored_states_;
}

std::unique_ptr<Job> TableImpl::make_merge() {
  auto job = std::make_unique<MergeJob>(directory_);
  plan_blocks(*job);
  plan_versions(*job);
  job->unused_pages = frozen_->pages;
  job->space.tree = tree_;
  job->space.allocator = allocator_;
  job->space.epoch = superblock_.epoch;
  job->superblock_file = superblock_file_;
  job->superblock = superblock_;
  Superblock& next = job->superblock;
  ++next.generation;
  next.merged_through = frozen_->through;
  next.durable_through = std::max(synced_, frozen_->through);
  next.replay = *frozen_->end;
  next.next_segment = journal_.next_segment();
  if (!options_.sync) {
    for (const auto& entry : dirty_) job->dirty.push_back(entry);
    job->names = &directory_;
  }
  return job;
}

void TableImpl::done(MergeJob& job) {
  maintenance_out_ = false;
  if (job.reserve.used()) space_.reserve_used();
  if (!job.outcome) {
    if (!job.sync_failed && may_pass(job.outcome.error())) {
      merge_stall_.set(job.outcome.error(), space_.free_bytes());
    } else {
      fail(job.outcome.error(), "merging the journal into the tree");
    }
    return;
  }
  merge_stall_.clear();
  superblock_ = job.superblock;
  allocator_ = std::move(job.space.allocator);
  live_ = std::move(job.live);
  count_live();
  to_punch_ = std::move(job.dead);
  punch_keys_ = std::move(job.dead_keys);
  stored_states_ = std::move(job.stored);
  cleanup_due_ = true;
  synced_ = std::max(synced_, frozen_->through);
  for (std::size_t i = 0; i < job.steps.size(); ++i) {
    Version& version = *frozen_->versions[i];
    note_kept(version, job.steps[i].kept);
    version.root = job.steps[i].root;
    version.below.reset();
    version.changes.reset();
  }
  if (frozen_->ends_drop) drop_.reset();
  frozen_.reset();
  settle_pages();
  for (std::string& damage : job.space.damage) damaged(std::move(damage));
}

void TableImpl::damaged(std::string what) {
  if (damage_.size() < max_damage_reports) damage_.push_back(std::move(what));
}

std::unique_ptr<Job> TableImpl::make_cleanup() {
  auto job = std::make_unique<CleanupJob>(directory_);
  job->ranges = std::move(to_punch_);
  to_punch_.clear();
  for (const std::uint32_t segment : segments_) {
    if (segment < superblock_.replay.segment && !live_.contains(segment))
      job->segments.push_back(segment);
  }
  return job;
}

void TableImpl::done(CleanupJob& job) {
  maintenance_out_ = false;
  cleanup_due_ = false;
  if (!job.synced) return fail(job.synced.error(), "syncing the removal of segments");
  for (const std::uint32_t segment : job.segments) {
    segments_.erase(segment);
    files_.erase(segment);
    dirty_.erase(segment);
  }
}

// ---- closing, loading

std::unique_ptr<Job> TableImpl::make_close() {
  auto job = std::make_unique<CloseJob>();
  job->file = superblock_file_;
  job->superblock = superblock_;
  ++job->superblock.generation;
  job->superblock.durable_through = synced_;
  job->superblock.next_segment = journal_.next_segment();
  return job;
}

void TableImpl::done(CloseJob& job) {
  maintenance_out_ = false;
  if (!job.result) return fail(job.result.error(), "writing the superblock");
  superblock_ = job.superblock;
}

std::unique_ptr<Job> TableImpl::take_load() {
  if (!wanted_page_ && !wanted_data_) return nullptr;
  auto job = std::make_unique<LoadJob>();
  job->directory = &directory_;
  job->page = std::exchange(wanted_page_, {});
  job->data = std::exchange(wanted_data_, {});
  job->tree = tree_;
  job->epoch = superblock_.epoch;
  if (job->data) job->segment = files_.find(job->data->first.segment);
  ++loads_out_;
  return job;
}

void TableImpl::done(LoadJob& job) {
  --loads_out_;
  if (job.page) {
    pages_.insert(job.page->pointer, std::move(*job.loaded_page));
    return;
  }
  if (job.segment && segments_.contains(job.data->first.segment))
    files_.insert(job.data->first.segment, job.segment);
  loaded_.insert(*job.data, std::move(*job.loaded_data));
}

void TableImpl::complete(std::unique_ptr<Job> job) {
  if (!job) return;
  auto* table_job = dynamic_cast<TableJob*>(job.get());
  CHECK(table_job != nullptr);
  switch (table_job->kind()) {
    case TableJob::Kind::load:
      return done(static_cast<LoadJob&>(*job));
    case TableJob::Kind::write:
      return done(static_cast<WriteJob&>(*job));
    case TableJob::Kind::merge:
      return done(static_cast<MergeJob&>(*job));
    case TableJob::Kind::cleanup:
      return done(static_cast<CleanupJob&>(*job));
    case TableJob::Kind::close:
      return done(static_cast<CloseJob&>(*job));
    case TableJob::Kind::walk:
      return done(static_cast<WalkJob&>(*job));
    case TableJob::Kind::reserve:
      maintenance_out_ = false;
      return space_.reserve_made(static_cast<ReserveJob&>(*job).result.has_value());
  }
}

}  // namespace rowan::cache
