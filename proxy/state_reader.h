// One state of an appliance as a comparison reads it: the records of its store where there are any,
// else the image. Nothing is remembered, nothing is changed. Errors: those of the image and of the
// store, none that a load would cure.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "cache/store.h"
#include "cache/store_family.h"
#include "proxy/appliance.h"
#include "proxy/file_changes.h"
#include "proxy/image.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

FileFacts facts_of(const cache::ObjectRecord& record);
FileFacts facts_of(const cache::ImageAttributes& attributes);

class StateReader {
 public:
  // All outlive the reader. A null store: the image as it is.
  StateReader(cache::Store* store, StoreJobs& jobs, Image& image)
      : store_(store), jobs_(jobs), image_(image) {}

  Image& image() { return image_; }

  // Its own record; nothing: the image's object as it is, or no object.
  Task<Result<std::optional<cache::ObjectRecord>>> record(cache::ObjectId id);
  // Nothing: it is not there.
  Task<Result<std::optional<FileFacts>>> facts(cache::ObjectId id);
  // What a name leads to; no_object: there is none. The object may be gone all the same: one of
  // an image that gives it more names than links.
  Task<Result<cache::ObjectId>> child(cache::ObjectId directory, std::string_view name);
  // Where a directory is, and where one of any object's names is or was. Nothing: it is not there,
  // or it is the root.
  Task<Result<std::optional<DirectoryPlace>>> place(cache::ObjectId id);
  // The runs of a range of a regular file whose record is `record`.
  Task<Result<std::vector<cache::Extent>>> extents(cache::ObjectId id,
                                                   const cache::ObjectRecord& record,
                                                   std::uint64_t offset, std::uint64_t length);

 private:
  cache::Store* store_;
  StoreJobs& jobs_;
  Image& image_;
};

}  // namespace rowan::proxy
