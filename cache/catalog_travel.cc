// What makes ids the same on two hosts. Most ids follow from the path alone; those of files with
// several names follow from the name that was seen first, which another host must be told.
#include "cache/catalog_impl.h"

namespace rowan::cache {
namespace {

constexpr std::uint32_t most_counters = 64;

Error damaged(std::string_view what, ObjectId id) {
  return Error(Errc::corrupt, "catalogue: the " + std::string(what) + " of object " +
                                  std::to_string(to_number(id)) + " is damaged");
}

Error unequal(const KnownName& known) {
  return Error(Errc::exists, "the name '" + known.name + "' in directory " +
                                 std::to_string(to_number(known.directory)) +
                                 " stands for another object here");
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

bool is_sound(const KnownName& known) {
  if (!is_name(known.name) || !is_name(known.first_name)) return false;
  for (std::uint32_t counter = 0; counter < most_counters; ++counter) {
    if (catalog::natural_id(known.first_directory, known.first_name, counter) == known.child)
      return true;
  }
  return false;
}

}  // namespace

Result<KnownName> CatalogImpl::origin(ObjectId id) {
  TRY(const std::string_view value, table_->get(catalog::identity_key(id)));
  auto identity = catalog::Identity::decode(value);
  if (!identity) return damaged("identity", id);
  KnownName known{identity->parent, identity->name, id, identity->parent, identity->name};
  return known;
}

Result<std::vector<KnownName>> CatalogImpl::known_names(VersionId version, const KnownName& behind,
                                                        std::size_t limit) {
  const std::string prefix = catalog::kind_start('n', version);
  std::string from = prefix;
  if (!behind.name.empty())
    from = catalog::name_key(version, behind.directory, behind.name) + '\0';
  std::vector<KnownName> names;
  while (names.size() < limit) {
    const std::size_t wanted = limit - names.size();
    TRY(const auto found, table_->scan(from, catalog::prefix_end(prefix), wanted));
    for (const TableEntry& entry : found) {
      const auto value = catalog::NameValue::decode(entry.value);
      if (entry.key.size() <= prefix.size() + 8 || !value) return damaged("names", no_object);
      if (value->child == no_object) continue;
      const ObjectId directory{load_be<std::uint64_t>(as_bytes(entry.key).data() + prefix.size())};
      auto first = origin(value->child);
      if (first.failed_with(Errc::not_found)) return damaged("identity", value->child);
      if (!first) return std::move(first).error();
      names.push_back({directory, entry.key.substr(prefix.size() + 8), value->child,
                       first->first_directory, first->first_name});
    }
    if (found.size() < wanted) break;
    from = found.back().key + '\0';
  }
  return names;
}

Result<void> CatalogImpl::take_name(Adding& adding, const KnownName& known) {
  if (!is_sound(known)) return Error(Errc::corrupt, "a name that no catalogue has");
  TRY(const auto shown,
      adding.draft.get(catalog::name_key(adding.version, known.directory, known.name)));
  if (shown) {
    const auto value = catalog::NameValue::decode(*shown);
    if (!value) return damaged("names", known.directory);
    if (value->child != known.child) return unequal(known);
  }
  const std::string identity = catalog::Identity{known.first_directory, known.first_name}.encode();
  TRY(const auto own, adding.draft.get(catalog::identity_key(known.child)));
  if (own && *own != identity) return unequal(known);
  if (!own) adding.draft.put(catalog::identity_key(known.child), identity);
  const ObjectId natural = catalog::natural_id(known.directory, known.name, 0);
  TRY(const auto alias, adding.draft.get(catalog::alias_key(natural)));
  if (alias && *alias != catalog::encode_id(known.child)) return unequal(known);
  if (!alias && natural != known.child)
    adding.draft.put(catalog::alias_key(natural), catalog::encode_id(known.child));
  return {};
}

Result<Ticket> CatalogImpl::take_names(VersionId version, const std::vector<KnownName>& names) {
  if (names.size() > max_known_names) return Error(Errc::invalid, "too many names at once");
  Adding adding(*table_, version);
  for (const KnownName& known : names) TRY_VOID(take_name(adding, known));
  return finish(adding, no_object);
}

}  // namespace rowan::cache
