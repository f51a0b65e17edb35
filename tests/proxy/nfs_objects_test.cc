// Procedures on objects: attributes, data, durability, what is told of the file system.
#include "proxy/merge.h"
#include "proxy/merged_view.h"
#include "tests/support/appliance_fixture.h"
#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::test;
using nfs3::Status;

namespace {

nfs3::SetAttributes size_of(std::uint64_t size) {
  nfs3::SetAttributes set;
  set.size = size;
  return set;
}

nfs3::SetAttributes mode_of(std::uint32_t mode) {
  nfs3::SetAttributes set;
  set.mode = mode;
  return set;
}

}  // namespace

TEST_CASE("an object keeps its fileid and handle through its first change and a restart") {
  ApplianceFixture fixture;
  fixture.image.add_file("f", "content");
  nfs3::Handle handle = fixture.walk("f");
  nfs3::Attributes before = fixture.attributes("f");
  REQUIRE(before.fsid == 0xf51d);
  REQUIRE(fixture.setattr("f", mode_of(0600)).status == Status::ok);
  REQUIRE(fixture.attributes("f").fileid == before.fileid);
  REQUIRE(fixture.walk("f") == handle);
  fixture.crash();
  REQUIRE(fixture.attributes("f").mode == 0600);
  REQUIRE(fixture.attributes("f").fileid == before.fileid);
  REQUIRE(fixture.walk("f") == handle);
  REQUIRE(fixture.content("f") == "content");
}

TEST_CASE("SETATTR's wcc is the object just before and just after, and its guard compares ctime") {
  ApplianceFixture fixture;
  fixture.image.add_file("f", "content");
  nfs3::Attributes before = fixture.attributes("f");
  nfs3::SetattrArgs args{fixture.walk("f"), mode_of(0600), nfs3::Time{1, 2}};
  nfs3::SetattrRes res = fixture.run(fixture.service.setattr(fixture.context, args));
  REQUIRE(res.status == Status::not_sync);
  REQUIRE(res.wcc.after == before);
  args.guard = before.ctime;
  res = fixture.run(fixture.service.setattr(fixture.context, args));
  REQUIRE(res.status == Status::ok);
  REQUIRE(res.wcc.before == proxy::wcc_attributes(before));
  REQUIRE(res.wcc.after == fixture.attributes("f"));
  REQUIRE(res.wcc.after->ctime > before.ctime);
  REQUIRE(res.wcc.after->mtime == before.mtime);
}

TEST_CASE("SETATTR refuses what the caller may not do and changes nothing") {
  ApplianceFixture fixture;
  fixture.image.add_file("f", "content");
  fixture.image.add_directory("d");
  fixture.image.add_symlink("l", "target");
  nfs3::Attributes before = fixture.attributes("f");
  fixture.context = context_of(1000, 1000);
  REQUIRE(fixture.setattr("f", mode_of(0777)).status == Status::perm);
  REQUIRE(fixture.setattr("f", size_of(0)).status == Status::acces);
  fixture.context = context_of(0, 0);
  REQUIRE(fixture.setattr("d", size_of(0)).status == Status::isdir);
  REQUIRE(fixture.setattr("l", size_of(0)).status == Status::inval);
  REQUIRE(fixture.setattr("f", size_of(std::uint64_t{1} << 63)).status == Status::fbig);
  REQUIRE(fixture.setattr("f", {}).status == Status::ok);
  REQUIRE(fixture.attributes("f") == before);
  REQUIRE(fixture.store().applied() == 0);
}

TEST_CASE("times are the client's or the server's, and ctime moves on when the clock goes back") {
  ApplianceFixture fixture;
  fixture.create("f");
  nfs3::Time created = fixture.attributes("f").ctime;
  fixture.loop.clock().set_wall({1'600'000'000, 0});
  nfs3::SetAttributes set;
  set.mtime = {nfs3::TimeHow::client_time, {12, 34}};
  REQUIRE(fixture.setattr("f", set).status == Status::ok);
  nfs3::Attributes after = fixture.attributes("f");
  REQUIRE(after.mtime == nfs3::Time{12, 34});
  REQUIRE(after.ctime > created);
  set.mtime = {nfs3::TimeHow::server_time, {}};
  fixture.loop.clock().set_wall({1'900'000'000, 5});
  REQUIRE(fixture.setattr("f", set).status == Status::ok);
  REQUIRE(fixture.attributes("f").mtime == nfs3::Time{1'900'000'000, 5});
}

TEST_CASE("a cut image file shows zeros where it grows again") {
  ApplianceFixture fixture;
  fixture.image.add_file("f", std::string(10'000, 'i'));
  REQUIRE(fixture.setattr("f", size_of(5'000)).status == Status::ok);
  REQUIRE(fixture.setattr("f", size_of(12'000)).status == Status::ok);
  REQUIRE(fixture.content("f") == std::string(5'000, 'i') + std::string(7'000, '\0'));
  REQUIRE(fixture.write("f", 8'000, "xyz").status == Status::ok);
  std::string expected = std::string(5'000, 'i') + std::string(7'000, '\0');
  expected.replace(8'000, 3, "xyz");
  REQUIRE(fixture.content("f") == expected);
  fixture.crash();
  REQUIRE(fixture.content("f") == expected);
}

TEST_CASE("a write stores its own bytes only and reads nothing of the image") {
  ApplianceFixture fixture;
  fixture.image.add_file("disk", std::string(100'000, 'i'));
  REQUIRE(fixture.write("disk", 50'000, "0123456789").status == Status::ok);
  REQUIRE(fixture.image.reads() == 0);
  REQUIRE(fixture.store().usage().data_bytes == 10);
  std::string expected(100'000, 'i');
  expected.replace(50'000, 10, "0123456789");
  REQUIRE(fixture.content("disk") == expected);
}

TEST_CASE("a file of more than 4 GiB is read and written at its end") {
  ApplianceFixture fixture;
  fixture.create("big");
  constexpr std::uint64_t far = (std::uint64_t{5} << 30) + 1;
  REQUIRE(fixture.write("big", far, "end").status == Status::ok);
  REQUIRE(fixture.attributes("big").size == far + 3);
  nfs3::ReadRes res = fixture.read("big", far - 2, 100);
  REQUIRE(as_text(res.data.view()) == std::string_view("\0\0end", 5));
  REQUIRE(res.eof);
}

TEST_CASE("READ and WRITE refuse what is no file and who may not") {
  ApplianceFixture fixture;
  fixture.image.add_directory("d");
  fixture.image.add_device("fifo", cache::FileKind::fifo, 0, 0);
  fixture.image.add_file("secret", "s");
  fixture.image.set_attributes("secret", 0600, 0, 0);
  REQUIRE(fixture.read("d", 0, 1).status == Status::isdir);
  REQUIRE(fixture.read("fifo", 0, 1).status == Status::inval);
  REQUIRE(fixture.write("d", 0, "x").status == Status::isdir);
  REQUIRE(fixture.write("fifo", 0, "x").status == Status::inval);
  REQUIRE(fixture.write("secret", (std::uint64_t{1} << 63) - 2, "xyz").status == Status::fbig);
  REQUIRE(fixture.write("secret", ~std::uint64_t{0}, "xyz").status == Status::fbig);
  fixture.context = context_of(1000, 1000);
  REQUIRE(fixture.read("secret", 0, 1).status == Status::acces);
  REQUIRE(fixture.read("secret", 0, 1).data.empty());
  REQUIRE(fixture.write("secret", 0, "x").status == Status::acces);
}

TEST_CASE("WRITE takes the lesser of count and data") {
  ApplianceFixture fixture;
  fixture.create("f");
  nfs3::WriteArgs args{fixture.walk("f"), 0, 2, nfs3::StableHow::file_sync, as_bytes("abcdef")};
  nfs3::WriteRes res = fixture.run(fixture.service.write(fixture.context, args));
  REQUIRE(res.count == 2);
  args.count = 100;
  res = fixture.run(fixture.service.write(fixture.context, args));
  REQUIRE(res.count == 6);
  REQUIRE(fixture.content("f") == "abcdef");
}

TEST_CASE("UNSTABLE data waits for COMMIT, under one verifier that a restart changes") {
  ApplianceFixture fixture;
  fixture.create("f");
  nfs3::WriteRes written = fixture.write("f", 0, "unstable", nfs3::StableHow::unstable);
  REQUIRE(written.committed == nfs3::StableHow::unstable);
  REQUIRE(fixture.store().undurable() == 1);
  nfs3::CommitArgs args{fixture.walk("f"), 0, 0};
  nfs3::CommitRes committed = fixture.run(fixture.service.commit(fixture.context, args));
  REQUIRE(committed.status == Status::ok);
  REQUIRE(committed.verifier == written.verifier);
  REQUIRE(fixture.store().undurable() == 0);
  fixture.write("f", 0, "lost....", nfs3::StableHow::unstable);
  fixture.crash();
  REQUIRE(fixture.content("f") == "unstable");
  REQUIRE(fixture.write("f", 0, "again", nfs3::StableHow::unstable).verifier != written.verifier);
}

TEST_CASE(
    "a failed sync fails the COMMIT, changes the verifier and leaves the appliance readable") {
  ApplianceFixture fixture;
  fixture.create("f");
  nfs3::WriteRes written = fixture.write("f", 0, "data", nfs3::StableHow::unstable);
  fixture.store().fail_sync();
  nfs3::CommitArgs args{fixture.walk("f"), 0, 0};
  REQUIRE(fixture.run(fixture.service.commit(fixture.context, args)).status == Status::io);
  REQUIRE(fixture.store().write_verifier() != written.verifier);
  REQUIRE(fixture.run(fixture.service.commit(fixture.context, args)).status == Status::io);
  REQUIRE(fixture.write("f", 0, "more").status == Status::io);
  REQUIRE(fixture.create("g").status == Status::io);
  REQUIRE(fixture.read("f", 0, 10).status == Status::ok);
}

TEST_CASE("with async durability nothing waits for the disk") {
  proxy::ApplianceSettings settings = plain_settings();
  settings.durability = proxy::Durability::async;
  ApplianceFixture fixture({}, settings);
  REQUIRE(fixture.create("f").status == Status::ok);
  REQUIRE(fixture.write("f", 0, "data").committed == nfs3::StableHow::file_sync);
  REQUIRE(fixture.store().undurable() == 2);
}

TEST_CASE("with async durability the disk has a change a second later, asked for or not") {
  proxy::ApplianceSettings settings = plain_settings();
  settings.durability = proxy::Durability::async;
  ApplianceFixture fixture({}, settings);
  for (int i = 0; i < 2; ++i) {
    REQUIRE(fixture.create("f" + std::to_string(i)).status == Status::ok);
    REQUIRE(fixture.store().undurable() == 1);
    fixture.loop.advance(std::chrono::seconds(1));
    while (fixture.disk.run_one()) fixture.loop.run();
    REQUIRE(fixture.store().undurable() == 0);
  }
}

TEST_CASE("a full disk and a met quota are told apart, and removing still works") {
  ApplianceFixture fixture;
  fixture.create("f");
  fixture.store().refuse(Errc::no_space);
  REQUIRE(fixture.write("f", 0, "data").status == Status::nospc);
  fixture.store().refuse(Errc::quota);
  REQUIRE(fixture.write("f", 0, "data").status == Status::dquot);
  REQUIRE(fixture.remove("f").status == Status::ok);
  fixture.store().refuse(std::nullopt);
  REQUIRE(fixture.create("f").status == Status::ok);
  REQUIRE(fixture.write("f", 0, "data").status == Status::ok);
}

TEST_CASE("damage is an error for its file alone") {
  ApplianceFixture fixture;
  nfs3::CreateRes bad = fixture.create("bad");
  fixture.create("good");
  fixture.write("bad", 0, "data");
  fixture.write("good", 0, "data");
  fixture.store().damage(cache::ObjectId{bad.attributes->fileid});
  REQUIRE(fixture.read("bad", 0, 4).status == Status::io);
  REQUIRE(fixture.content("good") == "data");
}

TEST_CASE("a source that is away delays what needs it and nothing else") {
  ApplianceFixture fixture;
  fixture.image.add_file("f", "image");
  fixture.image.add_directory("d");
  fixture.create("local");
  fixture.write("local", 0, "here");
  nfs3::Handle known = fixture.walk("f");
  fixture.image.fail_with(Errc::try_later);
  nfs3::GetattrArgs getattr{known};
  REQUIRE(fixture.run(fixture.service.getattr(fixture.context, getattr)).status == Status::ok);
  nfs3::ReadArgs read{known, 0, 10};
  REQUIRE(fixture.run(fixture.service.read(fixture.context, read)).status == Status::jukebox);
  REQUIRE(fixture.lookup("other").status == Status::jukebox);
  REQUIRE(fixture.content("local") == "here");
  REQUIRE(fixture.write("f", 0, "IMAGE").status == Status::ok);
  REQUIRE(fixture.content("f") == "IMAGE");
  fixture.image.fail_with(Errc::drift);
  REQUIRE(fixture.lookup("third").status == Status::io);
  fixture.image.fail_with(std::nullopt);
  REQUIRE(fixture.lookup("other").status == Status::noent);
}

TEST_CASE("set-user-id falls with a foreign write but not with root's") {
  ApplianceFixture fixture;
  fixture.create("f", nfs3::CreateMode::guarded, 04777);
  fixture.write("f", 0, "x");
  REQUIRE(fixture.attributes("f").mode == 04777);
  fixture.context = context_of(1000, 1000);
  fixture.write("f", 0, "y");
  REQUIRE(fixture.attributes("f").mode == 0777);
}

TEST_CASE("a squashed root has nobody's rights") {
  proxy::ApplianceSettings settings = plain_settings();
  settings.root_squash = true;
  ApplianceFixture fixture({}, settings);
  fixture.image.add_file("secret", "s");
  fixture.image.set_attributes("secret", 0600, 0, 0);
  fixture.image.set_attributes("", 0777, 0, 0);
  REQUIRE(fixture.read("secret", 0, 1).status == Status::acces);
  REQUIRE(fixture.create("mine").attributes->uid == nobody_id);
}

TEST_CASE("READLINK gives targets of both kinds and refuses the rest") {
  ApplianceFixture fixture;
  fixture.image.add_symlink("image", "/usr/bin");
  fixture.image.add_file("f", "");
  fixture.symlink("local", "../x");
  auto target = [&](std::string_view path) {
    nfs3::ReadlinkArgs args{fixture.walk(path)};
    return fixture.run(fixture.service.readlink(fixture.context, args));
  };
  REQUIRE(target("image").target == "/usr/bin");
  REQUIRE(target("local").target == "../x");
  REQUIRE(target("f").status == Status::inval);
  REQUIRE(fixture.setattr("image", mode_of(0700)).status == Status::ok);
  REQUIRE(target("image").target == "/usr/bin");
}

TEST_CASE("FSSTAT tells the disk below, or the quota and what is left of it") {
  ApplianceFixture fixture;
  nfs3::FsstatArgs args{fixture.root()};
  fixture.store().set_disk_space({1000, 400, 10, 5});
  nfs3::FsstatRes res = fixture.run(fixture.service.fsstat(fixture.context, args));
  REQUIRE((res.tbytes == 1000 && res.fbytes == 400 && res.abytes == 400));
  proxy::ApplianceSettings settings = fixture.appliance().settings();
  settings.quota_bytes = 300;
  fixture.appliance().update(settings);
  fixture.create("f");
  fixture.write("f", 0, std::string(100, 'x'));
  res = fixture.run(fixture.service.fsstat(fixture.context, args));
  REQUIRE((res.tbytes == 300 && res.fbytes == 200));
  fixture.store().set_disk_space({1000, 50, 10, 5});
  REQUIRE(fixture.run(fixture.service.fsstat(fixture.context, args)).fbytes == 50);
  fixture.write("f", 0, std::string(1000, 'x'));
  REQUIRE(fixture.run(fixture.service.fsstat(fixture.context, args)).fbytes == 0);
}

TEST_CASE("FSINFO and PATHCONF tell the limits that hold") {
  ApplianceFixture fixture;
  nfs3::FsinfoArgs fsinfo{fixture.root()};
  nfs3::FsinfoRes info = fixture.run(fixture.service.fsinfo(fixture.context, fsinfo));
  REQUIRE((info.rtmax == nfs3::max_transfer_size && info.wtmax == nfs3::max_transfer_size));
  REQUIRE(info.maxfilesize == (std::uint64_t{1} << 63) - 1);
  REQUIRE(info.time_delta == nfs3::Time{0, 1});
  REQUIRE(info.properties == 0x1b);
  nfs3::PathconfArgs pathconf{fixture.root()};
  nfs3::PathconfRes conf = fixture.run(fixture.service.pathconf(fixture.context, pathconf));
  REQUIRE((conf.name_max == 255 && conf.linkmax >= 32000));
}

TEST_CASE("READ gives at most rtmax bytes") {
  ApplianceFixture fixture;
  fixture.image.add_file("f", std::string((2 << 20) + 5, 'x'));
  nfs3::ReadRes res = fixture.read("f", 0, ~std::uint32_t{0});
  REQUIRE(res.data.size() == nfs3::max_transfer_size);
  REQUIRE_FALSE(res.eof);
}
