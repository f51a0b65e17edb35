// What was damaged in the table is mended there; here are the records and the data of a store.
#include "cache/repair.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "cache/digest.h"
#include "cache/layout.h"
#include "cache/repair_state.h"
#include "cache/store_records.h"
#include "rpc/base/buffer.h"

namespace rowan::cache {
namespace {

using Place = std::pair<std::uint32_t, std::uint32_t>;   // segment and block

// Data that is not what was written. It stays, and reading it stays an error.
class DataCheck {
 public:
  DataCheck(Directory& directory, const RepairOptions& options, RepairReport& report)
      : directory_(directory), options_(options), report_(report) {}

  void add(std::string_view key, std::string_view value) {
    auto parsed = parse_key(key);
    if (!parsed) return;
    if (parsed->kind == RecordKind::object) {
      auto record = decode_object(value);
      if (record) where_[parsed->id] = {record->parent, record->name};
    } else if (parsed->kind == RecordKind::extent) {
      auto extent = decode_extent(*parsed, value);
      if (extent && extent->data.segment != lost_segment)
        extents_.push_back({parsed->id, std::move(*extent)});
    }
  }

  void run() {
    std::sort(extents_.begin(), extents_.end(), [](const Owned& a, const Owned& b) {
      return Place(a.extent.data.segment, a.extent.data.block) <
             Place(b.extent.data.segment, b.extent.data.block);
    });
    for (const Owned& owned : extents_) total_ += owned.extent.sums.size();
    for (const Owned& owned : extents_) check(owned);
  }

 private:
  struct Owned {
    ObjectId id;
    StoredExtent extent;
  };

  void check(const Owned& owned) {
    const StoredExtent& extent = owned.extent;
    if (!opened_ || *opened_ != extent.data.segment) {
      opened_ = extent.data.segment;
      auto file = directory_.open(layout::segment(*opened_), OpenMode::read);
      file_ = file ? std::move(*file) : nullptr;
    }
    std::size_t got = 0;
    if (file_) {
      auto read = file_->read_at(std::uint64_t{extent.data.block} * data_block_size,
                                 {bytes_.data(), extent.sums.size() * data_block_size});
      got = read ? *read : 0;
    }
    for (std::size_t i = 0; i < extent.sums.size(); ++i) {
      const std::size_t at = i * data_block_size;
      if (at + data_block_size > got ||
          checksum64(bytes_.view().subspan(at, data_block_size)) != extent.sums[i])
        tell(owned, extent.first_block() + i);
    }
    done_ += extent.sums.size();
    if (options_.progress) options_.progress({done_, total_, true});
  }

  void tell(const Owned& owned, std::uint64_t block) {
    LostPart part;
    part.kind = LostPart::Kind::bytes;
    part.object = part.last_object = owned.id;
    part.from = std::max(owned.extent.start, block * data_block_size);
    part.to = std::min(owned.extent.end, (block + 1) * data_block_size);
    const auto where = where_.find(owned.id);
    if (where != where_.end()) std::tie(part.parent, part.name) = where->second;
    if (!told_.emplace(owned.id, part.from, part.to).second) return;
    report_.lost.push_back(std::move(part));
  }

  Directory& directory_;
  const RepairOptions& options_;
  RepairReport& report_;
  std::vector<Owned> extents_;
  std::map<ObjectId, std::pair<ObjectId, std::string>> where_;
  std::set<std::tuple<ObjectId, std::uint64_t, std::uint64_t>> told_;
  std::optional<std::uint32_t> opened_;
  std::unique_ptr<File> file_;
  Buffer bytes_{extent_limit};
  std::uint64_t done_ = 0, total_ = 0;
};

void tell_lost_batches(const LostBatches& batches, RepairReport& report) {
  if (batches.first == 0) return;
  report.lost_batches = batches.through - batches.first + 1;
  std::set<ObjectId> objects;
  for (const std::string& key : batches.keys) {
    auto parsed = parse_key(key);
    if (parsed && parsed->kind != RecordKind::counters) objects.insert(parsed->id);
  }
  for (const ObjectId id : objects) {
    LostPart part;
    part.kind = LostPart::Kind::changes;
    part.object = part.last_object = id;
    report.lost.push_back(std::move(part));
  }
}

// Marks of an earlier repair are there to stay, and theirs are not used again.
Result<std::uint32_t> first_free_mark(const TableMender& mender) {
  std::uint32_t next = 0;
  TRY_VOID(mender.walk_all([&](std::string_view key, std::string_view value) {
    auto data = find_extent_data(key, value);
    if (data && data->blocks != 0 && data->first.segment == lost_segment)
      next = std::max(next, data->first.block + data->blocks);
  }));
  return next;
}

// A crash after the repair and before anybody read the answer must not make a loss unknown.
Result<void> write_report(Directory& directory, const RepairReport& report) {
  std::string text;
  for (const std::string& finding : report.findings) text += finding + '\n';
  for (const LostPart& part : report.lost) {
    text += "state " + std::to_string(to_number(part.state)) + ": " + describe(part);
    if (!part.name.empty())
      text += " (\"" + part.name + "\" in object " + std::to_string(to_number(part.parent)) + ")";
    text += '\n';
  }
  TRY(const auto file, directory.open(layout::repair_report, OpenMode::create));
  TRY(const std::uint64_t size, file->size());
  TRY_VOID(file->write_at(size, as_bytes(text)));
  TRY_VOID(file->sync());
  return directory.sync();
}

}  // namespace

Result<RepairReport> repair_store(Directory& directory, const RepairOptions& options) {
  RepairReport report;
  TRY(const auto mender, TableMender::open(directory, find_extent_data));
  report.findings = mender->findings();
  tell_lost_batches(mender->lost_batches(), report);
  TRY(std::uint32_t next_mark, first_free_mark(*mender));
  for (const StateInfo& info : mender->states()) {
    if (mender->lost_keys(info.id).empty()) continue;
    TRY_VOID(repair_state(*mender, info, next_mark, report));
  }
  DataCheck data(directory, options, report);
  TRY_VOID(mender->walk_all(
      [&](std::string_view key, std::string_view value) { data.add(key, value); }));
  data.run();
  if (report.findings.empty()) return report;
  TRY_VOID(write_report(directory, report));
  TRY_VOID(mender->finish());
  report.repaired = true;
  return report;
}

std::string describe(const LostPart& part) {
  const std::string bytes =
      "bytes " + std::to_string(part.from) + " to " + std::to_string(part.to);
  const std::string from = std::to_string(to_number(part.object));
  const std::string range =
      "objects " + from + " to " + std::to_string(to_number(part.last_object)) + ": ";
  switch (part.kind) {
    case LostPart::Kind::changes:
      return "object " + from + ": its last changes are lost";
    case LostPart::Kind::object:
      return "object " + from + ": " +
             (is_local(part.object) ? "lost" : "its changed attributes are lost");
    case LostPart::Kind::bytes:
      return "object " + from + ": " + bytes + " are lost";
    case LostPart::Kind::objects:
      return range + "changed attributes may be lost";
    case LostPart::Kind::names:
      return range + "names in these directories may be lost, or hidden ones show again";
    case LostPart::Kind::truncations:
      return range + "bytes cut off just before may show again when a file is extended";
  }
  return from;
}

}  // namespace rowan::cache
