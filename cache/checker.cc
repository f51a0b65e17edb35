// One pass over the records in key order (objects, extents, names, purge marks, sequences: the
// kinds' bytes are in that order, counters first), remembering what later kinds must agree with.
#include "cache/checker.h"

#include <algorithm>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

#include "cache/digest.h"
#include "cache/layout.h"
#include "cache/store_records.h"
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
    TableCheckHooks hooks;
    hooks.finding = [this](std::string text) { report(std::move(text)); };
    hooks.record = [this](std::string_view key, std::string_view value) { record(key, value); };
    hooks.progress = options_.progress;
    TRY(const TableCheckResult table, check_table(directory_, hooks));
    report_.pages = table.pages;
    report_.records = table.records;
    if (table.complete) compare_totals(table);
    check_places(table);
    if (options_.data) check_data();
    return std::move(report_);
  }

 private:
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
      const auto at = objects_.find(id);
      if (at == objects_.end() || at->second.name.empty()) break;
      path.insert(0, "/" + at->second.name);
      id = at->second.parent;
    }
    return "<object " + std::to_string(to_number(id)) + ">" + path;
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
    TRY(counters_, decode_counters(value));
    has_counters_ = true;
    return {};
  }

  Result<void> take_object(const ParsedKey& key, std::string_view value) {
    TRY(ObjectRecord record, decode_object(value));
    objects_[key.id] = {record.parent, record.name, record.removed};
    report_.objects += record.removed ? 0 : 1;
    check_number(key.id);
    return {};
  }

  void check_number(ObjectId id) {
    if (is_local(id) && (to_number(id) & ~local_object_bit) >= counters_.next_object)
      report(path_of(id) + ": its number has not been given out yet");
  }

  Result<void> take_extent(const ParsedKey& key, std::string_view value) {
    TRY(StoredExtent extent, decode_extent(key, value));
    if (key.id == extent_owner_ && extent.first_block() < extent_end_block_)
      report(path_of(key.id) + ": two records for " + describe(extent));
    extent_owner_ = key.id;
    extent_end_block_ = extent.end_block();
    const std::uint64_t blocks = extent.sums.size();
    report_.data_blocks += blocks;
    extents_.push_back({key.id, std::move(extent)});
    return {};
  }

  Result<void> take_name(const ParsedKey& key, std::string_view value) {
    TRY(const NameRecord record, decode_name(value));
    if (record.child == no_object) return {};
    if (record.sequence >= counters_.next_sequence && counters_.next_sequence > 1)
      report(path_of(key.id) + "/" + key.name + ": its position has not been given out yet");
    // An image object without a record is unchanged; a local one without does not exist.
    const auto child = objects_.find(record.child);
    const bool known = child != objects_.end();
    if (known ? child->second.removed : is_local(record.child))
      report(path_of(key.id) + "/" + key.name + ": names object " +
             std::to_string(to_number(record.child)) + ", which does not exist");
    names_[{key.id, record.sequence}] = {key.name, record.child};
    return {};
  }

  Result<void> take_purge(std::string_view value) {
    TRY(const auto marks, decode_purge(value));
    (void)marks;
    return {};
  }

  Result<void> take_sequence(const ParsedKey& key, std::string_view value) {
    TRY(const SequenceRecord record, decode_sequence(value));
    const auto name = names_.find({key.id, key.number});
    if (name == names_.end() || name->second.first != record.name ||
        name->second.second != record.child)
      report(path_of(key.id) + ": is listed with \"" + record.name +
             "\", which is not one of its names");
    else
      names_.erase(name);
    return {};
  }

  void compare_totals(const TableCheckResult& table) {
    for (const auto& [place, name] : names_)
      report(path_of(place.first) + "/" + name.first + ": is missing from the directory's listing");
    if (table.records == 0) return;
    if (!has_counters_) return report("the record of counters is missing");
    if (counters_.objects != report_.objects)
      report("the store counts " + std::to_string(counters_.objects) + " objects, but has " +
             std::to_string(report_.objects));
    if (counters_.data_blocks != report_.data_blocks)
      report("the store counts " + std::to_string(counters_.data_blocks) +
             " data blocks, but has " + std::to_string(report_.data_blocks));
    std::map<std::uint32_t, std::uint64_t> live;
    for (const auto& [id, extent] : extents_) live[extent.data.segment] += extent.sums.size();
    for (const auto& [segment, blocks] : table.live_blocks) {
      if (blocks != live[segment])
        report(layout::segment(segment) + ": counted with " + std::to_string(blocks) +
               " live blocks, but " + std::to_string(live[segment]) + " are in use");
    }
    for (const auto& [segment, blocks] : live) {
      if (blocks != 0 && !table.live_blocks.contains(segment))
        report(layout::segment(segment) + ": holds data, but is not counted");
    }
  }

  // Extents lie inside their segments and share no block; sorted by place for check_data().
  void check_places(const TableCheckResult& table) {
    std::sort(extents_.begin(), extents_.end(), [](const Owned& a, const Owned& b) {
      return std::pair(a.extent.data.segment, a.extent.data.block) <
             std::pair(b.extent.data.segment, b.extent.data.block);
    });
    for (std::size_t i = 0; i < extents_.size(); ++i) {
      const StoredExtent& extent = extents_[i].extent;
      const std::uint64_t end = std::uint64_t{extent.data.block} + extent.sums.size();
      const auto segment = table.segments.find(extent.data.segment);
      if (segment == table.segments.end())
        report(path_of(extents_[i].id) + ": " + describe(extent) + ": the file " +
               layout::segment(extent.data.segment) + " is missing");
      else if (end * data_block_size > segment->second)
        report(path_of(extents_[i].id) + ": " + describe(extent) + ": the segment ends before it");
      if (i + 1 == extents_.size()) break;
      const StoredExtent& next = extents_[i + 1].extent;
      if (next.data.segment == extent.data.segment && next.data.block < end)
        report(path_of(extents_[i].id) + " and " + path_of(extents_[i + 1].id) +
               " share data blocks: " + describe(extent) + "; " + describe(next));
    }
  }

  void check_data() {
    std::unique_ptr<File> file;
    std::uint32_t opened = 0;
    Buffer bytes(extent_limit);
    for (const auto& [id, extent] : extents_) {
      if (!file || opened != extent.data.segment) {
        auto next = directory_.open(layout::segment(extent.data.segment), OpenMode::read);
        if (!next) continue;  // reported by check_places()
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
      if (options_.progress) options_.progress({report_.blocks_read, report_.data_blocks});
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

  struct Owned {
    ObjectId id;
    StoredExtent extent;
  };

  Directory& directory_;
  const CheckOptions& options_;
  CheckReport report_;
  Counters counters_;
  bool has_counters_ = false;
  std::unordered_map<ObjectId, KnownObject> objects_;
  std::vector<Owned> extents_;
  std::map<std::pair<ObjectId, std::uint64_t>, std::pair<std::string, ObjectId>> names_;
  ObjectId extent_owner_ = no_object;
  std::uint64_t extent_end_block_ = 0;
};

}  // namespace

Result<CheckReport> check_store(Directory& directory, const CheckOptions& options) {
  return StoreCheck(directory, options).run();
}

}  // namespace rowan::cache
