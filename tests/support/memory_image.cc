#include "tests/support/memory_image.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "rpc/base/check.h"

namespace rowan::test {

using cache::FileKind;
using cache::ImageAttributes;
using cache::ObjectId;

namespace {

constexpr WallTime built{1'600'000'000, 123'456'789};

std::pair<std::string, std::string> split(const std::string& path) {
  std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

MemoryImage::MemoryImage(Loop& loop) : loop_(loop) {
  Object& root = objects_[cache::image_root];
  root.attributes.kind = FileKind::directory;
  root.attributes.mode = 0755;
  root.attributes.nlink = 2;
  root.attributes.size = 4096;
  root.attributes.atime = root.attributes.mtime = root.attributes.ctime = built;
  root.parent = cache::image_root;
}

ObjectId MemoryImage::find(const std::string& path) const {
  auto found = ids_.find(path);
  CHECK(found != ids_.end());
  return found->second;
}

MemoryImage::Object& MemoryImage::add(const std::string& path, ImageAttributes attributes) {
  auto [directory, name] = split(path);
  ObjectId parent = find(directory);
  // Spread as digests are, and without the top bit.
  ObjectId id{(next_id_++ * 0x9e3779b97f4a7c15u) & ~cache::local_object_bit};
  if (attributes.mtime == WallTime())
    attributes.atime = attributes.mtime = attributes.ctime = built;
  objects_.at(parent).entries.emplace_back(name, id);
  ids_[path] = id;
  Object& object = objects_[id];
  object.attributes = attributes;
  object.parent = parent;
  object.path = "/" + path;
  return object;
}

ObjectId MemoryImage::add_directory(const std::string& path, ImageAttributes attributes) {
  attributes.kind = FileKind::directory;
  if (attributes.mode == 0) attributes.mode = 0755;
  attributes.nlink = std::max(2u, attributes.nlink);
  attributes.size = 4096;
  Object& object = add(path, attributes);
  ++objects_.at(object.parent).attributes.nlink;
  return find(path);
}

ObjectId MemoryImage::add_file(const std::string& path, std::string content,
                               ImageAttributes attributes) {
  attributes.kind = FileKind::regular;
  if (attributes.mode == 0) attributes.mode = 0644;
  attributes.size = attributes.used = content.size();
  add(path, attributes).content = std::move(content);
  return find(path);
}

ObjectId MemoryImage::add_symlink(const std::string& path, std::string target) {
  ImageAttributes attributes;
  attributes.kind = FileKind::symlink;
  attributes.mode = 0777;
  attributes.size = target.size();
  add(path, attributes).target = std::move(target);
  return find(path);
}

ObjectId MemoryImage::add_device(const std::string& path, FileKind kind, std::uint32_t major,
                                 std::uint32_t minor) {
  ImageAttributes attributes;
  attributes.kind = kind;
  attributes.mode = 0600;
  attributes.rdev_major = major;
  attributes.rdev_minor = minor;
  add(path, attributes);
  return find(path);
}

ObjectId MemoryImage::add_link(const std::string& path, const std::string& existing) {
  ObjectId id = find(existing);
  auto [directory, name] = split(path);
  objects_.at(find(directory)).entries.emplace_back(name, id);
  ids_[path] = id;
  ++objects_.at(id).attributes.nlink;
  return id;
}

void MemoryImage::set_attributes(const std::string& path, std::uint32_t mode, std::uint32_t uid,
                                 std::uint32_t gid) {
  ImageAttributes& attributes = objects_.at(find(path)).attributes;
  attributes.mode = mode;
  attributes.uid = uid;
  attributes.gid = gid;
}

void MemoryImage::release() {
  held_ = false;
  if (released_) released_->set();
}

void MemoryImage::randomise(std::uint64_t seed, unsigned fail_percent) {
  random_.emplace(seed);
  fail_percent_ = fail_percent;
}

Task<Result<void>> MemoryImage::pause(bool data) {
  ++questions_;
  if (data && held_) {
    if (!released_ || released_->is_set()) released_ = std::make_unique<Signal>(loop_);
    co_await released_->wait();
  }
  Duration delay = delay_;
  if (random_) delay = std::chrono::microseconds((*random_)() % 4 == 0 ? (*random_)() % 500 : 0);
  if (delay > Duration::zero()) co_await sleep_for(loop_, delay);
  if (failure_) co_return *failure_;
  if (random_ && (*random_)() % 100 < fail_percent_) co_return Errc::try_later;
  co_return Result<void>();
}

Result<MemoryImage::Object*> MemoryImage::get(ObjectId id) {
  auto found = objects_.find(id);
  if (found == objects_.end()) return Errc::stale;
  return &found->second;
}

const ImageAttributes* MemoryImage::cached_attributes(ObjectId id) {
  if (forget_cached_ || failure_ || (random_ && (*random_)() % 4 == 0)) return nullptr;
  auto found = objects_.find(id);
  return found == objects_.end() ? nullptr : &found->second.attributes;
}

Task<Result<ImageAttributes>> MemoryImage::attributes(ObjectId id) {
  CO_TRY_VOID(co_await pause(false));
  CO_TRY(Object * object, get(id));
  co_return object->attributes;
}

Task<Result<ObjectId>> MemoryImage::lookup(ObjectId directory, std::string_view name) {
  // What the real one must never be asked.
  CHECK(!name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos);
  std::string wanted(name);
  CO_TRY_VOID(co_await pause(false));
  CO_TRY(Object * object, get(directory));
  for (const auto& [known, child] : object->entries) {
    if (known == wanted) co_return child;
  }
  co_return Errc::not_found;
}

Task<Result<cache::Listing>> MemoryImage::list(ObjectId directory, std::uint64_t after_position,
                                               std::size_t limit) {
  CO_TRY_VOID(co_await pause(false));
  CO_TRY(Object * object, get(directory));
  cache::Listing listing;
  std::uint64_t position = after_position;
  while (position < object->entries.size() && listing.entries.size() < limit) {
    const auto& [name, child] = object->entries[position];
    listing.entries.push_back({++position, name, child});
  }
  listing.complete = position >= object->entries.size();
  co_return listing;
}

Task<Result<std::string>> MemoryImage::readlink(ObjectId symlink) {
  CO_TRY_VOID(co_await pause(false));
  CO_TRY(Object * object, get(symlink));
  co_return object->target;
}

Task<Result<void>> MemoryImage::read(ObjectId file, std::uint64_t offset, ByteSpan into) {
  CO_TRY_VOID(co_await pause(true));
  CO_TRY(Object * object, get(file));
  ++reads_;
  CHECK_LE(offset + into.size(), object->content.size());
  std::memcpy(into.data(), object->content.data() + offset, into.size());
  co_return Result<void>();
}

Task<Result<ObjectId>> MemoryImage::parent(ObjectId directory) {
  CO_TRY_VOID(co_await pause(false));
  CO_TRY(Object * object, get(directory));
  co_return object->parent;
}

Task<Result<proxy::ImagePlace>> MemoryImage::place(ObjectId id) {
  if (id == cache::image_root) co_return Errc::invalid;
  CO_TRY_VOID(co_await pause(false));
  CO_TRY(Object * object, get(id));
  co_return proxy::ImagePlace{object->parent, split(object->path).second};
}

std::string MemoryImage::path(ObjectId id) {
  auto found = objects_.find(id);
  return found == objects_.end() ? "?" : found->second.path;
}

}  // namespace rowan::test
