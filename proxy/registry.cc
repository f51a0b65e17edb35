#include "proxy/registry.h"

#include <algorithm>
#include <optional>

#include "proxy/access_list.h"
#include "rpc/base/log.h"
#include "rpc/base/random.h"

namespace rowan::proxy {
namespace {

constexpr std::size_t max_versions = 1000;
constexpr std::size_t max_appliances = 10'000;

std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

std::string pool_name(PoolId pool) { return hex_id(static_cast<std::uint64_t>(pool)); }

const DamagedEntry* find_damaged(const std::vector<DamagedEntry>& entries, std::string_view name) {
  for (const DamagedEntry& entry : entries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

Error damaged_error(std::string_view what, const DamagedEntry& entry) {
  return Error(Errc::corrupt, std::string(what) + " " + quoted(entry.name) +
                                  " has a damaged record (" + entry.error.detail +
                                  "); restore it from a backup, or remove it");
}

const ImageVersion* find_label(const ImageRecord& image, std::string_view label) {
  for (const ImageVersion& version : image.versions) {
    if (version.label == label) return &version;
  }
  return nullptr;
}

std::string next_label(const ImageRecord& image) {
  for (std::size_t number = image.versions.size() + 1;; ++number) {
    if (find_label(image, std::to_string(number)) == nullptr) return std::to_string(number);
  }
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 5;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < shown; ++i)
    text += (i == 0 ? "" : ", ") + quoted(names[i]);
  if (names.size() > shown) text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

// What was retired is gone for good, whether or not its files can be removed now: the next removal
// and the next start try again.
void clear_away(cache::Directory& parent) {
  Result<void> swept = StateDir::sweep(parent);
  if (swept) return;
  log(Level::warn, "state.not_swept",
      {{"directory", parent.path()}, {"error", to_string(swept.error())}});
}

// Reads every entry's record; `decode` gives the record, whose name must be the directory's.
template <class Record, class Decode>
Result<void> load_records(cache::Directory& parent, std::string_view file, Decode decode,
                          std::map<std::string, Record>& into, std::vector<DamagedEntry>& damaged) {
  TRY(auto names, StateDir::entries(parent));
  for (const std::string& name : names) {
    auto read_one = [&]() -> Result<Record> {
      TRY(auto directory, parent.directory(name, false));
      TRY(std::string text, read_record(*directory, file));
      TRY(Record record, decode(text));
      if (record.name != name)
        return Error(Errc::corrupt, "it is the record of " + quoted(record.name));
      return record;
    };
    Result<Record> record = read_one();
    if (record) {
      into.emplace(name, std::move(*record));
    } else {
      damaged.push_back({name, std::move(record).error()});
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Registry>> Registry::load(StateDir& state, Clock& clock,
                                                 MakeStore make_store) {
  std::unique_ptr<Registry> registry(new Registry(state, clock, make_store));
  TRY_VOID(load_records(state.images(), StateDir::image_record, decode_image_record,
                        registry->images_, registry->damaged_images_));
  TRY_VOID(load_records(state.appliances(), StateDir::appliance_record, decode_appliance_record,
                        registry->appliances_, registry->damaged_appliances_));
  TRY_VOID(registry->load_receives());
  TRY_VOID(registry->remove_unused_pools());
  return registry;
}

Result<ImageRecord> Registry::image(std::string_view name) const {
  auto found = images_.find(std::string(name));
  if (found != images_.end()) return found->second;
  if (const DamagedEntry* entry = find_damaged(damaged_images_, name))
    return damaged_error("image", *entry);
  return Error(Errc::not_found,
               "no image " + quoted(name) + "; 'rowan image list' shows what there is");
}

Result<ImageVersion> Registry::version(const ImageName& name) const {
  TRY(ImageRecord record, image(name.name));
  if (name.version.empty()) return record.versions.back();
  if (const ImageVersion* version = find_label(record, name.version)) return *version;
  return Error(Errc::not_found, "image " + quoted(name.name) + " has no version " +
                                    quoted(name.version) + "; 'rowan image show " + name.name +
                                    "' lists its versions");
}

Result<ApplianceRecord> Registry::appliance(std::string_view name) const {
  auto found = appliances_.find(std::string(name));
  if (found != appliances_.end()) return found->second;
  if (const DamagedEntry* entry = find_damaged(damaged_appliances_, name))
    return damaged_error("appliance", *entry);
  return Error(Errc::not_found,
               "no appliance " + quoted(name) + "; 'rowan list' shows what there is");
}

std::vector<std::string> Registry::users(const ImageName& name) const {
  std::vector<std::string> found;
  for (const auto& [appliance_name, record] : appliances_) {
    bool same_version = name.version.empty() || record.version == name.version;
    if (record.image == name.name && same_version) found.push_back(appliance_name);
  }
  for (const auto& [receive_name, receive] : receives_) {
    const ApplianceRecord& record = receive.appliance;
    bool same_version = name.version.empty() || record.version == name.version;
    if (record.image == name.name && same_version && !appliances_.contains(receive_name))
      found.push_back(receive_name);
  }
  return found;
}

Result<void> Registry::check_new_version(const ImageName& name) const {
  TRY_VOID(check_name("image", name.name));
  if (!name.version.empty()) TRY_VOID(check_name("image version", name.version));
  if (const DamagedEntry* entry = find_damaged(damaged_images_, name.name))
    return damaged_error("image", *entry);
  auto found = images_.find(name.name);
  if (found == images_.end()) return {};
  if (!name.version.empty() && find_label(found->second, name.version) != nullptr) {
    return Error(Errc::exists, "image " + quoted(name.name) + " has a version " +
                                   quoted(name.version) +
                                   " already; versions never change, choose another label");
  }
  if (found->second.versions.size() >= max_versions) {
    return Error(Errc::limit,
                 "image " + quoted(name.name) + " has " + std::to_string(max_versions) +
                     " versions already; remove old ones with 'rowan image remove NAME@VERSION'");
  }
  return {};
}

Result<ImageVersion> Registry::add_version(const ImageName& name, std::string_view source) {
  TRY_VOID(check_new_version(name));
  auto found = images_.find(name.name);
  ImageRecord record;
  if (found != images_.end()) record = found->second;
  record.name = name.name;
  ImageVersion version;
  version.label = name.version.empty() ? next_label(record) : name.version;
  version.id = cache::VersionId{random_number()};
  version.source = source;
  version.created = clock_.wall().seconds;
  record.versions.push_back(version);
  if (found == images_.end()) {
    TRY(auto draft, StateDir::draft(state_.images(), name.name));
    TRY_VOID(draft->directory(StateDir::catalog_name, true));
    TRY_VOID(write_record(*draft, StateDir::image_record, encode_record(record)));
    TRY_VOID(StateDir::publish(state_.images(), name.name));
  } else {
    TRY_VOID(save_image(record));
  }
  images_[name.name] = std::move(record);
  return version;
}

Result<void> Registry::save_image(const ImageRecord& image) {
  TRY(auto directory, state_.images().directory(image.name, false));
  return write_record(*directory, StateDir::image_record, encode_record(image));
}

Result<void> Registry::check_remove_image(const ImageName& name) const {
  std::vector<std::string> in_use = users(name);
  if (!in_use.empty()) {
    return Error(Errc::busy, "image " + quoted(name.name) + " is used by " + listed(in_use) +
                                 "; remove these appliances first");
  }
  if (!damaged_appliances_.empty()) {
    return Error(Errc::busy,
                 "appliance " + quoted(damaged_appliances_.front().name) +
                     " has a damaged record and may use the image; restore or remove it first");
  }
  if (find_damaged(damaged_images_, name.name) == nullptr) TRY_VOID(version(name));
  return {};
}

Result<void> Registry::remove_image(const ImageName& name) {
  TRY_VOID(check_remove_image(name));
  bool is_damaged = find_damaged(damaged_images_, name.name) != nullptr;
  auto found = images_.find(name.name);
  if (!name.version.empty() && !is_damaged && found->second.versions.size() > 1) {
    ImageRecord rest = found->second;
    std::erase_if(rest.versions,
                  [&](const ImageVersion& version) { return version.label == name.version; });
    TRY_VOID(save_image(rest));
    found->second = std::move(rest);
    return {};
  }
  TRY_VOID(StateDir::retire(state_.images(), name.name));
  images_.erase(name.name);
  std::erase_if(damaged_images_,
                [&](const DamagedEntry& entry) { return entry.name == name.name; });
  clear_away(state_.images());
  return {};
}

Result<void> Registry::check_new_appliance(const NewAppliance& wanted) const {
  TRY_VOID(check_name("appliance", wanted.name));
  if (appliances_.contains(wanted.name) ||
      find_damaged(damaged_appliances_, wanted.name) != nullptr) {
    return Error(Errc::exists,
                 "appliance " + quoted(wanted.name) +
                     " already exists; choose another name or remove it with 'rowan remove " +
                     wanted.name + "'");
  }
  if (appliances_.size() >= max_appliances) {
    return Error(Errc::limit, "there are " + std::to_string(max_appliances) +
                                  " appliances already; remove some");
  }
  Result<AccessList> allow = AccessList::parse(wanted.allow);
  if (!allow) return std::move(allow).error();
  return {};
}

Result<ApplianceRecord> Registry::create_appliance(const NewAppliance& wanted) {
  TRY_VOID(check_new_appliance(wanted));
  TRY(ImageVersion pinned, version(ImageName{wanted.image, wanted.version}));
  ApplianceRecord record;
  record.name = wanted.name;
  record.id = cache::ApplianceId{random_number()};
  fill_random(record.key);
  // Linux folds an fsid to 32 bits here and there; a random one stays distinct in either half.
  record.fsid = random_number();
  record.image = wanted.image;
  record.version = pinned.label;
  record.allow = wanted.allow;
  record.quota_bytes = wanted.quota_bytes;
  record.durability = wanted.durability;
  record.root_squash = wanted.root_squash;
  record.created = clock_.wall().seconds;
  TRY(record.pool, new_pool());
  TRY_VOID(publish_appliance(record));
  return record;
}

Result<void> Registry::publish_appliance(const ApplianceRecord& record) {
  TRY(auto draft, StateDir::draft(state_.appliances(), record.name));
  TRY_VOID(write_record(*draft, StateDir::appliance_record, encode_record(record)));
  TRY_VOID(StateDir::publish(state_.appliances(), record.name));
  appliances_[record.name] = record;
  return {};
}

Result<ApplianceRecord> Registry::adopt_clone(const ApplianceRecord& origin, std::string_view name,
                                              cache::StateId head) {
  NewAppliance wanted;
  wanted.name = name;
  TRY_VOID(check_new_appliance(wanted));
  ApplianceRecord record = origin;
  record.name = name;
  record.id = cache::ApplianceId{random_number()};
  fill_random(record.key);
  record.fsid = random_number();
  record.created = clock_.wall().seconds;
  record.head = head;
  record.schedule = {};
  TRY_VOID(publish_appliance(record));
  return record;
}

Result<void> Registry::check_received(const ApplianceRecord& record) const {
  NewAppliance wanted;
  wanted.name = record.name;
  TRY_VOID(check_new_appliance(wanted));
  for (const auto& [name, other] : appliances_) {
    if (other.id != record.id) continue;
    return Error(Errc::exists, "appliance " + quoted(name) +
                                   " has the identity of the one in the stream; to have both here, "
                                   "receive it with a new identity");
  }
  return {};
}

Result<void> Registry::adopt_received(const ApplianceRecord& record) {
  TRY_VOID(check_received(record));
  return publish_appliance(record);
}

Result<void> Registry::update_appliance(const ApplianceRecord& record) {
  TRY(ApplianceRecord known, appliance(record.name));
  CHECK(known.id == record.id && known.pool == record.pool);
  TRY(auto directory, state_.appliances().directory(record.name, false));
  TRY_VOID(write_record(*directory, StateDir::appliance_record, encode_record(record)));
  appliances_[record.name] = record;
  return {};
}

Result<void> Registry::remove_appliance(std::string_view name) {
  std::optional<PoolId> pool;
  if (find_damaged(damaged_appliances_, name) == nullptr) {
    TRY(ApplianceRecord record, appliance(name));
    pool = record.pool;
  }
  TRY_VOID(StateDir::retire(state_.appliances(), name));
  appliances_.erase(std::string(name));
  std::erase_if(damaged_appliances_, [&](const DamagedEntry& entry) { return entry.name == name; });
  clear_away(state_.appliances());
  // Nobody knows which pool a damaged record meant.
  if (!pool) return remove_unused_pools();
  if (all_known() && users(*pool).empty()) remove_pool(*pool);
  return {};
}

// ---- pools

std::vector<std::string> Registry::users(PoolId pool) const {
  std::vector<std::string> found;
  for (const auto& [name, record] : appliances_) {
    if (record.pool == pool) found.push_back(name);
  }
  return found;
}

Result<PoolId> Registry::new_pool() {
  const std::uint64_t id = random_number();
  TRY(auto draft, StateDir::draft(state_.stores(), hex_id(id)));
  TRY_VOID(make_store_(*draft));
  TRY_VOID(StateDir::publish(state_.stores(), hex_id(id)));
  return PoolId{id};
}

// Nobody knows of it any more, whether or not it can be removed now: the next start tries again.
void Registry::remove_pool(PoolId pool) {
  Result<void> retired = StateDir::retire(state_.stores(), pool_name(pool));
  if (retired) {
    clear_away(state_.stores());
    return;
  }
  log(Level::warn, "pool.not_removed",
      {{"pool", pool_name(pool)}, {"error", to_string(retired.error())}});
}

// Of an appliance that was being made, received or removed when the power went.
Result<void> Registry::remove_unused_pools() {
  if (!all_known()) return {};
  TRY(auto names, StateDir::entries(state_.stores()));
  for (const std::string& name : names) {
    Result<std::uint64_t> id = parse_hex_id(name);
    // Not one of ours, so not ours to remove.
    if (!id || !users(PoolId{*id}).empty() || is_receiving(PoolId{*id})) continue;
    remove_pool(PoolId{*id});
  }
  return {};
}

Result<std::unique_ptr<cache::Directory>> Registry::image_catalog(std::string_view name) {
  TRY(auto directory, state_.images().directory(name, false));
  return directory->directory(StateDir::catalog_name, true);
}

Result<std::unique_ptr<cache::Directory>> Registry::pool_directory(PoolId pool) {
  return state_.stores().directory(pool_name(pool), false);
}

}  // namespace rowan::proxy
