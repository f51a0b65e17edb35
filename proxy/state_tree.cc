#include "proxy/state_tree.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "rpc/nfs3_status.h"

namespace rowan::proxy {
namespace {

using nfs3::FileType;
using nfs3::Status;

constexpr int most_links = 40;  // as Linux
constexpr std::uint32_t page_bytes = 64u << 10;

}  // namespace

std::vector<std::string> path_parts(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end > 0) parts.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

Caller StateTree::make_root() {
  Caller root;
  root.uid = root.gid = 0;
  return root;
}

Error StateTree::error(const Error& error, std::string_view path) const {
  std::string text = "'" + std::string(path) + "' in " + label_ + ": ";
  text += error.detail.empty() ? std::string(to_string(error.code)) : error.detail;
  if (error.code == Errc::try_later) text += "; the image's source does not answer now";
  return Error(error.code, text);
}

Error StateTree::error(Status status, std::string_view path) const {
  return error(Error(nfs3::errc_of(status)), path);
}

// ---- paths

struct StateTree::Walk {
  std::vector<Found> above;     // from the root to where the walk is
  std::deque<std::string> todo;
  bool follow = false;
  int links = 0;
};

Task<Result<StateTree::Found>> StateTree::child(const Found& directory, std::string name) {
  Found found;
  found.directory = directory.id;
  found.path = (directory.path == "/" ? "/" : directory.path + "/") + name;
  if (name.size() > nfs3::max_name_length) co_return error(Error(Errc::name_too_long), found.path);
  if (!directory.is(FileType::directory)) co_return error(Error(Errc::not_directory), found.path);
  auto step = [this, &directory, &name, &found](Facts& facts) -> Result<bool> {
    TRY(Child child, view_.child(facts, directory.id, name));
    found.id = child.id;
    found.attributes = child.node->attributes;
    return true;
  };
  Result<bool> looked = co_await view_.attempt(step);
  if (!looked) co_return error(looked.error(), found.path);
  found.name = std::move(name);
  co_return found;
}

Task<Result<void>> StateTree::step(Walk& walk, std::string part) {
  if (part == ".") co_return Result<void>();
  if (part == "..") {
    if (walk.above.size() > 1) walk.above.pop_back();
    co_return Result<void>();
  }
  Result<Found> found = co_await child(walk.above.back(), std::move(part));
  if (!found) co_return std::move(found).error();
  const bool at_end = walk.todo.empty();
  if (!found->is(FileType::symlink) || (at_end && !walk.follow)) {
    walk.above.push_back(std::move(*found));
    co_return Result<void>();
  }
  if (++walk.links > most_links)
    co_return error(Error(Errc::limit, "more than 40 symbolic links"), found->path);
  Result<std::string> target = co_await this->target(found->id);
  if (!target) co_return error(target.error(), found->path);
  if (target->starts_with('/')) walk.above.resize(1);
  std::vector<std::string> parts = path_parts(*target);
  walk.todo.insert(walk.todo.begin(), parts.begin(), parts.end());
  co_return Result<void>();
}

Task<Result<StateTree::Found>> StateTree::find(std::string path, bool follow) {
  Walk walk;
  walk.follow = follow;
  Result<Node*> node = co_await view_.load_node(cache::image_root);
  if (!node) co_return error(node.error(), "/");
  Found root;
  root.id = root.directory = cache::image_root;
  root.attributes = (*node)->attributes;
  root.path = "/";
  walk.above.push_back(std::move(root));
  std::vector<std::string> parts = path_parts(path);
  walk.todo.assign(parts.begin(), parts.end());
  while (!walk.todo.empty()) {
    std::string part = std::move(walk.todo.front());
    walk.todo.pop_front();
    CO_TRY_VOID(co_await step(walk, std::move(part)));
  }
  co_return std::move(walk.above.back());
}

// ---- contents

Task<Result<StateTree::Page>> StateTree::list(const Found& directory, nfs3::Cookie after) {
  nfs3::ReaddirplusArgs args;
  args.cookie = after;
  args.dircount = args.maxcount = page_bytes;
  const redirect::Op as_root = op();
  nfs3::ReaddirRes res = co_await redirect::readdirplus(as_root, directory.id, args);
  if (res.status != Status::ok) co_return error(res.status, directory.path);
  Page page;
  for (nfs3::DirEntry& entry : res.entries) {
    page.next = entry.cookie;
    if (entry.name == "." || entry.name == "..") continue;
    Entry made;
    made.name = std::move(entry.name);
    made.id = ObjectId{entry.fileid};
    if (entry.attributes) {
      made.attributes = *entry.attributes;
    } else {
      Result<Node*> node = co_await view_.load_node(made.id);
      if (node.failed_with(Errc::stale)) continue;  // it has just gone
      if (!node) co_return error(node.error(), directory.path + "/" + made.name);
      made.attributes = (*node)->attributes;
    }
    page.entries.push_back(std::move(made));
  }
  if (res.eof) page.next = 0;
  co_return page;
}

Task<Result<std::string>> StateTree::target(ObjectId symlink) {
  const redirect::Op as_root = op();
  nfs3::ReadlinkRes res = co_await redirect::readlink(as_root, symlink);
  if (res.status != Status::ok) co_return nfs3::errc_of(res.status);
  co_return std::move(res.target);
}

Task<Result<Buffer>> StateTree::read(ObjectId file, std::uint64_t offset, std::uint32_t count) {
  const redirect::Op as_root = op();
  nfs3::ReadRes res = co_await redirect::read(as_root, file, offset, count);
  if (res.status != Status::ok) co_return nfs3::errc_of(res.status);
  co_return std::move(res.data);
}

}  // namespace rowan::proxy
