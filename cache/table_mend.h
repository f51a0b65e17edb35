// Repairs a closed table: pages that cannot be read, their bitmap, a journal that breaks off before
// its end. Synchronous, for a tool. Everything new goes behind the end of the tree file, and the
// superblock is written last: until then the table is what it was, and a crash costs nothing.
//
// What was in a lost page is the caller's to know: every state has the ranges of keys that lay
// there, and may be given records in place of them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/file.h"
#include "cache/table_merge.h"
#include "cache/table_recover.h"
#include "cache/table_state_set.h"
#include "cache/table_superblock.h"
#include "rpc/base/result.h"

namespace rowan::cache {

struct KeyRange {
  std::string from;
  std::optional<std::string> to;   // nothing: to the end
  bool contains(std::string_view key) const { return key >= from && (!to || key < *to); }
};

// Data that a repair calls lost is said to lie there; no segment has this number.
inline constexpr std::uint32_t lost_segment = 0;

class TableMender {
 public:
  using See = std::function<void(std::string_view key, std::string_view value)>;

  // Reads the table and writes what replaces its lost pages; the table is not changed yet. busy,
  // not_found, not_supported, io; corrupt: not to be repaired, because neither place of the
  // superblock or of the table's own records can be read.
  static Result<std::unique_ptr<TableMender>> open(Directory& directory, FindRecordData find_data);

  // Sentences about the damage, with its places; none: there is nothing to repair here.
  const std::vector<std::string>& findings() const { return findings_; }
  const LostBatches& lost_batches() const { return lost_; }
  // Children before their parents.
  std::vector<StateInfo> states() const;
  // Keys of this state that may have been lost. Those that walk() gives were not.
  std::vector<KeyRange> lost_keys(StateId state) const;

  // A state's records in order, without those that change() brought.
  Result<void> walk(StateId state, const See& see) const;
  // A range of them, with those.
  Result<std::map<std::string, std::string>> scan(StateId state, const KeyRange& range) const;
  // The records of all states, each at least once, in no order.
  Result<void> walk_all(const See& see) const;

  void change(StateId state, std::string key, MemoryTable::Value value);
  // Of data pointers in new records of this state.
  Ticket birth_in(StateId state) const;

  // Makes it the table. Before that nothing happened; afterwards the next opening finds everything.
  Result<void> finish();

 private:
  struct Mended {
    PagePointer pointer;
    std::vector<KeyRange> lost;
  };
  struct Bounds {
    std::string lower;
    std::optional<std::string> upper;
  };

  explicit TableMender(Directory& directory, FindRecordData find_data)
      : directory_(directory), find_data_(find_data) {}
  Result<void> load();
  Result<void> load_files();
  Result<void> mend_states();
  Result<TreeRoot> mend_version(const std::shared_ptr<Version>& version);
  Result<Mended> mend(const PagePointer& pointer, std::uint8_t level, const Bounds& bounds);
  // `damaged`: one of the page's two places.
  Result<Mended> mend_leaf(const PagePointer& pointer, const Buffer& bytes, const Bounds& bounds,
                           bool damaged);
  Result<Mended> mend_inner(const PagePointer& pointer, const Buffer& bytes, const Bounds& bounds,
                            bool damaged);
  // False, and a finding, if one of a page's two places is damaged.
  bool both_whole(const PagePointer& pointer, std::uint8_t level);
  Result<void> look_at_own(const PagePointer& pointer, std::uint8_t level);
  Result<PagePointer> write_empty(std::uint8_t level, Ticket birth, const std::string& lower);
  using PageSet = std::map<std::uint32_t, std::uint32_t>;   // pages, and their copies
  Result<void> walk_page(const PagePointer& pointer, std::uint8_t level, PageSet* seen,
                         const See& see) const;
  Result<void> scan_page(const PagePointer& pointer, std::uint8_t level, const KeyRange& range,
                         std::map<std::string, std::string>& into) const;
  Result<void> add_changes();
  Result<void> separate_states();
  Result<PagePointer> separate(const PagePointer& pointer, std::uint8_t level,
                               const PageSet& parents, Ticket after, Ticket birth);
  Result<MemoryTable::Map> own_records();
  Result<void> write_new_bitmap(const PageSet& in_use);

  Directory& directory_;
  FindRecordData find_data_;
  std::unique_ptr<File> lock_, superblock_file_;
  Superblock superblock_;
  MergeSpace space_;                       // whose allocator only grows
  StateSet states_;
  LostBatches lost_;
  std::vector<std::string> findings_;
  std::map<std::uint32_t, Mended> mended_; // by the number of the page as it was
  std::map<const Version*, TreeRoot> roots_;
  std::map<const Version*, std::vector<KeyRange>> lost_keys_;
  std::map<StateId, MemoryTable> changes_;
  std::map<StateId, TreeRoot> final_roots_;
};

}  // namespace rowan::cache
