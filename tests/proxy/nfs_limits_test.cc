// What is at its limit, and clocks that jump.
#include <set>

#include "proxy/redirect_common.h"
#include "tests/support/appliance_fixture.h"
#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::test;
using nfs3::Status;

namespace {

cache::ImageAttributes with_links(std::uint32_t count) {
  cache::ImageAttributes attributes;
  attributes.nlink = count;
  attributes.mode = 0755;
  return attributes;
}

}  // namespace

TEST_CASE("MLINK at the limit that PATHCONF tells, by LINK, MKDIR and RENAME, and not after") {
  ApplianceFixture fixture;
  fixture.image.add_file("file", "x", with_links(proxy::redirect::link_limit));
  fixture.image.add_directory("full", with_links(proxy::redirect::link_limit));
  fixture.image.add_directory("sub");
  REQUIRE(fixture.link("file", "one-more").status == Status::mlink);
  REQUIRE(fixture.mkdir("full/one-more").status == Status::mlink);
  REQUIRE(fixture.rename("sub", "full/sub").status == Status::mlink);
  REQUIRE(fixture.names("") == std::vector<std::string>{"file", "full", "sub"});
  REQUIRE(fixture.create("full/file").status == Status::ok);
  REQUIRE(fixture.rename("file", "full/moved").status == Status::ok);
  REQUIRE(fixture.remove("full/moved").status == Status::ok);
  REQUIRE(fixture.store().applied() != 0);
}

TEST_CASE("a clock set forward or back a day hides no change and repeats no verifier") {
  constexpr std::int64_t day = 86'400;
  ApplianceFixture fixture;
  fixture.image.add_directory("d");
  fixture.image.add_file("d/image", "content");
  nfs3::Handle image = fixture.walk("d/image"), directory = fixture.walk("d");
  REQUIRE(fixture.create("d/own").status == Status::ok);
  nfs3::Handle own = fixture.walk("d/own");
  std::set<nfs3::Verifier> verifiers;
  std::int64_t now = fixture.loop.clock().wall().seconds;
  int number = 0;
  for (std::int64_t jump : {day, -day, -day, day}) {
    now += jump;
    fixture.loop.clock().set_wall({now, 0});
    INFO("after a jump to " << now);
    nfs3::Attributes folder = fixture.attributes("d"), file = fixture.attributes("d/own");
    std::string name = "d/new-" + std::to_string(++number);
    REQUIRE(fixture.create(name).status == Status::ok);
    nfs3::WriteRes written = fixture.write("d/own", 0, name, nfs3::StableHow::unstable);
    REQUIRE(written.status == Status::ok);
    // Clients take a directory or a file for unchanged while its times are.
    REQUIRE(fixture.attributes("d").ctime > folder.ctime);
    REQUIRE(fixture.attributes("d").mtime != folder.mtime);
    REQUIRE(fixture.attributes("d/own").ctime > file.ctime);
    REQUIRE(fixture.attributes("d/own").mtime != file.mtime);
    nfs3::CommitArgs args{own, 0, 0};
    REQUIRE(fixture.run(fixture.service.commit(fixture.context, args)).verifier ==
            written.verifier);
    REQUIRE(verifiers.insert(written.verifier).second);  // each life has its own
    fixture.crash();
    REQUIRE(fixture.content("d/own").starts_with(name));
    REQUIRE(fixture.walk("d") == directory);
    REQUIRE(fixture.walk("d/own") == own);
    REQUIRE(fixture.walk("d/image") == image);
  }
}
