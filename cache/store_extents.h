// Pure arithmetic on stored extents: cutting, what is dead, and how the bytes of one write are laid
// down.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cache/store_records.h"

namespace rowan::cache {

// What is left of an extent within [from, to); nothing if that is empty.
std::optional<StoredExtent> cut(const StoredExtent& extent, std::uint64_t from, std::uint64_t to);
// What is left of it under an object's purge marks.
std::optional<StoredExtent> live_part(const StoredExtent& extent,
                                      const std::vector<PurgeMark>& marks);
// The bytes it has within [from, to).
std::vector<ByteRange> ranges_within(const StoredExtent& extent, std::uint64_t from,
                                     std::uint64_t to);
// Sorted, overlapping and touching ones joined.
std::vector<ByteRange> united(std::vector<ByteRange> ranges);

// Adds a mark; marks that it makes useless go. False: there are too many.
bool add_mark(std::vector<PurgeMark>& marks, PurgeMark mark);

// The extents that hold `ranges` (united, not empty), whose data lies at `data` from the start of
// the block of the first byte on. One run, or up to three extents if the first or the last block
// has holes.
std::vector<StoredExtent> lay_down(const std::vector<ByteRange>& ranges, const DataPointer& data,
                                   const std::vector<std::uint64_t>& sums);

}  // namespace rowan::cache
