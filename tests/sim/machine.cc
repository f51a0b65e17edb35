#include "tests/sim/machine.h"

#include <set>
#include <utility>

#include "proxy/merged_view.h"
#include "proxy/state_question.h"
#include "proxy/store_maker.h"
#include "rpc/base/check.h"
#include "tests/support/scripted_source.h"

namespace rowan::sim {

using cache::Directory;
using proxy::ApplianceRecord;
using test::Loss;
using test::SimDisk;

namespace {

// Small, so that merges and loads happen all the time.
cache::StoreOptions small_stores() {
  cache::StoreOptions options;
  options.table.memory_table_bytes = 64u << 10;
  options.table.pending_bytes = 4u << 20;
  options.table.page_cache_bytes = 64u << 10;
  options.table.segment_bytes = 8u << 20;
  options.table.reserve_bytes = 64u << 10;
  return options;
}

Result<void> make_small_store(Directory& directory) {
  auto store = cache::Store::create(directory, small_stores());
  if (!store) return std::move(store).error();
  return {};
}

// A few steps of what goes on end in the middle of things.
constexpr std::uint64_t steps_ahead = 60;
constexpr std::size_t small_frame_bytes = 2000;

std::uint64_t allocated_in(Directory& directory) {
  std::uint64_t bytes = 0;
  const std::vector<std::string> names = *directory.list();
  for (const std::string& name : names) {
    if (auto inside = directory.directory(name, false)) {
      bytes += allocated_in(**inside);
    } else {
      bytes += *(*directory.open(name, cache::OpenMode::read))->allocated_bytes();
    }
  }
  return bytes;
}

// Directories have the links that a POSIX tree gives them.
std::unique_ptr<proxy::Source> source_of(Loop& loop, const std::vector<test::TreeEntry>& image) {
  auto source = std::make_unique<test::ScriptedSource>(loop, image);
  source->attributes_of("").nlink = 2;
  for (const test::TreeEntry& entry : image) {
    if (entry.kind != cache::FileKind::directory) continue;
    source->attributes_of(entry.path).nlink = 2;
    const std::size_t slash = entry.path.rfind('/');
    const bool deep = slash != std::string::npos;
    ++source->attributes_of(deep ? entry.path.substr(0, slash) : "").nlink;
  }
  return source;
}

template <class T>
T good(Result<T> result) {
  if (!result) CHECK_EQ(to_string(result.error()), "");
  return std::move(*result);
}

}  // namespace

Machine::Machine(std::uint64_t seed, const std::vector<test::TreeEntry>& image)
    : image_(image), disk_(seed), pool_(seed + 1) {}

Machine::~Machine() {
  disk_.on_step({});
  if (host_) halt();
}

void Machine::open() {
  disk_.slow_reads(0.1);
  state_ = good(proxy::StateDir::open(disk_.root(), "simulation"));
  registry_ = good(proxy::Registry::load(*state_, loop_.clock(), make_small_store));
  cache_directory_ = good(state_->cache());
  cache::BlockCacheOptions cache_options;
  cache_options.limit_bytes = 4u << 20;
  blocks_ = good(cache::BlockCache::open(*cache_directory_, cache_options));
  proxy::LiveOptions options;
  options.open_source = [this](const std::string&) -> Result<std::unique_ptr<proxy::Source>> {
    return source_of(loop_, image_);
  };
  options.stores = small_stores();
  host_.emplace(loop_, pool_, *state_, *registry_, *blocks_, options);
  api_.emplace(*registry_, *host_, loop_, pool_, small_frame_bytes);
}

void Machine::boot() {
  open();
  auto start = [](proxy::LiveHost& host) -> Task<bool> {
    co_await host.start_all();
    co_return true;
  };
  (void)run(start(*host_));
  for (const proxy::DamagedEntry& entry : registry_->damaged_appliances())
    CHECK_EQ(entry.name + ": " + to_string(entry.error), "");
  for (const auto& [name, record] : registry_->appliances()) {
    const std::string trouble = host_->appliance_status(name).trouble;
    CHECK_EQ(trouble, "");
  }
}

void Machine::halt() {
  auto end = [](proxy::AdminApi& api, proxy::LiveHost& host) -> Task<bool> {
    co_await api.close();
    co_await host.shut_down();
    co_return true;
  };
  host_->stop_opening();
  (void)run(end(*api_, *host_));
  api_.reset();
  host_.reset();
  blocks_.reset();
  cache_directory_.reset();
  registry_.reset();
  state_.reset();
  loop_.clear();
}

void Machine::arm(std::uint64_t seed) {
  const std::uint64_t at = disk_.steps() + seed % steps_ahead;
  disk_.on_step([this, at, seed] {
    if (disk_.steps() != at) return;
    cut_ = disk_.crashed(seed, seed % 7 == 0 ? Loss::all : Loss::random);
  });
}

void Machine::disarm() {
  if (!cut_) disk_.on_step({});
}

void Machine::restart_after_cut() {
  disk_.on_step({});
  SimDisk after = std::move(*cut_);
  cut_.reset();
  halt();
  disk_ = std::move(after);
  boot();
}

void Machine::cut_power(std::uint64_t seed) {
  cut_ = seed % 3 == 0 ? disk_.killed() : disk_.crashed(seed);
  restart_after_cut();
}

void Machine::later(std::int64_t seconds) {
  WallTime time = loop_.clock().wall();
  time.seconds += seconds;
  loop_.clock().set_wall(time);
}

bool Machine::step() {
  if (loop_.run()) return true;
  if (pool_.run_one()) return true;
  auto next = loop_.next_timer();
  if (!next) return false;
  loop_.advance(*next - loop_.clock().now());
  return true;
}

void Machine::settle() { test::settle(loop_, pool_); }

Task<proxy::HttpReply> Machine::asking(proxy::HttpRequest request) {
  co_return co_await api_->handle(request);
}

proxy::HttpReply Machine::ask(std::string method, std::string target, std::string body) {
  proxy::HttpRequest request{std::move(method), std::move(target), std::move(body)};
  return run(asking(std::move(request)));
}

nfs3::Handle Machine::handle(const ApplianceRecord& record, cache::ObjectId object) const {
  return proxy::HandleSealer(record.id, record.key).seal(object);
}

namespace {

SeenState seen_state(SeenTree tree) {
  SeenState state;
  state.lines = std::move(tree.lines);
  for (const auto& [path, handle] : tree.handles)
    state.objects[path] = proxy::parse_handle(handle)->object;
  return state;
}

}  // namespace

SeenState Machine::look_at_running(const ApplianceRecord& record) {
  return seen_state(run(dump_tree(host_->nfs(), handle(record, cache::image_root))));
}

SeenState Machine::look_at_checkpoint(const ApplianceRecord& record, const std::string& name) {
  proxy::Appliance* view = good(run(host_->open_state(record, name)));
  return seen_state(run(dump_tree(host_->nfs(), view->view().handle(cache::image_root))));
}

std::uint64_t Machine::guid_of(const std::string& appliance, const std::string& checkpoint) {
  const ApplianceRecord record = good(registry_->appliance(appliance));
  const proxy::History history = good(run(host_->versions().history(record)));
  return good(proxy::find_checkpoint(history, record, checkpoint)).label.guid;
}

SeenAppliance Machine::look_at(const ApplianceRecord& record) {
  SeenAppliance seen;
  seen.running = look_at_running(record);
  const proxy::History history = good(run(host_->versions().history(record)));
  for (const proxy::Checkpoint& checkpoint : history.checkpoints) {
    const std::string& name = checkpoint.label.name;
    seen.checkpoints[name] = look_at_checkpoint(record, name);
    seen.guids[name] = checkpoint.label.guid;
  }
  return seen;
}

// ---- what must not be left behind

namespace {

struct Owners {
  std::vector<ApplianceRecord> users;
  std::set<cache::StateId> receiving;
  std::int64_t now = 0;
};

// Whose a state is, by its label or by who runs on it.
bool is_owned(const cache::StateInfo& info, const Owners& owners) {
  if (info.head && owners.receiving.contains(info.id)) return true;
  // Of a receive that lost its power before it had begun.
  const auto mark = proxy::decode_mark(info.label);
  if (info.head && mark && owners.now - mark->touched < proxy::receive_patience_seconds)
    return true;
  const auto label = proxy::decode_label(info.label);
  for (const ApplianceRecord& user : owners.users) {
    if (info.head ? user.head == info.id : label && label->appliance == user.id) return true;
  }
  return false;
}

std::string orphan_in(proxy::Pool& pool, const Owners& owners) {
  std::map<cache::StateId, int> children;
  const std::vector<cache::StateInfo> states = pool.family().states();
  for (const cache::StateInfo& info : states) ++children[info.parent];
  for (const cache::StateInfo& info : states) {
    const std::string name = "state " + std::to_string(cache::to_number(info.id)) + " of pool " +
                             proxy::hex_id(static_cast<std::uint64_t>(pool.id()));
    if (info.dropped && children[info.id] < 2) return name + " was not given back";
    if (!info.dropped && !is_owned(info, owners))
      return name + " is nobody's: " + info.label;
  }
  return "";
}

}  // namespace

std::string Machine::orphans() {
  std::set<proxy::PoolId> pools;
  for (const auto& [name, record] : registry_->appliances()) pools.insert(record.pool);
  std::set<std::string> expected;
  for (const auto& [name, receive] : registry_->receives())
    expected.insert(proxy::hex_id(static_cast<std::uint64_t>(receive.appliance.pool)));
  for (const proxy::PoolId pool : pools)
    expected.insert(proxy::hex_id(static_cast<std::uint64_t>(pool)));
  const auto listed = *state_->stores().list();
  if (std::set<std::string>(listed.begin(), listed.end()) != expected)
    return "pools without an owner, or owners without a pool";
  for (const proxy::PoolId id : pools) {
    Owners owners;
    owners.now = loop_.clock().wall().seconds;
    for (const auto& [name, record] : registry_->appliances())
      if (record.pool == id) owners.users.push_back(record);
    for (const auto& [name, receive] : registry_->receives())
      if (receive.appliance.pool == id) owners.receiving.insert(receive.appliance.head);
    proxy::Pool* pool = good(run(host_->versions().acquire(owners.users.front())));
    pool->jobs().pump();
    settle();
    const std::string found = orphan_in(*pool, owners);
    auto release = [](proxy::Versions& versions, proxy::Pool& from) -> Task<bool> {
      co_await versions.release(from);
      co_return true;
    };
    (void)run(release(host_->versions(), *pool));
    if (!found.empty()) return found;
  }
  return "";
}

std::string Machine::check() {
  SimDisk killed = disk_.killed();
  auto root = killed.root();
  auto stores = good(root->directory("stores", false));
  const std::vector<std::string> names = *proxy::StateDir::entries(*stores);
  for (const std::string& name : names) {
    auto directory = good(stores->directory(name, false));
    // Opening heals what was being written.
    good(cache::StoreFamily::open(*directory, small_stores())).reset();
    cache::CheckOptions thorough;
    thorough.data = true;
    const auto findings = good(proxy::check_store_in(*directory, thorough));
    if (!findings.empty()) return "pool " + name + ": " + findings.front();
  }
  return "";
}

std::string Machine::remains() {
  for (const std::string& path : disk_.files()) {
    for (const char* folder : {"stores/", "appliances/", "receives/"})
      if (path.starts_with(folder)) return path + " is left";
  }
  // With all that was not synced written out: until then the disk may need what is removed again.
  SimDisk written = disk_.crashed(1, Loss::none);
  auto root = written.root();
  const std::uint64_t allocated = allocated_in(*root), used = written.used_bytes();
  if (allocated == used) return "";
  return std::to_string(used) + " bytes are used, files have " + std::to_string(allocated);
}

}  // namespace rowan::sim
