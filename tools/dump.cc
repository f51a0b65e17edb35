// Pages and groups are found by place and not by pointer, so that what nothing refers to any more,
// and what lies behind damage, can be seen too.
#include "tools/dump.h"

#include <algorithm>
#include <optional>
#include <set>

#include "cache/block_log.h"
#include "cache/layout.h"
#include "cache/table_recover.h"
#include "cache/table_superblock.h"
#include "tools/dump_records.h"
#include "tools/dump_tree.h"

namespace rowan::tools {
namespace {

using namespace cache;
using proxy::Json;

constexpr std::string_view index_name = "index";

std::string operation_name(std::uint8_t operation) {
  switch (static_cast<StateOperation::Kind>(operation)) {
    case StateOperation::Kind::checkpoint:
      return "checkpoint";
    case StateOperation::Kind::branch:
      return "branch";
    case StateOperation::Kind::rollback:
      return "rollback";
    case StateOperation::Kind::freeze:
      return "freeze";
    case StateOperation::Kind::drop:
      return "drop";
    case StateOperation::Kind::set_label:
      return "label";
  }
  return "unknown operation " + std::to_string(operation);
}

bool is_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

class Dump {
 public:
  Dump(Directory& directory, const DumpOptions& options,
       const std::function<void(const DumpedItem&)>& found)
      : directory_(directory), options_(options), found_(found) {}

  Result<std::uint64_t> run() {
    std::vector<std::string> names = options_.files;
    if (names.empty()) {
      TRY(names, directory_.list());
    }
    for (const std::string& name : names) TRY_VOID(file(name));
    if (options_.state && !state_seen_)
      return Error(Errc::not_found, directory_.path() + ": no state " +
                                        std::to_string(to_number(*options_.state)));
    return damaged_;
  }

 private:
  void give(DumpedItem item) {
    damaged_ += item.damage.empty() ? 0 : 1;
    found_(item);
  }

  void give_record(const std::string& at, std::string_view key,
                   std::optional<std::string_view> value) {
    if (!options_.records) return;
    DumpedRecord record = dump_record(key, value);
    give({at, record.what, std::move(record.fields), std::move(record.damage), true});
  }

  Result<void> file(const std::string& name) {
    TRY(const auto file, directory_.open(name, OpenMode::read));
    TRY(const std::uint64_t size, file->size());
    if (name == layout::superblock || name == layout::new_superblock)
      return superblock(name, *file);
    if (name == layout::tree) return tree(*file, size);
    if (layout::parse_segment(name)) return segment(name, *file, size);
    if (name == index_name) return block_log(*file, size);
    if (options_.files.empty() && name != layout::reserve && name != layout::lock &&
        name != "blocks")
      return {};
    give({name, "a file without structure", {{"bytes", size}}, {}, false});
    return {};
  }

  // ---- superblock

  Result<void> superblock(const std::string& name, const File& file) {
    for (const std::uint64_t place : superblock_places) {
      DumpedItem item;
      item.at = name + " offset " + std::to_string(place);
      item.what = "superblock";
      TRY(const Buffer bytes, read_bytes(file, place, superblock_size));
      auto decoded = bytes.size() == superblock_size
                         ? decode_superblock(as_text(bytes.view()))
                         : Result<Superblock>(Error(Errc::corrupt, "the file ends before it"));
      if (decoded) {
        item.fields["is"] = describe(*decoded);
        item.fields["epoch"] = decoded->epoch;
        item.fields["next_segment"] = decoded->next_segment;
      } else {
        item.damage = decoded.error().detail;
      }
      give(std::move(item));
    }
    return {};
  }

  // ---- tree

  void state(const own::StoredState& stored) {
    const StateInfo& info = stored.info;
    if (options_.state && info.id != *options_.state) return;
    DumpedItem item;
    item.at = "state " + std::to_string(to_number(info.id));
    item.what = info.head ? "head" : "checkpoint";
    if (info.parent != no_state) item.fields["parent"] = to_number(info.parent);
    if (!info.head) item.fields["frozen_at"] = info.frozen_at;
    if (info.dropped) item.fields["dropped"] = true;
    item.fields["root"] = stored.root.pointer.absent() ? "empty" : describe(stored.root.pointer);
    item.fields["level"] = stored.root.level;
    item.fields["label"] = info.label;
    give(std::move(item));
  }

  void states(const Result<own::Records>& records) {
    if (records.failed_with(Errc::not_found)) return;   // the superblock says why
    if (!records)
      return give({"tree", "states", Json::object(), to_string(records.error()), false});
    for (const auto& [id, stored] : records->states) state(stored);
  }

  Result<void> tree(const File& file, std::uint64_t size) {
    const TreeKnowledge known = TreeKnowledge::of(directory_, file);
    states(known.records());
    std::optional<std::set<std::uint32_t>> only;
    if (options_.state) {
      auto pages = known.pages_of(file, *options_.state);
      state_seen_ = state_seen_ || pages;
      only = pages ? std::move(*pages) : std::set<std::uint32_t>();
    }
    for (std::uint64_t at = page_size; at < size; at += page_size) {
      const auto number = static_cast<std::uint32_t>(at / page_size);
      if (only ? !only->contains(number) : !options_.free_pages && !known.is_used(number)) continue;
      DumpedItem item;
      item.at = "tree page " + std::to_string(number);
      auto bytes = read_bytes(file, at, page_size);
      if (!bytes) {
        item.what = "unreadable";
        item.damage = bytes.error().detail;
        give(std::move(item));
        continue;
      }
      page(known, number, bytes->view(), std::move(item));
    }
    return {};
  }

  void page(const TreeKnowledge& known, std::uint32_t number, ByteView bytes, DumpedItem item) {
    const auto sum = known.is_used(number) ? known.checksum(number) : std::nullopt;
    if (!sum && is_zero(bytes)) return;
    const auto claim = claim_of(bytes);
    if (!claim) {
      item.what = "not a page";
      item.damage = bytes.size() == page_size ? "not a page" : "the file ends in it";
      return give(std::move(item));
    }
    const Result<void> checked = check_claim(bytes, *claim);
    const PageView view(bytes);
    item.what = known.is_bitmap(number) ? "bitmap" : claim->level == 0 ? "leaf" : "inner";
    item.fields = {{"level", claim->level}, {"birth", claim->pointer.birth}};
    if (claim->pointer.page != number) item.fields["copy_of"] = claim->pointer.page;
    if (!known.is_used(number)) item.fields["free"] = true;
    if (!checked) item.damage = checked.error().detail;
    else if (sum && *sum != claim->pointer.checksum) item.damage = "wrong checksum";
    if (checked) item.fields["entries"] = view.count();
    if (checked && view.lost_base()) item.fields["stands_for_a_lost_page"] = true;
    const std::string at = item.at;
    give(std::move(item));
    if (checked) entries(at, view);
  }

  void entries(const std::string& at, const PageView& view) {
    for (std::size_t i = 0; i < view.count(); ++i) {
      if (view.level() == 0) {
        const LeafEntry entry = view.leaf_entry(i);
        give_record(at, entry.key, entry.value);
      } else if (options_.records) {
        give({at, "child", {{"is", describe(view.child(i))}}, {}, true});
      }
    }
  }

  // ---- journal

  Result<void> segment(const std::string& name, const File& file, std::uint64_t size) {
    const std::uint64_t blocks = size / data_block_size;
    std::uint64_t unknown_from = 0;
    for (std::uint64_t block = 0; block < blocks;) {
      TRY(const Buffer bytes, read_bytes(file, block * data_block_size, group_header_size));
      auto header = decode_group_header(bytes.view());
      // A copy without its first place: whatever lay before it is in `unknown`.
      const bool starts = header && (header->copy ? header->copy_block() : header->block) == block;
      if (!starts) {
        ++block;
        continue;
      }
      unknown(name, unknown_from, header->copy ? std::min<std::uint64_t>(header->block, block)
                                               : block);
      group(name, file, *header);
      block = unknown_from = std::max<std::uint64_t>(header->end_block(), block + 1);
    }
    unknown(name, unknown_from, blocks);
    return {};
  }

  // Blocks outside all groups: given back, damaged, or of groups whose heads were given back.
  void unknown(const std::string& name, std::uint64_t from, std::uint64_t to) {
    if (from >= to) return;
    give({name + " block " + std::to_string(from), "data, or given back",
          {{"blocks", to - from}}, {}, false});
  }

  void group(const std::string& name, const File& file, const GroupHeader& header) {
    DumpedItem item;
    item.at = name + " block " + std::to_string(header.block);
    item.what = "group";
    item.fields["is"] = describe(header);
    item.fields["durable_through"] = header.durable_through;
    auto read = read_group(file, {header.epoch, {header.segment, header.block, header.previous},
                                  header.first_ticket});
    if (!read) {
      item.damage = "its edits are damaged in both places";
      return give(std::move(item));
    }
    if (read->repaired) item.damage = "only its copy can be read";
    auto data = data_is_whole(file, header);
    // Blocks that were given back read as zeros: not by itself damage.
    if (!data || !*data) item.fields["data"] = "damaged or given back";
    const std::string at = item.at;
    give(std::move(item));
    edits(at, *read);
  }

  void edits(const std::string& at, const FoundGroup& group) {
    EditReader reader(group.edits);
    std::uint64_t batches = 0;
    while (!reader.at_end()) {
      auto edit = reader.next();
      if (!edit) return give({at, "edit", Json::object(), edit.error().detail, true});
      const bool wanted = !options_.state || *options_.state == reader.state();
      state_seen_ = state_seen_ || wanted;
      if (!wanted || !options_.records) continue;
      if (reader.batches_begun() != batches) {
        batches = reader.batches_begun();
        give({at, "batch", {{"ticket", group.header.first_ticket + batches - 1},
                            {"state", to_number(reader.state())}}, {}, true});
      }
      give_edit(at, *edit);
    }
  }

  void give_edit(const std::string& at, const Batch::Edit& edit) {
    switch (edit.kind) {
      case Batch::Edit::Kind::put:
        return give_record(at, edit.key, edit.value);
      case Batch::Edit::Kind::erase:
        return give_record(at, edit.key, std::nullopt);
      case Batch::Edit::Kind::release:
        return give({at, "release", {{"segment", edit.released.segment},
                                     {"block", edit.released.block},
                                     {"birth", edit.released.birth},
                                     {"blocks", edit.released_blocks}}, {}, true});
      case Batch::Edit::Kind::operation:
        return give({at, "operation", {{"is", operation_name(edit.operation)},
                                       {"other", to_number(edit.other)},
                                       {"label", edit.value}}, {}, true});
    }
  }

  // ---- block cache

  Result<void> block_log(const File& file, std::uint64_t size) {
    for (std::uint64_t at = 0; at < size; at += log_record_bytes) {
      TRY(const Buffer bytes, read_bytes(file, at, log_record_bytes));
      DumpedItem item;
      item.at = "index offset " + std::to_string(at);
      item.what = at == 0 ? "header" : "record";
      std::optional<BlockLogRecord> record;
      const bool full = bytes.size() == log_record_bytes;
      if (at > 0 && full) record = BlockLogRecord::decode(bytes.data());
      if (record) item.fields["is"] = record->describe();
      const bool good = at == 0 ? full && valid_block_log_header(bytes.data()) : record.has_value();
      if (!good) item.damage = full ? "damaged" : "the file ends in it";
      give(std::move(item));
    }
    return {};
  }

  Directory& directory_;
  const DumpOptions& options_;
  const std::function<void(const DumpedItem&)>& found_;
  std::uint64_t damaged_ = 0;
  bool state_seen_ = false;
};

}  // namespace

Result<std::uint64_t> dump_directory(cache::Directory& directory, const DumpOptions& options,
                                     const std::function<void(const DumpedItem&)>& found) {
  return Dump(directory, options, found).run();
}

}  // namespace rowan::tools
