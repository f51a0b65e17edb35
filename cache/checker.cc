// One pass over the records of each head in key order (objects, extents, names, purge marks,
// sequences: the kinds' bytes are in that order, counters first), remembering what later kinds must
// agree with. Of checkpoints only the pages and the data are looked at: what they hold was a head's
// once, and would be read again for each of them.
#include "cache/checker.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>

#include "cache/digest.h"
#include "cache/layout.h"
#include "cache/store_records.h"
#include "cache/table_mend.h"
#include "rpc/base/buffer.h"

namespace rowan::cache {
namespace {

constexpr int deepest_path = 64;

struct KnownObject {
  ObjectId parent = no_object;
  std::string name;
  bool removed = false;
};

class StoreCheck {
 public:
  StoreCheck(Directory& directory, const CheckOptions& options)
      : directory_(directory), options_(options) {}

  Result<CheckReport> run() {
    const TableCheckHooks hooks = make_hooks();
    TRY(const TableCheckResult table,
        check_table(directory_, {.find_data = find_extent_data}, hooks));
    return finish(table);
  }

  Result<CheckReport> run_pinned(const std::vector<PinnedState>& states) {
    const TableCheckHooks hooks = make_hooks();
    TRY(const TableCheckResult table, check_pinned(directory_, states, hooks));
    return finish(table);
  }

 private:
  TableCheckHooks make_hooks() {
    TableCheckHooks hooks;
    hooks.finding = [this](std::string text) { report(std::move(text)); };
    hooks.record = [this](StateId head, std::string_view key, std::string_view value) {
      if (heads_.empty() || heads_.back().id != head) begin_head(head);
      record(key, value);
    };
    if (options_.data)
      hooks.any_record = [this](std::string_view key, std::string_view value) {
        remember_extent(key, value);
      };
    hooks.progress = options_.progress;
    hooks.stopped = options_.stopped;
    return hooks;
  }

  bool is_stopped() const { return options_.stopped && options_.stopped(); }

  Result<CheckReport> finish(const TableCheckResult& table) {
    report_.pages = table.pages;
    report_.records = table.records;
    for (Head& head : heads_) {
      now_ = &head;
      if (table.complete) compare_totals();
      check_places(table);
    }
    if (options_.data) check_data();
    if (is_stopped()) return Error(Errc::try_later, directory_.path() + ": the check was stopped");
    return std::move(report_);
  }

  struct Owned {
    ObjectId id;
    StoredExtent extent;
  };
  struct Head {
    StateId id = no_state;
    Counters counters;
    bool has_counters = false;
    std::uint64_t objects_found = 0, blocks_found = 0;
    std::unordered_map<ObjectId, KnownObject> objects;
    std::vector<Owned> extents;
    std::map<std::pair<ObjectId, std::uint64_t>, std::pair<std::string, ObjectId>> names;
    ObjectId extent_owner = no_object;
    std::uint64_t extent_end_block = 0;
  };

  void begin_head(StateId id) {
    heads_.emplace_back();
    now_ = &heads_.back();
    now_->id = id;
  }

  void report(std::string text) {
    ++report_.finding_count;
    if (report_.findings.size() < options_.most_findings)
      report_.findings.push_back(std::move(text));
  }

  // "/etc/passwd", as far up as the store has records: the image's own directories are numbers
  // here.
  std::string path_of(ObjectId id) const {
    std::string path;
    for (int depth = 0; depth < deepest_path; ++depth) {
      if (id == image_root) return path.empty() ? "/" : path;
      const KnownObject* object = known(id);
      if (object == nullptr || object->name.empty()) break;
      path.insert(0, "/" + object->name);
      id = object->parent;
    }
    return "<object " + std::to_string(to_number(id)) + ">" + path;
  }

  // As the head that is looked at knows it, else as any does.
  const KnownObject* known(ObjectId id) const {
    if (now_ != nullptr) {
      const auto here = now_->objects.find(id);
      if (here != now_->objects.end()) return &here->second;
    }
    for (const Head& head : heads_) {
      const auto there = head.objects.find(id);
      if (there != head.objects.end()) return &there->second;
    }
    return nullptr;
  }

  void record(std::string_view key, std::string_view value) {
    auto parsed = parse_key(key);
    if (!parsed) return report("a record with " + parsed.error().detail);
    Result<void> result;
    switch (parsed->kind) {
      case RecordKind::counters:
        result = take_counters(value);
        break;
      case RecordKind::object:
        result = take_object(*parsed, value);
        break;
      case RecordKind::extent:
        result = take_extent(*parsed, value);
        break;
      case RecordKind::name:
        result = take_name(*parsed, value);
        break;
      case RecordKind::purge:
        result = take_purge(value);
        break;
      case RecordKind::sequence:
        result = take_sequence(*parsed, value);
        break;
    }
    if (!result) report(path_of(parsed->id) + ": " + result.error().detail);
  }

  Result<void> take_counters(std::string_view value) {
    TRY(now_->counters, decode_counters(value));
    now_->has_counters = true;
    return {};
  }

  Result<void> take_object(const ParsedKey& key, std::string_view value) {
    TRY(ObjectRecord record, decode_object(value));
    now_->objects[key.id] = {record.parent, record.name, record.removed};
    now_->objects_found += record.removed ? 0 : 1;
    report_.objects += record.removed ? 0 : 1;
    check_number(key.id);
    return {};
  }

  void check_number(ObjectId id) {
    if (is_local(id) && (to_number(id) & ~local_object_bit) >= now_->counters.next_object)
      report(path_of(id) + ": its number has not been given out yet");
  }

  Result<void> take_extent(const ParsedKey& key, std::string_view value) {
    TRY(StoredExtent extent, decode_extent(key, value));
    if (key.id == now_->extent_owner && extent.first_block() < now_->extent_end_block)
      report(path_of(key.id) + ": two records for " + describe(extent));
    now_->extent_owner = key.id;
    now_->extent_end_block = extent.end_block();
    const std::uint64_t blocks = extent.sums.size();
    now_->blocks_found += blocks;
    report_.data_blocks += blocks;
    now_->extents.push_back({key.id, std::move(extent)});
    return {};
  }

  Result<void> take_name(const ParsedKey& key, std::string_view value) {
    TRY(const NameRecord record, decode_name(value));
    if (record.child == no_object) return {};
    if (record.sequence >= now_->counters.next_sequence && now_->counters.next_sequence > 1)
      report(path_of(key.id) + "/" + key.name + ": its position has not been given out yet");
    // An image object without a record is unchanged; a local one without does not exist.
    const auto child = now_->objects.find(record.child);
    const bool known = child != now_->objects.end();
    if (known ? child->second.removed : is_local(record.child))
      report(path_of(key.id) + "/" + key.name + ": names object " +
             std::to_string(to_number(record.child)) + ", which does not exist");
    now_->names[{key.id, record.sequence}] = {key.name, record.child};
    return {};
  }

  Result<void> take_purge(std::string_view value) {
    TRY(const auto marks, decode_purge(value));
    (void)marks;
    return {};
  }

  Result<void> take_sequence(const ParsedKey& key, std::string_view value) {
    TRY(const SequenceRecord record, decode_sequence(value));
    const auto name = now_->names.find({key.id, key.number});
    if (name == now_->names.end() || name->second.first != record.name ||
        name->second.second != record.child)
      report(path_of(key.id) + ": is listed with \"" + record.name +
             "\", which is not one of its names");
    else
      now_->names.erase(name);
    return {};
  }

  void compare_totals() {
    for (const auto& [place, name] : now_->names)
      report(path_of(place.first) + "/" + name.first + ": is missing from the directory's listing");
    if (!now_->has_counters) return report("the record of counters is missing");
    if (now_->counters.objects != now_->objects_found)
      report("the store counts " + std::to_string(now_->counters.objects) + " objects, but has " +
             std::to_string(now_->objects_found));
    if (now_->counters.data_blocks != now_->blocks_found)
      report("the store counts " + std::to_string(now_->counters.data_blocks) +
             " data blocks, but has " + std::to_string(now_->blocks_found));
  }

  static void sort_by_place(std::vector<Owned>& extents) {
    std::sort(extents.begin(), extents.end(), [](const Owned& a, const Owned& b) {
      return std::pair(a.extent.data.segment, a.extent.data.block) <
             std::pair(b.extent.data.segment, b.extent.data.block);
    });
  }

  // Extents lie inside their segments and share no block.
  void check_places(const TableCheckResult& table) {
    std::vector<Owned>& extents = now_->extents;
    sort_by_place(extents);
    for (std::size_t i = 0; i < extents.size(); ++i) {
      const StoredExtent& extent = extents[i].extent;
      const std::uint64_t end = std::uint64_t{extent.data.block} + extent.sums.size();
      const auto segment = table.segments.find(extent.data.segment);
      if (segment == table.segments.end())
        report_missing(extents[i].id, extent);
      else if (end * data_block_size > segment->second)
        report(path_of(extents[i].id) + ": " + describe(extent) + ": the segment ends before it");
      if (i + 1 == extents.size()) break;
      const StoredExtent& next = extents[i + 1].extent;
      if (next.data.segment == extent.data.segment && next.data.block < end)
        report(path_of(extents[i].id) + " and " + path_of(extents[i + 1].id) +
               " share data blocks: " + describe(extent) + "; " + describe(next));
    }
  }

  // Once, whichever states refer to it.
  void report_missing(ObjectId id, const StoredExtent& extent) {
    if (!missing_.emplace(extent.data.segment, extent.data.block).second) return;
    const bool marked = extent.data.segment == lost_segment;
    report(path_of(id) + ": " + describe(extent) +
           (marked ? ": lost; a repair found that out"
                   : ": the file " + layout::segment(extent.data.segment) + " is missing"));
  }

  void remember_extent(std::string_view key, std::string_view value) {
    if (key.empty() || key[0] != static_cast<char>(RecordKind::extent)) return;
    auto parsed = parse_key(key);
    if (!parsed) return;
    auto extent = decode_extent(*parsed, value);
    if (extent) all_extents_.push_back({parsed->id, std::move(*extent)});
  }

  // Checkpoints name their objects as the heads do, if those know them.
  void check_data() {
    sort_by_place(all_extents_);
    std::uint64_t total = 0;
    for (const Owned& owned : all_extents_) total += owned.extent.sums.size();
    std::unique_ptr<File> file;
    std::uint32_t opened = 0;
    Buffer bytes(extent_limit);
    for (const auto& [id, extent] : all_extents_) {
      if (is_stopped()) return;
      if (!file || opened != extent.data.segment) {
        auto next = directory_.open(layout::segment(extent.data.segment), OpenMode::read);
        if (!next) {
          report_missing(id, extent);
          continue;
        }
        file = std::move(*next);
        opened = extent.data.segment;
      }
      const std::size_t size = extent.sums.size() * data_block_size;
      auto got =
          file->read_at(std::uint64_t{extent.data.block} * data_block_size, {bytes.data(), size});
      for (std::size_t i = 0; i < extent.sums.size(); ++i) {
        const std::size_t at = i * data_block_size;
        const bool good = got && at + data_block_size <= *got &&
                          checksum64(bytes.view().subspan(at, data_block_size)) == extent.sums[i];
        if (!good) report_damaged_block(id, extent, i);
      }
      report_.blocks_read += extent.sums.size();
      if (options_.progress) options_.progress({report_.blocks_read, total, true});
    }
  }

  void report_damaged_block(ObjectId id, const StoredExtent& extent, std::size_t index) {
    const std::uint64_t block = extent.first_block() + index;
    report(path_of(id) + ": bytes " +
           std::to_string(std::max(extent.start, block * data_block_size)) + " to " +
           std::to_string(std::min(extent.end, (block + 1) * data_block_size)) + " are damaged (" +
           directory_.path() + "/" + layout::segment(extent.data.segment) + ", offset " +
           std::to_string((extent.data.block + index) * data_block_size) + ")");
  }

  Directory& directory_;
  const CheckOptions& options_;
  CheckReport report_;
  std::deque<Head> heads_;
  Head* now_ = nullptr;
  std::set<std::pair<std::uint32_t, std::uint32_t>> missing_;   // segment and block of extents
  std::vector<Owned> all_extents_;   // of all states, for the data's sums
};

}  // namespace

Result<CheckReport> check_states(Directory& directory, const std::vector<PinnedState>& states,
                                 const CheckOptions& options) {
  return StoreCheck(directory, options).run_pinned(states);
}

Result<CheckReport> check_store(Directory& directory, const CheckOptions& options) {
  return StoreCheck(directory, options).run();
}

}  // namespace rowan::cache
