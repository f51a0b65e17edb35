// The state directory on a disk that forgets and fails: after a power cut at any step of any change
// every record is the old or the new one, every appliance has a whole store, and nothing half-made
// is left behind.
#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "proxy/registry.h"
#include "proxy/store_maker.h"
#include "tests/support/manual_loop.h"
#include "tests/support/seeds.h"
#include "tests/support/sim_disk.h"

#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

using test::Loss;
using test::SimDisk;

// Small: hundreds of stores are made here.
Result<void> make_small_store(cache::Directory& directory) {
  cache::StoreOptions options;
  options.table.reserve_bytes = 64 << 10;
  auto store = cache::Store::create(directory, options);
  if (!store) return std::move(store).error();
  return {};
}

struct Opened {
  std::unique_ptr<StateDir> state;
  std::unique_ptr<Registry> registry;
};

Result<Opened> open_state(SimDisk& disk, Clock& clock) {
  Opened opened;
  TRY(opened.state, StateDir::open(disk.root(), "test"));
  TRY(opened.registry, Registry::load(*opened.state, clock, make_small_store));
  return opened;
}

// Everything that is kept, as text: equal states have equal texts.
std::string text_of(const Registry& registry) {
  std::string text;
  for (const auto& [name, image] : registry.images()) text += encode_record(image) + '\n';
  for (const auto& [name, appliance] : registry.appliances())
    text += encode_record(appliance) + '\n';
  return text;
}

template <class Records>
std::vector<std::string> names_of(const Records& records) {
  std::vector<std::string> names;
  for (const auto& [name, record] : records) names.push_back(name);
  return names;
}

std::vector<std::string> pools_of(const Registry& registry) {
  std::set<std::string> names;
  for (const auto& [name, record] : registry.appliances())
    names.insert(hex_id(static_cast<std::uint64_t>(record.pool)));
  return {names.begin(), names.end()};
}

// What must hold of any state that was just opened.
void check_whole(Opened& opened) {
  Registry& registry = *opened.registry;
  REQUIRE(registry.damaged_images().empty());
  REQUIRE(registry.damaged_appliances().empty());
  REQUIRE(*opened.state->images().list() == names_of(registry.images()));
  REQUIRE(*opened.state->appliances().list() == names_of(registry.appliances()));
  REQUIRE(*opened.state->stores().list() == pools_of(registry));
  for (const auto& [name, record] : registry.images()) REQUIRE(registry.image_catalog(name));
  for (const auto& [name, record] : registry.appliances()) {
    REQUIRE(registry.version({record.image, record.version}));
    auto directory = registry.pool_directory(record.pool);
    REQUIRE(directory);
    auto store = cache::Store::open(**directory, {});
    if (!store) FAIL(name << ": " << to_string(store.error()));
  }
}

// The text of the state after a power cut; when it dies again while it opens, of the one after.
std::string after_crash(const SimDisk& disk, std::uint64_t seed, Clock& clock) {
  SimDisk after = disk.crashed(seed, seed % 7 == 0 ? Loss::all : Loss::random);
  if (seed % 3 == 0) {
    std::optional<SimDisk> again;
    const std::uint64_t at = after.steps() + seed / 3 % 8;
    after.on_step([&] {
      if (after.steps() == at) again = after.crashed(seed + 1);
    });
    (void)open_state(after, clock);
    after.on_step({});
    if (again) after = std::move(*again);
  }
  auto opened = open_state(after, clock);
  if (!opened) FAIL(to_string(opened.error()));
  check_whole(*opened);
  return text_of(*opened->registry);
}

NewAppliance wanted(std::string name, std::string image) {
  NewAppliance appliance;
  appliance.name = std::move(name);
  appliance.image = std::move(image);
  return appliance;
}

using Change = std::function<Result<void>(Registry&)>;
template <class T>
Result<void> outcome(const Result<T>& result) {
  if (!result) return result.error();
  return {};
}

// A life of a state directory; each change stands alone.
std::vector<Change> changes() {
  return {
      [](Registry& r) { return outcome(r.add_version({"debian", ""}, "nfs://h/1")); },
      [](Registry& r) { return outcome(r.add_version({"debian", ""}, "nfs://h/2")); },
      [](Registry& r) { return outcome(r.create_appliance(wanted("vm1", "debian"))); },
      [](Registry& r) { return outcome(r.add_version({"other", "x"}, "/srv/x")); },
      [](Registry& r) { return outcome(r.create_appliance(wanted("vm2", "other"))); },
      [](Registry& r) { return r.remove_image({"debian", "1"}); },
      [](Registry& r) { return r.remove_appliance("vm1"); },
      [](Registry& r) { return r.remove_image({"debian", ""}); },
      [](Registry& r) { return outcome(r.create_appliance(wanted("vm1", "other"))); },
  };
}

}  // namespace

TEST_CASE("a power cut at any step leaves every image and appliance whole, as before or after") {
  std::size_t cuts = 0;
  for (const std::uint64_t seed : test::seeds(6)) {
    INFO("again with ROWAN_SIM_SEED=" << seed);
    SimDisk disk(seed);
    test::ManualClock clock;
    Opened opened = *open_state(disk, clock);
    std::string before = text_of(*opened.registry);
    std::size_t number = 0;
    for (const Change& change : changes()) {
      INFO("change " << number++);
      std::vector<std::string> found;
      disk.on_step([&] { found.push_back(after_crash(disk, seed + found.size(), clock)); });
      REQUIRE(change(*opened.registry));
      disk.on_step({});
      const std::string after = text_of(*opened.registry);
      REQUIRE(after != before);
      for (std::size_t i = 0; i < found.size(); ++i) {
        INFO("power cut before step " << i << " of " << found.size());
        REQUIRE((found[i] == before || found[i] == after));
      }
      // What was acknowledged is there, even if nothing unsynced survives.
      for (const std::uint64_t cut : {7u, 8u, 9u})
        REQUIRE(after_crash(disk, seed + cut, clock) == after);
      cuts += found.size();
      before = after;
    }
  }
  CHECK(cuts > 300);
}

TEST_CASE("whichever step of a change fails, it can be made again, at once and after a restart") {
  test::ManualClock clock;
  const std::size_t count = changes().size();
  for (std::size_t failing = 0; failing < count; ++failing) {
    for (std::uint64_t step = 0;; ++step) {
      INFO("change " << failing << ", step " << step);
      SimDisk disk(step + 1);
      Opened opened = *open_state(disk, clock);
      for (std::size_t i = 0; i < failing; ++i) REQUIRE(changes()[i](*opened.registry));
      const std::string before = text_of(*opened.registry);
      const std::uint64_t first = disk.steps();
      disk.fail_step(first + step, step % 2 == 0 ? Errc::io : Errc::no_space);
      const Result<void> tried = changes()[failing](*opened.registry);
      const bool beyond = disk.steps() <= first + step;
      disk.no_more_failures();
      if (!tried) {
        // What the next start finds is the old state or the new one.
        SimDisk killed = disk.killed();
        auto again = open_state(killed, clock);
        REQUIRE(again);
        check_whole(*again);
        if (text_of(*again->registry) == before) REQUIRE(changes()[failing](*again->registry));
        const Result<void> repeated = changes()[failing](*opened.registry);
        if (!repeated) FAIL(to_string(repeated.error()));
      }
      opened = {};
      opened = *open_state(disk, clock);
      check_whole(opened);
      REQUIRE(text_of(*opened.registry) != before);
      if (beyond) break;
    }
  }
}

}  // namespace rowan::proxy
