// The tree of an appliance, or of one of its checkpoints, as its operator goes through it: by path,
// as root, without a mount. Symbolic links lead within the tree. Everything is read and changed the
// way that clients do it (redirect.h).
//
// Errors name the path; not_found, not_directory, is_directory, try_later (the image's source does
// not answer) and so on mean what they mean to clients; limit: too many links.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/merged_view.h"
#include "proxy/redirect.h"
#include "rpc/base/buffer.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"
#include "rpc/nfs3.h"

namespace rowan::proxy {

class StateTree {
 public:
  using ObjectId = cache::ObjectId;
  using Attributes = nfs3::Attributes;

  // The view outlives the tree; `label` ("vm1@before") is for messages.
  StateTree(MergedView& view, std::string label) : view_(view), label_(std::move(label)) {}

  struct Found {
    ObjectId id{};
    Attributes attributes;
    // where it was found: for the root the root itself and no name
    ObjectId directory{};
    std::string name;
    std::string path;  // "/usr/bin/cc": without links
    bool is(nfs3::FileType type) const { return attributes.type == type; }
  };
  // "/etc/hosts" or "etc/hosts". `follow`: a link at its end as well.
  Task<Result<Found>> find(std::string path, bool follow);
  // not_found: no such name.
  Task<Result<Found>> child(const Found& directory, std::string name);

  struct Entry {
    std::string name;
    ObjectId id{};
    Attributes attributes;
  };
  struct Page {
    std::vector<Entry> entries;  // without "." and ".."
    nfs3::Cookie next = 0;       // 0: that was all
  };
  Task<Result<Page>> list(const Found& directory, nfs3::Cookie after);
  Task<Result<std::string>> target(ObjectId symlink);
  // At most max_transfer_size bytes; fewer only at the end of the file.
  Task<Result<Buffer>> read(ObjectId file, std::uint64_t offset, std::uint32_t count);

  // As root, for what changes something.
  redirect::Op op() { return {view_, root_}; }
  MergedView& view() { return view_; }
  const std::string& label() const { return label_; }
  Error error(nfs3::Status status, std::string_view path) const;
  Error error(const Error& error, std::string_view path) const;

 private:
  struct Walk;
  Task<Result<void>> step(Walk& walk, std::string part);

  MergedView& view_;
  std::string label_;
  Caller root_ = make_root();
  static Caller make_root();
};

// "a" and "b" of "/a//b/".
std::vector<std::string> path_parts(std::string_view path);

}  // namespace rowan::proxy
