// Reading the catalogue.
#include "cache/catalog.h"

#include <algorithm>

#include "cache/catalog_impl.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

constexpr std::size_t max_depth = 4096;
constexpr std::size_t scan_piece = 1000;

Error damaged(std::string_view what, ObjectId id) {
  return Error(Errc::corrupt, "catalogue: the " + std::string(what) + " of object " +
                                  std::to_string(to_number(id)) +
                                  " is damaged; fetch the image anew");
}

Result<void> run_loads(Table& table) {
  std::unique_ptr<Job> job = table.take_load();
  if (job == nullptr) return Error(Errc::io, "catalogue: a page cannot be loaded");
  job->run();
  table.complete(std::move(job));
  return {};
}

}  // namespace

std::optional<std::string> describe_drift(const ImageAttributes& known,
                                          const ImageAttributes& seen) {
  auto became = [](std::string_view what, auto before, auto after) {
    return std::string(what) + " " + std::to_string(before) + " became " + std::to_string(after);
  };
  if (known.kind != seen.kind) {
    return became("kind", static_cast<int>(known.kind), static_cast<int>(seen.kind));
  }
  if (known.size != seen.size) return became("size", known.size, seen.size);
  if (known.mtime.seconds != seen.mtime.seconds) {
    return became("mtime", known.mtime.seconds, seen.mtime.seconds);
  }
  if (known.mtime.nanoseconds != seen.mtime.nanoseconds) {
    return became("mtime (nanoseconds)", known.mtime.nanoseconds, seen.mtime.nanoseconds);
  }
  return std::nullopt;
}

Result<void> CatalogImpl::load_counters() {
  std::string from = "v";
  for (;;) {
    Result<std::vector<TableEntry>> entries = table_->scan(from, "w", scan_piece);
    if (entries.failed_with(Errc::needs_load)) {
      TRY_VOID(run_loads(*table_));
      continue;
    }
    if (!entries) return entries.error();
    for (const TableEntry& entry : *entries) {
      auto counters = catalog::Counters::decode(entry.value);
      if (entry.key.size() != 9 || !counters) {
        return Error(Errc::corrupt, "catalogue: the counters of a version are damaged");
      }
      counters_[load_be<std::uint64_t>(as_bytes(entry.key).data() + 1)] = *counters;
    }
    if (entries->size() < scan_piece) return {};
    from = entries->back().key + '\0';
  }
}

Result<std::optional<std::string>> CatalogDraft::get(const std::string& key) const {
  if (auto change = changes_.find(key); change != changes_.end()) return change->second;
  Result<std::string_view> value = table_.get(key);
  if (value) return std::optional<std::string>(*value);
  if (value.failed_with(Errc::not_found)) return std::optional<std::string>();
  return value.error();
}

Result<Ticket> CatalogDraft::apply() {
  Batch batch;
  for (auto& [key, value] : changes_) {
    if (value) batch.put(key, *value);
    else batch.erase(key);
  }
  return table_.apply(batch);
}

Result<ImageObject> CatalogImpl::object(VersionId version, ObjectId id) {
  ImageObject object;
  object.id = id;
  TRY(std::string_view value, table_->get(catalog::attributes_key(version, id)));
  if (!catalog::decode_attributes(value, object)) return damaged("attributes", id);
  Result<std::string_view> named = table_->get(catalog::identity_key(id));
  if (named.failed_with(Errc::not_found)) return damaged("identity", id);
  if (!named) return named.error();
  auto identity = catalog::Identity::decode(*named);
  if (!identity) return damaged("identity", id);
  object.parent = identity->parent;
  object.name = std::move(identity->name);
  if (object.attributes.kind != FileKind::symlink) return object;
  Result<std::string_view> target = table_->get(catalog::target_key(version, id));
  if (target) object.target = std::string(*target);
  else if (!target.failed_with(Errc::not_found)) return target.error();
  return object;
}

Result<ObjectId> CatalogImpl::lookup(VersionId version, ObjectId directory, std::string_view name) {
  Result<std::string_view> known = table_->get(catalog::name_key(version, directory, name));
  if (known) {
    auto value = catalog::NameValue::decode(*known);
    if (!value) return damaged("names", directory);
    return value->child;
  }
  if (!known.failed_with(Errc::not_found)) return known.error();
  TRY(std::string_view state, table_->get(catalog::directory_key(version, directory)));
  auto decoded = catalog::DirectoryState::decode(state);
  if (!decoded) return damaged("listing", directory);
  // A whole listing answers for every name that is not in it.
  if (decoded->complete) return no_object;
  return Errc::not_found;
}

Result<Listing> CatalogImpl::list(VersionId version, ObjectId directory,
                                  std::uint64_t after_position, std::size_t limit) {
  Listing listing;
  CatalogDraft nothing(*table_);
  TRY(catalog::DirectoryState state, directory_state(nothing, version, directory));
  listing.source_cursor = state.cursor;
  std::string from = catalog::listing_key(version, directory, after_position);
  from.push_back('\0');
  std::string to = catalog::listing_key(version, directory, state.next_position);
  if (after_position < state.next_position) {
    TRY(std::vector<TableEntry> found, table_->scan(from, to, limit));
    for (const TableEntry& entry : found) {
      Listing::Entry listed;
      bool sized = entry.key.size() == to.size();
      if (!sized || !catalog::decode_listed(entry.value, listed))
        return damaged("listing", directory);
      listed.position = load_be<std::uint64_t>(as_bytes(entry.key).data() + entry.key.size() - 8);
      listing.entries.push_back(std::move(listed));
    }
  }
  std::uint64_t reached =
      listing.entries.empty() ? after_position : listing.entries.back().position;
  listing.complete = state.complete && reached + 1 >= state.next_position;
  return listing;
}

Result<std::vector<ObjectId>> CatalogImpl::drifted(VersionId version, std::size_t limit) {
  const std::string from = catalog::kind_start('m', version);
  TRY(std::vector<TableEntry> found, table_->scan(from, catalog::prefix_end(from), limit));
  std::vector<ObjectId> ids;
  for (const TableEntry& entry : found) {
    if (entry.key.size() != from.size() + 8) return damaged("mark of drift", no_object);
    ids.push_back(ObjectId{load_be<std::uint64_t>(as_bytes(entry.key).data() + from.size())});
  }
  return ids;
}

Result<std::string> CatalogImpl::path(ObjectId id) {
  std::vector<std::string> names;
  while (id != image_root) {
    if (names.size() == max_depth) return damaged("path", id);
    TRY(std::string_view value, table_->get(catalog::identity_key(id)));
    auto identity = catalog::Identity::decode(value);
    if (!identity) return damaged("identity", id);
    names.push_back(std::move(identity->name));
    id = identity->parent;
  }
  if (names.empty()) return std::string("/");
  std::string path;
  for (auto name = names.rbegin(); name != names.rend(); ++name) path.append("/").append(*name);
  return path;
}

Result<catalog::DirectoryState> CatalogImpl::directory_state(const CatalogDraft& draft,
                                                             VersionId version,
                                                             ObjectId directory) {
  TRY(std::optional<std::string> value, draft.get(catalog::directory_key(version, directory)));
  if (!value) return catalog::DirectoryState();
  auto state = catalog::DirectoryState::decode(*value);
  if (!state) return damaged("listing", directory);
  return *state;
}

Result<std::optional<ImageObject>> CatalogImpl::attributes(const CatalogDraft& draft,
                                                           VersionId version, ObjectId id) {
  TRY(std::optional<std::string> value, draft.get(catalog::attributes_key(version, id)));
  if (!value) return std::optional<ImageObject>();
  ImageObject object;
  object.id = id;
  if (!catalog::decode_attributes(*value, object)) return damaged("attributes", id);
  return std::optional<ImageObject>(std::move(object));
}

Ticket CatalogImpl::shown_after(ObjectId id) const {
  auto found = fresh_.find(id);
  return found == fresh_.end() ? 0 : found->second;
}

Ticket CatalogImpl::listing_shown_after(ObjectId directory) const {
  auto found = fresh_listings_.find(directory);
  return found == fresh_listings_.end() ? 0 : found->second;
}

std::uint64_t CatalogImpl::object_count(VersionId version) const {
  auto found = counters_.find(static_cast<std::uint64_t>(version));
  return found == counters_.end() ? 0 : found->second.objects;
}

std::uint64_t CatalogImpl::known_bytes(VersionId version) const {
  auto found = counters_.find(static_cast<std::uint64_t>(version));
  return found == counters_.end() ? 0 : found->second.bytes;
}

std::vector<Contradiction> CatalogImpl::take_contradictions() {
  std::vector<Contradiction> taken(std::make_move_iterator(contradictions_.begin()),
                                   std::make_move_iterator(contradictions_.end()));
  contradictions_.clear();
  return taken;
}

void CatalogImpl::complete(std::unique_ptr<Job> job) {
  table_->complete(std::move(job));
  Ticket durable = table_->durable();
  for (; !fresh_order_.empty() && fresh_order_.front().first <= durable; fresh_order_.pop_front()) {
    auto [ticket, id] = fresh_order_.front();
    for (auto* fresh : {&fresh_, &fresh_listings_}) {
      auto found = fresh->find(id);
      if (found != fresh->end() && found->second <= durable) fresh->erase(found);
    }
  }
}

}  // namespace rowan::cache
