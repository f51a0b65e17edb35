// Power cuts at every step of the disk while a catalogue learns an image, against a plain model:
// ids and listings that may be shown are there afterwards and for ever, and what is known is what
// some first part of the calls made known.
#include <memory>
#include <random>
#include <string>

#include "cache/catalog_impl.h"
#include "tests/support/catalog_model.h"
#include "tests/support/crash_world.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"
#include "tests/support/small_options.h"

#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::cache;
using test::CatalogModel;
using test::FileNumber;
using test::root_number;
using test::SimDisk;
using test::SourceTree;

namespace {

const std::vector<VersionId> version_ids{VersionId{1}, VersionId{2}};

// As Catalog::open(), with a table that merges often.
Result<std::unique_ptr<Catalog>> open_catalog(Directory& directory) {
  const TableOptions options = test::tiny_table(8 << 10);
  Result<std::unique_ptr<Table>> table = Table::open(directory, options);
  if (table.failed_with(Errc::not_found)) table = Table::create(directory, options);
  if (!table) return table.error();
  auto catalog = std::make_unique<CatalogImpl>(std::move(*table));
  TRY_VOID(catalog->load_counters());
  return std::unique_ptr<Catalog>(std::move(catalog));
}

class World final : public test::CrashWorld<Catalog, CatalogModel> {
 public:
  explicit World(std::uint64_t seed)
      : CrashWorld(seed, {}), tree_(SourceTree::random(random_, 150)) {}

 private:
  Result<std::unique_ptr<Catalog>> create(Directory& root) override { return open_catalog(root); }
  Result<std::unique_ptr<Catalog>> open(Directory& root) override { return open_catalog(root); }
  std::string compare(const CatalogModel& model) override {
    return difference(*engine_, model, version_ids);
  }

  void change() override {
    call();
    work_up_to(2);
    if (chance(0.2)) engine_->want_durable(engine_->applied());
  }
  void end() override {
    if (chance(0.3)) close();
    if (problem.empty()) problem = compare(models_.newest());
  }

  std::string look_at(Directory& root, std::uint64_t) override {
    auto catalog = open_catalog(root);
    if (!catalog) return "opening: " + to_string(catalog.error());
    const Ticket ticket = (*catalog)->applied();
    std::string found = models_.problem_of_end(ticket);
    if (found.empty()) found = difference(**catalog, models_.after(ticket), version_ids);
    return found.empty() ? lost_what_was_shown(ticket) : found;
  }

  // A client may have seen every id and position that the living catalogue says is on the disk.
  std::string lost_what_was_shown(Ticket found) const {
    const CatalogModel& after = models_.after(found);
    for (const auto& [version, live] : models_.newest().versions) {
      if (removed_since(found, version)) continue;
      for (const auto& [number, object] : live.objects) {
        const std::string name = object.told.name;
        if (shown(engine_->shown_after(object.id)) && !has(after, version, number, object.id))
          return "the id of " + name + " was shown and is gone";
        if (shown(engine_->listing_shown_after(object.id)) &&
            listed(after, version, number) != listed(models_.newest(), version, number))
          return "the listing of " + name + " was shown and is another";
      }
    }
    return "";
  }
  bool removed_since(Ticket found, VersionId version) const {
    return models_.any_since(
        found, [&](const auto& model) { return !model.versions.contains(version); });
  }
  bool shown(Ticket after) const { return after <= engine_->durable(); }
  static std::vector<std::string> listed(const CatalogModel& model, VersionId version,
                                         FileNumber number) {
    const auto known = model.versions.find(version);
    if (known == model.versions.end()) return {};
    const auto listing = known->second.directories.find(number);
    if (listing == known->second.directories.end()) return {};
    return listing->second.listed;
  }
  static bool has(const CatalogModel& model, VersionId version, FileNumber number, ObjectId id) {
    const auto known = model.versions.find(version);
    if (known == model.versions.end()) return false;
    const auto object = known->second.objects.find(number);
    return object != known->second.objects.end() && object->second.id == id;
  }

  // ---- calls

  template <class Ask>
  void tell(CatalogModel next, VersionId version, Ask ask) {
    const Ticket before = engine_->applied();
    Result<Ticket> told = Errc::try_later;
    while (problem.empty() && told.failed_with(Errc::try_later)) {
      told = test::loading(*engine_, ask);
      if (!told.failed_with(Errc::try_later)) break;
      problem = difference(*engine_, models_.newest(), version_ids);   // nothing changed
      engine_->want_durable(engine_->applied());
      work();
    }
    if (!problem.empty()) return;
    if (!told) {
      problem = "telling: " + to_string(told.error());
      return;
    }
    problem = next.learn_ids(*engine_, version);
    const Ticket made = engine_->applied() - before;
    if (problem.empty() && made > 1) problem = "one call made several batches";
    if (problem.empty() && made == 0 && next != models_.newest())
      problem = "a call that changes something made no batch";
    if (made == 1) models_.add(std::move(next));
  }

  void call() {
    const VersionId version = version_ids[random_() % version_ids.size()];
    CatalogModel next = models_.newest();
    const auto known = next.versions.find(version);
    if (known == next.versions.end() || chance(0.01)) {
      const SourceEntry root = tree_.entry(version, "", root_number);
      next.add_root(version, root);
      return tell(std::move(next), version, [&] { return engine_->add_root(version, root); });
    }
    auto chosen = known->second.objects.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(random_() % known->second.objects.size()));
    const auto& [number, object] = *chosen;
    if (object.told.attributes.kind == FileKind::directory && chance(0.9))
      return tell_of_directory(std::move(next), version, number, object.id);
    if (chance(0.005)) {
      next.versions.erase(version);
      return tell(std::move(next), version, [&] { return engine_->remove_version(version); });
    }
    tell_of_object(std::move(next), version, number, object.id);
  }

  void tell_of_object(CatalogModel next, VersionId version, FileNumber number, ObjectId id) {
    CatalogModel::Object& object = next.versions[version].objects[number];
    if (object.told.attributes.kind == FileKind::symlink) {
      if (!object.target) object.target = "target of " + std::to_string(number);
      const std::string target = *object.target;
      return tell(std::move(next), version,
                  [&] { return engine_->add_target(version, id, target); });
    }
    if (chance(0.3)) {
      object.drifted = true;
      return tell(std::move(next), version, [&] { return engine_->set_drifted(version, id); });
    }
    const std::string handle = "new handle " + std::to_string(random_() % 100);
    object.told.source_handle = handle;
    tell(std::move(next), version,
         [&] { return engine_->set_handle(version, id, handle, number); });
  }

  void tell_of_directory(CatalogModel next, VersionId version, FileNumber number, ObjectId id) {
    const SourceTree::Node& node = tree_.nodes.at(number);
    const auto& from = node.unlisted.empty() || chance(0.5) ? node.listed : node.unlisted;
    if (chance(0.3)) return tell_page(std::move(next), version, number, id);
    if (from.empty() || chance(0.2)) {
      const std::string name = "absent" + std::to_string(random_() % 5);
      next.add_absent(version, number, name);
      return tell(std::move(next), version,
                  [&] { return engine_->add_absent(version, id, name); });
    }
    const auto& [name, child] = from[random_() % from.size()];
    SourceEntry entry = tree_.entry(version, name, child);
    const auto& names = next.versions[version].names;
    // What is known already may be told otherwise: the first telling stands.
    if (names.contains({number, name}) && chance(0.3)) ++entry.attributes.size;
    next.add_entry(version, number, entry);
    tell(std::move(next), version, [&] { return engine_->add_entry(version, id, entry); });
  }

  void tell_page(CatalogModel next, VersionId version, FileNumber number, ObjectId id) {
    const auto& listed = tree_.nodes.at(number).listed;
    const std::string& cursor = next.versions[version].directories[number].cursor;
    const std::size_t from = cursor.empty() ? 0 : std::stoul(cursor);
    const std::size_t to = std::min(listed.size(), from + 1 + random_() % 5);
    std::vector<SourceEntry> entries;
    for (std::size_t i = from; i < to; ++i)
      entries.push_back(tree_.entry(version, listed[i].first, listed[i].second));
    const std::string reached = std::to_string(to);
    const bool last = to == listed.size();
    next = models_.newest();
    next.add_page(version, number, entries, reached, last);
    tell(std::move(next), version,
         [&] { return engine_->add_page(version, id, entries, reached, last); });
  }

  SourceTree tree_;
};

}  // namespace

TEST_CASE("a power cut at any step leaves a catalogue that knows a first part of what it was told, "
          "and all that it has shown") {
  for (const std::uint64_t seed : test::seeds(50)) {
    World world(seed);
    for (int life = 0; life < 3 && world.problem.empty(); ++life) world.live(250, 0.7);
    if (!world.problem.empty()) FAIL("seed " << seed << ": " << world.problem);
  }
  SUCCEED();
}

namespace {

// Calls again, as told, while the answer is try_later.
template <class Ask>
void insist(Catalog& catalog, Ask ask) {
  for (int i = 0; i < 100; ++i) {
    auto answer = test::loading(catalog, ask);
    test::make_durable(catalog, catalog.applied());
    if (answer) return;
    INFO(to_string(answer.error()));
    REQUIRE(answer.failed_with(Errc::try_later));
  }
  FAIL("try_later for ever");
}

CatalogModel tell_all(Catalog& catalog, const SourceTree& tree, VersionId version,
                      CatalogModel model) {
  const SourceEntry root = tree.entry(version, "", root_number);
  insist(catalog, [&] { return catalog.add_root(version, root); });
  model.add_root(version, root);
  std::vector<SourceEntry> entries;
  for (const auto& [name, number] : tree.nodes.at(root_number).listed)
    entries.push_back(tree.entry(version, name, number));
  insist(catalog, [&] { return catalog.add_page(version, image_root, entries, "", true); });
  model.add_page(version, root_number, entries, "", true);
  REQUIRE(model.learn_ids(catalog, version) == "");
  return model;
}

// One directory of 600 files: its removal takes several batches.
SourceTree broad_tree() {
  SourceTree tree;
  SourceTree::Node& root = tree.nodes[root_number] = {FileKind::directory, 1, {}, {}};
  for (FileNumber number = 2; number < 602; ++number) {
    root.listed.emplace_back("file" + std::to_string(number), number);
    tree.nodes[number] = {FileKind::regular, 1, {}, {}};
  }
  return tree;
}

std::size_t names_left(Catalog& catalog, const SourceTree& tree, VersionId version) {
  std::size_t left = 0;
  for (const auto& [name, number] : tree.nodes.at(root_number).listed) {
    auto found =
        test::loading(catalog, [&] { return catalog.lookup(version, image_root, name); });
    left += found ? 1 : 0;
  }
  return left;
}

}  // namespace

TEST_CASE("a removal of a version that a power cut interrupts can be ended, and spares the other") {
  const SourceTree tree = broad_tree();
  SimDisk disk(3);
  auto root = disk.root();
  auto catalog = *open_catalog(*root);
  const CatalogModel one = tell_all(*catalog, tree, version_ids[0], {});
  const CatalogModel both = tell_all(*catalog, tree, version_ids[1], one);
  int interrupted = 0;
  disk.on_step([&] {
    SimDisk after = disk.crashed(disk.steps());
    auto there = after.root();
    auto found = *open_catalog(*there);
    const std::size_t left = names_left(*found, tree, version_ids[1]);
    if (left > 0 && left < tree.nodes.size() - 1) ++interrupted;
    insist(*found, [&] { return found->remove_version(version_ids[1]); });
    REQUIRE(difference(*found, one, version_ids) == "");
    if (disk.steps() % 8 != 0) return;
    // The same image again has the same ids.
    const CatalogModel again = tell_all(*found, tree, version_ids[1], one);
    REQUIRE(again.versions == both.versions);
  });
  insist(*catalog, [&] { return catalog->remove_version(version_ids[1]); });
  disk.on_step({});
  CHECK(interrupted > 0);
  CHECK(difference(*catalog, one, version_ids) == "");
}

TEST_CASE("a removal that has to be tried later has not changed the counts") {
  SimDisk disk(4);
  auto root = disk.root();
  auto catalog = *open_catalog(*root);
  SourceTree tree = broad_tree();
  Result<Ticket> added = catalog->add_root(version_ids[0], tree.entry(version_ids[0], "", 1));
  // Without a disk that works, until the table takes no more.
  for (FileNumber number = 2; number < 602 && added; ++number) {
    const SourceEntry entry = tree.entry(version_ids[0], "file" + std::to_string(number), number);
    added = catalog->add_entry(version_ids[0], image_root, entry);
  }
  REQUIRE(added.failed_with(Errc::try_later));
  const std::uint64_t count = catalog->object_count(version_ids[0]);
  REQUIRE(count > 1);
  REQUIRE(catalog->remove_version(version_ids[0]).failed_with(Errc::try_later));
  CHECK(catalog->object_count(version_ids[0]) == count);
  insist(*catalog, [&] { return catalog->remove_version(version_ids[0]); });
  CHECK(catalog->object_count(version_ids[0]) == 0);
}
