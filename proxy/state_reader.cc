#include "proxy/state_reader.h"

#include <utility>

namespace rowan::proxy {

using cache::ObjectId;
using cache::ObjectRecord;

namespace {

// What an image does not have is no error here.
bool is_absent(Errc code) { return code == Errc::not_found || code == Errc::stale; }

}  // namespace

FileFacts facts_of(const ObjectRecord& record) {
  FileFacts facts;
  facts.kind = record.kind;
  facts.mode = record.mode & 07777;
  facts.uid = record.uid;
  facts.gid = record.gid;
  facts.size = record.size;
  facts.rdev_major = record.rdev_major;
  facts.rdev_minor = record.rdev_minor;
  facts.target = record.target;
  return facts;
}

// The target is left out: an image's never changes, and a store's record of it has none either.
FileFacts facts_of(const cache::ImageAttributes& attributes) {
  FileFacts facts;
  facts.kind = attributes.kind;
  facts.mode = attributes.mode & 07777;
  facts.uid = attributes.uid;
  facts.gid = attributes.gid;
  facts.size = attributes.size;
  facts.rdev_major = attributes.rdev_major;
  facts.rdev_minor = attributes.rdev_minor;
  return facts;
}

Task<Result<std::optional<ObjectRecord>>> StateReader::record(ObjectId id) {
  std::optional<ObjectRecord> none;
  if (store_ == nullptr) co_return none;
  auto question = [this, id] { return store_->object(id); };
  Result<ObjectRecord> found = co_await jobs_.with_loads(question);
  if (found.failed_with(Errc::not_found)) co_return none;
  if (!found) co_return std::move(found).error();
  co_return std::optional<ObjectRecord>(std::move(*found));
}

Task<Result<std::optional<FileFacts>>> StateReader::facts(ObjectId id) {
  std::optional<FileFacts> none;
  CO_TRY(std::optional<ObjectRecord> own, co_await record(id));
  if (own && own->removed) co_return none;
  if (own) co_return std::optional<FileFacts>(facts_of(*own));
  if (cache::is_local(id)) co_return none;
  if (const cache::ImageAttributes* known = image_.cached_attributes(id))
    co_return std::optional<FileFacts>(facts_of(*known));
  Result<cache::ImageAttributes> attributes = co_await image_.attributes(id);
  if (!attributes && is_absent(attributes.error().code)) co_return none;
  if (!attributes) co_return std::move(attributes).error();
  co_return std::optional<FileFacts>(facts_of(*attributes));
}

Task<Result<ObjectId>> StateReader::child(ObjectId directory, std::string_view name) {
  if (store_ != nullptr) {
    auto question = [this, directory, name] { return store_->name(directory, name); };
    Result<cache::NameRecord> own = co_await jobs_.with_loads(question);
    if (own) co_return own->child;
    if (!own.failed_with(Errc::not_found)) co_return std::move(own).error();
  }
  if (cache::is_local(directory)) co_return cache::no_object;
  Result<ObjectId> found = co_await image_.lookup(directory, name);
  if (!found && is_absent(found.error().code)) co_return cache::no_object;
  co_return found;
}

Task<Result<std::optional<DirectoryPlace>>> StateReader::place(ObjectId id) {
  std::optional<DirectoryPlace> place;
  if (id == cache::image_root) co_return place;
  CO_TRY(std::optional<ObjectRecord> own, co_await record(id));
  if (own && own->removed) co_return place;
  if (own && own->parent != cache::no_object) {
    place.emplace();
    place->parent = own->parent;
    place->name = std::move(own->name);
    co_return place;
  }
  if (cache::is_local(id)) co_return place;
  Result<ImagePlace> found = co_await image_.place(id);
  if (!found && is_absent(found.error().code)) co_return place;
  if (!found) co_return std::move(found).error();
  place.emplace();
  place->parent = found->parent;
  place->name = std::move(found->name);
  co_return place;
}

Task<Result<std::vector<cache::Extent>>> StateReader::extents(ObjectId id,
                                                              const ObjectRecord& record,
                                                              std::uint64_t offset,
                                                              std::uint64_t length) {
  auto question = [this, id, &record, offset, length] {
    return store_->extents(id, record, offset, length);
  };
  co_return co_await jobs_.with_loads(question);
}

}  // namespace rowan::proxy
