// A checksum of what a state of a store shows, whatever tables it lies in: two stores that took the
// same changes have the same sum, wherever their data lies and however their extents are cut. The
// sum of a state is that of its parts, so the sum of a difference is a difference of sums (modulo
// 2^64) and needs nothing but what differs.
//
// Of a block that is local only in part the sum knows which bytes are, not what they are: their
// data block has other bytes too, which are nobody's.
#pragma once

#include <cstdint>
#include <string_view>

#include "cache/store_records.h"
#include "rpc/base/result.h"

namespace rowan::cache {

// Of a record without data: an object (but for the number of its data blocks), a name, its place in
// a listing. 0 of others, which are about this store and not about its content. corrupt.
Result<std::uint64_t> sum_of_record(std::string_view key, std::string_view value);

// Of the live part of an extent (store_extents.h).
std::uint64_t sum_of_extent(ObjectId object, const StoredExtent& extent);

}  // namespace rowan::cache
