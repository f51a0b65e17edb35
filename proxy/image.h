// One image version as the redirect layer sees it: objects by id, from the catalogue and the block
// cache, from the source only what neither has. One per version and strand; shared by all its
// appliances.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cache/catalog.h"
#include "rpc/base/bytes.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

// Where an object was found.
struct ImagePlace {
  cache::ObjectId parent = cache::no_object;
  std::string name;
};

// What may be shown to clients: every id in an answer is durable. Errors: not_found; stale (no such
// object in this image); try_later (the source did not answer within the deadline; it is being
// reconnected); io (drift, or the source's answers make no sense), with the object named in the
// log.
class Image {
 public:
  virtual ~Image() = default;

  // The attributes if they are in memory, else null: the way without a coroutine for warm calls.
  // Valid until the next call into the image.
  virtual const cache::ImageAttributes* cached_attributes(cache::ObjectId id) = 0;
  virtual Task<Result<cache::ImageAttributes>> attributes(cache::ObjectId id) = 0;
  virtual Task<Result<cache::ObjectId>> lookup(cache::ObjectId directory,
                                               std::string_view name) = 0;
  // Entries after a position (0: from the start), at most `limit`; fewer only at the end
  // (`complete`).
  virtual Task<Result<cache::Listing>> list(cache::ObjectId directory, std::uint64_t after_position,
                                            std::size_t limit) = 0;
  virtual Task<Result<std::string>> readlink(cache::ObjectId symlink) = 0;
  // Fills `into`, which lies wholly below the file's size.
  virtual Task<Result<void>> read(cache::ObjectId file, std::uint64_t offset, ByteSpan into) = 0;
  // The directory an image directory was found in; image_root for the root itself.
  virtual Task<Result<cache::ObjectId>> parent(cache::ObjectId directory) = 0;
  // Where an object was found first: it may have other names. The root has no place: invalid.
  virtual Task<Result<ImagePlace>> place(cache::ObjectId id) = 0;
  // "/usr/bin/cc", for messages.
  virtual std::string path(cache::ObjectId id) = 0;
};

}  // namespace rowan::proxy
