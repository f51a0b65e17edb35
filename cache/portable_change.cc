#include "cache/portable_change.h"

#include <utility>

#include "cache/disk_codec.h"

// put     1 u8, key length u16, value length u16, key, value
// erase   2 u8, key length u16, key
// window  3 u8, object u64, number u64, kept u32, blocks u8, per block:
//         index u8, ranges u16 (0: the whole block), per range: begin u16, end u16; the bytes

namespace rowan::cache {
namespace {

constexpr std::uint8_t put_type = 1, erase_type = 2, window_type = 3;
constexpr std::uint64_t last_window = (~std::uint64_t{0} >> 1) / extent_limit;

Error damaged(const char* what) {
  return Error(Errc::corrupt, std::string("a change that no store makes: ") + what);
}

bool is_whole(const std::vector<ByteRange>& ranges) {
  return ranges.size() == 1 && ranges[0] == ByteRange{0, data_block_size};
}

void put(DiskWriter& out, const PortableBlock& block) {
  out.u8(static_cast<std::uint8_t>(block.index));
  const bool whole = is_whole(block.ranges);
  out.u16(whole ? 0 : static_cast<std::uint16_t>(block.ranges.size()));
  for (const ByteRange& range : block.ranges) {
    if (whole) break;
    out.u16(static_cast<std::uint16_t>(range.begin));
    out.u16(static_cast<std::uint16_t>(range.end));
  }
  out.raw(block.bytes);
}

struct Put {
  DiskWriter out;
  void operator()(const PutRecord& change) {
    out.u8(put_type);
    out.u16(static_cast<std::uint16_t>(change.key.size()));
    out.u16(static_cast<std::uint16_t>(change.value.size()));
    out.raw(change.key);
    out.raw(change.value);
  }
  void operator()(const EraseRecord& change) {
    out.u8(erase_type);
    out.text(change.key);
  }
  void operator()(const PortableWindow& change) {
    out.u8(window_type);
    out.u64(to_number(change.object));
    out.u64(change.number);
    out.u32(change.kept);
    out.u8(static_cast<std::uint8_t>(change.blocks.size()));
    for (const PortableBlock& block : change.blocks) put(out, block);
  }
};

// Keys of records that travel as they are.
Result<RecordKind> kind_of(std::string_view key) {
  TRY(const ParsedKey parsed, parse_key(key));
  if (parsed.kind == RecordKind::extent || parsed.kind == RecordKind::purge)
    return damaged("a record about data");
  return parsed.kind;
}

template <class T>
Result<void> only_status(Result<T> result) {
  if (!result) return std::move(result).error();
  return {};
}

Result<void> check_value(RecordKind kind, std::string_view value) {
  switch (kind) {
    case RecordKind::counters:
      return only_status(decode_counters(value));
    case RecordKind::object:
      return only_status(decode_object(value));
    case RecordKind::name:
      return only_status(decode_name(value));
    case RecordKind::sequence:
      return only_status(decode_sequence(value));
    case RecordKind::extent:
    case RecordKind::purge:
      break;
  }
  return damaged("an unknown record");
}

Result<PortableChange> take_put(DiskReader& in) {
  const std::uint16_t key_size = in.u16(), value_size = in.u16();
  PutRecord change{std::string(in.raw(key_size)), std::string(in.raw(value_size))};
  if (in.failed()) return damaged("cut short");
  TRY(const RecordKind kind, kind_of(change.key));
  TRY_VOID(check_value(kind, change.value));
  return PortableChange(std::move(change));
}

Result<PortableChange> take_erase(DiskReader& in) {
  EraseRecord change{std::string(in.text())};
  if (in.failed()) return damaged("cut short");
  TRY_VOID(kind_of(change.key));
  return PortableChange(std::move(change));
}

Result<std::vector<ByteRange>> take_ranges(DiskReader& in) {
  std::vector<ByteRange> ranges;
  const std::uint16_t count = in.u16();
  if (count == 0) return std::vector<ByteRange>{{0, data_block_size}};
  for (std::uint16_t i = 0; i < count && !in.failed(); ++i) {
    const std::uint64_t begin = in.u16(), end = in.u16();
    const bool apart = ranges.empty() || ranges.back().end < begin;
    if (!apart || begin >= end || end > data_block_size) return damaged("ranges of a block");
    ranges.push_back({begin, end});
  }
  if (is_whole(ranges)) return damaged("a whole block, told as a range");
  return ranges;
}

Result<PortableBlock> take_block(DiskReader& in) {
  PortableBlock block;
  block.index = in.u8();
  TRY(block.ranges, take_ranges(in));
  std::size_t size = 0;
  for (const ByteRange& range : block.ranges) size += range.end - range.begin;
  block.bytes = in.raw(size);
  if (in.failed()) return damaged("cut short");
  return block;
}

Result<PortableChange> take_window(DiskReader& in) {
  PortableWindow window;
  window.object = ObjectId{in.u64()};
  window.number = in.u64();
  window.kept = in.u32();
  const std::uint8_t count = in.u8();
  if (in.failed()) return damaged("cut short");
  if (window.object == no_object || window.number > last_window) return damaged("a place");
  std::uint32_t least = 0;
  for (std::uint8_t i = 0; i < count; ++i) {
    TRY(PortableBlock block, take_block(in));
    const bool free = block.index >= least && block.index < window_blocks &&
                      (window.kept >> block.index & 1) == 0;
    if (!free) return damaged("the blocks of a window");
    least = block.index + 1;
    window.blocks.push_back(std::move(block));
  }
  return PortableChange(std::move(window));
}

Result<PortableChange> take_change(DiskReader& in) {
  switch (in.u8()) {
    case put_type:
      return take_put(in);
    case erase_type:
      return take_erase(in);
    case window_type:
      return take_window(in);
    default:
      return damaged("of an unknown type");
  }
}

}  // namespace

void encode(const PortableChange& change, std::string& out) {
  std::visit(Put{DiskWriter(out)}, change);
}

Result<std::optional<PortableChange>> PortableReader::next() {
  if (failed_) return damaged("behind another");
  if (rest_.empty()) return std::optional<PortableChange>();
  DiskReader in(rest_);
  auto change = take_change(in);
  failed_ = !change;
  if (!change) return std::move(change).error();
  rest_ = rest_.substr(rest_.size() - in.left());
  return std::optional<PortableChange>(std::move(*change));
}

}  // namespace rowan::cache
