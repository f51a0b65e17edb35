#include "tests/support/scripted_source.h"

#include <algorithm>

#include "rpc/base/check.h"

namespace rowan::test {
namespace {

using cache::FileKind;
using cache::ImageAttributes;
using cache::SourceEntry;
using proxy::SourcePage;
using proxy::SourceRead;
using proxy::SourceRef;

std::string parent_of(const std::string& path) {
  auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}
std::string name_of(const std::string& path) {
  auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

}  // namespace

ScriptedSource::ScriptedSource(Loop& loop, const std::vector<TreeEntry>& tree, std::uint64_t seed)
    : loop_(loop), random_(seed) {
  Node root;
  root.attributes.kind = FileKind::directory;
  root.attributes.mode = 0755;
  root.attributes.source_fileid = 1;
  nodes_[""] = root;
  by_fileid_[1] = "";
  for (const TreeEntry& entry : tree) add(entry);
}

void ScriptedSource::add(const TreeEntry& from) {
  nodes_.at(parent_of(from.path)).children.push_back(name_of(from.path));
  Node node;
  if (from.kind == FileKind::regular && !from.target.empty()) {
    Node& other = nodes_.at(from.target);
    ++other.attributes.nlink;
    node = other;
  } else {
    node.attributes.kind = from.kind;
    node.attributes.mode = from.mode;
    node.attributes.size = from.kind == FileKind::symlink ? from.target.size() : from.size;
    node.attributes.mtime = {from.mtime, 0};
    node.attributes.source_fileid = next_fileid_++;
    node.seed = from.seed;
    node.target = from.target;
    by_fileid_[node.attributes.source_fileid] = from.path;
  }
  nodes_[from.path] = node;
}

void ScriptedSource::go_on_as(const ScriptedSource& other) {
  nodes_ = other.nodes_;
  by_fileid_ = other.by_fileid_;
  replaced_ = other.replaced_;
  next_fileid_ = other.next_fileid_;
  handle_life_ = other.handle_life_;
}

void ScriptedSource::replace_file(const std::string& path, std::uint64_t seed, std::uint64_t size,
                                  bool same_fileid) {
  Node& node = nodes_.at(path);
  node.seed = seed;
  node.attributes.size = size;
  node.attributes.mtime.seconds += 100;
  if (same_fileid) return;
  replaced_[node.attributes.source_fileid] = path;
  by_fileid_.erase(node.attributes.source_fileid);
  node.attributes.source_fileid = next_fileid_++;
  by_fileid_[node.attributes.source_fileid] = path;
}

void ScriptedSource::move_to_other_disk() {
  const std::uint64_t count = next_fileid_;
  std::map<std::uint64_t, std::string> moved;
  for (auto& [path, node] : nodes_) {
    std::uint64_t& number = node.attributes.source_fileid;
    const std::string first = by_fileid_.at(number);
    number = count - number;
    moved[number] = first;
  }
  by_fileid_ = std::move(moved);
  forget_handles();
}

void ScriptedSource::remove(const std::string& path) {
  std::erase(nodes_.at(parent_of(path)).children, name_of(path));
  by_fileid_.erase(nodes_.at(path).attributes.source_fileid);
  nodes_.erase(path);
}

std::string ScriptedSource::handle_of(const Node& node) const {
  return std::to_string(node.attributes.source_fileid) + "." + std::to_string(handle_life_);
}

SourceEntry ScriptedSource::entry(const std::string& name, const Node& node) const {
  SourceEntry entry;
  entry.name = name;
  entry.attributes = node.attributes;
  entry.source_handle = handle_of(node);
  return entry;
}

// By handle, as an NFS server does it: the path plays no part.
Result<ScriptedSource::Node*> ScriptedSource::node(const SourceRef& ref) {
  std::uint64_t fileid = std::stoull(ref.handle);
  if (ref.handle != std::to_string(fileid) + "." + std::to_string(handle_life_)) return Errc::stale;
  auto path = by_fileid_.find(fileid);
  if (path == by_fileid_.end()) return Errc::stale;
  return &nodes_.at(path->second);
}

Task<Result<void>> ScriptedSource::arrive(std::uint64_t& count) {
  ++count;
  if (closed_) co_return Errc::disconnected;
  ++in_flight_;
  Duration delay = script.delay;
  if (script.delay_spread.count() > 0) {
    delay += Duration(static_cast<std::int64_t>(random_() % script.delay_spread.count()));
  }
  bool hangs = script.hang;
  if (hangs) delay = script.deadline;
  if (delay.count() > 0) co_await sleep_for(loop_, delay);
  --in_flight_;
  if (closed_) co_return Errc::disconnected;
  if (hangs) co_return Errc::timed_out;
  if (script.error_rate > 0 &&
      std::uniform_real_distribution<>(0, 1)(random_) < script.error_rate) {
    co_return script.errors[random_() % script.errors.size()];
  }
  co_return Result<void>();
}

Task<Result<SourceEntry>> ScriptedSource::root() {
  CO_TRY_VOID(co_await arrive(counts.root));
  co_return entry("", nodes_.at(""));
}

Task<Result<SourceEntry>> ScriptedSource::lookup(const SourceRef& directory,
                                                 std::string_view name) {
  CHECK(!name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos);
  std::string wanted(name);
  CO_TRY_VOID(co_await arrive(counts.lookup));
  Result<Node*> parent = node(directory);
  if (!parent) co_return parent.error();
  if ((*parent)->attributes.kind != FileKind::directory) co_return Errc::not_directory;
  std::string path = by_fileid_.at((*parent)->attributes.source_fileid);
  path += (path.empty() ? "" : "/") + wanted;
  looked_up.push_back(path);
  auto found = nodes_.find(path);
  if (found == nodes_.end()) co_return Errc::not_found;
  co_return entry(wanted, found->second);
}

Task<Result<SourcePage>> ScriptedSource::list(const SourceRef& directory, std::string_view cursor) {
  std::size_t from = cursor.empty() ? 0 : std::stoull(std::string(cursor));
  CO_TRY_VOID(co_await arrive(counts.list));
  if (script.list_error) co_return *script.list_error;
  if (script.forget_cursors && from != 0) {
    script.forget_cursors = false;
    co_return Errc::bad_cookie;
  }
  Result<Node*> parent = node(directory);
  if (!parent) co_return parent.error();
  if ((*parent)->attributes.kind != FileKind::directory) co_return Errc::not_directory;
  std::string path = by_fileid_.at((*parent)->attributes.source_fileid);
  const auto& children = (*parent)->children;
  if (script.endless_listing) from = 0;
  SourcePage page;
  std::size_t end = std::min(children.size(), from + script.page_entries);
  for (std::size_t i = from; i < end; ++i) {
    page.entries.push_back(
        entry(children[i], nodes_.at(path.empty() ? children[i] : path + "/" + children[i])));
  }
  page.last = end >= children.size() && !script.endless_listing;
  page.cursor = std::to_string(end);
  co_return page;
}

Task<Result<std::string>> ScriptedSource::readlink(const SourceRef& symlink) {
  CO_TRY_VOID(co_await arrive(counts.readlink));
  Result<Node*> found = node(symlink);
  if (!found) co_return found.error();
  if ((*found)->attributes.kind != FileKind::symlink) co_return Errc::invalid;
  co_return (*found)->target;
}

Task<Result<SourceRead>> ScriptedSource::read(const SourceRef& file, std::uint64_t offset,
                                              ByteSpan into) {
  CO_TRY_VOID(co_await arrive(counts.read));
  Result<Node*> found = node(file);
  if (!found) co_return found.error();
  const ImageAttributes& attributes = (*found)->attributes;
  if (attributes.kind != FileKind::regular) co_return Errc::invalid;
  std::uint64_t left = offset < attributes.size ? attributes.size - offset : 0;
  std::size_t count = std::min<std::uint64_t>(left, into.size());
  if (script.short_reads) count /= 2;
  fill_content((*found)->seed, offset, into.first(count));
  counts.bytes += count;
  SourceRead read;
  read.count = static_cast<std::uint32_t>(count);
  read.eof = offset + count >= attributes.size;
  if (script.read_attributes && !script.short_reads) read.attributes = attributes;
  co_return read;
}

Task<Result<ImageAttributes>> ScriptedSource::attributes(const SourceRef& object) {
  CO_TRY_VOID(co_await arrive(counts.attributes));
  Result<Node*> found = node(object);
  if (!found) co_return found.error();
  co_return (*found)->attributes;
}

Task<void> ScriptedSource::close() {
  closed_ = true;
  co_return;
}

}  // namespace rowan::test
