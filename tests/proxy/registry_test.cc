#include "proxy/registry.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "proxy/store_maker.h"
#include "tests/support/catch.h"
#include "tests/support/manual_loop.h"
#include "tests/support/run_jobs.h"
#include "tests/support/temp_directory.h"

namespace rowan::proxy {
namespace {

namespace fs = std::filesystem;

Result<void> make_marker(cache::Directory& directory) {
  return write_record(directory, "marker", "empty store");
}
Result<void> no_space(cache::Directory&) { return Error(Errc::no_space, "the disk is full"); }

struct Fixture {
  test::TempDirectory directory;
  test::ManualClock clock;
  std::unique_ptr<StateDir> state = StateDir::open(directory.open(), "test").value();
  std::unique_ptr<Registry> registry = Registry::load(*state, clock, make_marker).value();

  void reload() { registry = Registry::load(*state, clock, make_marker).value(); }
  NewAppliance wanted(std::string name) const {
    NewAppliance appliance;
    appliance.name = std::move(name);
    appliance.image = "debian";
    return appliance;
  }
  void damage(const std::string& file) {
    std::ofstream(directory.path() + "/" + file) << "{\"format\": 1}";
  }
};

TEST_CASE("images, versions and appliances survive reopening") {
  Fixture f;
  CHECK(f.registry->add_version({"debian", ""}, "nfs://h/1")->label == "1");
  CHECK(f.registry->add_version({"debian", "stable"}, "nfs://h/2")->label == "stable");
  CHECK(f.registry->add_version({"debian", ""}, "nfs://h/3")->label == "3");
  NewAppliance wanted = f.wanted("vm1");
  wanted.version = "stable";
  wanted.allow = {"10.0.0.0/8"};
  wanted.quota_bytes = 5;
  ApplianceRecord made = f.registry->create_appliance(wanted).value();
  f.reload();
  ApplianceRecord found = f.registry->appliance("vm1").value();
  CHECK(found.id == made.id);
  CHECK(found.key == made.key);
  CHECK(found.version == "stable");
  CHECK(found.allow == wanted.allow);
  CHECK(f.registry->version({"debian", ""})->label == "3");
  CHECK(f.registry->version({"debian", "stable"})->source == "nfs://h/2");
  CHECK(f.registry->pool_directory(found.pool));
  CHECK(found.head == cache::first_state);
  CHECK(f.registry->image_catalog("debian"));
}

TEST_CASE("an appliance without a version stays on the newest of its day") {
  Fixture f;
  REQUIRE(f.registry->add_version({"debian", ""}, "/1"));
  CHECK(f.registry->create_appliance(f.wanted("vm1"))->version == "1");
  REQUIRE(f.registry->add_version({"debian", ""}, "/2"));
  CHECK(f.registry->create_appliance(f.wanted("vm2"))->version == "2");
  CHECK(f.registry->appliance("vm1")->version == "1");
}

TEST_CASE("identities and keys are random and never zero") {
  Fixture f;
  REQUIRE(f.registry->add_version({"debian", ""}, "/1"));
  std::set<std::uint64_t> ids;
  std::set<ApplianceKey> keys;
  for (int i = 0; i < 20; ++i) {
    ApplianceRecord made = f.registry->create_appliance(f.wanted("vm" + std::to_string(i))).value();
    ids.insert(static_cast<std::uint64_t>(made.id));
    ids.insert(made.fsid);
    keys.insert(made.key);
  }
  CHECK(ids.size() == 40);
  CHECK(ids.count(0) == 0);
  CHECK(keys.size() == 20);
}

TEST_CASE("taken names, unknown images and bad words are refused with a remedy") {
  Fixture f;
  REQUIRE(f.registry->add_version({"debian", "1"}, "/1"));
  REQUIRE(f.registry->create_appliance(f.wanted("vm1")));
  auto again = f.registry->create_appliance(f.wanted("vm1"));
  REQUIRE(again.failed_with(Errc::exists));
  CHECK(again.error().detail ==
        "appliance 'vm1' already exists; choose another name or remove it with 'rowan remove vm1'");
  CHECK(f.registry->add_version({"debian", "1"}, "/x").failed_with(Errc::exists));
  CHECK(f.registry->add_version({"a/b", ""}, "/x").failed_with(Errc::usage));
  CHECK(f.registry->add_version({"debian", "a@b"}, "/x").failed_with(Errc::usage));
  CHECK(f.registry->create_appliance(f.wanted("../x")).failed_with(Errc::usage));
  NewAppliance unknown = f.wanted("vm2");
  unknown.image = "fedora";
  CHECK(f.registry->create_appliance(unknown).failed_with(Errc::not_found));
  NewAppliance old = f.wanted("vm2");
  old.version = "0";
  CHECK(f.registry->create_appliance(old).failed_with(Errc::not_found));
  NewAppliance open = f.wanted("vm2");
  open.allow = {"everybody"};
  CHECK(f.registry->create_appliance(open).failed_with(Errc::usage));
  CHECK(f.registry->appliance("vm2").failed_with(Errc::not_found));
  CHECK(f.registry->remove_appliance("vm2").failed_with(Errc::not_found));
  CHECK(f.registry->remove_appliance("..").failed_with(Errc::not_found));
  CHECK(f.registry->remove_image({"..", ""}).failed_with(Errc::not_found));
}

TEST_CASE("an image in use is not removed, and says by whom") {
  Fixture f;
  REQUIRE(f.registry->add_version({"debian", "1"}, "/1"));
  REQUIRE(f.registry->add_version({"debian", "2"}, "/2"));
  REQUIRE(f.registry->create_appliance(f.wanted("vm1")));
  auto refused = f.registry->remove_image({"debian", ""});
  REQUIRE(refused.failed_with(Errc::busy));
  CHECK(refused.error().detail.find("'vm1'") != std::string::npos);
  CHECK(f.registry->remove_image({"debian", "2"}).failed_with(Errc::busy));
  REQUIRE(f.registry->remove_image({"debian", "1"}));
  CHECK(f.registry->version({"debian", "1"}).failed_with(Errc::not_found));
  REQUIRE(f.registry->remove_appliance("vm1"));
  REQUIRE(f.registry->remove_image({"debian", "2"}));
  f.reload();
  CHECK(f.registry->images().empty());
  CHECK(f.state->images().list()->empty());
  CHECK(f.state->appliances().list()->empty());
}

TEST_CASE("a removed appliance's name can be taken again, with another identity") {
  Fixture f;
  REQUIRE(f.registry->add_version({"debian", ""}, "/1"));
  auto first = f.registry->create_appliance(f.wanted("vm1")).value();
  REQUIRE(f.registry->remove_appliance("vm1"));
  auto second = f.registry->create_appliance(f.wanted("vm1")).value();
  CHECK(first.id != second.id);
  CHECK(first.key != second.key);
}

TEST_CASE("a damaged record is named, keeps its name taken and leaves the others alone") {
  Fixture f;
  REQUIRE(f.registry->add_version({"debian", ""}, "/1"));
  REQUIRE(f.registry->add_version({"spare", ""}, "/2"));
  REQUIRE(f.registry->create_appliance(f.wanted("vm1")));
  REQUIRE(f.registry->create_appliance(f.wanted("vm2")));
  f.damage("appliances/vm1/appliance.json");
  f.reload();
  REQUIRE(f.registry->damaged_appliances().size() == 1);
  CHECK(f.registry->damaged_appliances()[0].name == "vm1");
  CHECK(f.registry->appliance("vm1").failed_with(Errc::corrupt));
  CHECK(f.registry->appliance("vm2"));
  CHECK(f.registry->create_appliance(f.wanted("vm1")).failed_with(Errc::exists));
  CHECK(f.registry->remove_image({"spare", ""}).failed_with(Errc::busy));
  REQUIRE(f.registry->remove_appliance("vm1"));
  REQUIRE(f.registry->remove_image({"spare", ""}));
  f.damage("images/debian/image.json");
  f.reload();
  CHECK(f.registry->version({"debian", ""}).failed_with(Errc::corrupt));
  CHECK(f.registry->add_version({"debian", ""}, "/3").failed_with(Errc::corrupt));
  CHECK(f.registry->appliance("vm2"));
}

TEST_CASE("swapped directories are damage, not another appliance's identity") {
  Fixture f;
  REQUIRE(f.registry->add_version({"debian", ""}, "/1"));
  REQUIRE(f.registry->create_appliance(f.wanted("vm1")));
  fs::rename(f.directory.path() + "/appliances/vm1", f.directory.path() + "/appliances/vm9");
  f.reload();
  CHECK(f.registry->appliance("vm9").failed_with(Errc::corrupt));
  CHECK(f.registry->appliances().empty());
}

TEST_CASE("an appliance whose store cannot be made leaves nothing behind") {
  Fixture f;
  REQUIRE(f.registry->add_version({"debian", ""}, "/1"));
  f.registry = Registry::load(*f.state, f.clock, no_space).value();
  CHECK(f.registry->create_appliance(f.wanted("vm1")).failed_with(Errc::no_space));
  f.reload();
  CHECK(f.registry->appliances().empty());
  CHECK(f.registry->create_appliance(f.wanted("vm1")));
}

TEST_CASE("appliances that never wrote cost little disk, a thousand of them less than 64 MiB") {
  Fixture f;
  f.registry = Registry::load(*f.state, f.clock, make_store).value();
  REQUIRE(f.registry->add_version({"debian", ""}, "/1"));
  for (int i = 0; i < 20; ++i) {
    const std::string name = "vm" + std::to_string(i);
    REQUIRE(f.registry->create_appliance(f.wanted(name)));
    auto directory = f.registry->pool_directory(f.registry->appliance(name)->pool).value();
    auto store = cache::Store::open(*directory, cache::StoreOptions());
    REQUIRE(store);
    test::run_jobs(**store);
    test::close_cleanly(**store);
  }
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(f.directory.path())) {
    struct stat about {};
    REQUIRE(::lstat(entry.path().c_str(), &about) == 0);
    bytes += static_cast<std::uint64_t>(about.st_blocks) * 512;
  }
  CHECK(bytes / 20 < (64u << 20) / 1000);
}

}  // namespace
}  // namespace rowan::proxy
