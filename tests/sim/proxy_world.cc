#include "tests/sim/proxy_world.h"

#include <utility>

#include "proxy/merged_view.h"
#include "rpc/base/check.h"
#include "tests/support/appliance_fixture.h"
#include "tests/support/memory_store.h"
#include "tests/support/sim_disk.h"

namespace rowan::sim {

using nfs3::FileType;
using nfs3::Status;
using test::ModelId;
using test::ModelObject;

namespace {

class MemoryStores final : public StoreMaker {
 public:
  explicit MemoryStores(std::uint64_t seed) { options_.seed = seed; }
  std::unique_ptr<cache::Store> make() override {
    return std::make_unique<test::MemoryStore>(options_);
  }
  void cut_power(cache::Store& running, Random& random) override {
    kept_ = static_cast<test::MemoryStore&>(running).crash(random() % 4);
  }
  std::unique_ptr<cache::Store> reopen() override { return std::move(kept_); }
  test::SimDisk& disk() override { return unused_; }

 private:
  test::SimDisk unused_;
  test::MemoryStoreOptions options_;
  std::unique_ptr<test::MemoryStore> kept_;
};

// The real store, small enough that freezing, merging and loading happen all the time.
class DiskStores final : public StoreMaker {
 public:
  explicit DiskStores(std::uint64_t seed) : disk_(seed) {
    options_.table.memory_table_bytes = 64u << 10;
    options_.table.page_cache_bytes = 64u << 10;
    options_.table.segment_bytes = 8u << 20;
    options_.table.reserve_bytes = 1u << 20;
    use_disk();
  }
  std::unique_ptr<cache::Store> make() override {
    return open(cache::Store::create(*directory_, options_));
  }
  void cut_power(cache::Store&, Random& random) override { next_.emplace(disk_.crashed(random())); }
  std::unique_ptr<cache::Store> reopen() override {
    directory_.reset();
    disk_ = std::move(*next_);
    next_.reset();
    use_disk();
    return open(cache::Store::open(*directory_, options_));
  }
  test::SimDisk& disk() override { return disk_; }

 private:
  void use_disk() {
    directory_ = disk_.root();
    disk_.slow_reads(0.2);
  }
  static std::unique_ptr<cache::Store> open(Result<std::unique_ptr<cache::Store>> store) {
    std::string failure = store ? "" : to_string(store.error());
    CHECK_EQ(failure, "");
    return std::move(*store);
  }

  cache::StoreOptions options_;
  test::SimDisk disk_;
  std::unique_ptr<cache::Directory> directory_;
  std::optional<test::SimDisk> next_;
};

}  // namespace

std::unique_ptr<StoreMaker> memory_stores(std::uint64_t seed) {
  return std::make_unique<MemoryStores>(seed);
}

std::unique_ptr<StoreMaker> disk_stores(std::uint64_t seed) {
  return std::make_unique<DiskStores>(seed);
}

World::World(std::uint64_t seed, std::unique_ptr<StoreMaker> stores, proxy::Durability durability)
    : random(seed), stores_(std::move(stores)), disk_(seed + 1) {
  settings_.durability = durability;
  build_image();
  image_.randomise(seed + 2, 3);
  start(stores_->make());
}

World::~World() {
  for (proxy::Appliance* appliance : exports_.all()) {
    static_cast<void>(test::run_task(loop_, disk_, appliance->close()));
  }
}

void World::build_image() {
  ModelId id = 2;
  std::vector<std::pair<std::string, ModelId>> directories{{"", test::model_root}};
  std::map<ModelId, cache::ObjectId> ids{{test::model_root, cache::image_root}};
  const std::uint32_t modes[] = {0755, 0777, 01777, 0700, 02775, 0644, 0600, 0666, 04755};
  for (int i = 0; i < 24; ++i, ++id) {
    auto [directory, parent] = directories[random() % directories.size()];
    std::string name = "i" + std::to_string(random() % 6);
    if (model.find(parent)->names.contains(name)) continue;
    std::string path = directory.empty() ? name : directory + "/" + name;
    ModelObject object;
    cache::ImageAttributes attributes;
    attributes.mode = object.mode = modes[random() % 9];
    attributes.uid = object.uid = static_cast<std::uint32_t>(random() % 2 * 1000);
    attributes.gid = object.gid = static_cast<std::uint32_t>(random() % 2 * 100);
    if (random() % 3 == 0) {
      object.type = FileType::directory;
      ids[id] = image_.add_directory(path, attributes);
      directories.emplace_back(path, id);
    } else if (random() % 5 == 0) {
      object = ModelObject();
      object.type = FileType::symlink;
      object.mode = 0777;
      object.content = "target" + name;
      ids[id] = image_.add_symlink(path, object.content);
    } else {
      object.content.assign(random() % 40000, static_cast<char>('A' + i));
      ids[id] = image_.add_file(path, object.content, attributes);
    }
    bool regular = object.type == FileType::regular;
    model.put(parent, name, id, std::move(object));
    if (regular && random() % 4 == 0 &&
        !model.find(test::model_root)->names.contains("hard" + name)) {
      image_.add_link("hard" + name, path);
      model.put_link(test::model_root, "hard" + name, id);
    }
  }
  proxy::HandleSealer sealer(settings_.id, settings_.key);
  for (auto [model_id, object_id] : ids) handles[model_id] = sealer.seal(object_id);
}

void World::start(std::unique_ptr<cache::Store> store) {
  auto appliance = std::make_unique<proxy::Appliance>(settings_, std::move(store), image_,
                                                      loop_, disk_);
  CHECK(exports_.add(std::move(appliance)).has_value());
}

// The old life ends without anybody hearing of it; what cut_power() kept is opened.
void World::reboot() {
  plenty();
  std::unique_ptr<proxy::Appliance> old = exports_.remove(settings_.id);
  static_cast<void>(test::run_task(loop_, disk_, old->close()));
  old.reset();
  start(stores_->reopen());
}

void World::crash() {
  stores_->cut_power(store(), random);
  reboot();
}

nfs3::Verifier World::write_verifier() const { return store().write_verifier(); }

void World::leave_room(std::uint64_t bytes) {
  stores_->disk().limit(stores_->disk().used_bytes() + bytes);
}
void World::plenty() { stores_->disk().limit(0); }
void World::set_quota(std::uint64_t bytes) {
  settings_.quota_bytes = bytes == 0 ? 0 : store().usage().data_bytes + bytes;
  exports_.all().front()->update(settings_);
}
bool World::stalled() const { return store().stalled().has_value(); }

void World::turn() { step(); }

cache::Ticket World::applied() const { return store().applied(); }
cache::Ticket World::durable() const { return store().durable(); }

// One thing that can happen next. False: nothing can.
bool World::step() {
  if (loop_.run()) return true;
  if (disk_.run_one()) return true;
  auto next = loop_.next_timer();
  if (!next) return false;
  loop_.advance(*next - loop_.clock().now());
  return true;
}

void World::run(const std::vector<Operation>& operations, std::vector<Outcome>& outcomes,
                const std::function<bool()>& stop) {
  outcomes.assign(operations.size(), Outcome());
  TaskGroup group;
  for (std::size_t i = 0; i < operations.size(); ++i)
    group.start(perform(service_, handles, operations[i], outcomes[i]));
  bool cut = false;
  std::vector<Outcome> known;
  const bool lags = settings_.durability == proxy::Durability::async;
  for (std::uint64_t turn = 0; !(lags && group.running() == 0); ++turn) {
    if (on_turn) on_turn(turn);
    if (!step()) break;
    if (stop == nullptr || cut || !stop()) continue;
    cut = true;
    known = outcomes;
    stores_->cut_power(store(), random);
  }
  CHECK_EQ(group.running(), 0u);
  if (stop == nullptr) return;
  if (!cut) {
    known = outcomes;
    stores_->cut_power(store(), random);
  }
  outcomes = known;
  reboot();
}

std::map<std::string, std::string> World::dump(std::map<std::string, nfs3::Handle>& by_path) {
  image_.randomise(random(), 0);
  SeenTree seen =
      test::run_task(loop_, disk_, dump_tree(service_, handles.at(test::model_root)));
  by_path = std::move(seen.handles);
  image_.randomise(random(), 3);
  return std::move(seen.lines);
}

}  // namespace rowan::sim
