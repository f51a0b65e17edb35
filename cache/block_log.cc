#include "cache/block_log.h"

#include <cstring>

#include "cache/digest.h"

namespace rowan::cache {
namespace {

constexpr std::size_t checksum_at = log_record_bytes - 8;
constexpr std::uint32_t format = 1;
constexpr char magic[] = "rowanblk";

void seal(std::byte* record) { store_le(record + checksum_at, checksum64({record, checksum_at})); }
bool sealed(const std::byte* record) {
  return load_le<std::uint64_t>(record + checksum_at) == checksum64({record, checksum_at});
}

}  // namespace

void BlockLogRecord::encode(std::byte* to) const {
  std::memset(to, 0, log_record_bytes);
  to[0] = static_cast<std::byte>(kind);
  store_le(to + 2, static_cast<std::uint16_t>(length));
  store_le(to + 4, slot);
  store_le(to + 8, static_cast<std::uint64_t>(key.version));
  store_le(to + 16, to_number(key.object));
  store_le(to + 24, key.index);
  for (std::size_t i = 0; i < sums_per_unit; ++i) {
    store_le(to + 32 + 4 * i, sums.low[i]);
    store_le(to + 48 + 2 * i, sums.high[i]);
  }
  seal(to);
}

std::optional<BlockLogRecord> BlockLogRecord::decode(const std::byte* from) {
  if (!sealed(from)) return std::nullopt;
  auto kind = static_cast<std::uint8_t>(from[0]);
  BlockLogRecord record;
  record.length = load_le<std::uint16_t>(from + 2);
  record.slot = load_le<std::uint32_t>(from + 4);
  record.key.version = VersionId{load_le<std::uint64_t>(from + 8)};
  record.key.object = ObjectId{load_le<std::uint64_t>(from + 16)};
  record.key.index = load_le<std::uint32_t>(from + 24);
  for (std::size_t i = 0; i < sums_per_unit; ++i) {
    record.sums.low[i] = load_le<std::uint32_t>(from + 32 + 4 * i);
    record.sums.high[i] = load_le<std::uint16_t>(from + 48 + 2 * i);
  }
  if (kind < 1 || kind > 4 || record.slot >= Eviction::max_slots) return std::nullopt;
  record.kind = static_cast<Kind>(kind);
  bool sized = record.length >= 1 && record.length <= unit_size;
  if (record.kind == Kind::put && !sized) return std::nullopt;
  return record;
}

std::string BlockLogRecord::describe() const {
  static constexpr const char* names[] = {"?", "put", "erase", "drop-version", "drop-object"};
  std::string text = names[static_cast<std::size_t>(kind)];
  text += " slot=" + std::to_string(slot) + " length=" + std::to_string(length);
  text += " version=" + std::to_string(static_cast<std::uint64_t>(key.version));
  text += " object=" + std::to_string(to_number(key.object));
  return text + " index=" + std::to_string(key.index);
}

void encode_block_log_header(std::byte* to) {
  std::memset(to, 0, log_record_bytes);
  std::memcpy(to, magic, 8);
  store_le(to + 8, format);
  store_le(to + 12, unit_size);
  store_le(to + 16, sum_block);
  seal(to);
}

bool valid_block_log_header(const std::byte* from) {
  return std::memcmp(from, magic, 8) == 0 && load_le<std::uint32_t>(from + 8) == format &&
         load_le<std::uint32_t>(from + 12) == unit_size &&
         load_le<std::uint32_t>(from + 16) == sum_block && sealed(from);
}

}  // namespace rowan::cache
