#include "proxy/state_dir.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "proxy/records.h"
#include "tests/support/catch.h"
#include "tests/support/temp_directory.h"

namespace rowan::proxy {
namespace {

namespace fs = std::filesystem;

TEST_CASE("a second process is refused and told who holds the state") {
  test::TempDirectory directory;
  auto first = StateDir::open(directory.open(), "rowan serve");
  REQUIRE(first);
  auto second = StateDir::open(directory.open(), "rowan create");
  REQUIRE(second.failed_with(Errc::busy));
  CHECK(second.error().detail.find("process " + std::to_string(::getpid()) + " (rowan serve)") !=
        std::string::npos);
  CHECK(second.error().detail.find(directory.path()) != std::string::npos);
  first->reset();
  CHECK(StateDir::open(directory.open(), "rowan create"));
}

TEST_CASE("a running daemon is not waited for") {
  test::TempDirectory directory;
  auto daemon = StateDir::open(directory.open(), "rowan serve").value();
  auto second = StateDir::open(directory.open(), "rowan serve", std::chrono::hours(24));
  CHECK(second.failed_with(Errc::busy));
}

TEST_CASE("a command that is about to finish is waited for") {
  test::TempDirectory directory;
  auto command = StateDir::open(directory.open(), "rowan status").value();
  std::thread other([&] { command.reset(); });
  auto daemon = StateDir::open(directory.open(), "rowan serve", std::chrono::hours(24));
  other.join();
  CHECK(daemon);
}

TEST_CASE("nobody else can read what the state holds") {
  test::TempDirectory directory;
  auto state = StateDir::open(directory.open(), "test").value();
  auto draft = StateDir::draft(state->appliances(), "vm1").value();
  REQUIRE(write_record(*draft, StateDir::appliance_record, "{}"));
  REQUIRE(StateDir::publish(state->appliances(), "vm1"));
  struct stat about;
  REQUIRE(::stat((directory.path() + "/appliances/vm1/appliance.json").c_str(), &about) == 0);
  CHECK((about.st_mode & 07777) == 0600);
  REQUIRE(::stat((directory.path() + "/appliances/vm1").c_str(), &about) == 0);
  CHECK((about.st_mode & 07777) == 0700);
}

TEST_CASE("drafts and retired directories are invisible and swept at the next open") {
  test::TempDirectory directory;
  {
    auto state = StateDir::open(directory.open(), "test").value();
    auto published = StateDir::draft(state->appliances(), "kept").value();
    REQUIRE(write_record(*published, "x", "1"));
    REQUIRE(StateDir::publish(state->appliances(), "kept"));
    auto draft = StateDir::draft(state->appliances(), "draft").value();
    REQUIRE(write_record(*draft, "x", "1"));
    auto gone = StateDir::draft(state->appliances(), "gone").value();
    REQUIRE(gone->directory("store", true));
    REQUIRE(StateDir::publish(state->appliances(), "gone"));
    REQUIRE(StateDir::retire(state->appliances(), "gone"));
    CHECK(StateDir::entries(state->appliances()).value() == std::vector<std::string>{"kept"});
    CHECK(state->appliances().list().value().size() == 3);
  }
  auto state = StateDir::open(directory.open(), "test").value();
  CHECK(state->appliances().list().value() == std::vector<std::string>{"kept"});
}

TEST_CASE("a record is replaced as a whole") {
  test::TempDirectory directory;
  auto dir = directory.open();
  REQUIRE(write_record(*dir, "r", "a long first text"));
  REQUIRE(write_record(*dir, "r", "short"));
  CHECK(read_record(*dir, "r").value() == "short");
  CHECK(dir->list().value() == std::vector<std::string>{"r"});
}

TEST_CASE("an absurdly long record is damage, not an allocation") {
  test::TempDirectory directory;
  std::ofstream(directory.path() + "/r").close();
  fs::resize_file(directory.path() + "/r", 1ull << 40);
  CHECK(read_record(*directory.open(), "r").failed_with(Errc::corrupt));
}

TEST_CASE("remove_tree does not follow symlinks and stops at a depth that is not ours") {
  test::TempDirectory directory, outside;
  std::ofstream(outside.path() + "/precious").close();
  auto dir = directory.open();
  REQUIRE(dir->directory("d", true));
  fs::create_directory_symlink(outside.path(), directory.path() + "/d/link");
  REQUIRE(remove_tree(*dir, "d"));
  CHECK(fs::exists(outside.path() + "/precious"));
  CHECK(!fs::exists(directory.path() + "/d"));
  CHECK(remove_tree(*dir, "d"));
  fs::create_directories(directory.path() + "/d/1/2/3/4/5/6/7/8/9/10");
  CHECK(remove_tree(*dir, "d").failed_with(Errc::limit));
}

TEST_CASE("the default place follows the user and the environment") {
  if (::geteuid() == 0) {
    CHECK(default_state_path().value() == "/var/lib/rowan");
  } else {
    ::setenv("XDG_STATE_HOME", "/x", 1);
    CHECK(default_state_path().value() == "/x/rowan");
  }
  CHECK(socket_path("/s") == "/s/rowan.sock");
}

ImageRecord some_image() {
  ImageRecord image;
  image.name = "debian";
  image.versions.push_back({"1", cache::VersionId{0x123}, "nfs://h/a?nfsport=1", 1'700'000'000});
  image.versions.push_back({"two", cache::VersionId{~0ull}, "/srv/\"odd\"\n", 5});
  return image;
}

ApplianceRecord some_appliance() {
  ApplianceRecord appliance;
  appliance.name = "vm1";
  appliance.id = cache::ApplianceId{0xfedcba9876543210};
  for (std::size_t i = 0; i < appliance.key.size(); ++i) appliance.key[i] = std::byte(i * 7 + 1);
  appliance.fsid = 42;
  appliance.image = "debian";
  appliance.version = "two";
  appliance.allow = {"10.0.0.0/8"};
  appliance.quota_bytes = 1ull << 40;
  appliance.durability = Durability::async;
  appliance.root_squash = true;
  appliance.created = 1'700'000'000;
  appliance.pool = PoolId{0x0123456789abcdef};
  appliance.head = cache::StateId{7};
  appliance.schedule = {std::chrono::hours(1), "24h,7d"};
  return appliance;
}

TEST_CASE("an image record comes back as it was") {
  ImageRecord back = decode_image_record(encode_record(some_image())).value();
  CHECK(back.name == "debian");
  REQUIRE(back.versions.size() == 2);
  CHECK(back.versions[1].label == "two");
  CHECK(back.versions[1].id == cache::VersionId{~0ull});
  CHECK(back.versions[1].source == "/srv/\"odd\"\n");
  CHECK(back.versions[0].created == 1'700'000'000);
}

TEST_CASE("an appliance record comes back as it was") {
  ApplianceRecord before = some_appliance();
  ApplianceRecord back = decode_appliance_record(encode_record(before)).value();
  CHECK(back.name == before.name);
  CHECK(back.id == before.id);
  CHECK(back.key == before.key);
  CHECK(back.fsid == before.fsid);
  CHECK(back.image == before.image);
  CHECK(back.version == before.version);
  CHECK(back.allow == before.allow);
  CHECK(back.quota_bytes == before.quota_bytes);
  CHECK(back.durability == before.durability);
  CHECK(back.root_squash == before.root_squash);
  CHECK(back.created == before.created);
  CHECK(back.pool == before.pool);
  CHECK(back.head == before.head);
  CHECK(back.schedule.every == before.schedule.every);
  CHECK(back.schedule.keep == before.schedule.keep);
}

TEST_CASE("an appliance record of the first format is refused, and says of what it is") {
  std::string text = encode_record(some_appliance());
  const std::string now = "\"format\": 2";
  REQUIRE(text.find(now) != std::string::npos);
  text.replace(text.find(now), now.size(), "\"format\": 1");
  auto refused = decode_appliance_record(text);
  REQUIRE(refused.failed_with(Errc::not_supported));
  CHECK(refused.error().detail.find("an older rowan") != std::string::npos);
}

TEST_CASE("every flipped bit and every cut of a record is found, or changes nothing") {
  const std::string good = encode_record(some_appliance());
  for (std::size_t at = 0; at < good.size(); ++at) {
    CHECK(decode_appliance_record(good.substr(0, at)).has_value() == (at + 1 >= good.size()));
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      auto decoded = decode_appliance_record(bad);
      // White space between members carries nothing.
      if (decoded) CHECK(encode_record(*decoded) == good);
    }
  }
}

TEST_CASE("records of other kinds, of later formats and with wrong members are named as such") {
  CHECK(decode_appliance_record(encode_record(some_image())).failed_with(Errc::corrupt));
  std::string later = encode_record(some_image());
  later.replace(later.find("\"format\": 1"), 11, "\"format\": 2");
  CHECK(decode_image_record(later).failed_with(Errc::not_supported));
  ImageRecord bad_name = some_image();
  bad_name.name = "../etc";
  CHECK(decode_image_record(encode_record(bad_name)).failed_with(Errc::corrupt));
  ImageRecord twice = some_image();
  twice.versions[1].label = "1";
  CHECK(decode_image_record(encode_record(twice)).failed_with(Errc::corrupt));
  ImageRecord empty = some_image();
  empty.versions.clear();
  CHECK(decode_image_record(encode_record(empty)).failed_with(Errc::corrupt));
  ApplianceRecord zero = some_appliance();
  zero.id = cache::ApplianceId{};
  CHECK(decode_appliance_record(encode_record(zero)).failed_with(Errc::corrupt));
  for (const char* text : {"", "{}", "[]", "null", "1", "{\"format\":1}", "\xff",
                           "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}) {
    CHECK(decode_appliance_record(text).failed_with(Errc::corrupt));
  }
}

}  // namespace
}  // namespace rowan::proxy
