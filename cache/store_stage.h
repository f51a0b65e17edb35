// One transaction being prepared: its changes over the table's present state, so that each step
// sees those before it. Nothing is in the table until commit().
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/store_extents.h"
#include "cache/store_records.h"
#include "cache/table.h"

namespace rowan::cache {

struct PortableBlock;
struct PortableWindow;

using PurgeMarks = std::map<ObjectId, std::vector<PurgeMark>>;

class StoreStage {
 public:
  // `eager_drops`: as in StoreOptions.
  StoreStage(Table& table, const Counters& counters, const PurgeMarks& marks,
             std::size_t eager_drops)
      : table_(table), counters(counters), purge_marks_(marks), eager_drops_(eager_drops) {}

  // Each may fail with what the table says (needs_load, corrupt, io) or with invalid, too_big,
  // name_too_long, try_later.
  Result<void> put_object(ObjectId id, const ObjectRecord& record);
  Result<void> remove_object(ObjectId id, const ObjectRecord& last);
  Result<void> put_name(ObjectId directory, const std::string& name, const NameRecord& record);
  Result<void> erase_name(ObjectId directory, const std::string& name);
  Result<void> write(const Transaction::Write& step);
  Result<void> truncate(ObjectId id, std::uint64_t size);
  // What another store changed (portable_change.h): a record that holds no data, the data of a
  // window. Counters become at least those sent.
  Result<void> take_record(const std::string& key, const std::optional<std::string>& value);
  Result<void> take_window(const PortableWindow& window);
  // Removes dead records of one object, a bounded number; true when none is left (the mark is gone
  // then).
  Result<bool> purge(ObjectId id, std::uint64_t& cursor);

  // Applies everything as one batch. On an error the stage is of no further use.
  Result<Ticket> commit(const Counters& before, bool frees_space);
  // After commit(): the data blocks of every object put here.
  std::map<ObjectId, std::uint64_t> take_data_blocks() { return std::move(data_blocks_); }
  // Objects whose marks changed; an empty list: none are left.
  const PurgeMarks& changed_marks() const { return changed_marks_; }

 private:
  struct Found {
    std::string key;
    StoredExtent extent;
  };
  // A part of a write: within what one extent may hold.
  struct Chunk {
    ObjectId id = no_object;
    ByteRange written;          // of the file
    ByteView bytes;
  };
  // New blocks of a chunk, one after the other, and what of the file they hold.
  struct Laid {
    DataPointer data;
    std::vector<std::uint64_t> sums;
    std::vector<ByteRange> ranges;
  };
  Result<std::optional<std::string>> find(const std::string& key);
  // Table::visit() of the table under the edits so far.
  Result<void> visit(const std::string& from, const std::string& to, EntryVisitor visitor) const;
  Result<std::optional<ObjectRecord>> record(ObjectId id);
  Result<void> count_blocks();
  const std::vector<PurgeMark>& marks_of(ObjectId id) const;
  void set_marks(ObjectId id, std::vector<PurgeMark> marks);
  Result<Found> decode(std::string_view key, std::string_view value) const;
  // Records that touch blocks of [from, to); at most `limit`.
  Result<std::vector<Found>> overlapping(ObjectId id, std::uint64_t from, std::uint64_t to,
                                         std::size_t limit) const;
  Result<void> write_chunk(const Chunk& chunk, const std::shared_ptr<const Buffer>& owner);
  Result<void> lay_copied(const Chunk& chunk, const std::vector<Found>& old, ByteRange blocks,
                          Laid& laid);
  void lay_kept(const Chunk& chunk, const std::shared_ptr<const Buffer>& owner, ByteRange blocks,
                Laid& laid);
  void lay(Batch::Data data, Laid& laid);
  Result<void> keep_old_bytes(const std::vector<Found>& old, ObjectId id, std::uint64_t block,
                              ByteRange written, ByteSpan content, std::vector<ByteRange>& ranges);
  Result<void> read_block(const StoredExtent& extent, std::uint64_t block, ByteSpan into) const;
  void clear_blocks(const Found& found, ObjectId id, std::uint64_t from, std::uint64_t to);
  Result<void> forget_object(ObjectId id);
  void lay_blocks(ObjectId id, std::uint64_t base, std::span<const PortableBlock> blocks);
  void put_extent(ObjectId id, const StoredExtent& extent);
  void release_all(ObjectId id, const StoredExtent& extent, std::uint64_t from_block,
                   std::uint64_t end_block);
  Result<void> drop_beyond(ObjectId id, std::uint64_t size);
  Result<void> drop_staged_beyond(ObjectId id, std::uint64_t size);
  void cut_beyond(ObjectId id, const Found& found, std::uint64_t size);

  Table& table_;

 public:
  Counters counters;

 private:
  const PurgeMarks& purge_marks_;
  std::size_t eager_drops_;
  PurgeMarks changed_marks_;
  std::map<std::string, std::optional<std::string>> edits_;
  Batch batch_;
  std::map<ObjectId, std::int64_t> block_changes_;
  std::map<ObjectId, std::uint64_t> data_blocks_;
};

}  // namespace rowan::cache
