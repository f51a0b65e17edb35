// Power cuts at every step of the disk while a catalogue learns an image, against a plain model:
// ids and listings that may be shown are there afterwards and for ever, and what is known is what
// some first part of the calls made known.
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "cache/catalog_impl.h"
#include "tests/support/catalog_model.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"
#include "tests/support/sim_disk.h"

#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::cache;
using test::CatalogModel;
using test::FileNumber;
using test::Loss;
using test::root_number;
using test::SimDisk;
using test::SourceTree;

namespace {

const std::vector<VersionId> version_ids{VersionId{1}, VersionId{2}};

TableOptions tiny_options() {
  TableOptions options;
  options.memory_table_bytes = 8 << 10;
  options.pending_bytes = 256 << 10;
  options.page_cache_bytes = 64 << 10;
  options.segment_bytes = 8 << 20;
  options.reserve_bytes = 64 << 10;
  return options;
}

// As Catalog::open(), with a table that merges often.
Result<std::unique_ptr<Catalog>> open_catalog(Directory& directory) {
  Result<std::unique_ptr<Table>> table = Table::open(directory, tiny_options());
  if (table.failed_with(Errc::not_found)) table = Table::create(directory, tiny_options());
  if (!table) return table.error();
  auto catalog = std::make_unique<CatalogImpl>(std::move(*table));
  TRY_VOID(catalog->load_counters());
  return std::unique_ptr<Catalog>(std::move(catalog));
}

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed), disk_(seed) {
    tree_ = SourceTree::random(random_, 150);
    disk_.slow_reads(0.2);
    root_ = disk_.root();
  }

  // One life: calls, jobs in random order, crash checks on the way; ends with a power cut or kill.
  void live(int calls, double check_chance) {
    open();
    disk_.on_step([&] {
      if (chance(check_chance)) check_crash(random_());
    });
    for (int i = 0; i < calls && problem.empty(); ++i) {
      call();
      for (int k = static_cast<int>(random_() % 3); k > 0; --k) work();
      if (chance(0.2)) catalog_->want_durable(catalog_->applied());
    }
    if (problem.empty() && chance(0.3)) close();
    if (problem.empty()) problem = difference(*catalog_, models_.back(), version_ids);
    check_crash(random_());
    disk_.on_step({});
    jobs_.clear();
    catalog_.reset();
    root_.reset();
    disk_ = chance(0.5) ? disk_.killed()
                        : disk_.crashed(random_(), chance(0.2) ? Loss::all : Loss::random);
    disk_.slow_reads(0.2);
    root_ = disk_.root();
  }

  std::string problem;

 private:
  bool chance(double probability) {
    return std::uniform_real_distribution<>(0, 1)(random_) < probability;
  }

  void open() {
    auto catalog = open_catalog(*root_);
    if (!catalog) {
      problem = "opening: " + to_string(catalog.error());
      return;
    }
    catalog_ = std::move(*catalog);
    const Ticket found = catalog_->applied();
    if (models_.empty()) {
      first_ = acknowledged_ = found;
      models_.emplace_back();
      return;
    }
    problem = compare(*catalog_, found);
    while (problem.empty() && first_ + models_.size() - 1 > found) models_.pop_back();
    acknowledged_ = found;
  }

  std::string compare(Catalog& catalog, Ticket ticket) {
    if (ticket < acknowledged_)
      return "batch " + std::to_string(acknowledged_) +
             " was acknowledged, but the catalogue ends at " + std::to_string(ticket);
    if (ticket < first_ || ticket - first_ >= models_.size())
      return "a catalogue of " + std::to_string(ticket) + " batches";
    return difference(catalog, models_[ticket - first_], version_ids);
  }

  void check_crash(std::uint64_t seed) {
    if (!problem.empty() || !catalog_) return;
    acknowledged_ = std::max(acknowledged_, catalog_->durable());
    SimDisk after = disk_.crashed(seed, seed % 7 == 0 ? Loss::all : Loss::random);
    // Now and then the machine dies again while it recovers.
    if (seed % 3 == 0) {
      auto root = after.root();
      std::optional<SimDisk> again;
      const std::uint64_t at = after.steps() + seed / 3 % 6;
      after.on_step([&] {
        if (after.steps() == at) again = after.crashed(seed + 1);
      });
      (void)open_catalog(*root);
      root.reset();
      after.on_step({});
      if (again) after = std::move(*again);
    }
    auto root = after.root();
    auto catalog = open_catalog(*root);
    if (!catalog) problem = "opening: " + to_string(catalog.error());
    else problem = compare(**catalog, (*catalog)->applied());
    if (problem.empty()) problem = lost_what_was_shown((*catalog)->applied());
    if (!problem.empty())
      problem +=
          " (crash " + std::to_string(seed) + " at step " + std::to_string(disk_.steps()) + ")";
  }

  // A client may have seen every id and position that the living catalogue says is on the disk.
  std::string lost_what_was_shown(Ticket found) const {
    const CatalogModel& after = models_[found - first_];
    for (const auto& [version, live] : models_.back().versions) {
      if (removed_since(found, version)) continue;
      for (const auto& [number, object] : live.objects) {
        const std::string name = object.told.name;
        if (shown(catalog_->shown_after(object.id)) && !has(after, version, number, object.id))
          return "the id of " + name + " was shown and is gone";
        if (shown(catalog_->listing_shown_after(object.id)) &&
            listed(after, version, number) != listed(models_.back(), version, number))
          return "the listing of " + name + " was shown and is another";
      }
    }
    return "";
  }
  bool removed_since(Ticket found, VersionId version) const {
    const auto since = models_.begin() + static_cast<std::ptrdiff_t>(found - first_);
    return std::any_of(since, models_.end(),
                       [&](const auto& model) { return !model.versions.contains(version); });
  }
  bool shown(Ticket after) const { return after <= catalog_->durable(); }
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

  // Gives out jobs and ends one of them, in any order.
  void work() {
    while (auto job = catalog_->next_job()) {
      jobs_.push_back(std::move(job));
      if (chance(0.3)) break;
    }
    if (jobs_.empty()) return;
    const std::size_t chosen = random_() % jobs_.size();
    std::unique_ptr<Job> job = std::move(jobs_[chosen]);
    jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(chosen));
    job->run();
    catalog_->complete(std::move(job));
    acknowledged_ = std::max(acknowledged_, catalog_->durable());
    for (; first_ < acknowledged_; ++first_) models_.pop_front();
    if (catalog_->failure()) problem = "failed: " + to_string(*catalog_->failure());
  }

  void close() {
    catalog_->prepare_close();
    while (catalog_->busy() && problem.empty()) work();
    if (problem.empty() && catalog_->durable() != catalog_->applied())
      problem = "closed before everything was durable";
  }

  // ---- calls

  template <class Ask>
  void tell(CatalogModel next, VersionId version, Ask ask) {
    const Ticket before = catalog_->applied();
    Result<Ticket> told = Errc::try_later;
    while (problem.empty() && told.failed_with(Errc::try_later)) {
      told = test::loading(*catalog_, ask);
      if (!told.failed_with(Errc::try_later)) break;
      problem = difference(*catalog_, models_.back(), version_ids);   // nothing changed
      catalog_->want_durable(catalog_->applied());
      work();
    }
    if (!problem.empty()) return;
    if (!told) {
      problem = "telling: " + to_string(told.error());
      return;
    }
    problem = next.learn_ids(*catalog_, version);
    const Ticket made = catalog_->applied() - before;
    if (problem.empty() && made > 1) problem = "one call made several batches";
    if (problem.empty() && made == 0 && next != models_.back())
      problem = "a call that changes something made no batch";
    if (made == 1) models_.push_back(std::move(next));
  }

  void call() {
    const VersionId version = version_ids[random_() % version_ids.size()];
    CatalogModel next = models_.back();
    const auto known = next.versions.find(version);
    if (known == next.versions.end() || chance(0.01)) {
      const SourceEntry root = tree_.entry(version, "", root_number);
      next.add_root(version, root);
      return tell(std::move(next), version, [&] { return catalog_->add_root(version, root); });
    }
    auto chosen = known->second.objects.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(random_() % known->second.objects.size()));
    const auto& [number, object] = *chosen;
    if (object.told.attributes.kind == FileKind::directory && chance(0.9))
      return tell_of_directory(std::move(next), version, number, object.id);
    if (chance(0.005)) {
      next.versions.erase(version);
      return tell(std::move(next), version, [&] { return catalog_->remove_version(version); });
    }
    tell_of_object(std::move(next), version, number, object.id);
  }

  void tell_of_object(CatalogModel next, VersionId version, FileNumber number, ObjectId id) {
    CatalogModel::Object& object = next.versions[version].objects[number];
    if (object.told.attributes.kind == FileKind::symlink) {
      if (!object.target) object.target = "target of " + std::to_string(number);
      const std::string target = *object.target;
      return tell(std::move(next), version,
                  [&] { return catalog_->add_target(version, id, target); });
    }
    if (chance(0.3)) {
      object.drifted = true;
      return tell(std::move(next), version, [&] { return catalog_->set_drifted(version, id); });
    }
    const std::string handle = "new handle " + std::to_string(random_() % 100);
    object.told.source_handle = handle;
    tell(std::move(next), version,
         [&] { return catalog_->set_handle(version, id, handle, number); });
  }

  void tell_of_directory(CatalogModel next, VersionId version, FileNumber number, ObjectId id) {
    const SourceTree::Node& node = tree_.nodes.at(number);
    const auto& from = node.unlisted.empty() || chance(0.5) ? node.listed : node.unlisted;
    if (chance(0.3)) return tell_page(std::move(next), version, number, id);
    if (from.empty() || chance(0.2)) {
      const std::string name = "absent" + std::to_string(random_() % 5);
      next.add_absent(version, number, name);
      return tell(std::move(next), version,
                  [&] { return catalog_->add_absent(version, id, name); });
    }
    const auto& [name, child] = from[random_() % from.size()];
    SourceEntry entry = tree_.entry(version, name, child);
    const auto& names = next.versions[version].names;
    // What is known already may be told otherwise: the first telling stands.
    if (names.contains({number, name}) && chance(0.3)) ++entry.attributes.size;
    next.add_entry(version, number, entry);
    tell(std::move(next), version, [&] { return catalog_->add_entry(version, id, entry); });
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
    next = models_.back();
    next.add_page(version, number, entries, reached, last);
    tell(std::move(next), version,
         [&] { return catalog_->add_page(version, id, entries, reached, last); });
  }

  std::mt19937_64 random_;
  SimDisk disk_;
  std::unique_ptr<Directory> root_;
  SourceTree tree_;
  std::unique_ptr<Catalog> catalog_;
  std::vector<std::unique_ptr<Job>> jobs_;
  std::deque<CatalogModel> models_;   // after batch first_, first_ + 1, ...
  Ticket first_ = 0, acknowledged_ = 0;
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
