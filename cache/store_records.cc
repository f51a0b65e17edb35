#include "cache/store_records.h"

#include <algorithm>
#include <utility>

#include "cache/disk_codec.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

constexpr std::uint8_t record_format = 1;
constexpr std::uint8_t flag_removed = 1, flag_verifier = 2;
constexpr std::uint8_t extent_run = 1, extent_ranges = 2, extent_mask = 3;
constexpr std::size_t mask_bytes = data_block_size / 8;
constexpr std::size_t most_listed_ranges = mask_bytes / 4;  // beyond, the mask is shorter
constexpr std::size_t longest_name = 255;

void put(DiskWriter& out, const WallTime& time) {
  out.u64(static_cast<std::uint64_t>(time.seconds));
  out.u32(time.nanoseconds);
}
WallTime take_time(DiskReader& in) {
  WallTime time;
  time.seconds = static_cast<std::int64_t>(in.u64());
  time.nanoseconds = in.u32();
  return time;
}

Error bad(const char* what) { return Error(Errc::corrupt, std::string("a damaged ") + what); }

std::string number_key(RecordKind kind, ObjectId id, std::uint64_t number) {
  std::string key = key_prefix(kind, id);
  append_be64(key, number);
  return key;
}

void put_ranges(DiskWriter& out, const StoredExtent& extent) {
  const std::uint64_t base = extent.first_block() * data_block_size;
  if (extent.ranges.size() <= most_listed_ranges) {
    for (const ByteRange& range : extent.ranges) {
      out.u16(static_cast<std::uint16_t>(range.begin - base));
      out.u16(static_cast<std::uint16_t>(range.end - base));
    }
    return;
  }
  std::string mask(mask_bytes, '\0');
  for (const ByteRange& range : extent.ranges) {
    for (std::uint64_t at = range.begin - base; at < range.end - base; ++at)
      mask[at / 8] = static_cast<char>(mask[at / 8] | 1 << (at % 8));
  }
  out.raw(mask);
}

void take_ranges(DiskReader& in, StoredExtent& extent) {
  const std::uint64_t base = extent.first_block() * data_block_size;
  while (in.left() >= 4) {
    const std::uint64_t begin = in.u16(), end = in.u16();
    extent.ranges.push_back({base + begin, base + end});
  }
}

void take_mask(DiskReader& in, StoredExtent& extent) {
  const std::uint64_t base = extent.first_block() * data_block_size;
  const std::string_view mask = in.raw(mask_bytes);
  for (std::uint64_t at = 0; at < mask.size() * 8; ++at) {
    if ((mask[at / 8] >> (at % 8) & 1) == 0) continue;
    if (!extent.ranges.empty() && extent.ranges.back().end == base + at)
      ++extent.ranges.back().end;
    else
      extent.ranges.push_back({base + at, base + at + 1});
  }
}

bool ranges_are_sound(const StoredExtent& extent) {
  if (extent.ranges.empty()) return true;
  if (extent.ranges.size() < 2 || extent.sums.size() != 1) return false;
  if (extent.ranges.front().begin != extent.start || extent.ranges.back().end != extent.end)
    return false;
  for (std::size_t i = 0; i < extent.ranges.size(); ++i) {
    if (extent.ranges[i].begin >= extent.ranges[i].end) return false;
    if (i > 0 && extent.ranges[i - 1].end >= extent.ranges[i].begin) return false;
  }
  return true;
}

}  // namespace

// ---- keys

std::string key_prefix(RecordKind kind, ObjectId id) {
  std::string key(1, static_cast<char>(kind));
  append_be64(key, to_number(id));
  return key;
}
std::string counters_key() { return std::string(1, static_cast<char>(RecordKind::counters)) + "C"; }
std::string object_key(ObjectId id) { return key_prefix(RecordKind::object, id); }
std::string extent_key(ObjectId id, std::uint64_t end) {
  return number_key(RecordKind::extent, id, end);
}
std::string name_key(ObjectId directory, std::string_view name) {
  std::string key = key_prefix(RecordKind::name, directory);
  key += name;
  return key;
}
std::string sequence_key(ObjectId directory, std::uint64_t sequence) {
  return number_key(RecordKind::sequence, directory, sequence);
}
std::string purge_key(ObjectId id) { return key_prefix(RecordKind::purge, id); }

std::string prefix_end(std::string prefix) {
  while (!prefix.empty()) {
    auto& last = reinterpret_cast<unsigned char&>(prefix.back());
    if (last != 0xff) {
      ++last;
      return prefix;
    }
    prefix.pop_back();
  }
  return prefix;  // not reached: kinds are below 0xff
}

Result<ParsedKey> parse_key(std::string_view key) {
  ParsedKey parsed;
  if (key == counters_key()) return parsed;
  if (key.size() < 9) return bad("key");
  parsed.kind = static_cast<RecordKind>(key[0]);
  parsed.id = ObjectId{be64_at(key, 1)};
  const std::string_view rest = key.substr(9);
  switch (parsed.kind) {
    case RecordKind::object:
    case RecordKind::purge:
      if (!rest.empty()) return bad("key");
      return parsed;
    case RecordKind::extent:
    case RecordKind::sequence:
      if (rest.size() != 8) return bad("key");
      parsed.number = be64_at(rest, 0);
      return parsed;
    case RecordKind::name:
      if (rest.empty() || rest.size() > longest_name) return bad("key");
      parsed.name = rest;
      return parsed;
    case RecordKind::counters:
      break;
  }
  return bad("key");
}

// ---- values

std::string encode(const Counters& counters) {
  std::string value;
  DiskWriter out(value);
  out.u8(record_format);
  out.u64(counters.next_object);
  out.u64(counters.next_sequence);
  out.u64(counters.data_blocks);
  out.u64(counters.objects);
  return value;
}

Result<Counters> decode_counters(std::string_view value) {
  DiskReader in(value);
  if (in.u8() != record_format) return bad("record of counters");
  Counters counters;
  counters.next_object = in.u64();
  counters.next_sequence = in.u64();
  counters.data_blocks = in.u64();
  counters.objects = in.u64();
  if (!in.finished()) return bad("record of counters");
  return counters;
}

std::string encode(const ObjectRecord& record) {
  std::string value;
  value.reserve(128 + record.name.size() + record.target.size());
  DiskWriter out(value);
  out.u8(record_format);
  out.u8(static_cast<std::uint8_t>(record.kind));
  out.u8(static_cast<std::uint8_t>((record.removed ? flag_removed : 0) |
                                   (record.exclusive_verifier ? flag_verifier : 0)));
  for (const std::uint32_t field :
       {record.mode, record.nlink, record.uid, record.gid, record.rdev_major, record.rdev_minor})
    out.u32(field);
  out.u64(record.size);
  out.u64(record.base_size);
  out.u64(record.data_blocks);
  put(out, record.atime);
  put(out, record.mtime);
  put(out, record.ctime);
  out.u64(to_number(record.parent));
  out.text(record.name);
  out.text(record.target);
  if (record.exclusive_verifier) out.raw(as_text(*record.exclusive_verifier));
  return value;
}

Result<ObjectRecord> decode_object(std::string_view value) {
  DiskReader in(value);
  if (in.u8() != record_format) return bad("object record");
  ObjectRecord record;
  const std::uint8_t kind = in.u8(), flags = in.u8();
  record.kind = static_cast<FileKind>(kind);
  record.removed = (flags & flag_removed) != 0;
  for (std::uint32_t* field : {&record.mode, &record.nlink, &record.uid, &record.gid,
                               &record.rdev_major, &record.rdev_minor})
    *field = in.u32();
  record.size = in.u64();
  record.base_size = in.u64();
  record.data_blocks = in.u64();
  record.atime = take_time(in);
  record.mtime = take_time(in);
  record.ctime = take_time(in);
  record.parent = ObjectId{in.u64()};
  record.name = in.text();
  record.target = in.text();
  if ((flags & flag_verifier) != 0) {
    const std::string_view verifier = in.raw(8);
    record.exclusive_verifier.emplace();
    if (!in.failed())
      std::copy_n(as_bytes(verifier).begin(), 8, record.exclusive_verifier->begin());
  }
  if (!in.finished() || kind < 1 || kind > 7) return bad("object record");
  return record;
}

std::string describe(const ObjectRecord& record) {
  static constexpr const char* kinds[] = {"?",         "file",    "directory", "block",
                                          "character", "symlink", "socket",    "fifo"};
  return std::string(record.removed ? "removed " : "") + kinds[static_cast<int>(record.kind)] +
         " \"" + record.name + "\" in " + std::to_string(to_number(record.parent)) + ", mode " +
         std::to_string(record.mode) + ", links " + std::to_string(record.nlink) + ", owner " +
         std::to_string(record.uid) + ":" + std::to_string(record.gid) + ", size " +
         std::to_string(record.size) + ", image shows " + std::to_string(record.base_size);
}

std::string encode(const NameRecord& record) {
  std::string value;
  DiskWriter out(value);
  out.u64(to_number(record.child));
  out.u64(record.sequence);
  return value;
}

Result<NameRecord> decode_name(std::string_view value) {
  DiskReader in(value);
  NameRecord record;
  record.child = ObjectId{in.u64()};
  record.sequence = in.u64();
  if (!in.finished()) return bad("name record");
  return record;
}

std::string encode(const SequenceRecord& record) {
  std::string value;
  DiskWriter out(value);
  out.u64(to_number(record.child));
  out.raw(record.name);
  return value;
}

Result<SequenceRecord> decode_sequence(std::string_view value) {
  DiskReader in(value);
  SequenceRecord record;
  record.child = ObjectId{in.u64()};
  record.name = in.raw(in.left());
  if (in.failed() || record.name.empty() || record.name.size() > longest_name)
    return bad("sequence record");
  return record;
}

std::string encode(const std::vector<PurgeMark>& marks) {
  std::string value;
  DiskWriter out(value);
  for (const PurgeMark& mark : marks) {
    out.u64(mark.from);
    out.u64(mark.through);
  }
  return value;
}

Result<std::vector<PurgeMark>> decode_purge(std::string_view value) {
  if (value.empty() || value.size() % 16 != 0 || value.size() / 16 > max_purge_marks)
    return bad("purge record");
  DiskReader in(value);
  std::vector<PurgeMark> marks;
  while (in.left() > 0) {
    PurgeMark mark;
    mark.from = in.u64();
    mark.through = in.u64();
    marks.push_back(mark);
  }
  return marks;
}

// ---- extents

std::string encode(const StoredExtent& extent) {
  CHECK_EQ(extent.sums.size(), extent.end_block() - extent.first_block());
  std::string value;
  DiskWriter out(value);
  out.u64(extent.start);
  std::byte pointer[DataPointer::encoded_size];
  extent.data.encode(pointer);
  out.raw(as_text(pointer));
  out.u16(static_cast<std::uint16_t>(extent.sums.size()));
  out.u8(extent.ranges.empty()                        ? extent_run
         : extent.ranges.size() <= most_listed_ranges ? extent_ranges
                                                      : extent_mask);
  for (const std::uint64_t sum : extent.sums) out.u64(sum);
  if (!extent.ranges.empty()) put_ranges(out, extent);
  return value;
}

Result<StoredExtent> decode_extent(const ParsedKey& key, std::string_view value) {
  DiskReader in(value);
  StoredExtent extent;
  extent.start = in.u64();
  extent.end = key.number;
  const std::string_view pointer = in.raw(DataPointer::encoded_size);
  const std::size_t blocks = in.u16();
  const std::uint8_t form = in.u8();
  if (in.failed() || extent.start >= extent.end ||
      extent.end > ~std::uint64_t{0} - data_block_size || blocks == 0 ||
      blocks > extent_limit / data_block_size ||
      extent.end_block() - extent.first_block() != blocks)
    return bad("extent record");
  extent.data = DataPointer::decode(reinterpret_cast<const std::byte*>(pointer.data()));
  extent.sums.reserve(blocks);
  for (std::size_t i = 0; i < blocks; ++i) extent.sums.push_back(in.u64());
  if (form == extent_ranges) take_ranges(in, extent);
  if (form == extent_mask) take_mask(in, extent);
  if (!in.finished() || form < extent_run || form > extent_mask || !ranges_are_sound(extent))
    return bad("extent record");
  return extent;
}

std::string describe(const StoredExtent& extent) {
  return "bytes " + std::to_string(extent.start) + " to " + std::to_string(extent.end) +
         " in segment " + std::to_string(extent.data.segment) + ", block " +
         std::to_string(extent.data.block) + ", of batch " + std::to_string(extent.data.birth) +
         (extent.ranges.empty() ? "" : ", " + std::to_string(extent.ranges.size()) + " ranges");
}

Result<RecordData> find_extent_data(std::string_view key, std::string_view value) {
  if (key.empty() || key[0] != static_cast<char>(RecordKind::extent)) return RecordData{};
  TRY(const ParsedKey parsed, parse_key(key));
  TRY(const StoredExtent extent, decode_extent(parsed, value));
  const std::uint64_t window = (extent.end - 1) / extent_limit * extent_limit;
  return RecordData{extent.data, static_cast<std::uint32_t>(extent.sums.size()),
                    extent_key(parsed.id, window + 1),
                    extent_key(parsed.id, window + extent_limit + 1)};
}

}  // namespace rowan::cache
