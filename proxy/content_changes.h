// How much of a file's content two states have otherwise: by where the bytes are, never by reading
// them. Blocks that were written again with the same bytes are known by their sums.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cache/store.h"
#include "cache/store_records.h"
#include "proxy/state_reader.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

// One of the two, a regular file.
struct ContentSide {
  StateReader* reader = nullptr;
  std::optional<cache::ObjectRecord> record;  // nothing: the image's content
  std::uint64_t size = 0;

  std::uint64_t base_size() const { return record ? record->base_size : size; }
};

// Both cover the same range, from its start to its end, which are multiples of a block.
// `same_base`: what of the image shows is the same in both.
std::uint64_t differing_bytes(const std::vector<cache::Extent>& before,
                              const std::vector<cache::Extent>& after, bool same_base);

// The ranges that may differ (sorted, apart) as differing_bytes() each, in pieces; what lies beyond
// both ends is nothing.
Task<Result<std::uint64_t>> content_changes(cache::ObjectId file, const ContentSide& before,
                                            const ContentSide& after, bool same_base,
                                            const std::vector<cache::ByteRange>& ranges);

}  // namespace rowan::proxy
