#include <utility>

#include "cache/table.h"
#include "rpc/base/check.h"

// A provisional pointer carries provisional_segment and counts blocks from the start of the batch's
// own data, which apply() lays down as one run.

namespace rowan::cache {
namespace {

constexpr std::uint32_t provisional_segment = ~std::uint32_t{0};

}  // namespace

void DataPointer::encode(std::byte* to) const {
  store_le(to, segment);
  store_le(to + 4, block);
  store_le(to + 8, birth);
}

DataPointer DataPointer::decode(const std::byte* from) {
  DataPointer pointer;
  pointer.segment = load_le<std::uint32_t>(from);
  pointer.block = load_le<std::uint32_t>(from + 4);
  pointer.birth = load_le<std::uint64_t>(from + 8);
  return pointer;
}

void Batch::put(std::string key, std::string value) {
  edits_.push_back({.kind = Edit::Kind::put, .key = std::move(key), .value = std::move(value)});
}

void Batch::erase(std::string key) {
  edits_.push_back({.kind = Edit::Kind::erase, .key = std::move(key)});
}

Batch::Data Batch::Data::of(Buffer blocks, std::vector<std::uint64_t> sums) {
  auto owner = std::make_shared<const Buffer>(std::move(blocks));
  const ByteView bytes = owner->view();
  return {bytes, std::move(owner), std::move(sums)};
}

DataPointer Batch::add_data(Data blocks) {
  CHECK_EQ(blocks.bytes.size(), blocks.sums.size() * data_block_size);
  const DataPointer pointer{provisional_segment, data_blocks_, 0};
  data_blocks_ += static_cast<std::uint32_t>(blocks.sums.size());
  data_.push_back(std::move(blocks));
  return pointer;
}

void Batch::put_pointing(std::string key, std::string value, std::size_t pointer_at) {
  CHECK_LE(pointer_at + DataPointer::encoded_size, value.size());
  edits_.push_back({.kind = Edit::Kind::put,
                    .key = std::move(key),
                    .value = std::move(value),
                    .pointer_at = static_cast<std::uint32_t>(pointer_at)});
}

void Batch::release(DataPointer first, std::uint32_t block_count) {
  if (block_count == 0) return;
  edits_.push_back(
      {.kind = Edit::Kind::release, .released = first, .released_blocks = block_count});
}

void Batch::clear() {
  edits_.clear();
  data_.clear();
  data_blocks_ = 0;
  frees_space = false;
}

bool Batch::is_provisional(const DataPointer& pointer) {
  return pointer.segment == provisional_segment;
}

ByteView Batch::block(const DataPointer& pointer) const {
  CHECK(is_provisional(pointer));
  std::size_t skip = std::size_t{pointer.block} * data_block_size;
  for (const Data& piece : data_) {
    if (skip < piece.bytes.size()) return piece.bytes.subspan(skip, data_block_size);
    skip -= piece.bytes.size();
  }
  CHECK(false);
  return {};
}

}  // namespace rowan::cache
