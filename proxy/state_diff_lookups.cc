// What the records that differ do not tell: what the image shows in their place, where changed
// files are, how much of their content is another.
#include <algorithm>
#include <utility>
#include <variant>

#include "proxy/blocking.h"
#include "proxy/state_diff.h"

namespace rowan::proxy {

using cache::ByteRange;
using cache::ObjectId;

namespace {

constexpr std::uint64_t block = cache::data_block_size;

// Whole blocks, sorted, those that touch joined.
std::vector<ByteRange> in_blocks(std::vector<ByteRange> ranges) {
  for (ByteRange& range : ranges) {
    range.begin = range.begin / block * block;
    range.end = (range.end + block - 1) / block * block;
  }
  std::ranges::sort(ranges, {}, &ByteRange::begin);
  std::vector<ByteRange> joined;
  for (const ByteRange& range : ranges) {
    if (range.begin >= range.end) continue;
    if (!joined.empty() && range.begin <= joined.back().end) {
      joined.back().end = std::max(joined.back().end, range.end);
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

bool is_regular_in_both(const ObjectChange& change) {
  return change.before && change.after && change.before->kind == cache::FileKind::regular &&
         change.after->kind == cache::FileKind::regular;
}

}  // namespace

// ---- objects and names

Task<Result<void>> StateDiff::resolve_objects() {
  for (const OpenObject& open : open_objects_) {
    CO_TRY_VOID(co_await turn());
    StateReader& reader = open.after ? *new_.reader : *old_.reader;
    CO_TRY(std::optional<FileFacts> facts, co_await reader.facts(open.id));
    ObjectChange& change = found_->changes.objects[open.id];
    (open.after ? change.after : change.before) = std::move(facts);
  }
  open_objects_ = {};
  co_return Result<void>();
}

Task<Result<void>> StateDiff::resolve_names() {
  for (const OpenName& open : open_names_) {
    CO_TRY_VOID(co_await turn());
    NameChange& name = found_->changes.names[open.index];
    StateReader& reader = open.after ? *new_.reader : *old_.reader;
    CO_TRY(ObjectId child, co_await reader.child(name.directory, name.name));
    (open.after ? name.after : name.before) = child;
  }
  open_names_ = {};
  co_return Result<void>();
}

// Names that lead to an object which is gone lead nowhere; those that lead where they led are no
// change.
Task<Result<void>> StateDiff::resolve_children() {
  StateChanges& changes = found_->changes;
  for (NameChange& name : changes.names) {
    CO_TRY_VOID(co_await turn());
    for (ObjectId id : {name.before, name.after}) {
      if (id == cache::no_object || changes.objects.contains(id)) continue;
      ObjectChange change;
      CO_TRY(change.before, co_await old_.reader->facts(id));
      CO_TRY(change.after, co_await new_.reader->facts(id));
      changes.objects[id] = std::move(change);
    }
    if (name.before != cache::no_object && !changes.objects.at(name.before).before)
      name.before = cache::no_object;
    if (name.after != cache::no_object && !changes.objects.at(name.after).after)
      name.after = cache::no_object;
  }
  std::erase_if(changes.names, [](const NameChange& name) { return name.before == name.after; });
  for (const NameChange& name : changes.names) {
    for (ObjectId id : {name.before, name.after}) {
      if (id != cache::no_object) named_.push_back(id);
    }
  }
  std::ranges::sort(named_);
  co_return Result<void>();
}

// ---- content

Task<Result<void>> StateDiff::compare_content() {
  StateChanges& changes = found_->changes;
  // A file's record changes with its content; but nothing here needs that.
  for (const auto& [id, touched] : touched_) {
    if (changes.objects.contains(id)) continue;
    CO_TRY_VOID(co_await turn());
    ObjectChange change;
    CO_TRY(change.before, co_await old_.reader->facts(id));
    CO_TRY(change.after, co_await new_.reader->facts(id));
    changes.objects[id] = std::move(change);
  }
  progress_.to_look_at += changes.objects.size();
  for (auto& [id, change] : changes.objects) {
    CO_TRY_VOID(co_await turn());
    if (is_regular_in_both(change)) CO_TRY_VOID(co_await compare_file(id, change));
  }
  touched_.clear();
  co_return Result<void>();
}

Task<Result<void>> StateDiff::compare_file(ObjectId id, ObjectChange& change) {
  ContentSide was{old_.reader.get(), {}, change.before->size};
  ContentSide is{new_.reader.get(), {}, change.after->size};
  CO_TRY(was.record, co_await old_.reader->record(id));
  CO_TRY(is.record, co_await new_.reader->record(id));
  std::vector<ByteRange> ranges;
  const std::uint64_t size = std::max(was.size, is.size);
  if (auto touched = touched_.find(id); touched != touched_.end()) {
    ranges = std::move(touched->second.ranges);
    if (touched->second.from < size) ranges.push_back({touched->second.from, size});
  }
  CO_TRY(bool same, co_await same_base(id));
  const auto [less, more] = std::minmax({was.base_size(), is.base_size()});
  if (!same) ranges.push_back({0, more});
  if (less != more) ranges.push_back({less, more});
  if (ranges.empty()) co_return Result<void>();
  ranges = in_blocks(std::move(ranges));
  CO_TRY(change.content_bytes, co_await content_changes(id, was, is, same, ranges));
  co_return Result<void>();
}

// Versions of an image that have the same size and time of a file are held to have the same bytes,
// as the caches hold it.
Task<Result<bool>> StateDiff::same_base(ObjectId id) {
  if (old_.end.image == new_.end.image || cache::is_local(id)) co_return true;
  Result<cache::ImageAttributes> was = co_await old_.end.image->attributes(id);
  Result<cache::ImageAttributes> is = co_await new_.end.image->attributes(id);
  const bool neither = was.failed_with(Errc::stale) && is.failed_with(Errc::stale);
  if (neither || was.failed_with(Errc::stale) || is.failed_with(Errc::stale)) co_return neither;
  if (!was) co_return std::move(was).error();
  if (!is) co_return std::move(is).error();
  co_return was->size == is->size && was->mtime == is->mtime;
}

// ---- places

Task<Result<void>> StateDiff::find_places() {
  StateChanges& changes = found_->changes;
  for (const NameChange& name : changes.names) {
    CO_TRY_VOID(co_await turn());
    if (name.before != cache::no_object)
      CO_TRY_VOID(co_await add_directories(*old_.reader, name.directory, changes.before));
    if (name.after != cache::no_object)
      CO_TRY_VOID(co_await add_directories(*new_.reader, name.directory, changes.after));
  }
  co_return co_await find_modified();
}

// A loop in damaged records ends at the first directory that is known already.
Task<Result<void>> StateDiff::add_directories(StateReader& reader, ObjectId directory,
                                              DirectoryPlaces& places) {
  while (directory != cache::image_root && !places.contains(directory)) {
    CO_TRY(std::optional<DirectoryPlace> place, co_await reader.place(directory));
    if (!place) break;
    const ObjectId parent = place->parent;
    places.emplace(directory, std::move(*place));
    directory = parent;
  }
  co_return Result<void>();
}

Task<Result<void>> StateDiff::find_modified() {
  std::vector<ObjectId> lost;
  for (const auto& [id, change] : found_->changes.objects) {
    const bool named = std::ranges::binary_search(named_, id);
    // A link more needs to be told from which other name.
    const bool is_there = change.before && change.after;
    if (id == cache::image_root || !(named ? is_there : looks_changed(change))) continue;
    CO_TRY_VOID(co_await turn());
    CO_TRY(bool found, co_await find_place(id));
    if (!found) lost.push_back(id);
  }
  // Of a name that is gone nothing tells which others there are.
  if (!lost.empty()) CO_TRY_VOID(co_await scan_for(lost));
  // An image may have more names of it than it is known by: at least that one is told.
  for (ObjectId id : lost) {
    if (found_->changes.places.contains(id)) continue;
    CO_TRY(std::optional<DirectoryPlace> place, co_await new_.reader->place(id));
    if (place) found_->changes.places[id].name = std::move(place->name);
  }
  co_return Result<void>();
}

// Where its record says that it is, or else the image, if that is still so.
Task<Result<bool>> StateDiff::find_place(ObjectId id) {
  StateChanges& changes = found_->changes;
  CO_TRY(std::optional<DirectoryPlace> place, co_await new_.reader->place(id));
  bool found = false;
  if (place) {
    CO_TRY(found, co_await leads_to(*place, id));
  }
  if (!found && !cache::is_local(id)) {
    Result<ImagePlace> first = co_await new_.end.image->place(id);
    if (!first && !first.failed_with(Errc::stale)) co_return std::move(first).error();
    if (first) {
      place.emplace();
      place->parent = first->parent;
      place->name = std::move(first->name);
      CO_TRY(found, co_await leads_to(*place, id));
    }
  }
  if (!found) co_return false;
  CO_TRY_VOID(co_await add_directories(*new_.reader, place->parent, changes.after));
  changes.places[id] = std::move(*place);
  co_return true;
}

Task<Result<bool>> StateDiff::leads_to(const DirectoryPlace& place, ObjectId id) {
  CO_TRY(ObjectId child, co_await new_.reader->child(place.parent, place.name));
  co_return child == id;
}

// All names that the second state's store has: rare, and the only walk that follows its size.
Task<Result<void>> StateDiff::scan_for(const std::vector<ObjectId>& lost) {
  StateChanges& changes = found_->changes;
  std::unique_ptr<cache::TableDiff> all = at_.family.diff(nullptr, *new_.pin);
  std::vector<std::pair<ObjectId, DirectoryPlace>> found;
  bool more = true;
  while (more && !stopped_) {
    found.clear();
    auto work = [this, &all, &lost, &found]() -> Result<bool> {
      std::vector<cache::TableDifference> records;
      TRY(bool go_on, all->step(limits_.pages_per_step, limits_.records_per_step, records));
      for (const cache::TableDifference& record : records) {
        TRY(cache::StoreDifference difference, cache::decode_difference(record));
        const auto* name = std::get_if<cache::NameDifference>(&difference);
        if (name == nullptr || !std::ranges::binary_search(lost, name->after->child)) continue;
        found.push_back({name->after->child, {name->directory, name->name}});
      }
      return go_on;
    };
    Result<bool> stepped = co_await run_blocking(at_.disk, at_.loop, std::move(work));
    if (!stepped) co_return std::move(stepped).error();
    more = *stepped;
    for (auto& [id, place] : found) {
      if (changes.places.contains(id)) continue;
      CO_TRY_VOID(co_await add_directories(*new_.reader, place.parent, changes.after));
      changes.places.emplace(id, std::move(place));
    }
  }
  if (stopped_) co_return Errc::timed_out;
  co_return Result<void>();
}

}  // namespace rowan::proxy
