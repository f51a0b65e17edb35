// Who is let in: handles, addresses, appliances; MOUNT; counters; closing.
#include "proxy/merged_view.h"
#include "proxy/mount_service.h"
#include "tests/support/appliance_fixture.h"
#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::test;
using nfs3::Status;

namespace {

Status getattr(ApplianceFixture& fixture, const nfs3::Handle& handle) {
  nfs3::GetattrArgs args{handle};
  return fixture.run(fixture.service.getattr(fixture.context, args)).status;
}

// A second appliance beside the fixture's, on an image of its own.
struct Second {
  explicit Second(ApplianceFixture& fixture, const proxy::ApplianceSettings& settings)
      : owner(fixture), id(settings.id) {
    auto store = std::make_unique<MemoryStore>();
    auto appliance = std::make_unique<proxy::Appliance>(settings, std::move(store), owner.image,
                                                        owner.loop, owner.disk);
    REQUIRE(owner.exports.add(std::move(appliance)).has_value());
  }
  proxy::Appliance& get() { return *owner.exports.find(id); }
  ApplianceFixture& owner;
  cache::ApplianceId id;
};

}  // namespace

TEST_CASE("only issued handles are served") {
  ApplianceFixture fixture;
  fixture.image.add_file("f", "x");
  nfs3::Handle good = fixture.walk("f");
  REQUIRE(getattr(fixture, good) == Status::ok);
  for (std::size_t byte : {0u, 3u, 15u, 19u, 20u, 35u}) {
    nfs3::Handle forged = good;
    forged.bytes[byte] ^= std::byte{1};
    INFO("byte " << byte);
    REQUIRE(getattr(fixture, forged) == Status::badhandle);
    REQUIRE(getattr(fixture, forged) ==
            Status::badhandle);  // also when the object is known already
  }
  nfs3::Handle elsewhere = good;
  elsewhere.bytes[11] ^= std::byte{1};  // an appliance that is not here
  REQUIRE(getattr(fixture, elsewhere) == Status::stale);
  REQUIRE(getattr(fixture, nfs3::Handle()) == Status::badhandle);
}

TEST_CASE("an id that was never given is STALE under a good key") {
  ApplianceFixture fixture;
  fixture.start();
  REQUIRE(getattr(fixture, fixture.handle_of(cache::ObjectId{99})) == Status::stale);
  REQUIRE(getattr(fixture, fixture.handle_of(cache::ObjectId{cache::local_object_bit | 99})) ==
          Status::stale);
}

TEST_CASE("appliances on one image do not see each other, by name or by handle") {
  ApplianceFixture fixture;
  fixture.image.add_file("f", "image");
  fixture.start();
  Second second(fixture, plain_settings("vm2", 0x22));
  REQUIRE(fixture.write("f", 0, "first").status == Status::ok);
  nfs3::Handle of_first = fixture.walk("f");
  nfs3::Handle of_second = second.get().view().handle(fixture.image.find("f"));
  REQUIRE_FALSE(of_first == of_second);
  nfs3::ReadArgs args{of_second, 0, 10};
  nfs3::ReadRes res = fixture.run(fixture.service.read(fixture.context, args));
  REQUIRE(as_text(res.data.view()) == "image");
  nfs3::Handle mixed = of_first;  // the first one's object and key, the second one's id
  mixed.bytes[11] = of_second.bytes[11];
  REQUIRE(getattr(fixture, mixed) == Status::badhandle);
  nfs3::Handle second_root = second.get().view().handle(cache::image_root);
  nfs3::RenameArgs rename{{fixture.root(), "f"}, {second_root, "g"}};
  REQUIRE(fixture.run(fixture.service.rename(fixture.context, rename)).status == Status::xdev);
  nfs3::LinkArgs link{of_first, {second_root, "g"}};
  REQUIRE(fixture.run(fixture.service.link(fixture.context, link)).status == Status::xdev);
}

TEST_CASE("a client that is not allowed gets nothing, with whatever handle") {
  ApplianceFixture fixture;
  fixture.image.add_file("f", "x");
  nfs3::Handle stolen = fixture.walk("f");
  fixture.context.peer = peer_of(10, 0, 0, 5);
  REQUIRE(getattr(fixture, stolen) == Status::acces);
  proxy::ApplianceSettings settings = fixture.appliance().settings();
  settings.allow = *proxy::AccessList::parse({"10.0.0.0/24"});
  fixture.appliance().update(settings);
  REQUIRE(getattr(fixture, stolen) == Status::ok);
  fixture.context.peer = loopback_peer();
  REQUIRE(getattr(fixture, stolen) == Status::acces);
}

TEST_CASE("a closing appliance lets clients wait and is durable afterwards") {
  ApplianceFixture fixture;
  fixture.create("f");
  fixture.write("f", 0, "data", nfs3::StableHow::unstable);
  nfs3::Handle root = fixture.root();
  REQUIRE(fixture.store().undurable() == 1);
  REQUIRE(fixture.run(fixture.appliance().close()).has_value());
  REQUIRE(fixture.store().undurable() == 0);
  REQUIRE(getattr(fixture, root) == Status::jukebox);
}

TEST_CASE("closing waits for calls in flight") {
  ApplianceFixture fixture;
  fixture.image.add_file("f", std::string(100, 'x'));
  nfs3::ReadArgs args{fixture.walk("f"), 0, 10};
  fixture.image.hold();
  TaskGroup group;
  bool read_done = false, close_done = false;
  auto reads = [](ApplianceFixture& f, const nfs3::ReadArgs& a, bool& done) -> Task<void> {
    nfs3::ReadRes res = co_await f.service.read(f.context, a);
    done = res.status == Status::ok;
  };
  auto closes = [](ApplianceFixture& f, bool& done) -> Task<void> {
    Result<void> closed = co_await f.appliance().close();
    done = closed.has_value();
  };
  group.start(reads(fixture, args, read_done));
  group.start(closes(fixture, close_done));
  settle(fixture.loop, fixture.disk);
  REQUIRE(fixture.appliance().stats().calls_in_flight == 1);
  REQUIRE_FALSE(close_done);
  fixture.image.release();
  settle(fixture.loop, fixture.disk);
  REQUIRE((read_done && close_done));
}

TEST_CASE("calls, errors and bytes are counted per procedure") {
  ApplianceFixture fixture;
  fixture.image.add_file("f", std::string(100, 'x'));
  fixture.read("f", 0, 60);
  fixture.write("f", 0, "12345");
  fixture.remove("nothing");
  proxy::ApplianceStats stats = fixture.appliance().stats();
  auto of = [&](nfs3::Procedure procedure) {
    return stats.procedures[static_cast<std::size_t>(procedure)];
  };
  REQUIRE(of(nfs3::Procedure::read).latency.count() == 1);
  REQUIRE(of(nfs3::Procedure::remove).latency.count() == 1);
  REQUIRE(of(nfs3::Procedure::remove).errors == 1);
  REQUIRE(stats.bytes_read == 60);
  REQUIRE(stats.bytes_written == 5);
  REQUIRE(stats.store.data_bytes == 5);
  REQUIRE(stats.calls_in_flight == 0);
}

TEST_CASE("two appliances may not share a name or an id") {
  ApplianceFixture fixture;
  fixture.start();
  for (auto [name, id] : {std::pair("vm1", 0x99u), std::pair("other", 0x11u)}) {
    auto store = std::make_unique<MemoryStore>();
    auto twin = std::make_unique<proxy::Appliance>(plain_settings(name, id), std::move(store),
                                                   fixture.image, fixture.loop, fixture.disk);
    REQUIRE(fixture.exports.add(std::move(twin)).failed_with(Errc::exists));
  }
  REQUIRE(fixture.exports.find("vm1") == &fixture.appliance());
  REQUIRE(fixture.exports.remove(cache::ApplianceId{5}) == nullptr);
}

TEST_CASE("MNT gives the root or a directory below it, and refuses the rest") {
  ApplianceFixture fixture;
  fixture.image.add_directory("usr");
  fixture.image.add_directory("usr/lib");
  fixture.image.add_file("usr/f", "x");
  fixture.image.add_symlink("link", "usr");
  fixture.start();
  fixture.mkdir("made");
  proxy::MountService mount(fixture.exports);
  auto mnt = [&](std::string_view path) { return fixture.run(mount.mnt(fixture.context, path)); };
  REQUIRE(mnt("/vm1").root == fixture.root());
  REQUIRE(mnt("/vm1/").root == fixture.root());
  REQUIRE(mnt("vm1/./usr//lib").root == fixture.walk("usr/lib"));
  REQUIRE(mnt("/vm1/made").root == fixture.walk("made"));
  REQUIRE(mnt("/vm1").flavors == std::vector<std::uint32_t>{1});
  using mount3::Status;
  struct Case {
    std::string path;
    Status status;
  };
  const Case cases[] = {{"/", Status::noent},
                        {"", Status::noent},
                        {"/vm2", Status::noent},
                        {"/vm1/none", Status::noent},
                        {"/vm1/usr/f", Status::notdir},
                        {"/vm1/usr/f/g", Status::notdir},
                        {"/vm1/link", Status::notdir},
                        {"/vm1/..", Status::acces},
                        {"/vm1/../etc", Status::acces},
                        {std::string("/vm1\0x", 6), Status::acces},
                        {"/vm1/" + std::string(256, 'n'), Status::nametoolong},
                        {"/" + std::string(1024, 'n'), Status::nametoolong}};
  for (const Case& one : cases) {
    INFO(one.path);
    REQUIRE(mnt(one.path).status == one.status);
  }
  fixture.context.peer = peer_of(10, 0, 0, 5);
  REQUIRE(mnt("/vm1").status == Status::acces);
}

TEST_CASE("a mounted subdirectory's parent is the directory above, the root's is the root") {
  ApplianceFixture fixture;
  fixture.image.add_directory("usr");
  fixture.image.add_directory("usr/lib");
  REQUIRE(fixture.lookup("usr/lib/..").object == fixture.walk("usr"));
  REQUIRE(fixture.lookup("..").object == fixture.root());
  REQUIRE(fixture.lookup(".").object == fixture.root());
}

TEST_CASE("mounts are remembered within a bound, and exports are listed with their clients") {
  ApplianceFixture fixture;
  fixture.start();
  proxy::MountService mount(fixture.exports);
  auto mounted = [&] { return fixture.run(mount.dump(fixture.context)).size(); };
  for (std::size_t i = 0; i < proxy::max_mount_entries + 500; ++i) {
    fixture.context.peer =
        peer_of(127, 0, static_cast<std::uint8_t>(i / 250), static_cast<std::uint8_t>(i % 250));
    fixture.run(mount.mnt(fixture.context, "/vm1"));
    fixture.run(mount.mnt(fixture.context, "/vm1"));  // again: still one
  }
  REQUIRE(mounted() == proxy::max_mount_entries);
  auto umount = [](mount3::Service& service, const CallContext& context, bool all) -> Task<bool> {
    if (all) {
      co_await service.umntall(context);
    } else {
      co_await service.umnt(context, "/vm1");
    }
    co_return true;
  };
  fixture.run(umount(mount, fixture.context, false));
  REQUIRE(mounted() == proxy::max_mount_entries - 1);
  fixture.run(mount.mnt(fixture.context, "/vm1"));
  fixture.run(umount(mount, fixture.context, true));
  REQUIRE(mounted() == proxy::max_mount_entries - 1);
  auto exports = fixture.run(mount.exports(fixture.context));
  REQUIRE(exports.size() == 1);
  REQUIRE(exports[0].directory == "/vm1");
  REQUIRE(exports[0].groups == std::vector<std::string>{"127.0.0.0/8", "::1"});
}
