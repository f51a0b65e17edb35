// One group of the journal on disk (FORMAT.md, "segment"): the head block with as many edits as
// fit, data blocks, the other edits, and a copy of head and edits. Encoding, checking, walking the
// edits.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/ids.h"
#include "cache/table.h"
#include "rpc/base/bytes.h"
#include "rpc/base/result.h"

namespace rowan::cache {

inline constexpr std::size_t group_header_size = 128;
inline constexpr std::size_t inline_edits_size = data_block_size - group_header_size;

struct GroupHeader {
  bool copy = false;
  std::uint64_t epoch = 0;             // of the table
  // random, new at each open: no two writings of a place are alike
  std::uint64_t life = 0;
  std::uint32_t segment = 0, block = 0;   // where the group starts
  Ticket first_ticket = 0, last_ticket = 0;
  Ticket durable_through = 0;          // known to be on disk when this was written
  std::uint64_t previous = 0;          // chain_of() of the group before
  std::uint32_t data_blocks = 0, edits_bytes = 0;
  std::uint64_t edits_sum = 0, data_sum = 0;

  std::uint32_t inline_bytes() const;
  std::uint32_t overflow_blocks() const;
  std::uint32_t copy_blocks() const;
  std::uint32_t overflow_block() const { return block + 1 + data_blocks; }
  std::uint32_t copy_block() const { return overflow_block() + overflow_blocks(); }
  std::uint32_t total_blocks() const { return 1 + data_blocks + overflow_blocks() + copy_blocks(); }
  std::uint32_t end_block() const { return block + total_blocks(); }
};

// group_header_size bytes.
std::string encode(const GroupHeader& header);
// Checksum, grammar and bounds.
Result<GroupHeader> decode_group_header(ByteView bytes);
// What the next group's `previous` must be. The copy has the same.
std::uint64_t chain_of(const GroupHeader& header);
std::string describe(const GroupHeader& header);

// The sum over a group's data: the sum of the sums of its blocks.
class DataSum {
 public:
  void add(std::span<const std::uint64_t> sums);
  void add(ByteView blocks);   // a multiple of 4 KiB
  std::uint64_t finish() const;

 private:
  std::vector<std::byte> sums_;
};

// The edits of one batch, appended to a group's.
inline constexpr std::size_t batch_start_size = 13;
void encode_batch_start(std::string& out, StateId state, std::uint32_t edit_count);
void encode_edit(std::string& out, const Batch::Edit& edit);
std::size_t encoded_size(const Batch::Edit& edit);

// Walks the edits of a group: next() gives one after the other and says where a new batch begins.
class EditReader {
 public:
  explicit EditReader(std::string_view edits) : rest_(edits) {}
  bool at_end() const { return rest_.empty(); }
  // corrupt: outside the grammar.
  Result<Batch::Edit> next();
  std::uint64_t batches_begun() const { return batches_; }
  // of the batch that the last edit belongs to
  StateId state() const { return state_; }

 private:
  std::string_view rest_;
  std::uint32_t left_in_batch_ = 0;
  std::uint64_t batches_ = 0;
  StateId state_ = no_state;
};

}  // namespace rowan::cache
