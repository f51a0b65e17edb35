#include "tests/support/golden_story.h"

#include <deque>

#include "rpc/base/check.h"
#include "tests/support/run_jobs.h"
#include "tests/support/small_options.h"

namespace rowan::test {

using namespace cache;

namespace {

constexpr std::uint64_t local(std::uint64_t number) { return number | local_object_bit; }

// One transaction at a time, in the store and in the model.
class Teller {
 public:
  Teller(Store& store, StoreModel& model) : store_(store), model_(model) {}

  void put(std::uint64_t id, ObjectRecord record) {
    model_.files[id].record = record;
    transaction_.put_object(ObjectId{id}, std::move(record));
  }
  void file(std::uint64_t id, std::uint64_t size, std::int64_t stamp) {
    ObjectRecord record;
    record.size = size;
    record.mode = 0644;
    record.mtime.seconds = stamp;
    record.base_size = is_local(ObjectId{id}) ? 0 : size / 2;
    record.parent = image_root;
    record.name = "file" + std::to_string(id & 0xffff);
    put(id, std::move(record));
  }
  void write(std::uint64_t id, std::uint64_t offset, char letter, std::size_t count) {
    kept_.emplace_back(count, letter);
    transaction_.write(ObjectId{id}, offset, as_bytes(kept_.back()));
    model_.write(id, offset, kept_.back());
  }
  void truncate(std::uint64_t id, std::uint64_t size) {
    transaction_.truncate(ObjectId{id}, size);
    model_.truncate(id, size);
  }
  void remove(std::uint64_t id) {
    transaction_.remove_object(ObjectId{id}, {});
    model_.files.erase(id);
  }
  void name(std::uint64_t directory, const std::string& name, std::uint64_t child) {
    const NameRecord record{ObjectId{child}, child == 0 ? 0 : store_.next_sequence()};
    transaction_.put_name(ObjectId{directory}, name, record);
    model_.names[{directory, name}] = record;
  }
  void erase_name(std::uint64_t directory, const std::string& name) {
    transaction_.erase_name(ObjectId{directory}, name);
    model_.names.erase({directory, name});
  }
  Ticket apply() {
    const auto ticket = loading(store_, [&] { return store_.apply(transaction_); });
    CHECK(ticket.has_value());
    return *ticket;
  }
  void apply_durably() { make_durable(store_, apply()); }

 private:
  Store& store_;
  StoreModel& model_;
  Transaction transaction_;
  std::deque<std::string> kept_;
};

}  // namespace

StoreOptions golden_options() {
  StoreOptions options;
  options.table = small_table(48 << 10);
  options.table.reserve_bytes = 64 << 10;
  return options;
}

std::string golden_target(std::uint64_t object) {
  return std::string(3000, static_cast<char>('A' + object % 26));
}

std::vector<std::uint64_t> golden_objects() {
  std::vector<std::uint64_t> ids{2, 5, 6, 7, local(1), local(2), golden_long_file};
  for (std::uint64_t id = first_golden_link; id < end_golden_link; ++id) ids.push_back(id);
  return ids;
}

void tell_first_life(Store& store, StoreModel& model) {
  Teller tell(store, model);
  CHECK_EQ(to_number(store.next_object()), local(1));
  CHECK_EQ(to_number(store.next_object()), local(2));
  tell.file(5, 30'000, 10);
  tell.write(5, 0, 'a', 20'000);
  tell.file(6, 9000, 11);
  tell.write(6, 100, 'b', 1);
  tell.write(6, 5000, 'c', 3000);
  tell.apply_durably();
  // One block with few holes, one with many: both kinds of extents with holes.
  tell.write(6, 300, 'd', 50);
  for (std::uint64_t at = 0; at < 40; ++at) tell.write(5, 24'576 + at * 50, 'e', 1);
  tell.apply_durably();
  tell.file(local(1), 5000, 12);
  tell.write(local(1), 4000, 'f', 1000);
  tell.name(2, "made here", local(1));
  tell.name(2, "file5", 5);
  tell.name(2, "hidden", 0);
  tell.name(2, "short-lived", 6);
  tell.apply_durably();
  for (std::uint64_t id = first_golden_link; id < end_golden_link; ++id) {
    ObjectRecord link;
    link.kind = FileKind::symlink;
    link.size = 3000;
    link.parent = image_root;
    link.name = "link" + std::to_string(id);
    link.target = golden_target(id);
    tell.put(id, std::move(link));
    tell.apply_durably();
  }
  tell.file(golden_long_file, golden_long_size, 13);
  for (std::uint64_t at = 0; at < golden_long_size; at += 8192)
    tell.write(golden_long_file, at, 'g', 1);
  tell.apply_durably();
  for (std::uint64_t at = 4096; at < golden_long_size; at += 8192)
    tell.write(golden_long_file, at + 1, 'h', 1);
  tell.apply_durably();
}

void tell_second_life(Store& store, StoreModel& model) {
  Teller tell(store, model);
  tell.write(5, 4096, 'i', 6000);
  tell.truncate(6, 200);
  tell.erase_name(2, "short-lived");
  tell.name(2, "newer", 6);
  tell.apply_durably();
  tell.file(local(2), 100, 14);
  tell.write(local(2), 10, 'j', 60);
  tell.remove(local(1));
  tell.name(2, "made here", local(2));
  tell.apply_durably();
  // Too many extents for one transaction: leaves a purge mark, which is durable before the store
  // has begun to work it off.
  tell.truncate(golden_long_file, golden_cut_size);
  const Ticket last = tell.apply();
  store.want_durable(last);
  while (store.durable() < last) {
    auto job = store.next_job();
    CHECK(job != nullptr);
    job->run();
    store.complete(std::move(job));
  }
}

// ---- catalogue

namespace {

SourceEntry catalog_entry(std::string name, FileKind kind, std::uint64_t fileid) {
  SourceEntry entry;
  entry.name = std::move(name);
  entry.attributes.kind = kind;
  entry.attributes.mode = 0755;
  entry.attributes.size = fileid * 100;
  entry.attributes.mtime.seconds = static_cast<std::int64_t>(fileid);
  entry.attributes.source_fileid = fileid;
  entry.source_handle = "handle " + std::to_string(fileid);
  return entry;
}

constexpr std::uint64_t catalog_files = 20;
constexpr std::uint64_t catalog_symlink = 77;

void add(Catalog& catalog, const Result<Ticket>& ticket) {
  CHECK(ticket.has_value());
  make_durable(catalog, *ticket);
}

std::vector<SourceEntry> catalog_page() {
  std::vector<SourceEntry> page;
  for (std::uint64_t i = 0; i < catalog_files; ++i)
    page.push_back(catalog_entry("file" + std::to_string(i), FileKind::regular, 10 + i));
  page.push_back(catalog_entry("link", FileKind::symlink, catalog_symlink));
  return page;
}

std::string entry_difference(Catalog& catalog, const SourceEntry& entry) {
  auto look_up = [&] { return catalog.lookup(golden_version, image_root, entry.name); };
  auto id = loading(catalog, look_up);
  if (!id) return entry.name + ": " + to_string(id.error());
  auto object = loading(catalog, [&] { return catalog.object(golden_version, *id); });
  if (!object) return entry.name + ": " + to_string(object.error());
  if (!(object->attributes == entry.attributes)) return entry.name + ": other attributes";
  if (object->source_handle != entry.source_handle) return entry.name + ": another handle";
  const bool symlink = entry.attributes.kind == FileKind::symlink;
  if (object->target.has_value() != symlink || (symlink && *object->target != "file3"))
    return entry.name + ": another target";
  return {};
}

}  // namespace

void fill_catalog(Catalog& catalog) {
  add(catalog, catalog.add_root(golden_version, catalog_entry("", FileKind::directory, 1)));
  add(catalog, loading(catalog, [&] {
        return catalog.add_page(golden_version, image_root, catalog_page(), "", true);
      }));
  auto link = loading(catalog, [&] { return catalog.lookup(golden_version, image_root, "link"); });
  CHECK(link.has_value());
  add(catalog,
      loading(catalog, [&] { return catalog.add_target(golden_version, *link, "file3"); }));
}

std::string catalog_difference(Catalog& catalog) {
  for (const SourceEntry& entry : catalog_page()) {
    std::string difference = entry_difference(catalog, entry);
    if (!difference.empty()) return difference;
  }
  auto absent =
      loading(catalog, [&] { return catalog.lookup(golden_version, image_root, "none"); });
  if (!absent) return "none: " + to_string(absent.error());
  if (*absent != no_object) return "a name that is absent is not known to be";
  auto list = loading(catalog, [&] { return catalog.list(golden_version, image_root, 0, 100); });
  if (!list) return "listing: " + to_string(list.error());
  if (!list->complete || list->entries.size() != catalog_page().size()) return "another listing";
  if (catalog.object_count(golden_version) != catalog_page().size() + 1)
    return "another number of objects";
  return {};
}

// ---- block cache

std::vector<std::byte> golden_unit(std::uint64_t object) {
  const std::size_t length = object == 6 ? 700 : object % 2 == 0 ? 5000 : unit_size;
  return std::vector<std::byte>(length, static_cast<std::byte>('0' + object));
}

void fill_block_cache(BlockCache& cache) {
  for (std::uint64_t object = 1; object <= 6; ++object) {
    const BlockKey key{golden_version, ObjectId{object}, static_cast<std::uint32_t>(object % 3)};
    cache.offer(key, golden_unit(object), cache.generation(key));
  }
  run_jobs(cache);
}

}  // namespace rowan::test
