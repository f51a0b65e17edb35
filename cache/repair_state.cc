// Most of what a lost page held is said a second time somewhere else. A name stands in the
// directory's table and in its listing, so either is made again from the other. An object knows how
// many data blocks it has, so a file that misses some is known for certain; which bytes they were
// is known as far as the lost keys tell, and all of these that no other record covers are marked,
// by extents whose data is in a segment that never exists. The totals are counted anew.
//
// A data block is never moved within a file, and a state refers to every block that a younger one
// took over from it. So what a checkpoint lost is found again where a state above it still has it.
//
// What nothing else speaks of is told as a range of objects.
#include "cache/repair_state.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cache/store_extents.h"
#include "cache/store_records.h"

namespace rowan::cache {
namespace {

// Above every number that a lost record may have given out.
constexpr std::uint64_t number_margin = std::uint64_t{1} << 40;
constexpr std::uint64_t most_marks = 1u << 20;   // of one file: 128 GiB
constexpr ObjectId last_id{~std::uint64_t{0}};

struct Interval {
  std::uint64_t from = 0, to = 0;
};

struct KnownFile {
  ObjectRecord record;
  std::uint64_t blocks_found = 0;
  std::vector<Interval> covered;   // by its extents, in whole blocks; sorted
};

// The part of a lost range that records of this kind could have been in, as objects.
std::optional<std::pair<ObjectId, ObjectId>> objects_in(const KeyRange& range, RecordKind kind) {
  const std::string first = key_prefix(kind, no_object);
  const std::string end = prefix_end(std::string(1, static_cast<char>(kind)));
  const std::string from = std::max(range.from, first);
  const std::string to = range.to ? std::min(*range.to, end) : end;
  if (from >= to) return std::nullopt;
  auto number = [](const std::string& key) {
    std::uint64_t id = 0;
    for (std::size_t i = 1; i < 9; ++i)
      id = id << 8 | (i < key.size() ? static_cast<std::uint8_t>(key[i]) : 0);
    return ObjectId{id};
  };
  return std::pair(number(from), to == end ? last_id : number(to));
}

// One state that lost keys: what is left of its records, and what follows from that.
class StateRepair {
 public:
  StateRepair(TableMender& mender, const StateInfo& info, std::uint32_t& next_mark,
              RepairReport& report)
      : mender_(mender), info_(info), next_mark_(next_mark), report_(report),
        lost_(mender.lost_keys(info.id)) {}

  Result<void> run() {
    Result<void> readable;
    TRY_VOID(mender_.walk(info_.id, [&](std::string_view key, std::string_view value) {
      auto taken = take(key, value);
      if (!taken && readable) readable = std::move(taken);
    }));
    TRY_VOID(std::move(readable));
    mend_listings();
    mend_names();
    TRY_VOID(take_data_of_children());
    drop_nameless_objects();
    mark_lost_bytes();
    tell_ranges();
    put_counters();
    return {};
  }

 private:
  Result<void> take(std::string_view key, std::string_view value) {
    TRY(const ParsedKey parsed, parse_key(key));
    switch (parsed.kind) {
      case RecordKind::counters: {
        TRY(counters_, decode_counters(value));
        has_counters_ = true;
        return {};
      }
      case RecordKind::object: {
        TRY(files_[parsed.id].record, decode_object(value));
        known_.insert(parsed.id);
        return {};
      }
      case RecordKind::extent: {
        TRY(const StoredExtent extent, decode_extent(parsed, value));
        KnownFile& file = files_[parsed.id];
        file.blocks_found += extent.sums.size();
        file.covered.push_back(
            {extent.first_block() * data_block_size, extent.end_block() * data_block_size});
        extent_keys_[parsed.id].emplace_back(key);
        return {};
      }
      case RecordKind::name: {
        TRY(names_[std::pair(parsed.id, parsed.name)], decode_name(value));
        return {};
      }
      case RecordKind::sequence: {
        TRY(listings_[std::pair(parsed.id, parsed.number)], decode_sequence(value));
        return {};
      }
      case RecordKind::purge:
        return {};
    }
    return {};
  }

  bool may_be_lost(const std::string& key) const {
    return std::any_of(lost_.begin(), lost_.end(),
                       [&](const KeyRange& range) { return range.contains(key); });
  }

  // ---- names

  void mend_listings() {
    for (const auto& [key, name] : names_) {
      if (name.child == no_object) continue;
      const auto listed = listings_.find({key.first, name.sequence});
      if (listed != listings_.end()) continue;
      const SequenceRecord record{name.child, key.second};
      mender_.change(info_.id, sequence_key(key.first, name.sequence), encode(record));
      listings_[{key.first, name.sequence}] = record;
    }
  }

  void mend_names() {
    for (const auto& [key, listed] : listings_) {
      const auto name = names_.find({key.first, listed.name});
      if (name != names_.end() && name->second.sequence == key.second) continue;
      const std::string lost_key = name_key(key.first, listed.name);
      if (name == names_.end() && may_be_lost(lost_key)) {
        const NameRecord record{listed.child, key.second};
        mender_.change(info_.id, lost_key, encode(record));
        names_[{key.first, listed.name}] = record;
      } else {
        mender_.change(info_.id, sequence_key(key.first, key.second), std::nullopt);
      }
    }
  }

  // ---- objects

  LostPart lost(LostPart::Kind kind, ObjectId id) const {
    LostPart part;
    part.kind = kind;
    part.state = info_.id;
    part.object = part.last_object = id;
    const auto file = files_.find(id);
    if (file != files_.end() && known_.contains(id)) {
      part.parent = file->second.record.parent;
      part.name = file->second.record.name;
    }
    return part;
  }

  // Names of objects whose attributes are lost. An image object without any is an unchanged one.
  void drop_nameless_objects() {
    std::set<ObjectId> told;
    for (const auto& [key, name] : names_) {
      if (name.child == no_object || known_.contains(name.child)) continue;
      if (!is_local(name.child) && !may_be_lost(object_key(name.child))) continue;
      LostPart part = lost(LostPart::Kind::object, name.child);
      part.parent = key.first;
      part.name = key.second;
      report_.lost.push_back(std::move(part));
      told.insert(name.child);
      if (!is_local(name.child)) continue;
      mender_.change(info_.id, name_key(key.first, key.second), std::nullopt);
      mender_.change(info_.id, sequence_key(key.first, name.sequence), std::nullopt);
    }
    for (const auto& [id, keys] : extent_keys_) {
      if (known_.contains(id) || !may_be_lost(object_key(id))) continue;
      if (!told.contains(id)) report_.lost.push_back(lost(LostPart::Kind::object, id));
      if (is_local(id) && info_.head) drop_data(id, keys);
    }
  }

  // A checkpoint keeps it: the states above it may need it to be there.
  void drop_data(ObjectId id, const std::vector<std::string>& keys) {
    for (const std::string& key : keys) mender_.change(info_.id, key, std::nullopt);
    files_[id].blocks_found = 0;
  }

  // ---- data

  // The lost ranges' extents, with all of the windows that the first and the last are in.
  static std::optional<KeyRange> windows_in(const KeyRange& range) {
    const std::string first(1, static_cast<char>(RecordKind::extent)), end = prefix_end(first);
    if (range.from >= end || (range.to && *range.to <= first)) return std::nullopt;
    KeyRange windows{first, end};
    auto from = parse_key(range.from);
    if (range.from > first && from)
      windows.from =
          extent_key(from->id, from->number == 0 ? 0 : round_down(from->number - 1, extent_limit));
    auto to = range.to ? parse_key(*range.to) : Result<ParsedKey>(Errc::not_found);
    if (range.to && *range.to < end && to)
      windows.to = extent_key(to->id, round_up(to->number, extent_limit) + 1);
    return windows;
  }

  Result<void> take_data_of_children() {
    if (info_.head) return {};
    for (const StateInfo& child : mender_.states()) {
      if (child.parent != info_.id) continue;
      for (const KeyRange& range : lost_) {
        const auto windows = windows_in(range);
        if (!windows) continue;
        TRY(const auto records, mender_.scan(child.id, *windows));
        for (const auto& [key, value] : records) TRY_VOID(take_back(key, value));
      }
    }
    return {};
  }

  Result<void> take_back(const std::string& key, const std::string& value) {
    TRY(const ParsedKey parsed, parse_key(key));
    TRY(const StoredExtent extent, decode_extent(parsed, value));
    if (extent.data.birth > info_.frozen_at) return {};
    KnownFile& file = files_[parsed.id];
    for (std::uint64_t block = extent.first_block(); block < extent.end_block(); ++block) {
      const Interval bytes{block * data_block_size, (block + 1) * data_block_size};
      const bool covered = std::any_of(
          file.covered.begin(), file.covered.end(),
          [&](const Interval& other) { return other.from < bytes.to && bytes.from < other.to; });
      if (!covered) take_block_back(parsed.id, file, extent, bytes);
    }
    return {};
  }

  // The younger state may have cut bytes off the block. Then nobody knows which, and reading it is
  // an error; but the block belongs to this state.
  void take_block_back(ObjectId id, KnownFile& file, const StoredExtent& extent, Interval bytes) {
    auto part = cut(extent, bytes.from, bytes.to);
    if (!part) return;
    const std::uint64_t end =
        known_.contains(id) ? std::min(bytes.to, file.record.size) : bytes.to;
    if (part->start > bytes.from || part->end < end || !part->ranges.empty()) {
      part->sums.assign(1, ~part->sums.front());
      part->start = bytes.from;
      part->end = bytes.to;
      part->ranges.clear();
      LostPart unknown = lost(LostPart::Kind::bytes, id);
      unknown.from = bytes.from;
      unknown.to = bytes.to;
      report_.lost.push_back(std::move(unknown));
    }
    file.covered.push_back(bytes);
    ++file.blocks_found;
    extent_keys_[id].push_back(extent_key(id, part->end));
    mender_.change(info_.id, extent_key(id, part->end), encode(*part));
  }

  void mark_lost_bytes() {
    for (const ObjectId id : known_) {
      KnownFile& file = files_[id];
      if (file.record.removed || file.blocks_found >= file.record.data_blocks) continue;
      std::uint64_t marks = 0;
      for (const KeyRange& range : lost_) mark_within(id, file, range, marks);
      file.record.data_blocks = file.blocks_found;
      mender_.change(info_.id, object_key(id), encode(file.record));
    }
  }

  // The offsets that extents with keys in the range could have had, in whole blocks.
  static std::optional<Interval> bytes_within(ObjectId id, std::uint64_t size,
                                              const KeyRange& range) {
    const std::string prefix = key_prefix(RecordKind::extent, id), end = prefix_end(prefix);
    if (range.from >= end || (range.to && *range.to <= prefix)) return std::nullopt;
    auto offset = [&](const std::string& key) {
      if (key <= prefix) return std::uint64_t{0};
      auto parsed = parse_key(key);
      return parsed ? parsed->number : std::uint64_t{0};
    };
    // The key holds the end: an extent may begin up to its window before the first key.
    Interval bytes{offset(range.from), round_up(size, data_block_size)};
    bytes.from = bytes.from == 0 ? 0 : round_down(bytes.from - 1, extent_limit);
    if (range.to && *range.to < end)
      bytes.to = std::min(bytes.to, round_up(offset(*range.to), data_block_size));
    if (bytes.from >= bytes.to) return std::nullopt;
    return bytes;
  }

  void mark_within(ObjectId id, KnownFile& file, const KeyRange& range, std::uint64_t& marks) {
    const auto bytes = bytes_within(id, file.record.size, range);
    if (!bytes) return;
    std::sort(file.covered.begin(), file.covered.end(),
              [](const Interval& a, const Interval& b) { return a.from < b.from; });
    std::vector<Interval> gaps;
    std::uint64_t at = bytes->from;
    for (const Interval& covered : file.covered) {
      if (covered.from >= bytes->to) break;
      if (covered.from > at) gaps.push_back({at, covered.from});
      at = std::max(at, covered.to);
    }
    if (at < bytes->to) gaps.push_back({at, bytes->to});
    for (const Interval& gap : gaps) {
      LostPart part = lost(LostPart::Kind::bytes, id);
      part.from = gap.from;
      part.to = std::min(gap.to, file.record.size);
      report_.lost.push_back(std::move(part));
      mark_gap(id, file, gap, marks);
    }
  }

  void mark_gap(ObjectId id, KnownFile& file, const Interval& gap, std::uint64_t& marks) {
    for (std::uint64_t at = gap.from; at < gap.to && marks < most_marks; ++marks) {
      StoredExtent extent;
      extent.start = at;
      extent.end = std::min(gap.to, round_down(at, extent_limit) + extent_limit);
      const std::uint64_t count = (extent.end - at) / data_block_size;
      extent.data = {lost_segment, next_mark_, mender_.birth_in(info_.id)};
      next_mark_ += static_cast<std::uint32_t>(count);
      extent.sums.assign(count, 0);
      file.blocks_found += count;
      file.covered.push_back({extent.start, extent.end});
      at = extent.end;
      mender_.change(info_.id, extent_key(id, extent.end), encode(extent));
    }
  }

  // ---- the rest

  void tell_ranges() {
    for (const KeyRange& range : lost_) {
      tell_range(range, RecordKind::object, LostPart::Kind::objects);
      tell_range(range, RecordKind::name, LostPart::Kind::names);
      tell_range(range, RecordKind::purge, LostPart::Kind::truncations);
    }
  }

  void tell_range(const KeyRange& range, RecordKind kind, LostPart::Kind as) {
    const auto objects = objects_in(range, kind);
    if (!objects) return;
    LostPart part;
    part.kind = as;
    part.state = info_.id;
    part.object = objects->first;
    part.last_object = objects->second;
    report_.lost.push_back(std::move(part));
  }

  void put_counters() {
    Counters now = counters_;
    now.objects = now.data_blocks = 0;
    for (const auto& [id, file] : files_) {
      now.objects += known_.contains(id) && !file.record.removed ? 1 : 0;
      now.data_blocks += file.blocks_found;
    }
    if (!has_counters_) {
      now.next_object = now.next_sequence = number_margin;
      for (const auto& [id, file] : files_) {
        if (is_local(id))
          now.next_object = std::max(now.next_object,
                                     (to_number(id) & ~local_object_bit) + number_margin);
      }
      for (const auto& [key, listed] : listings_)
        now.next_sequence = std::max(now.next_sequence, key.second + number_margin);
    }
    if (!has_counters_ || !(now == counters_))
      mender_.change(info_.id, counters_key(), encode(now));
  }

  TableMender& mender_;
  const StateInfo& info_;
  std::uint32_t& next_mark_;
  RepairReport& report_;
  const std::vector<KeyRange> lost_;
  Counters counters_;
  bool has_counters_ = false;
  std::map<ObjectId, KnownFile> files_;                // with extents or attributes
  std::set<ObjectId> known_;                           // with attributes
  std::map<ObjectId, std::vector<std::string>> extent_keys_;
  std::map<std::pair<ObjectId, std::string>, NameRecord> names_;
  std::map<std::pair<ObjectId, std::uint64_t>, SequenceRecord> listings_;
};

}  // namespace

Result<void> repair_state(TableMender& mender, const StateInfo& info, std::uint32_t& next_mark,
                          RepairReport& report) {
  return StateRepair(mender, info, next_mark, report).run();
}

}  // namespace rowan::cache
