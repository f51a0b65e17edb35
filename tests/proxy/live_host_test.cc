// The appliances of a running daemon, without its sockets: real stores, a real loop.
#include "proxy/live_host.h"

#include <filesystem>
#include <fstream>

#include "tests/proxy/live_fixture.h"
#include "tests/support/catch.h"
#include "tests/support/run_jobs.h"

namespace rowan::proxy {
namespace {

namespace fs = std::filesystem;

using Fixture = test::LiveFixture;

TEST_CASE("an appliance that cannot be opened keeps its clients waiting, and comes back") {
  Fixture f;
  ApplianceRecord broken = f.create("broken");
  ApplianceRecord sound = f.create("sound");
  fs::rename(f.store_file("broken", "superblock"), f.store_file("broken", "away"));
  f.start();
  f.run(f.host->start_all());
  CHECK(f.host->serving() == 1);
  CHECK(f.host->failed() == 1);
  ApplianceStatus status = f.host->appliance_status("broken");
  CHECK_FALSE(status.serving);
  CHECK(status.trouble.find("superblock") != std::string::npos);
  CHECK(f.getattr(sound) == nfs3::Status::ok);
  CHECK(f.getattr(broken) == nfs3::Status::jukebox);
  CHECK(f.mount("broken") == mount3::Status::serverfault);
  CHECK(f.mount("nobody") == mount3::Status::noent);

  fs::rename(f.store_file("broken", "away"), f.store_file("broken", "superblock"));
  f.until_serving(2);
  CHECK(f.host->appliance_status("broken").trouble.empty());
  CHECK(f.getattr(broken) == nfs3::Status::ok);
  CHECK(f.mount("broken") == mount3::Status::ok);
}

TEST_CASE("clients wait from the first step of a start, and of a removed appliance they give up") {
  Fixture f;
  std::vector<ApplianceRecord> records;
  for (int i = 0; i < 12; ++i) records.push_back(f.create("vm" + std::to_string(i)));
  f.start();
  TaskGroup starting;
  starting.start(f.host->start_all());
  CHECK(f.host->serving() == 0);
  CHECK(f.host->appliance_status("vm11").opening);
  for (const ApplianceRecord& record : records) CHECK(f.getattr(record) == nfs3::Status::jukebox);
  // Removed while it is being opened, and before.
  REQUIRE(f.run(f.host->stop("vm0")));
  REQUIRE(f.run(f.host->stop("vm11")));
  while (starting.running() > 0) f.loop.run_some(std::chrono::seconds(1));
  CHECK(f.host->serving() == 10);
  CHECK(f.getattr(records[0]) == nfs3::Status::stale);
  CHECK(f.getattr(records[11]) == nfs3::Status::stale);
  for (int i = 1; i < 11; ++i) CHECK(f.getattr(records[i]) == nfs3::Status::ok);
}

TEST_CASE("a start that is stopped opens nothing more and closes what it has") {
  Fixture f;
  for (int i = 0; i < 12; ++i) f.create("vm" + std::to_string(i));
  f.start();
  TaskGroup starting;
  starting.start(f.host->start_all());
  f.host->stop_opening();
  while (starting.running() > 0) f.loop.run_some(std::chrono::seconds(1));
  CHECK(f.host->serving() <= OpeningLimits().at_once);
}

TEST_CASE("a served appliance is checked offline: its clients wait and go on") {
  Fixture f;
  ApplianceRecord record = f.create("vm");
  f.start();
  f.run(f.host->start_all());
  CHECK(f.check(record, false)->empty());

  bool told_to_wait = false;
  auto watch = [](Fixture& in, const ApplianceRecord& of, bool& waited) -> Task<void> {
    while (!waited) {
      HandleSealer sealer(of.id, of.key);
      CallContext context = in.context();
      nfs3::GetattrArgs args{sealer.seal(cache::image_root)};
      nfs3::GetattrRes res = co_await in.host->nfs().getattr(context, args);
      waited = res.status == nfs3::Status::jukebox;
      if (!waited) co_await sleep_for(in.loop, std::chrono::microseconds(1));
    }
  };
  TaskGroup watching;
  watching.start(watch(f, record, told_to_wait));
  auto findings = f.check(record, true);
  REQUIRE(findings);
  CHECK(findings->empty());
  CHECK(told_to_wait);
  CHECK(f.getattr(record) == nfs3::Status::ok);
}

TEST_CASE("a check ends when nobody wants it any more, and the appliance goes on") {
  Fixture f;
  ApplianceRecord record = f.create("vm");
  f.start();
  f.run(f.host->start_all());
  for (const bool offline : {false, true}) {
    StoreWalk walk;
    walk.stop();
    CHECK(f.run(f.host->check_store(record, offline, walk)).failed_with(Errc::try_later));
    CHECK(f.getattr(record) == nfs3::Status::ok);
  }
}

TEST_CASE("who has mounted what is known after a restart, until he leaves or it is removed") {
  Fixture f;
  f.create("vm1");
  f.create("vm2");
  f.start();
  f.run(f.host->start_all());
  REQUIRE(f.mount("vm1") == mount3::Status::ok);
  REQUIRE(f.mount("vm2") == mount3::Status::ok);
  f.restart();
  CHECK(f.host->appliance_status("vm1").clients == std::vector<std::string>{"::1"});
  CHECK(f.host->appliance_status("vm2").clients == std::vector<std::string>{"::1"});
  CallContext context = f.context();
  f.run(f.host->mount().umnt(context, "/vm1"));
  REQUIRE(f.run(f.host->stop("vm2")));
  f.restart();
  CHECK(f.host->appliance_status("vm1").clients.empty());
  CHECK(f.host->appliance_status("vm2").clients.empty());
}

TEST_CASE("a removed version takes its cached blocks and its catalogue along, and no others") {
  Fixture f;
  REQUIRE(f.registry->add_version(ImageName{"image", ""}, f.image));
  ImageRecord image = f.registry->image("image").value();
  const cache::BlockKey first{image.versions[0].id, cache::ObjectId{7}, 0};
  const cache::BlockKey second{image.versions[1].id, cache::ObjectId{7}, 0};
  const std::string bytes(4096, 'x');
  for (const cache::BlockKey& key : {first, second})
    f.blocks->offer(key, as_bytes(bytes), f.blocks->generation(key));
  {
    auto directory = f.registry->image_catalog("image").value();
    auto catalog = cache::Catalog::open(*directory).value();
    cache::SourceEntry root;
    root.attributes.kind = cache::FileKind::directory;
    for (const ImageVersion& version : image.versions)
      REQUIRE(catalog->add_root(version.id, root));
    test::close_cleanly(*catalog);
  }
  f.start();
  REQUIRE(f.run(f.host->forget_image(image, image.versions[0].label)));
  CHECK_FALSE(f.blocks->contains(first));
  CHECK(f.blocks->contains(second));
  auto directory = f.registry->image_catalog("image").value();
  auto catalog = cache::Catalog::open(*directory).value();
  CHECK(catalog->object_count(image.versions[0].id) == 0);
  CHECK(catalog->object_count(image.versions[1].id) == 1);
  catalog.reset();
  REQUIRE(f.run(f.host->forget_image(image, "")));
  CHECK_FALSE(f.blocks->contains(second));
}

TEST_CASE("which files have drifted is shown after a restart as well") {
  Fixture f;
  f.create("vm");
  cache::VersionId version = f.registry->image("image")->versions[0].id;
  {
    auto directory = f.registry->image_catalog("image").value();
    auto catalog = cache::Catalog::open(*directory).value();
    cache::SourceEntry root, file;
    root.attributes.kind = cache::FileKind::directory;
    file.name = "file";
    REQUIRE(catalog->add_root(version, root));
    REQUIRE(catalog->add_entry(version, cache::image_root, file));
    auto id = catalog->lookup(version, cache::image_root, "file").value();
    REQUIRE(catalog->set_drifted(version, id));
    test::close_cleanly(*catalog);
  }
  f.start();
  f.run(f.host->start_all());
  ImageVersion shown = f.registry->image("image")->versions[0];
  while (f.host->version_status(shown).drifted.empty()) f.loop.run_some(std::chrono::seconds(1));
  CHECK(f.host->version_status(shown).drifted == std::vector<std::string>{"/file"});
}

}  // namespace
}  // namespace rowan::proxy
