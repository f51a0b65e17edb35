// What clients ask, answered from the catalogue when it knows.
#include "proxy/cached_image.h"

#include <algorithm>
#include <utility>

#include "rpc/base/check.h"
#include "rpc/base/log.h"

namespace rowan::proxy {
namespace {

using cache::FileKind;
using cache::ImageObject;
using cache::ObjectId;

// Units are numbered with 32 bits.
constexpr std::uint64_t max_file_bytes = std::uint64_t{cache::unit_size} << 32;

Result<void> check_name(std::string_view name) {
  if (name.size() > 255) return Errc::name_too_long;
  bool fine = !name.empty() && name != "." && name != ".." &&
              name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
  if (!fine) return Errc::invalid;
  return {};
}

}  // namespace

CachedImage::CachedImage(const ImageParts& parts, cache::VersionId version,
                         const ImageOptions& options)
    : parts_(parts),
      version_(version),
      options_(options),
      objects_(options.objects_in_memory),
      root_flight_(parts.loop, tasks_),
      name_flights_(parts.loop, tasks_),
      page_flights_(parts.loop, tasks_),
      recover_flights_(parts.loop, tasks_),
      target_flights_(parts.loop, tasks_),
      fetcher_(parts.loop, parts.blocks, parts.block_jobs, version, tasks_) {
  auto read_source = [this](ObjectId file, std::uint64_t offset, ByteSpan into) {
    return read_from_source(file, offset, into);
  };
  fetcher_.start(options.fetch, read_source);
}

CachedImage::~CachedImage() { CHECK_EQ(tasks_.running(), 0u); }

Task<void> CachedImage::close() {
  closing_ = true;
  co_await parts_.source.close();
  co_await tasks_.idle();
}

const cache::ImageAttributes* CachedImage::cached_attributes(ObjectId id) {
  Known* known = objects_.find(id);
  return known == nullptr ? nullptr : &known->attributes;
}

Task<Result<ImageObject>> CachedImage::object(ObjectId id) {
  auto question = [this, id] { return parts_.catalog.object(version_, id); };
  Result<ImageObject> found = co_await parts_.catalog_jobs.with_loads(question);
  if (found.failed_with(Errc::not_found) && id == cache::image_root) {
    auto fetch = [this](int key) { return fetch_root(key); };
    Result<void> fetched = co_await root_flight_.run(0, fetch);
    if (!fetched) co_return std::move(fetched).error();
    found = co_await parts_.catalog_jobs.with_loads(question);
  }
  if (found.failed_with(Errc::not_found)) {
    CO_TRY_VOID(co_await find_again(id));
    found = co_await parts_.catalog_jobs.with_loads(question);
  }
  if (found.failed_with(Errc::not_found)) co_return Errc::stale;
  if (!found) co_return for_client(found.error());
  CO_TRY_VOID(co_await shown(parts_.catalog.shown_after(id)));
  co_return found;
}

// An object that was shown in another version or on another host: its path is walked, and what is
// there has the same id unless it is something else here.
Task<Result<void>> CachedImage::find_again(ObjectId id) {
  std::vector<cache::KnownName> steps;
  for (ObjectId at = id; at != cache::image_root; at = steps.back().directory) {
    auto ask = [this, at] { return parts_.catalog.origin(at); };
    Result<cache::KnownName> step = co_await parts_.catalog_jobs.with_loads(ask);
    if (step.failed_with(Errc::not_found)) co_return Errc::stale;
    if (!step) co_return for_client(step.error());
    if (steps.size() == max_path_depth)
      co_return Error(Errc::io, "the path does not lead to the root");
    steps.push_back(std::move(*step));
  }
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    Result<ObjectId> found = co_await lookup(step->directory, step->name);
    const bool gone = found.failed_with(Errc::not_found) ||
                      found.failed_with(Errc::not_directory) || (found && *found != step->child);
    if (gone) co_return Errc::stale;
    if (!found) co_return std::move(found).error();
  }
  co_return Result<void>();
}

Task<Result<void>> CachedImage::fetch_root(int) {
  if (closing_) co_return Errc::try_later;
  ++stats_.source_calls;
  Result<cache::SourceEntry> root = noted(co_await parts_.source.root());
  if (!root) co_return for_client(root.error());
  if (root->attributes.kind != FileKind::directory) {
    co_return Error(Errc::io,
                    parts_.source.describe() + " is not a directory; name one as the image");
  }
  auto step = [this, &root] { return parts_.catalog.add_root(version_, *root); };
  Result<cache::Ticket> added = co_await add(step);
  if (!added) co_return std::move(added).error();
  co_return Result<void>();
}

Task<Result<CachedImage::Known>> CachedImage::known(ObjectId id) {
  if (Known* hot = objects_.find(id)) co_return *hot;
  Result<ImageObject> found = co_await object(id);
  if (!found) co_return std::move(found).error();
  co_return objects_.put(id, Known{found->attributes, found->drifted});
}

Task<Result<CachedImage::Known>> CachedImage::known_directory(ObjectId id) {
  Result<Known> found = co_await known(id);
  if (found && found->attributes.kind != FileKind::directory) co_return Errc::not_directory;
  co_return found;
}

Task<Result<cache::ImageAttributes>> CachedImage::attributes(ObjectId id) {
  Result<Known> found = co_await known(id);
  if (!found) co_return std::move(found).error();
  co_return found->attributes;
}

Task<Result<void>> CachedImage::shown(cache::Ticket ticket) {
  if (ticket <= parts_.catalog.durable()) co_return Result<void>();
  Result<void> durable = co_await parts_.catalog_jobs.durable(ticket);
  if (!durable) co_return for_client(durable.error());
  co_return durable;
}

// --- Names

Task<Result<ObjectId>> CachedImage::known_name(ObjectId directory, const std::string& name) {
  auto question = [this, directory, &name] {
    return parts_.catalog.lookup(version_, directory, name);
  };
  Result<ObjectId> found = co_await parts_.catalog_jobs.with_loads(question);
  if (!found) {
    if (found.failed_with(Errc::not_found)) co_return Errc::needs_load;   // the source has to say
    co_return for_client(found.error());
  }
  if (*found == cache::no_object) co_return Errc::not_found;
  CO_TRY_VOID(co_await shown(parts_.catalog.shown_after(*found)));
  co_return found;
}

Task<Result<ObjectId>> CachedImage::lookup(ObjectId directory, std::string_view name) {
  CO_TRY_VOID(check_name(name));
  std::string kept(name);
  Result<ObjectId> found = co_await known_name(directory, kept);
  if (!found.failed_with(Errc::needs_load)) co_return found;
  Result<Known> parent = co_await known_directory(directory);
  if (!parent) co_return std::move(parent).error();
  if (parent->drifted) {
    co_return Error(Errc::io, "the source does not show this directory as it was");
  }
  Name key{to_number(directory), std::move(kept)};
  auto ask = [this](const Name& asked) { return ask_name(asked); };
  co_return co_await name_flights_.run(std::move(key), ask);
}

// A name that the catalogue does not know. The first miss in a directory waits for the first page
// of its listing, which answers most of the following ones.
Task<Result<ObjectId>> CachedImage::ask_name(Name name) {
  ObjectId directory{name.directory};
  if (co_await may_learn(directory)) {
    auto fetch = [this](Directory id) { return fetch_page(id); };
    Result<void> fetched = co_await page_flights_.run(name.directory, fetch);
    if (fetched.failed_with(Errc::try_later)) co_return Errc::try_later;
    Result<ObjectId> found = co_await known_name(directory, name.name);
    if (!found.failed_with(Errc::needs_load)) co_return found;
  }
  tasks_.start(learn_more(directory));
  SourceCall<cache::SourceEntry> call = [this, &name](const SourceRef& ref) {
    return parts_.source.lookup(ref, name.name);
  };
  Result<cache::SourceEntry> entry = co_await ask_source(directory, call);
  std::function<Result<cache::Ticket>()> step;
  if (entry) {
    entry->name = name.name;
    step = [this, directory, &entry] {
      return parts_.catalog.add_entry(version_, directory, *entry);
    };
  } else if (entry.failed_with(Errc::not_found)) {
    step = [this, directory, &name] {
      return parts_.catalog.add_absent(version_, directory, name.name);
    };
  } else {
    co_return for_client(entry.error());
  }
  Result<cache::Ticket> added = co_await add(step);
  if (!added) co_return std::move(added).error();
  if (!entry) co_return Errc::not_found;
  Result<ObjectId> found = co_await known_name(directory, name.name);
  if (found.failed_with(Errc::needs_load)) co_return Errc::try_later;
  co_return found;
}

Task<Result<ObjectId>> CachedImage::parent(ObjectId directory) {
  if (directory == cache::image_root) co_return cache::image_root;
  Result<ImageObject> found = co_await object(directory);
  if (!found) co_return std::move(found).error();
  co_return found->parent;
}

Task<Result<ImagePlace>> CachedImage::place(ObjectId id) {
  if (id == cache::image_root) co_return Errc::invalid;
  Result<ImageObject> found = co_await object(id);
  if (!found) co_return std::move(found).error();
  ImagePlace place;
  place.parent = found->parent;
  place.name = std::move(found->name);
  co_return place;
}

std::string CachedImage::path(ObjectId id) {
  Result<std::string> path = parts_.catalog.path(id);
  if (path) return *path;
  return "object " + std::to_string(to_number(id));   // not in memory, or of another image
}

// --- Symlinks and data

Task<Result<std::string>> CachedImage::readlink(ObjectId symlink) {
  Result<ImageObject> found = co_await object(symlink);
  if (!found) co_return std::move(found).error();
  if (found->attributes.kind != FileKind::symlink) co_return Errc::invalid;
  if (found->target) co_return std::move(*found->target);
  if (found->drifted) co_return Error(Errc::io, "the source does not show this symlink as it was");
  auto fetch = [this](Directory id) { return fetch_target(id); };
  co_return co_await target_flights_.run(to_number(symlink), fetch);
}

Task<Result<std::string>> CachedImage::fetch_target(Directory symlink) {
  ObjectId id{symlink};
  SourceCall<std::string> call = [this](const SourceRef& ref) {
    return parts_.source.readlink(ref);
  };
  Result<std::string> target = co_await ask_source(id, call);
  if (!target) co_return for_client(target.error());
  auto step = [this, id, &target] { return parts_.catalog.add_target(version_, id, *target); };
  Result<cache::Ticket> added = co_await add(step);
  if (!added) co_return std::move(added).error();
  co_return target;
}

Task<Result<void>> CachedImage::read(ObjectId file, std::uint64_t offset, ByteSpan into) {
  Result<Known> found = co_await known(file);
  if (!found) co_return std::move(found).error();
  const cache::ImageAttributes& attributes = found->attributes;
  if (attributes.kind != FileKind::regular) co_return Errc::invalid;
  if (attributes.size > max_file_bytes) co_return Errc::too_big;
  if (offset > attributes.size || into.size() > attributes.size - offset) co_return Errc::invalid;
  fetcher_.set_fetch_bytes(parts_.source.limits().read_size);
  bool may_fetch = !found->drifted && !closing_;
  Result<void> done = co_await fetcher_.read(file, attributes.size, offset, into, may_fetch);
  if (!done && closing_) co_return Errc::try_later;
  co_return done;
}

ImageStats CachedImage::stats() const {
  ImageStats stats = stats_;
  stats.data = fetcher_.stats();
  return stats;
}

}  // namespace rowan::proxy
