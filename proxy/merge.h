// Pure: what a client sees of an object, from the image's attributes or from the redirect store's
// record; and the arithmetic of offsets and sizes.
#pragma once

#include <cstdint>

#include "cache/catalog.h"
#include "cache/store.h"
#include "rpc/base/clock.h"
#include "rpc/nfs3.h"

namespace rowan::proxy {

inline constexpr std::uint64_t max_file_size = (std::uint64_t{1} << 63) - 1;  // FSINFO maxfilesize
inline constexpr std::uint64_t local_directory_size = 4096;

// nfstime3 has 32 bits of seconds without a sign: times outside of 1970 to 2106 are shown as the
// nearest.
nfs3::Time shown_time(WallTime time);
WallTime wall_time(nfs3::Time time);
// The time of a change: never before the last one, so that a clock set back hides no change from
// clients.
WallTime change_time(WallTime now, WallTime last_ctime);

nfs3::Attributes shown(const cache::ImageAttributes& image, cache::ObjectId id, std::uint64_t fsid);
nfs3::Attributes shown(const cache::ObjectRecord& record, cache::ObjectId id, std::uint64_t fsid);
nfs3::WccAttributes wcc_attributes(const nfs3::Attributes& attributes);

// The record of an image object, shown as `image`, at its first change: all of its metadata, none
// of its content.
cache::ObjectRecord copy_up(const nfs3::Attributes& image);

// What a READ of `count` bytes at `offset` gives (RFC 1813, 3.3.6): eof as soon as no byte follows.
struct ReadRange {
  std::uint32_t length = 0;
  bool eof = false;
};
ReadRange read_range(std::uint64_t offset, std::uint32_t count, std::uint64_t size);

// FBIG if a write or a size would pass max_file_size.
nfs3::Status check_file_range(std::uint64_t offset, std::uint64_t length);

// SETATTR of the size: what is cut off does not come back, growing shows zeros.
void set_size(cache::ObjectRecord& record, std::uint64_t size);

}  // namespace rowan::proxy
