// A comparison under way: two states of one pool are held, a running one by a checkpoint that
// nobody sees and that is dropped afterwards. After a crash it belongs to no appliance and goes
// with the pool's other orphans.
#include <algorithm>

#include "proxy/admin_states.h"
#include "proxy/admin_text.h"
#include "proxy/checkpoint_label.h"
#include "proxy/state_diff.h"

namespace rowan::proxy {
namespace {

using cache::StateId;

constexpr std::size_t lines_per_page = 2000;

std::string owner_text(const FileFacts& facts) {
  return std::to_string(facts.uid) + ":" + std::to_string(facts.gid);
}

template <class Value>
Json both(const Value& before, const Value& after) {
  Json pair = Json::array();
  pair.push_back(before);
  pair.push_back(after);
  return pair;
}

std::string_view what_text(FileChange::What what) {
  static constexpr std::string_view names[] = {"added", "removed", "renamed", "linked", "modified"};
  return names[static_cast<std::size_t>(what)];
}

Json line_json(const FileChange& change) {
  Json line;
  line["change"] = what_text(change.what);
  line["path"] = change.path;
  if (!change.old_path.empty()) line["old_path"] = change.old_path;
  line["kind"] = kind_text(static_cast<nfs3::FileType>(change.kind));
  if (change.object == nullptr) return line;
  const ObjectChange& object = *change.object;
  const FileFacts* only = change.what == FileChange::What::added && object.after ? &*object.after
                          : change.what == FileChange::What::removed && object.before
                              ? &*object.before
                              : nullptr;
  if (only != nullptr && only->kind == cache::FileKind::regular) line["size"] = only->size;
  if (only != nullptr && !only->target.empty()) line["target"] = only->target;
  if (!object.before || !object.after) return line;
  if (change.content) {
    line["content_bytes"] = object.content_bytes;
    line["size"] = both(object.before->size, object.after->size);
  }
  if (change.mode)
    line["mode"] = both(mode_text(object.before->mode), mode_text(object.after->mode));
  if (change.owner) line["owner"] = both(owner_text(*object.before), owner_text(*object.after));
  if (change.target) line["target"] = both(object.before->target, object.after->target);
  return line;
}

Json totals_json(const Comparison& found) {
  std::array<std::uint64_t, 5> counts{};
  std::uint64_t content = 0, bytes = 0, added_bytes = 0;
  for (const FileChange& change : found.lines) {
    ++counts[static_cast<std::size_t>(change.what)];
    if (change.object == nullptr) continue;
    if (change.content) {
      ++content;
      bytes += change.object->content_bytes;
    }
    const bool added = change.what == FileChange::What::added && change.object->after;
    if (added && change.kind == cache::FileKind::regular)
      added_bytes += change.object->after->size;
  }
  Json totals;
  for (std::size_t i = 0; i < counts.size(); ++i)
    totals[std::string(what_text(static_cast<FileChange::What>(i)))] = counts[i];
  totals["content_changed"] = content;
  totals["content_bytes"] = bytes;
  totals["added_bytes"] = added_bytes;
  return totals;
}

class DiffWork final : public LongWork {
 public:
  DiffWork(const WorkPlace& place, std::optional<StateOf> before, StateOf after)
      : place_(place), before_(std::move(before)), after_(std::move(after)) {}

  void stop() override {
    stopped_ = true;
    if (diff_) diff_->stop();
  }

  void tell(Json& answer) const override {
    answer["kind"] = "diff";
    if (diff_) {
      const DiffProgress& progress = diff_->progress();
      answer["records"] = progress.records;
      answer["looked_at"] = progress.looked_at;
      answer["to_look_at"] = progress.to_look_at;
    }
    if (!found_) return;
    answer["before"] = before_ ? before_->label() : image_label_;
    answer["after"] = after_.label();
    if (!note_.empty()) answer["note"] = note_;
    answer["lines"] = found_->lines.size();
    answer["totals"] = totals_json(*found_);
  }

  Result<Json> lines(std::size_t from) const override {
    if (!found_) return Error(Errc::busy, "the comparison is not done yet");
    Json page;
    page["lines"] = Json::array();
    const std::size_t end = std::min(found_->lines.size(), from + lines_per_page);
    for (std::size_t i = from; i < end; ++i) page["lines"].push_back(line_json(found_->lines[i]));
    page["next"] = end < found_->lines.size() ? end : 0;
    return page;
  }

  // Holds itself until it is done.
  static Task<void> run(std::shared_ptr<DiffWork> self) {
    Result<void> done = co_await self->compare();
    self->diff_.reset();
    self->finish(std::move(done));
  }

 private:
  // One of the two while it is compared.
  struct End {
    StateId state = cache::no_state;
    StateId temporary = cache::no_state;
    Host::UsedImage image;
    std::string version;
  };

  Task<Result<void>> compare() {
    if (before_ && before_->record.pool != after_.record.pool) {
      co_return Error(Errc::cross_device, "'" + before_->record.name + "' and '" +
                                              after_.record.name +
                                              "' have nothing in common; only an appliance and "
                                              "its clones can be compared");
    }
    Result<Pool*> pool = co_await place_.host.versions().acquire(after_.record);
    if (!pool) co_return std::move(pool).error();
    End old, now;
    Result<void> done = co_await take(**pool, after_, now);
    if (done && before_) done = co_await take(**pool, *before_, old);
    if (done && !before_) done = co_await take_image(after_, now.version, old);
    if (done) done = co_await compare(**pool, old, now);
    co_await give_back(**pool, old);
    co_await give_back(**pool, now);
    co_await place_.host.versions().release(**pool);
    co_return done;
  }

  Task<Result<void>> compare(Pool& pool, const End& old, const End& now) {
    image_label_ = after_.record.image + "@" + old.version;
    if (old.version != now.version)
      note_ = "files that only the versions of the image have otherwise are not listed";
    const StateDiff::Place at{pool.family(), pool.jobs(), place_.loop, place_.disk};
    const DiffEnd old_end{old.state, old.image.image}, new_end{now.state, now.image.image};
    diff_ = std::make_unique<StateDiff>(at, old_end, new_end);
    if (stopped_) diff_->stop();
    auto found = co_await diff_->run();
    if (!found) co_return std::move(found).error();
    found_ = std::move(*found);
    co_return Result<void>();
  }

  Task<Result<void>> take(Pool& pool, const StateOf& wanted, End& end) {
    std::string version = wanted.record.version;
    if (wanted.checkpoint.empty()) {
      Result<StateId> made = co_await pool.moment(wanted.record.head);
      if (!made) co_return std::move(made).error();
      end.state = end.temporary = *made;
    } else {
      const History history = history_of(pool, wanted.record);
      CO_TRY(const Checkpoint found, find_checkpoint(history, wanted.record, wanted.checkpoint));
      end.state = found.state;
      version = found.label.version;
    }
    co_return co_await take_image(wanted, version, end);
  }

  Task<Result<void>> take_image(const StateOf& of, std::string version, End& end) {
    ImageName name;
    name.name = of.record.image;
    name.version = version;
    co_await place_.turn.take();
    Result<Host::UsedImage> used = co_await place_.host.acquire_image(name);
    place_.turn.give_back();
    if (!used) co_return std::move(used).error();
    end.image = *used;
    end.version = std::move(version);
    co_return Result<void>();
  }

  Task<void> give_back(Pool& pool, End& end) {
    if (end.image.image != nullptr) co_await place_.host.release_image(end.image.version);
    if (end.temporary == cache::no_state) co_return;
    // If that fails it goes with the pool's orphans.
    (void)co_await pool.drop(end.temporary);
  }

  WorkPlace place_;
  std::optional<StateOf> before_;
  StateOf after_;
  bool stopped_ = false;
  std::string image_label_, note_;
  std::unique_ptr<StateDiff> diff_;
  std::unique_ptr<Comparison> found_;
};

}  // namespace

std::pair<std::shared_ptr<LongWork>, Task<void>> make_diff(const WorkPlace& place,
                                                           std::optional<StateOf> before,
                                                           StateOf after) {
  auto work = std::make_shared<DiffWork>(place, std::move(before), std::move(after));
  Task<void> task = DiffWork::run(work);
  return {std::move(work), std::move(task)};
}

}  // namespace rowan::proxy
