// The end of the journal: the group that gathers batches, those that wait for their turn, and the
// job's part: putting one on disk. Places are given when a batch is applied, so that its pointers
// are final at once.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "cache/file.h"
#include "cache/table_group.h"
#include "cache/table_memory.h"
#include "cache/table_merge.h"
#include "cache/table_superblock.h"
#include "rpc/base/buffer.h"

namespace rowan::cache {

struct JournalGroup {
  struct Piece {
    std::uint32_t at = 0;  // blocks from the start of the group's data
    Batch::Data data;
  };
  GroupHeader header;  // sums, chain and durable_through: by write_group()
  std::string edits;
  std::vector<Piece> pieces;

  bool empty() const { return header.last_ticket == 0; }
  std::uint64_t bytes() const { return std::uint64_t{header.total_blocks()} * data_block_size; }
};

// Finishes the header and writes the group with one call. For a disk thread.
Result<void> write_group(JournalGroup& group, File& segment, std::uint64_t previous,
                         Ticket durable_through, const MakeRoom& make_room);

class Journal {
 public:
  // Groups go into new segments from `next_segment` on; `written` is where the journal on disk
  // ends.
  Journal(std::uint64_t epoch, std::uint64_t life, std::uint64_t segment_bytes,
          std::uint32_t next_segment, JournalPosition written);

  // Makes the gathering group one that can take this much; gives the place of its next data block.
  DataPointer open_for(std::uint32_t data_blocks, std::size_t edits_bytes,
                       std::size_t pending_limit);
  // Adds a batch whose pointers are final. `edits` are encoded already.
  void add(Ticket ticket, std::string_view edits, std::vector<Batch::Data> data);
  // Ends the gathering group, if there is one with batches.
  void seal();

  bool has_sealed() const { return !sealed_.empty(); }
  bool has_gathering() const { return gathering_ != nullptr; }
  std::uint64_t gathering_bytes() const { return gathering_ ? gathering_->bytes() : 0; }
  const std::shared_ptr<JournalGroup>& first_sealed() const { return sealed_.front(); }
  // Head, overflow and copy of the groups sealed since the last call.
  std::vector<DeadRange> take_spent();
  // The first sealed group is on disk, synced or not.
  void first_written();

  // The bytes of a data block that is not on disk yet; empty if it is.
  ByteView find(std::uint32_t segment, std::uint32_t block) const;
  std::uint64_t pending_bytes() const { return sealed_bytes_ + gathering_bytes(); }
  const JournalPosition& written() const { return written_; }
  std::uint32_t next_segment() const { return next_segment_; }

 private:
  void open_group();

  std::uint64_t epoch_, life_;
  std::uint32_t segment_blocks_, next_segment_;
  // where the next group starts; segment 0: in a new segment
  std::uint32_t segment_ = 0, block_ = 0;
  JournalPosition written_;
  std::shared_ptr<JournalGroup> gathering_;
  std::deque<std::shared_ptr<JournalGroup>> sealed_;
  std::vector<DeadRange> spent_;
  std::uint64_t sealed_bytes_ = 0;
};

}  // namespace rowan::cache
