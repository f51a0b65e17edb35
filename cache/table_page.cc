#include "cache/table_page.h"

#include <algorithm>
#include <cstring>

#include "cache/digest.h"
#include "rpc/base/check.h"

//   0 magic u32 | 4 format u16 | 6 level u8 | 7 flags u8 | 8 epoch u64 | 16 birth u64 | 24 page u32
//  28 count u16 | 30 zero u16 | 32 used u32 | 36 zero | 48 slots: count * u16, from the page's
//  start | entries
//
// leaf entry:  key length u16, value length u16 (0xffff: erased), key, value
// inner entry: key length u16, key, child (24 bytes)

namespace rowan::cache {
namespace {

constexpr std::uint32_t page_magic = 0x47505752;  // "RWPG"
constexpr std::uint16_t page_format = 1;
constexpr std::uint16_t erased_length = 0xffff;
constexpr std::size_t slot_size = 2;

std::size_t slot(ByteView bytes, std::size_t index) {
  return load_le<std::uint16_t>(bytes.data() + page_header_size + index * slot_size);
}

std::uint16_t length_at(ByteView bytes, std::size_t at) {
  return load_le<std::uint16_t>(bytes.data() + at);
}

class Builder {
 public:
  Builder(std::size_t count, std::uint8_t level, std::uint8_t flags, const PageIdentity& identity)
      : page_(page_size), count_(count), at_(page_header_size + count * slot_size) {
    std::memset(page_.data(), 0, page_size);
    std::byte* to = page_.data();
    store_le(to, page_magic);
    store_le(to + 4, page_format);
    store_le(to + 6, level);
    store_le(to + 7, flags);
    store_le(to + 8, identity.epoch);
    store_le(to + 16, identity.birth);
    store_le(to + 24, identity.page);
    store_le(to + 28, static_cast<std::uint16_t>(count));
  }

  void begin_entry() {
    CHECK_LT(next_, count_);
    store_le(page_.data() + page_header_size + next_++ * slot_size,
             static_cast<std::uint16_t>(at_));
  }
  void u16(std::uint16_t value) {
    std::byte bytes[2];
    store_le(bytes, value);
    raw({bytes, 2});
  }
  void raw(ByteView bytes) {
    CHECK_LE(at_ + bytes.size(), page_size);
    if (!bytes.empty()) std::memcpy(page_.data() + at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  Buffer finish() {
    CHECK_EQ(next_, count_);
    store_le(page_.data() + 32, static_cast<std::uint32_t>(at_));
    return std::move(page_);
  }

 private:
  Buffer page_;
  std::size_t count_, next_ = 0, at_;
};

Result<void> check_entry(ByteView bytes, std::size_t at, std::size_t used, bool leaf) {
  const std::size_t fixed = leaf ? 4 : 2 + PagePointer::encoded_size;
  if (at + fixed > used) return Error(Errc::corrupt, "an entry lies outside");
  std::size_t length = fixed + length_at(bytes, at);
  if (leaf && length_at(bytes, at + 2) != erased_length) length += length_at(bytes, at + 2);
  if (at + length > used) return Error(Errc::corrupt, "an entry is longer than the page");
  return {};
}

}  // namespace

void PagePointer::encode(std::byte* to) const {
  store_le(to, page);
  store_le(to + 4, copy);
  store_le(to + 8, birth);
  store_le(to + 16, checksum);
}

PagePointer PagePointer::decode(const std::byte* from) {
  PagePointer pointer;
  pointer.page = load_le<std::uint32_t>(from);
  pointer.copy = load_le<std::uint32_t>(from + 4);
  pointer.birth = load_le<std::uint64_t>(from + 8);
  pointer.checksum = load_le<std::uint64_t>(from + 16);
  return pointer;
}

std::size_t entry_size(const LeafEntry& entry) {
  return slot_size + 4 + entry.key.size() + (entry.value ? entry.value->size() : 0);
}
std::size_t entry_size(const InnerEntry& entry) {
  return slot_size + 2 + entry.key.size() + PagePointer::encoded_size;
}

Buffer build_leaf(std::span<const LeafEntry> entries, std::uint8_t flags,
                  const PageIdentity& identity) {
  Builder builder(entries.size(), 0, flags, identity);
  for (const LeafEntry& entry : entries) {
    builder.begin_entry();
    builder.u16(static_cast<std::uint16_t>(entry.key.size()));
    builder.u16(entry.value ? static_cast<std::uint16_t>(entry.value->size()) : erased_length);
    builder.raw(as_bytes(entry.key));
    if (entry.value) builder.raw(as_bytes(*entry.value));
  }
  return builder.finish();
}

Buffer build_inner(std::span<const InnerEntry> entries, std::uint8_t level,
                   const PageIdentity& identity) {
  Builder builder(entries.size(), level, 0, identity);
  for (const InnerEntry& entry : entries) {
    builder.begin_entry();
    builder.u16(static_cast<std::uint16_t>(entry.key.size()));
    builder.raw(as_bytes(entry.key));
    std::byte child[PagePointer::encoded_size];
    entry.child.encode(child);
    builder.raw(child);
  }
  return builder.finish();
}

std::string_view PageView::key(std::size_t index) const {
  const std::size_t at = slot(bytes_, index);
  const std::size_t skip = level() == 0 ? 4 : 2;
  return as_text(bytes_.subspan(at + skip, length_at(bytes_, at)));
}

LeafEntry PageView::leaf_entry(std::size_t index) const {
  const std::size_t at = slot(bytes_, index);
  const std::size_t key_length = length_at(bytes_, at);
  const std::uint16_t value_length = length_at(bytes_, at + 2);
  LeafEntry entry{as_text(bytes_.subspan(at + 4, key_length)), {}};
  if (value_length != erased_length)
    entry.value = as_text(bytes_.subspan(at + 4 + key_length, value_length));
  return entry;
}

PagePointer PageView::child(std::size_t index) const {
  const std::size_t at = slot(bytes_, index);
  return PagePointer::decode(bytes_.data() + at + 2 + length_at(bytes_, at));
}

std::size_t PageView::lower_bound(std::string_view wanted) const {
  std::size_t low = 0, high = count();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (key(middle) < wanted)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

std::size_t PageView::child_for(std::string_view wanted) const {
  const std::size_t at = lower_bound(wanted);
  if (at < count() && key(at) == wanted) return at;
  return at == 0 ? 0 : at - 1;
}

Result<void> check_page(ByteView bytes, const PagePointer& pointer, std::uint8_t level,
                        std::uint64_t epoch) {
  if (bytes.size() != page_size) return Error(Errc::corrupt, "the file ends before it");
  if (checksum64(bytes) != pointer.checksum) return Error(Errc::corrupt, "wrong checksum");
  const std::byte* at = bytes.data();
  if (load_le<std::uint32_t>(at) != page_magic) return Error(Errc::corrupt, "not a page");
  if (load_le<std::uint16_t>(at + 4) != page_format)
    return Error(Errc::corrupt, "a page of an unknown format");
  if (load_le<std::uint64_t>(at + 8) != epoch) return Error(Errc::corrupt, "another store's page");
  if (load_le<std::uint32_t>(at + 24) != pointer.page ||
      load_le<std::uint64_t>(at + 16) != pointer.birth)
    return Error(Errc::corrupt, "another page's bytes");
  const PageView page(bytes);
  if (page.level() != level) return Error(Errc::corrupt, "wrong level");
  if (level > 0 && page.count() == 0) return Error(Errc::corrupt, "an inner page without children");
  const std::size_t used = load_le<std::uint32_t>(at + 32);
  if (used > page_size || page_header_size + page.count() * slot_size > used)
    return Error(Errc::corrupt, "wrong length");
  for (std::size_t i = 0; i < page.count(); ++i)
    TRY_VOID(check_entry(bytes, slot(bytes, i), used, level == 0));
  return {};
}

Result<void> check_order(const PageView& page) {
  // The first key of an inner page is a bound nobody reads.
  for (std::size_t i = page.level() == 0 ? 1 : 2; i < page.count(); ++i) {
    if (page.key(i - 1) >= page.key(i)) return Error(Errc::corrupt, "keys out of order");
  }
  return {};
}

std::optional<PageClaim> claim_of(ByteView bytes) {
  if (bytes.size() != page_size || load_le<std::uint32_t>(bytes.data()) != page_magic) return {};
  PageClaim claim;
  claim.pointer.page = load_le<std::uint32_t>(bytes.data() + 24);
  claim.pointer.birth = load_le<std::uint64_t>(bytes.data() + 16);
  claim.pointer.checksum = checksum64(bytes);
  claim.level = PageView(bytes).level();
  claim.epoch = load_le<std::uint64_t>(bytes.data() + 8);
  return claim;
}

std::string describe(const PagePointer& pointer) {
  std::string text = "tree page " + std::to_string(pointer.page) + " (offset " +
                     std::to_string(std::uint64_t{pointer.page} * page_size) + ")";
  if (pointer.copy != 0) text += " and its copy, page " + std::to_string(pointer.copy);
  return text;
}

}  // namespace rowan::cache
