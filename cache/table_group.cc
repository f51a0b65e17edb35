#include "cache/table_group.h"

#include <algorithm>
#include <utility>

#include "cache/digest.h"
#include "cache/disk_codec.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

constexpr std::uint64_t head_magic = 0x50524757414f5231;  // "1ROAWGRP"
constexpr std::uint64_t copy_magic = 0x59504357414f5231;  // "1ROAWCPY"
constexpr std::uint32_t group_format = 2;
constexpr std::uint8_t batch_mark = 4;
constexpr std::uint32_t largest_group_blocks = 1u << 20;  // 4 GiB: anything above is damage

std::uint32_t blocks_for(std::uint64_t bytes) {
  return static_cast<std::uint32_t>((bytes + data_block_size - 1) / data_block_size);
}

std::string fields_of(const GroupHeader& header) {
  std::string bytes;
  DiskWriter out(bytes);
  out.u32(group_format);
  out.u32(header.segment);
  out.u32(header.block);
  out.u32(header.data_blocks);
  out.u32(header.edits_bytes);
  out.u64(header.epoch);
  out.u64(header.life);
  out.u64(header.first_ticket);
  out.u64(header.last_ticket);
  out.u64(header.durable_through);
  out.u64(header.previous);
  out.u64(header.edits_sum);
  out.u64(header.data_sum);
  return bytes;
}

Result<Batch::Edit> decode_edit(DiskReader& in, std::uint8_t kind) {
  Batch::Edit edit;
  edit.kind = static_cast<Batch::Edit::Kind>(kind);
  if (edit.kind == Batch::Edit::Kind::put) {
    const std::size_t key_size = in.u16(), value_size = in.u16();
    edit.key = in.raw(key_size);
    edit.value = in.raw(value_size);
  } else if (edit.kind == Batch::Edit::Kind::erase) {
    edit.key = in.text();
  } else if (edit.kind == Batch::Edit::Kind::release) {
    edit.released.segment = in.u32();
    edit.released.block = in.u32();
    edit.released.birth = in.u64();
    edit.released_blocks = in.u32();
  } else if (edit.kind == Batch::Edit::Kind::operation) {
    edit.operation = in.u8();
    edit.other = StateId{in.u64()};
    edit.value = in.text();
  } else {
    return Error(Errc::corrupt, "an edit of unknown kind " + std::to_string(kind));
  }
  if (in.failed() || edit.key.size() > max_key_bytes || edit.value.size() > max_value_bytes)
    return Error(Errc::corrupt, "an edit that is too long");
  return edit;
}

}  // namespace

std::uint32_t GroupHeader::inline_bytes() const {
  return std::min<std::uint32_t>(edits_bytes, inline_edits_size);
}
std::uint32_t GroupHeader::overflow_blocks() const {
  return blocks_for(edits_bytes - inline_bytes());
}
std::uint32_t GroupHeader::copy_blocks() const {
  return blocks_for(std::uint64_t{group_header_size} + edits_bytes);
}

std::string encode(const GroupHeader& header) {
  std::string bytes;
  DiskWriter out(bytes);
  out.u64(header.copy ? copy_magic : head_magic);
  out.raw(fields_of(header));
  bytes.resize(group_header_size - 8, '\0');
  out.u64(checksum64(as_bytes(bytes)));
  return bytes;
}

Result<GroupHeader> decode_group_header(ByteView bytes) {
  if (bytes.size() < group_header_size) return Error(Errc::corrupt, "the file ends before it");
  DiskReader in(bytes.first(group_header_size));
  const std::uint64_t magic = in.u64();
  if (magic != head_magic && magic != copy_magic) return Error(Errc::corrupt, "no group here");
  const auto sum = load_le<std::uint64_t>(bytes.data() + group_header_size - 8);
  if (sum != checksum64(bytes.first(group_header_size - 8)))
    return Error(Errc::corrupt, "wrong checksum");
  if (in.u32() != group_format) return Error(Errc::corrupt, "a group of an unknown format");
  GroupHeader header;
  header.copy = magic == copy_magic;
  header.segment = in.u32();
  header.block = in.u32();
  header.data_blocks = in.u32();
  header.edits_bytes = in.u32();
  header.epoch = in.u64();
  header.life = in.u64();
  header.first_ticket = in.u64();
  header.last_ticket = in.u64();
  header.durable_through = in.u64();
  header.previous = in.u64();
  header.edits_sum = in.u64();
  header.data_sum = in.u64();
  if (header.first_ticket == 0 || header.last_ticket < header.first_ticket ||
      header.block > largest_group_blocks || header.data_blocks > largest_group_blocks ||
      header.edits_bytes / data_block_size > largest_group_blocks)
    return Error(Errc::corrupt, "impossible numbers");
  return header;
}

std::uint64_t chain_of(const GroupHeader& header) {
  return checksum64(as_bytes(fields_of(header)), header.epoch);
}

std::string describe(const GroupHeader& header) {
  return "group of batches " + std::to_string(header.first_ticket) + " to " +
         std::to_string(header.last_ticket) + " in segment " + std::to_string(header.segment) +
         ", block " + std::to_string(header.block) + ": " + std::to_string(header.data_blocks) +
         " data blocks, " + std::to_string(header.edits_bytes) + " bytes of edits";
}

void DataSum::add(std::span<const std::uint64_t> sums) {
  for (std::uint64_t sum : sums) {
    std::byte bytes[8];
    store_le(bytes, sum);
    sums_.insert(sums_.end(), bytes, bytes + sizeof bytes);
  }
}

void DataSum::add(ByteView blocks) {
  for (std::size_t at = 0; at < blocks.size(); at += data_block_size) {
    const std::uint64_t sum = checksum64(blocks.subspan(at, data_block_size));
    add(std::span(&sum, 1));
  }
}

std::uint64_t DataSum::finish() const { return checksum64(sums_); }

void encode_batch_start(std::string& out, StateId state, std::uint32_t edit_count) {
  DiskWriter writer(out);
  writer.u8(batch_mark);
  writer.u64(to_number(state));
  writer.u32(edit_count);
}

std::size_t encoded_size(const Batch::Edit& edit) {
  switch (edit.kind) {
    case Batch::Edit::Kind::put:
      return 5 + edit.key.size() + edit.value.size();
    case Batch::Edit::Kind::erase:
      return 3 + edit.key.size();
    case Batch::Edit::Kind::release:
      return 21;
    case Batch::Edit::Kind::operation:
      return 12 + edit.value.size();
  }
  return 0;
}

void encode_edit(std::string& out, const Batch::Edit& edit) {
  DiskWriter writer(out);
  writer.u8(static_cast<std::uint8_t>(edit.kind));
  switch (edit.kind) {
    case Batch::Edit::Kind::put:
      writer.u16(static_cast<std::uint16_t>(edit.key.size()));
      writer.u16(static_cast<std::uint16_t>(edit.value.size()));
      writer.raw(edit.key);
      writer.raw(edit.value);
      break;
    case Batch::Edit::Kind::erase:
      writer.text(edit.key);
      break;
    case Batch::Edit::Kind::release:
      writer.u32(edit.released.segment);
      writer.u32(edit.released.block);
      writer.u64(edit.released.birth);
      writer.u32(edit.released_blocks);
      break;
    case Batch::Edit::Kind::operation:
      writer.u8(edit.operation);
      writer.u64(to_number(edit.other));
      writer.text(edit.value);
      break;
  }
}

Result<Batch::Edit> EditReader::next() {
  DiskReader in(rest_);
  std::uint8_t kind = in.u8();
  if (left_in_batch_ == 0) {
    if (in.failed() || kind != batch_mark) return Error(Errc::corrupt, "edits outside a batch");
    state_ = StateId{in.u64()};
    left_in_batch_ = in.u32();
    ++batches_;
    if (left_in_batch_ == 0) return Error(Errc::corrupt, "a batch without edits");
    kind = in.u8();
  }
  if (in.failed()) return Error(Errc::corrupt, "the edits end in the middle");
  TRY(Batch::Edit edit, decode_edit(in, kind));
  --left_in_batch_;
  rest_ = rest_.substr(rest_.size() - in.left());
  if (rest_.empty() && left_in_batch_ != 0) return Error(Errc::corrupt, "the last batch is cut");
  return edit;
}

}  // namespace rowan::cache
