// Adding to the catalogue what the source told.
#include <algorithm>

#include "cache/catalog_impl.h"
#include "rpc/base/check.h"

namespace rowan::cache {
namespace {

// A batch of the table holds max_batch_edits; an entry needs at most eight (identity, alias,
// attributes, link, name, listing, unlisted, counters).
constexpr std::size_t entries_per_batch = max_batch_edits / 12;
constexpr std::uint32_t max_absent_names = 65536;   // stored per directory
constexpr std::uint32_t max_id_counter = 64;
constexpr std::size_t max_contradictions = 64;
constexpr std::size_t max_target_bytes = 4096;
constexpr std::size_t removed_per_call = 1000;

Result<void> check_name(std::string_view name) {
  bool fine = !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
              name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
  if (fine) return {};
  return Error(Errc::invalid, "the source gave a name that cannot be one");
}

Result<void> check_entry(const SourceEntry& entry) {
  TRY_VOID(check_name(entry.name));
  if (entry.source_handle.size() <= max_source_handle_bytes) return {};
  return Error(Errc::invalid, "the source's handle of " + entry.name + " is too long");
}

bool has_links(const ImageAttributes& attributes) {
  return attributes.kind == FileKind::regular && attributes.nlink > 1;
}

}  // namespace

// Remembers a difference between what is known of `known` and what the source says now.
Result<void> CatalogImpl::compare(Adding& adding, ObjectId directory, ObjectId known,
                                  const SourceEntry& seen) {
  if (known == no_object) {
    adding.contradictions.push_back({adding.version, directory, seen.name, "was absent before"});
    return {};
  }
  TRY(std::optional<ImageObject> object, attributes(adding.draft, adding.version, known));
  if (!object) return {};
  if (auto drift = describe_drift(object->attributes, seen.attributes)) {
    adding.contradictions.push_back({adding.version, directory, seen.name, *drift});
  }
  return {};
}

Result<void> CatalogImpl::put_new(Adding& adding, ObjectId id, const SourceEntry& entry) {
  ImageObject object;
  object.attributes = entry.attributes;
  object.source_handle = entry.source_handle;
  adding.draft.put(catalog::attributes_key(adding.version, id), catalog::encode_attributes(object));
  if (has_links(entry.attributes)) {
    adding.draft.put(catalog::link_key(adding.version, entry.attributes.source_fileid),
                     catalog::encode_id(id));
  }
  ++adding.counters.objects;
  if (entry.attributes.kind == FileKind::regular) adding.counters.bytes += entry.attributes.size;
  adding.fresh.push_back(id);
  return {};
}

// The id of a new name: of the object it is another link of, or one of its own.
Result<ObjectId> CatalogImpl::intern(Adding& adding, ObjectId directory, const SourceEntry& entry) {
  if (!has_links(entry.attributes)) return intern_path(adding, directory, entry);
  TRY(std::optional<std::string> linked,
      adding.draft.get(catalog::link_key(adding.version, entry.attributes.source_fileid)));
  if (!linked) return intern_link(adding, directory, entry);
  auto id = catalog::decode_id(*linked);
  if (!id) return Error(Errc::corrupt, "catalogue: a link of " + entry.name + " is damaged");
  TRY(std::optional<ImageObject> object, attributes(adding.draft, adding.version, *id));
  if (object && describe_drift(object->attributes, entry.attributes)) {
    // Changed since, or another file that has the number now: in no case is it what is known.
    TRY_VOID(compare(adding, directory, *id, entry));
    return intern_path(adding, directory, entry);
  }
  // So that the other versions give the same path the same id, whichever name they see first.
  std::string alias = catalog::alias_key(catalog::natural_id(directory, entry.name, 0));
  TRY(std::optional<std::string> known, adding.draft.get(alias));
  if (!known) adding.draft.put(std::move(alias), catalog::encode_id(*id));
  return *id;
}

// The first name of a file with several, in this version. Another version may have given the path
// the id of another name; it is used again unless this version has it for another file.
Result<ObjectId> CatalogImpl::intern_link(Adding& adding, ObjectId directory,
                                          const SourceEntry& entry) {
  TRY(std::optional<std::string> alias,
      adding.draft.get(catalog::alias_key(catalog::natural_id(directory, entry.name, 0))));
  auto id = alias ? catalog::decode_id(*alias) : std::nullopt;
  if (!id) return intern_path(adding, directory, entry);
  TRY(std::optional<ImageObject> taken, attributes(adding.draft, adding.version, *id));
  if (taken) return intern_path(adding, directory, entry);
  TRY_VOID(put_new(adding, *id, entry));
  return *id;
}

Result<ObjectId> CatalogImpl::intern_path(Adding& adding, ObjectId directory,
                                          const SourceEntry& entry) {
  for (std::uint32_t counter = 0; counter < max_id_counter; ++counter) {
    ObjectId id = catalog::natural_id(directory, entry.name, counter);
    if (id == no_object || id == image_root) continue;
    TRY(std::optional<std::string> identity, adding.draft.get(catalog::identity_key(id)));
    catalog::Identity wanted{directory, entry.name};
    if (identity && *identity != wanted.encode()) continue;   // another path's
    TRY(std::optional<ImageObject> taken, attributes(adding.draft, adding.version, id));
    if (taken) continue;   // a file with several names has it in this version
    if (!identity) adding.draft.put(catalog::identity_key(id), wanted.encode());
    TRY_VOID(put_new(adding, id, entry));
    return id;
  }
  return Error(Errc::io, "catalogue: no id is left for " + entry.name);
}

// Applies, and publishes in memory what the batch changed.
Result<Ticket> CatalogImpl::finish(Adding& adding, ObjectId listed) {
  if (adding.counters.objects > 0) {
    catalog::Counters sum = counters_[static_cast<std::uint64_t>(adding.version)];
    sum.objects += adding.counters.objects;
    sum.bytes += adding.counters.bytes;
    adding.draft.put(catalog::version_key(adding.version), sum.encode());
    adding.counters = sum;
  }
  Ticket ticket = table_->applied();
  if (!adding.draft.empty()) {
    TRY(ticket, adding.draft.apply());
  } else if (ticket <= table_->durable()) {
    ticket = 0;
  }
  if (adding.counters.objects > 0)
    counters_[static_cast<std::uint64_t>(adding.version)] = adding.counters;
  for (ObjectId id : adding.fresh) {
    fresh_[id] = ticket;
    fresh_order_.emplace_back(ticket, id);
  }
  if (listed != no_object && !adding.draft.empty()) {
    fresh_listings_[listed] = ticket;
    fresh_order_.emplace_back(ticket, listed);
  }
  for (Contradiction& contradiction : adding.contradictions) {
    contradictions_.push_back(std::move(contradiction));
    if (contradictions_.size() > max_contradictions) contradictions_.pop_front();
  }
  return ticket;
}

Result<Ticket> CatalogImpl::add_root(VersionId version, const SourceEntry& root) {
  if (root.source_handle.size() > max_source_handle_bytes) {
    return Error(Errc::invalid, "the source's handle of its root is too long");
  }
  Adding adding(*table_, version);
  TRY(std::optional<ImageObject> known, attributes(adding.draft, version, image_root));
  if (known) {
    TRY_VOID(compare(adding, no_object, image_root, root));
    return finish(adding, no_object);
  }
  adding.draft.put(catalog::identity_key(image_root), catalog::Identity{no_object, ""}.encode());
  TRY_VOID(put_new(adding, image_root, root));
  return finish(adding, no_object);
}

Result<Ticket> CatalogImpl::add_entry(VersionId version, ObjectId directory,
                                      const SourceEntry& entry) {
  TRY_VOID(check_entry(entry));
  Adding adding(*table_, version);
  std::string key = catalog::name_key(version, directory, entry.name);
  Result<ObjectId> known = lookup(version, directory, entry.name);
  if (known) {
    TRY_VOID(compare(adding, directory, *known, entry));
    return finish(adding, no_object);
  }
  if (!known.failed_with(Errc::not_found)) return known.error();
  TRY(ObjectId id, intern(adding, directory, entry));
  adding.draft.put(std::move(key), catalog::NameValue{id, 0}.encode());
  adding.draft.put(catalog::unlisted_key(version, directory, entry.name), "");
  return finish(adding, no_object);
}

Result<Ticket> CatalogImpl::add_absent(VersionId version, ObjectId directory,
                                       std::string_view name) {
  TRY_VOID(check_name(name));
  Adding adding(*table_, version);
  Result<ObjectId> known = lookup(version, directory, name);
  if (known) {
    if (*known != no_object) {
      adding.contradictions.push_back({version, directory, std::string(name), "is gone"});
    }
    return finish(adding, no_object);
  }
  if (!known.failed_with(Errc::not_found)) return known.error();
  TRY(catalog::DirectoryState state, directory_state(adding.draft, version, directory));
  if (state.absent_names == max_absent_names) return Ticket{0};
  ++state.absent_names;
  adding.draft.put(catalog::directory_key(version, directory), state.encode());
  adding.draft.put(catalog::name_key(version, directory, name), catalog::NameValue{}.encode());
  return finish(adding, no_object);
}

Result<void> CatalogImpl::list_entry(Adding& adding, ObjectId directory,
                                     catalog::DirectoryState& state, const SourceEntry& entry) {
  TRY_VOID(check_entry(entry));
  std::string key = catalog::name_key(adding.version, directory, entry.name);
  TRY(std::optional<std::string> value, adding.draft.get(key));
  catalog::NameValue named;
  if (value) {
    auto known = catalog::NameValue::decode(*value);
    if (!known) return Error(Errc::corrupt, "catalogue: the name " + entry.name + " is damaged");
    named = *known;
    TRY_VOID(compare(adding, directory, named.child, entry));
    // Absent stays absent, and a name that the source gives twice is listed once.
    if (named.child == no_object || named.position != 0) return {};
    adding.draft.erase(catalog::unlisted_key(adding.version, directory, entry.name));
  } else {
    TRY(named.child, intern(adding, directory, entry));
  }
  named.position = state.next_position++;
  adding.draft.put(catalog::listing_key(adding.version, directory, named.position),
                   catalog::encode_listed(named.child, entry.name));
  adding.draft.put(std::move(key), named.encode());
  return {};
}

// The listing ended without names that were looked up before: they stay, at its end. False if not
// all of them have found room in this batch.
Result<bool> CatalogImpl::list_unlisted(Adding& adding, ObjectId directory,
                                        catalog::DirectoryState& state) {
  // this batch has listed half of them at most
  constexpr std::size_t limit = 2 * entries_per_batch;
  std::string prefix = catalog::unlisted_key(adding.version, directory, "");
  TRY(std::vector<TableEntry> left, table_->scan(prefix, catalog::prefix_end(prefix), limit));
  std::size_t added = 0;
  for (const TableEntry& entry : left) {
    std::string name = entry.key.substr(prefix.size());
    std::string key = catalog::name_key(adding.version, directory, name);
    TRY(std::optional<std::string> value, adding.draft.get(key));
    auto named = value ? catalog::NameValue::decode(*value) : std::nullopt;
    if (!named) return Error(Errc::corrupt, "catalogue: the name " + name + " is damaged");
    if (named->position != 0) continue;   // by this very page
    if (added == entries_per_batch / 2) return false;
    ++added;
    named->position = state.next_position++;
    adding.draft.put(catalog::listing_key(adding.version, directory, named->position),
                     catalog::encode_listed(named->child, name));
    adding.draft.put(std::move(key), named->encode());
    adding.draft.erase(entry.key);
    adding.contradictions.push_back({adding.version, directory, name, "is not listed any more"});
  }
  return left.size() < limit;
}

Result<Ticket> CatalogImpl::add_page(VersionId version, ObjectId directory,
                                     const std::vector<SourceEntry>& entries, std::string cursor,
                                     bool last) {
  if (cursor.size() > max_cursor_bytes)
    return Error(Errc::invalid, "the source's cursor is too long");
  for (std::size_t at = 0;;) {
    Adding adding(*table_, version);
    TRY(catalog::DirectoryState state, directory_state(adding.draft, version, directory));
    if (state.complete) return finish(adding, no_object);
    std::size_t end = std::min(entries.size(), at + entries_per_batch);
    for (; at < end; ++at) TRY_VOID(list_entry(adding, directory, state, entries[at]));
    bool finished = at == entries.size();
    if (finished && last) {
      TRY(finished, list_unlisted(adding, directory, state));
    }
    if (finished) {
      state.cursor = last ? std::string() : std::move(cursor);
      state.complete = last;
    }
    adding.draft.put(catalog::directory_key(version, directory), state.encode());
    TRY(Ticket ticket, finish(adding, directory));
    if (finished) return ticket;
  }
}

Result<Ticket> CatalogImpl::add_target(VersionId version, ObjectId symlink, std::string target) {
  if (target.empty() || target.size() > max_target_bytes ||
      target.find('\0') != std::string::npos) {
    return Error(Errc::invalid, "the source gave a symlink a target that cannot be one");
  }
  Adding adding(*table_, version);
  TRY(std::optional<ImageObject> object, attributes(adding.draft, version, symlink));
  if (!object) return Errc::not_found;
  std::string key = catalog::target_key(version, symlink);
  TRY(std::optional<std::string> known, adding.draft.get(key));
  if (known && *known != target) {
    adding.contradictions.push_back({version, symlink, "", "target became " + target});
  }
  if (!known) adding.draft.put(std::move(key), std::move(target));
  return finish(adding, no_object);
}

// Another disk numbers anew, and may give one file the number that another one had.
Result<void> CatalogImpl::move_link(Adding& adding, ObjectId id, std::uint64_t from,
                                    std::uint64_t to) {
  std::string old = catalog::link_key(adding.version, from);
  TRY(std::optional<std::string> linked, adding.draft.get(old));
  if (linked && *linked == catalog::encode_id(id)) adding.draft.erase(std::move(old));
  adding.draft.put(catalog::link_key(adding.version, to), catalog::encode_id(id));
  return {};
}

Result<Ticket> CatalogImpl::set_handle(VersionId version, ObjectId id, std::string source_handle,
                                       std::uint64_t source_fileid) {
  if (source_handle.size() > max_source_handle_bytes) {
    return Error(Errc::invalid, "the source's handle is too long");
  }
  Adding adding(*table_, version);
  TRY(std::optional<ImageObject> object, attributes(adding.draft, version, id));
  if (!object) return Errc::not_found;
  std::uint64_t& number = object->attributes.source_fileid;
  if (object->source_handle == source_handle && number == source_fileid)
    return finish(adding, no_object);
  if (has_links(object->attributes) && number != source_fileid)
    TRY_VOID(move_link(adding, id, number, source_fileid));
  object->source_handle = std::move(source_handle);
  number = source_fileid;
  adding.draft.put(catalog::attributes_key(version, id), catalog::encode_attributes(*object));
  return finish(adding, no_object);
}

Result<Ticket> CatalogImpl::set_drifted(VersionId version, ObjectId id) {
  Adding adding(*table_, version);
  TRY(std::optional<ImageObject> object, attributes(adding.draft, version, id));
  if (!object) return Errc::not_found;
  if (object->drifted) return finish(adding, no_object);
  object->drifted = true;
  adding.draft.put(catalog::drifted_key(version, id), "");
  adding.draft.put(catalog::attributes_key(version, id), catalog::encode_attributes(*object));
  return finish(adding, no_object);
}

Result<Ticket> CatalogImpl::remove_version(VersionId version) {
  CatalogDraft draft(*table_);
  for (char kind : catalog::version_kinds) {
    std::string from = catalog::kind_start(kind, version);
    TRY(std::vector<TableEntry> found,
        table_->scan(from, catalog::prefix_end(from), removed_per_call - draft.size()));
    for (TableEntry& entry : found) draft.erase(std::move(entry.key));
    if (draft.size() < removed_per_call) continue;
    TRY_VOID(draft.apply());
    return Error(Errc::try_later, "a version is being removed from the catalogue");
  }
  Ticket ticket = 0;
  if (!draft.empty()) {
    TRY(ticket, draft.apply());
  }
  counters_.erase(static_cast<std::uint64_t>(version));
  return ticket;
}

}  // namespace rowan::cache
