#include "cache/table_journal.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cache/digest.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

ByteView find_in(const JournalGroup& group, std::uint32_t segment, std::uint32_t block) {
  const GroupHeader& header = group.header;
  const std::uint32_t start = header.block + 1;
  if (header.segment != segment || block < start || block >= start + header.data_blocks) return {};
  const std::uint32_t wanted = block - start;
  auto after = std::upper_bound(
      group.pieces.begin(), group.pieces.end(), wanted,
      [](std::uint32_t at, const JournalGroup::Piece& piece) { return at < piece.at; });
  const JournalGroup::Piece& piece = *std::prev(after);
  return piece.data.bytes.subspan(std::size_t{wanted - piece.at} * data_block_size,
                                  data_block_size);
}

}  // namespace

Result<void> write_group(JournalGroup& group, File& segment, std::uint64_t previous,
                         Ticket durable_through, const MakeRoom& make_room) {
  GroupHeader& header = group.header;
  DataSum sum;
  for (const JournalGroup::Piece& piece : group.pieces) sum.add(piece.data.sums);
  header.data_sum = sum.finish();
  header.edits_sum = checksum64(as_bytes(group.edits));
  header.previous = previous;
  header.durable_through = durable_through;

  const std::string_view edits = group.edits;
  std::string head = encode(header);
  head += edits.substr(0, header.inline_bytes());
  head.resize(data_block_size, '\0');

  std::string tail(edits.substr(header.inline_bytes()));
  tail.resize(std::size_t{header.overflow_blocks()} * data_block_size, '\0');
  GroupHeader copy = header;
  copy.copy = true;
  tail += encode(copy);
  tail += edits;
  tail.resize(std::size_t{header.overflow_blocks() + header.copy_blocks()} * data_block_size, '\0');

  std::vector<ByteView> parts;
  parts.reserve(group.pieces.size() + 2);
  parts.push_back(as_bytes(head));
  for (const JournalGroup::Piece& piece : group.pieces) parts.push_back(piece.data.bytes);
  parts.push_back(as_bytes(tail));
  const std::uint64_t offset = std::uint64_t{header.block} * data_block_size;
  auto written = segment.write_bulk(offset, parts);
  if (written.failed_with(Errc::no_space) && make_room && make_room())
    written = segment.write_bulk(offset, parts);
  return written;
}

Journal::Journal(std::uint64_t epoch, std::uint64_t life, std::uint64_t segment_bytes,
                 std::uint32_t next_segment, JournalPosition written)
    : epoch_(epoch),
      life_(life),
      segment_blocks_(static_cast<std::uint32_t>(segment_bytes / data_block_size)),
      next_segment_(next_segment),
      written_(written) {}

void Journal::open_group() {
  if (segment_ == 0) {
    segment_ = next_segment_++;
    block_ = 0;
  }
  gathering_ = std::make_shared<JournalGroup>();
  gathering_->header.epoch = epoch_;
  gathering_->header.life = life_;
  gathering_->header.segment = segment_;
  gathering_->header.block = block_;
}

DataPointer Journal::open_for(std::uint32_t data_blocks, std::size_t edits_bytes,
                              std::size_t pending_limit) {
  // A group stays well below the limit of what may be pending, so that several can be on their way.
  if (gathering_ && gathering_->bytes() >= pending_limit / 2) seal();
  if (!gathering_) open_group();
  GroupHeader wanted = gathering_->header;
  wanted.data_blocks += data_blocks;
  wanted.edits_bytes += static_cast<std::uint32_t>(edits_bytes);
  if (wanted.end_block() > segment_blocks_) {
    if (gathering_->empty()) gathering_.reset();
    seal();
    segment_ = 0;
    open_group();
  }
  const GroupHeader& header = gathering_->header;
  return {header.segment, header.block + 1 + header.data_blocks, 0};
}

void Journal::add(Ticket ticket, std::string_view edits, std::vector<Batch::Data> data) {
  CHECK(gathering_ != nullptr);
  GroupHeader& header = gathering_->header;
  if (header.first_ticket == 0) header.first_ticket = ticket;
  header.last_ticket = ticket;
  gathering_->edits += edits;
  header.edits_bytes = static_cast<std::uint32_t>(gathering_->edits.size());
  for (Batch::Data& piece : data) {
    const auto blocks = static_cast<std::uint32_t>(piece.sums.size());
    gathering_->pieces.push_back({header.data_blocks, std::move(piece)});
    header.data_blocks += blocks;
  }
}

void Journal::seal() {
  if (!gathering_) return;
  CHECK(!gathering_->empty());
  segment_ = gathering_->header.segment;
  block_ = gathering_->header.end_block();
  const GroupHeader& header = gathering_->header;
  spent_.push_back({segment_, header.block, 1});
  spent_.push_back({segment_, header.overflow_block(), block_ - header.overflow_block()});
  sealed_bytes_ += gathering_->bytes();
  sealed_.push_back(std::move(gathering_));
  gathering_.reset();
}

std::vector<DeadRange> Journal::take_spent() { return std::exchange(spent_, {}); }

void Journal::first_written() {
  const JournalGroup& group = *sealed_.front();
  written_ = {group.header.segment, group.header.end_block(), chain_of(group.header)};
  sealed_bytes_ -= group.bytes();
  sealed_.pop_front();
}

ByteView Journal::find(std::uint32_t segment, std::uint32_t block) const {
  for (const auto& group : sealed_) {
    const ByteView found = find_in(*group, segment, block);
    if (!found.empty()) return found;
  }
  return gathering_ ? find_in(*gathering_, segment, block) : ByteView();
}

}  // namespace rowan::cache
