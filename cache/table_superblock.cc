#include "cache/table_superblock.h"

#include <utility>

#include "cache/digest.h"
#include "cache/disk_codec.h"
#include "rpc/base/check.h"

// Both places always hold the newest superblock once a merge is over; in between one of them holds
// the one before, whose tree and journal are untouched until both are written. So a crash leaves at
// least one valid place, and a flipped bit in either leaves the other.

namespace rowan::cache {
namespace {

constexpr std::uint64_t superblock_magic = 0x4c42544e41574f52;  // "ROWANTBL"
constexpr std::uint32_t superblock_format = 2;

void put(DiskWriter& out, const PagePointer& pointer) {
  std::byte bytes[PagePointer::encoded_size];
  pointer.encode(bytes);
  out.raw(as_text(bytes));
}

PagePointer take_pointer(DiskReader& in) {
  const std::string_view bytes = in.raw(PagePointer::encoded_size);
  if (in.failed()) return {};
  return PagePointer::decode(reinterpret_cast<const std::byte*>(bytes.data()));
}

std::uint64_t sum_of(std::string_view bytes) {
  return checksum64(as_bytes(bytes.substr(0, superblock_size - 8)));
}

Result<void> check_head(DiskReader& in) {
  if (in.u64() != superblock_magic) return Error(Errc::corrupt, "not a superblock");
  const std::uint32_t format = in.u32();
  const std::uint32_t page_bytes = in.u32();
  if (format == superblock_format && page_bytes == page_size) return {};
  const std::string what = "format " + std::to_string(format);
  if (format < superblock_format)
    return Error(Errc::not_supported,
                 "written by an older Rowan (" + what + ", this one reads " +
                     std::to_string(superblock_format) +
                     "); use that version, or remove it and make it anew");
  return Error(Errc::not_supported, "written by a newer Rowan (" + what + " with pages of " +
                                        std::to_string(page_bytes) + " bytes, this one reads " +
                                        std::to_string(superblock_format) +
                                        "); use that version");
}

}  // namespace

std::string encode(const Superblock& superblock) {
  std::string bytes;
  DiskWriter out(bytes);
  out.u64(superblock_magic);
  out.u32(superblock_format);
  out.u32(page_size);
  out.u64(superblock.epoch);
  out.u64(superblock.generation);
  out.u64(superblock.merged_through);
  out.u64(superblock.durable_through);
  out.u32(superblock.replay.segment);
  out.u32(superblock.replay.block);
  out.u64(superblock.replay.chain);
  out.u32(superblock.next_segment);
  out.u32(superblock.page_count);
  out.u8(superblock.meta.level);
  put(out, superblock.meta.pointer);
  CHECK_LE(superblock.bitmap.size(), max_bitmap_pages);
  out.u32(static_cast<std::uint32_t>(superblock.bitmap.size()));
  for (const PagePointer& pointer : superblock.bitmap) put(out, pointer);
  bytes.resize(superblock_size - 8, '\0');
  out.u64(sum_of(bytes));
  return bytes;
}

Result<Superblock> decode_superblock(std::string_view bytes) {
  if (bytes.size() != superblock_size) return Error(Errc::corrupt, "the file ends before it");
  const std::uint64_t sum =
      load_le<std::uint64_t>(as_bytes(bytes).data() + superblock_size - 8);
  if (sum != sum_of(bytes)) return Error(Errc::corrupt, "wrong checksum");
  DiskReader in(bytes);
  TRY_VOID(check_head(in));
  Superblock superblock;
  superblock.epoch = in.u64();
  superblock.generation = in.u64();
  superblock.merged_through = in.u64();
  superblock.durable_through = in.u64();
  superblock.replay.segment = in.u32();
  superblock.replay.block = in.u32();
  superblock.replay.chain = in.u64();
  superblock.next_segment = in.u32();
  superblock.page_count = in.u32();
  superblock.meta.level = in.u8();
  superblock.meta.pointer = take_pointer(in);
  const std::uint32_t bitmap_pages = in.u32();
  if (superblock.meta.level > max_tree_level || bitmap_pages > max_bitmap_pages)
    return Error(Errc::corrupt, "impossible numbers");
  for (std::uint32_t i = 0; i < bitmap_pages; ++i) superblock.bitmap.push_back(take_pointer(in));
  if (in.failed()) return Error(Errc::corrupt, "too short");
  return superblock;
}

std::string describe(const Superblock& superblock) {
  return "generation " + std::to_string(superblock.generation) + ", merged through " +
         std::to_string(superblock.merged_through) + ", durable through " +
         std::to_string(superblock.durable_through) + ", replay from segment " +
         std::to_string(superblock.replay.segment) + " block " +
         std::to_string(superblock.replay.block) + ", meta root " +
         (superblock.meta.pointer.absent() ? "absent" : describe(superblock.meta.pointer)) +
         " level " + std::to_string(superblock.meta.level) + ", " +
         std::to_string(superblock.page_count) + " pages";
}

Result<FoundSuperblock> read_superblock(const File& file, const std::string& path) {
  Result<Superblock> found[2] = {Errc::corrupt, Errc::corrupt};
  for (int i = 0; i < 2; ++i) {
    std::string bytes(superblock_size, '\0');
    auto got = file.read_at(superblock_places[i],
                            {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
    if (!got) {
      found[i] = std::move(got).error();
      continue;
    }
    bytes.resize(*got);
    found[i] = decode_superblock(bytes);
    if (found[i].failed_with(Errc::not_supported))
      return Error(Errc::not_supported, path + ": " + found[i].error().detail);
  }
  if (!found[0] && !found[1])
    return Error(Errc::corrupt, path + "/superblock: both copies are damaged (" +
                                    found[0].error().detail + "; " + found[1].error().detail + ")");
  const bool first = found[0] && (!found[1] || found[0]->generation >= found[1]->generation);
  const bool healthy = found[0] && found[1] && found[0]->generation == found[1]->generation;
  return FoundSuperblock{std::move(first ? *found[0] : *found[1]), healthy};
}

Result<void> write_superblock(File& file, const Superblock& superblock) {
  const std::string bytes = encode(superblock);
  for (const std::uint64_t place : superblock_places) {
    TRY_VOID(file.write_at(place, as_bytes(bytes)));
    TRY_VOID(file.sync());
  }
  return {};
}

}  // namespace rowan::cache
