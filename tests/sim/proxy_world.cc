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

CallContext context_of(const test::ModelUser& user) {
  GroupList groups;
  for (std::uint32_t group : user.groups) groups.push_back(group);
  return test::context_of(user.uid, user.groups.front(), groups);
}

std::string line(const ModelObject& object, std::uint64_t size) {
  std::string text = "type " + std::to_string(static_cast<int>(object.type)) + " mode " +
                     std::to_string(object.mode) + " owner " + std::to_string(object.uid) + ":" +
                     std::to_string(object.gid) + " nlink " + std::to_string(object.nlink);
  if (!object.is_directory()) text += " size " + std::to_string(size);
  text +=
      " device " + std::to_string(object.device.major) + ":" + std::to_string(object.device.minor);
  return text + " hash " + std::to_string(std::hash<std::string>()(object.content));
}

nfs3::SetAttributes to_nfs(const test::ModelSet& set) {
  nfs3::SetAttributes result;
  result.mode = set.mode;
  result.uid = set.uid;
  result.gid = set.gid;
  result.size = set.size;
  return result;
}

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
    group.start(perform(operations[i], outcomes[i]));
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

Task<void> World::perform(Operation operation, Outcome& outcome) {
  CallContext context = context_of(operation.user);
  Outcome own;
  switch (operation.kind) {
    case Operation::Kind::create:
    case Operation::Kind::mkdir:
    case Operation::Kind::symlink:
    case Operation::Kind::mknod:
      co_await perform_new(context, operation, own);
      break;
    case Operation::Kind::lookup:
    case Operation::Kind::remove:
    case Operation::Kind::rmdir:
    case Operation::Kind::rename:
    case Operation::Kind::link:
      co_await perform_names(context, operation, own);
      break;
    default:
      co_await perform_data(context, operation, own);
      break;
  }
  own.replied = true;
  outcome = own;
}

Task<void> World::perform_names(const CallContext& context, const Operation& operation,
                                Outcome& outcome) {
  nfs3::DirOpArgs at{handles.at(operation.object), operation.name};
  using Kind = Operation::Kind;
  if (operation.kind == Kind::lookup) {
    nfs3::LookupArgs args{at};
    nfs3::LookupRes res = co_await service_.lookup(context, args);
    outcome.status = res.status;
    outcome.handle = res.object;
  } else if (operation.kind == Kind::remove || operation.kind == Kind::rmdir) {
    nfs3::RemoveArgs args{at};
    bool directory = operation.kind == Kind::rmdir;
    Task<nfs3::RemoveRes> task =
        directory ? service_.rmdir(context, args) : service_.remove(context, args);
    nfs3::RemoveRes res = co_await task;
    outcome.status = res.status;
  } else if (operation.kind == Kind::rename) {
    nfs3::DirOpArgs to{handles.at(operation.other), operation.new_name};
    nfs3::RenameArgs args{at, to};
    nfs3::RenameRes res = co_await service_.rename(context, args);
    outcome.status = res.status;
  } else {
    nfs3::DirOpArgs to{handles.at(operation.other), operation.new_name};
    nfs3::LinkArgs args{handles.at(operation.object), to};
    nfs3::LinkRes res = co_await service_.link(context, args);
    outcome.status = res.status;
  }
}

Task<void> World::perform_data(const CallContext& context, const Operation& operation,
                               Outcome& outcome) {
  nfs3::Handle object = handles.at(operation.object);
  using Kind = Operation::Kind;
  if (operation.kind == Kind::access) {
    nfs3::AccessArgs args{object, 0x3f};
    nfs3::AccessRes res = co_await service_.access(context, args);
    outcome.status = res.status;
    outcome.access = res.access;
  } else if (operation.kind == Kind::setattr) {
    nfs3::SetattrArgs args{object, to_nfs(operation.set), std::nullopt};
    nfs3::SetattrRes res = co_await service_.setattr(context, args);
    outcome.status = res.status;
  } else if (operation.kind == Kind::read) {
    nfs3::ReadArgs args{object, operation.offset, operation.count};
    nfs3::ReadRes res = co_await service_.read(context, args);
    outcome.status = res.status;
    outcome.bytes = as_text(res.data.view());
    outcome.eof = res.eof;
  } else if (operation.kind == Kind::write) {
    auto count = static_cast<std::uint32_t>(operation.bytes.size());
    ByteView data = as_bytes(operation.bytes);
    nfs3::WriteArgs args{object, operation.offset, count, operation.stable, data};
    nfs3::WriteRes res = co_await service_.write(context, args);
    outcome.status = res.status;
    outcome.verifier = res.verifier;
    CHECK(res.status != Status::ok || res.count == count);
  } else if (operation.kind == Kind::commit) {
    nfs3::CommitArgs args{object, operation.offset, operation.count};
    nfs3::CommitRes res = co_await service_.commit(context, args);
    outcome.status = res.status;
    outcome.verifier = res.verifier;
  } else {
    nfs3::ReadlinkArgs args{object};
    nfs3::ReadlinkRes res = co_await service_.readlink(context, args);
    outcome.status = res.status;
    outcome.bytes = res.target;
  }
}

Task<void> World::perform_new(const CallContext& context, const Operation& operation,
                              Outcome& outcome) {
  nfs3::DirOpArgs at{handles.at(operation.object), operation.name};
  nfs3::SetAttributes set = to_nfs(operation.set);
  using Kind = Operation::Kind;
  nfs3::CreateRes res;
  if (operation.kind == Kind::create) {
    nfs3::CreateArgs args{at, operation.how, set, operation.verifier};
    res = co_await service_.create(context, args);
  } else if (operation.kind == Kind::mkdir) {
    nfs3::MkdirArgs args{at, set};
    res = co_await service_.mkdir(context, args);
  } else if (operation.kind == Kind::symlink) {
    nfs3::SymlinkArgs args{at, set, operation.bytes};
    res = co_await service_.symlink(context, args);
  } else {
    nfs3::SpecData device{4, 64};
    nfs3::MknodArgs args{at, FileType::character, set, device};
    res = co_await service_.mknod(context, args);
  }
  outcome.status = res.status;
  outcome.handle = res.object;
}

std::map<std::string, std::string> World::dump(std::map<std::string, nfs3::Handle>& by_path) {
  image_.randomise(random(), 0);
  std::map<std::string, std::string> lines;
  by_path[""] = handles.at(test::model_root);
  dump_directory("", handles.at(test::model_root), lines, by_path);
  image_.randomise(random(), 3);
  return lines;
}

void World::dump_directory(const std::string& path, const nfs3::Handle& directory,
                           std::map<std::string, std::string>& lines,
                           std::map<std::string, nfs3::Handle>& by_path) {
  CallContext root = test::context_of(0, 0);
  nfs3::ReaddirplusArgs args{directory, 0, {}, 400, 2000};
  std::vector<nfs3::DirEntry> entries;
  for (bool eof = false; !eof;) {
    nfs3::ReaddirRes res = test::run_task(loop_, disk_, service_.readdirplus(root, args));
    CHECK_EQ(nfs3::to_string(res.status), "NFS3_OK");
    eof = res.eof;
    if (!res.entries.empty()) args.cookie = res.entries.back().cookie;
    for (nfs3::DirEntry& entry : res.entries) entries.push_back(std::move(entry));
  }
  for (const nfs3::DirEntry& entry : entries) {
    // The root is nobody's entry but its own.
    if (entry.name == "." && path.empty()) lines[path] = describe_object(entry);
    if (entry.name == "." || entry.name == "..") continue;
    std::string child = path + "/" + entry.name;
    CHECK(lines.find(child) == lines.end());  // each name once
    lines[child] = describe_object(entry);
    by_path[child] = *entry.object;
    if (entry.attributes->type == FileType::directory)
      dump_directory(child, *entry.object, lines, by_path);
  }
}

std::string World::describe_object(const nfs3::DirEntry& entry) {
  CallContext root = test::context_of(0, 0);
  const nfs3::Attributes& attributes = *entry.attributes;
  CHECK_EQ(attributes.fileid, entry.fileid);
  std::string content;
  if (attributes.type == FileType::regular) {
    nfs3::ReadArgs args{*entry.object, 0, nfs3::max_transfer_size};
    nfs3::ReadRes res = test::run_task(loop_, disk_, service_.read(root, args));
    CHECK_EQ(nfs3::to_string(res.status), "NFS3_OK");
    CHECK(res.eof);
    content = as_text(res.data.view());
  } else if (attributes.type == FileType::symlink) {
    nfs3::ReadlinkArgs args{*entry.object};
    content = test::run_task(loop_, disk_, service_.readlink(root, args)).target;
  }
  ModelObject object;
  object.type = attributes.type;
  object.mode = attributes.mode;
  object.uid = attributes.uid;
  object.gid = attributes.gid;
  object.nlink = attributes.nlink;
  object.device = attributes.rdev;
  object.content = std::move(content);
  return line(object, attributes.size);
}

namespace {

void dump_model_directory(const test::ModelFs& model, const std::string& path, ModelId directory,
                          std::map<std::string, std::string>& lines,
                          std::map<std::string, ModelId>& by_path) {
  for (const auto& [name, id] : model.find(directory)->names) {
    const ModelObject& object = *model.find(id);
    std::string child = path + "/" + name;
    lines[child] = line(object, object.content.size());
    by_path[child] = id;
    if (object.is_directory()) dump_model_directory(model, child, id, lines, by_path);
  }
}

}  // namespace

std::map<std::string, std::string> dump_model(const test::ModelFs& model,
                                              std::map<std::string, ModelId>& by_path) {
  const ModelObject& root = *model.find(test::model_root);
  std::map<std::string, std::string> lines{{"", line(root, root.content.size())}};
  by_path[""] = test::model_root;
  dump_model_directory(model, "", test::model_root, lines, by_path);
  return lines;
}

}  // namespace rowan::sim
