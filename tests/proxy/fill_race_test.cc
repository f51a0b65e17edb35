// The first promise of a redirecting proxy (P3): a write acknowledged while a slow read of the same
// block is in flight survives it.
#include "tests/support/appliance_fixture.h"
#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::test;

namespace {

Task<void> read_into(proxy::NfsService& service, const CallContext& context,
                     const nfs3::ReadArgs& args, std::optional<nfs3::ReadRes>& out) {
  nfs3::ReadRes res = co_await service.read(context, args);
  out.emplace(std::move(res));
}

}  // namespace

TEST_CASE("a write acknowledged while a slow fill of the same block is in flight survives it") {
  ApplianceFixture fixture;
  fixture.image.add_file("disk", std::string(65536, 'i'));
  fixture.start();
  nfs3::ReadArgs args{fixture.walk("disk"), 0, 65536};
  fixture.image.hold();
  std::optional<nfs3::ReadRes> slow;
  TaskGroup group;
  group.start(read_into(fixture.service, fixture.context, args, slow));
  settle(fixture.loop, fixture.disk);
  REQUIRE_FALSE(slow.has_value());

  nfs3::WriteRes written = fixture.write("disk", 4096, std::string(4096, 'w'));
  REQUIRE(written.status == nfs3::Status::ok);
  REQUIRE(written.committed == nfs3::StableHow::file_sync);

  fixture.image.release();
  settle(fixture.loop, fixture.disk);
  REQUIRE(slow.has_value());
  // The read began before the write: either content is right, a third is not.
  REQUIRE(slow->status == nfs3::Status::ok);
  char seen = static_cast<char>(slow->data.view()[4096]);
  REQUIRE((seen == 'i' || seen == 'w'));

  std::string expected(65536, 'i');
  expected.replace(4096, 4096, std::string(4096, 'w'));
  REQUIRE(fixture.content("disk") == expected);
  fixture.crash();
  REQUIRE(fixture.content("disk") == expected);
}

TEST_CASE("operations that need no source are not slowed by one that waits for it") {
  ApplianceFixture fixture;
  fixture.image.add_file("slow", std::string(65536, 'i'));
  fixture.image.add_file("other", "text");
  fixture.start();
  REQUIRE(fixture.write("other", 0, "TEXT").status == nfs3::Status::ok);
  nfs3::ReadArgs args{fixture.walk("slow"), 0, 4096};
  fixture.image.hold();
  std::optional<nfs3::ReadRes> slow;
  TaskGroup group;
  group.start(read_into(fixture.service, fixture.context, args, slow));
  settle(fixture.loop, fixture.disk);
  REQUIRE_FALSE(slow.has_value());
  REQUIRE(fixture.content("other") == "TEXT");
  REQUIRE(fixture.create("new").status == nfs3::Status::ok);
  REQUIRE(fixture.rename("slow", "renamed").status == nfs3::Status::ok);
  nfs3::SetAttributes shorter;
  shorter.size = 100;
  REQUIRE(fixture.setattr("renamed", shorter).status == nfs3::Status::ok);
  REQUIRE_FALSE(slow.has_value());
  fixture.image.release();
  settle(fixture.loop, fixture.disk);
  REQUIRE(slow->status == nfs3::Status::ok);
}
