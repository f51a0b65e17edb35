// Procedures on names: LOOKUP, CREATE and its like, REMOVE, RMDIR, RENAME, LINK, READDIR(PLUS).
#include "proxy/merge.h"
#include "tests/support/appliance_fixture.h"
#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::test;
using nfs3::CreateMode;
using nfs3::Status;
using Names = std::vector<std::string>;

namespace {

// A root directory 0777 with a few image objects.
void build(ApplianceFixture& fixture) {
  fixture.image.set_attributes("", 0777, 0, 0);
  fixture.image.add_directory("d");
  fixture.image.add_file("d/inner", "inner");
  fixture.image.add_directory("empty");
  fixture.image.add_file("f", "file");
  fixture.image.add_link("hard", "f");
  fixture.image.add_symlink("l", "f");
}

}  // namespace

TEST_CASE("names that no server may see are refused by every procedure") {
  ApplianceFixture fixture;
  build(fixture);
  const std::string long_name(256, 'n');
  struct Case {
    std::string_view name;
    Status status;
  };
  const Case cases[] = {{"", Status::acces},
                        {std::string_view("a\0b", 3), Status::acces},
                        {"a/b", Status::acces},
                        {"/etc/passwd", Status::acces},
                        {long_name, Status::nametoolong}};
  nfs3::DirOpArgs good{fixture.root(), "x"};
  for (const Case& one : cases) {
    INFO(one.name);
    nfs3::DirOpArgs at{fixture.root(), one.name};
    auto& service = fixture.service;
    const CallContext& context = fixture.context;
    nfs3::LookupArgs lookup{at};
    REQUIRE(fixture.run(service.lookup(context, lookup)).status == one.status);
    nfs3::CreateArgs create{at, CreateMode::guarded, {}, {}};
    REQUIRE(fixture.run(service.create(context, create)).status == one.status);
    nfs3::MkdirArgs mkdir{at, {}};
    REQUIRE(fixture.run(service.mkdir(context, mkdir)).status == one.status);
    nfs3::SymlinkArgs symlink{at, {}, "to"};
    REQUIRE(fixture.run(service.symlink(context, symlink)).status == one.status);
    nfs3::MknodArgs mknod{at, nfs3::FileType::fifo, {}, {}};
    REQUIRE(fixture.run(service.mknod(context, mknod)).status == one.status);
    nfs3::RemoveArgs remove{at};
    REQUIRE(fixture.run(service.remove(context, remove)).status == one.status);
    REQUIRE(fixture.run(service.rmdir(context, remove)).status == one.status);
    nfs3::RenameArgs from{at, good}, to{good, at};
    REQUIRE(fixture.run(service.rename(context, from)).status == one.status);
    REQUIRE(fixture.run(service.rename(context, to)).status == one.status);
    nfs3::LinkArgs link{fixture.walk("f"), at};
    REQUIRE(fixture.run(service.link(context, link)).status == one.status);
  }
  REQUIRE(fixture.store().applied() == 0);
}

TEST_CASE("dots are looked up and otherwise refused as RFC 1813 says") {
  ApplianceFixture fixture;
  build(fixture);
  for (const char* dots : {".", ".."}) {
    std::string path = std::string("d/") + dots;
    REQUIRE(fixture.lookup(path).status == Status::ok);
    REQUIRE(fixture.create(path).status == Status::exist);
    REQUIRE(fixture.mkdir(path).status == Status::exist);
    REQUIRE(fixture.symlink(path, "x").status == Status::exist);
    REQUIRE(fixture.link("f", path).status == Status::exist);
    REQUIRE(fixture.remove(path).status == Status::inval);
    REQUIRE(fixture.rename(path, "x").status == Status::inval);
    REQUIRE(fixture.rename("f", path).status == Status::inval);
  }
  REQUIRE(fixture.rmdir("d/.").status == Status::inval);
  REQUIRE(fixture.rmdir("d/..").status == Status::exist);
}

TEST_CASE("raw bytes and 255 of them are a name") {
  ApplianceFixture fixture;
  std::string longest(255, 'n');
  std::string raw = "\xff\xfe\x01 \n\\";
  REQUIRE(fixture.create(longest).status == Status::ok);
  REQUIRE(fixture.create(raw).status == Status::ok);
  REQUIRE(fixture.names("") == Names{longest, raw});
  fixture.crash();
  REQUIRE(fixture.lookup(raw).status == Status::ok);
}

TEST_CASE("directory procedures want a directory") {
  ApplianceFixture fixture;
  build(fixture);
  REQUIRE(fixture.lookup("f/x").status == Status::notdir);
  REQUIRE(fixture.create("f/x").status == Status::notdir);
  REQUIRE(fixture.mkdir("f/x").status == Status::notdir);
  REQUIRE(fixture.remove("f/x").status == Status::notdir);
  REQUIRE(fixture.rmdir("f/x").status == Status::notdir);
  REQUIRE(fixture.rename("f/x", "y").status == Status::notdir);
  REQUIRE(fixture.rename("d", "f/x").status == Status::notdir);
  REQUIRE(fixture.link("f", "l/x").status == Status::notdir);
  nfs3::ReaddirArgs args{fixture.walk("f"), 0, {}, 4096};
  REQUIRE(fixture.run(fixture.service.readdir(fixture.context, args)).status == Status::notdir);
}

TEST_CASE("a removed object's handle is STALE, and its name is free") {
  ApplianceFixture fixture;
  build(fixture);
  nfs3::Handle inner = fixture.walk("d/inner");
  nfs3::Handle directory = fixture.walk("d");
  REQUIRE(fixture.remove("d/inner").status == Status::ok);
  REQUIRE(fixture.rmdir("d").status == Status::ok);
  nfs3::GetattrArgs getattr{inner};
  REQUIRE(fixture.run(fixture.service.getattr(fixture.context, getattr)).status == Status::stale);
  nfs3::CreateArgs create{{directory, "x"}, CreateMode::guarded, {}, {}};
  REQUIRE(fixture.run(fixture.service.create(fixture.context, create)).status == Status::stale);
  REQUIRE(fixture.lookup("d").status == Status::noent);
  REQUIRE(fixture.create("d").status == Status::ok);
  fixture.crash();
  REQUIRE(fixture.attributes("d").type == nfs3::FileType::regular);
  REQUIRE(fixture.run(fixture.service.getattr(fixture.context, getattr)).status == Status::stale);
}

TEST_CASE("CREATE: guarded, unchecked and exclusive") {
  ApplianceFixture fixture;
  build(fixture);
  REQUIRE(fixture.create("f").status == Status::exist);
  REQUIRE(fixture.create("d", CreateMode::unchecked).status == Status::exist);
  nfs3::CreateRes existing = fixture.create("f", CreateMode::unchecked, 0600);
  REQUIRE(existing.status == Status::ok);
  REQUIRE(existing.attributes->mode == 0644);  // only a size is taken over
  REQUIRE(fixture.content("f") == "file");
  nfs3::CreateArgs args;
  args.where = {fixture.root(), "f"};
  args.attributes.size = 0;
  REQUIRE(fixture.run(fixture.service.create(fixture.context, args)).status == Status::ok);
  REQUIRE(fixture.content("f").empty());

  args.where.name = "x";
  args.how = CreateMode::exclusive;
  args.verifier[3] = std::byte{7};
  nfs3::CreateRes first = fixture.run(fixture.service.create(fixture.context, args));
  REQUIRE(first.status == Status::ok);
  fixture.crash();
  nfs3::CreateRes again = fixture.run(fixture.service.create(fixture.context, args));
  REQUIRE(again.status == Status::ok);
  REQUIRE(again.object == first.object);
  args.verifier[3] = std::byte{8};
  REQUIRE(fixture.run(fixture.service.create(fixture.context, args)).status == Status::exist);
  args.where.name = "f";
  REQUIRE(fixture.run(fixture.service.create(fixture.context, args)).status == Status::exist);
}

TEST_CASE("a new name changes its directory's times, and the wcc shows it") {
  ApplianceFixture fixture;
  build(fixture);
  nfs3::Attributes before = fixture.attributes("");
  nfs3::CreateRes res = fixture.create("new");
  REQUIRE(res.dir_wcc.before == proxy::wcc_attributes(before));
  REQUIRE(res.dir_wcc.after == fixture.attributes(""));
  REQUIRE(res.dir_wcc.after->mtime > before.mtime);
  REQUIRE(*res.attributes == fixture.attributes("new"));
  REQUIRE(*res.object == fixture.walk("new"));
  nfs3::CreateRes failed = fixture.create("new");
  REQUIRE(failed.dir_wcc.after == res.dir_wcc.after);
  REQUIRE_FALSE(failed.object.has_value());
}

TEST_CASE("SYMLINK and MKNOD keep what they are given and refuse what makes no sense") {
  ApplianceFixture fixture;
  build(fixture);
  REQUIRE(fixture.symlink("s", "").status == Status::inval);
  REQUIRE(fixture.symlink("s", std::string(4096, 'x')).status == Status::nametoolong);
  REQUIRE(fixture.symlink("s", std::string("a\0b", 3)).status == Status::inval);
  REQUIRE(fixture.symlink("s", std::string(4095, 'x')).status == Status::ok);
  REQUIRE(fixture.attributes("s").size == 4095);
  nfs3::MknodArgs args{{fixture.root(), "n"}, nfs3::FileType::block, {}, {8, 1}};
  fixture.context = context_of(1000, 1000);
  REQUIRE(fixture.run(fixture.service.mknod(fixture.context, args)).status == Status::perm);
  fixture.context = context_of(0, 0);
  REQUIRE(fixture.run(fixture.service.mknod(fixture.context, args)).status == Status::ok);
  REQUIRE(fixture.attributes("n").rdev == nfs3::SpecData{8, 1});
  args.where.name = "m";
  args.type = nfs3::FileType::regular;
  REQUIRE(fixture.run(fixture.service.mknod(fixture.context, args)).status == Status::badtype);
  args.type = nfs3::FileType::socket;
  fixture.context = context_of(1000, 1000);
  REQUIRE(fixture.run(fixture.service.mknod(fixture.context, args)).status == Status::ok);
}

TEST_CASE("REMOVE and RMDIR refuse each other's objects and what is not theirs") {
  ApplianceFixture fixture;
  build(fixture);
  REQUIRE(fixture.remove("d").status == Status::isdir);
  REQUIRE(fixture.rmdir("f").status == Status::notdir);
  REQUIRE(fixture.rmdir("d").status == Status::notempty);
  REQUIRE(fixture.remove("none").status == Status::noent);
  REQUIRE(fixture.rmdir("none").status == Status::noent);
  fixture.context = context_of(1000, 1000);
  REQUIRE(fixture.remove("d/inner").status == Status::acces);
  fixture.context = context_of(0, 0);
  nfs3::SetAttributes sticky;
  sticky.mode = 01777;
  REQUIRE(fixture.setattr("", sticky).status == Status::ok);
  fixture.context = context_of(1000, 1000);
  REQUIRE(fixture.remove("f").status == Status::perm);
  REQUIRE(fixture.create("mine").status == Status::ok);
  REQUIRE(fixture.remove("mine").status == Status::ok);
}

TEST_CASE("an image directory is empty once all its names are hidden, by whatever") {
  ApplianceFixture fixture;
  build(fixture);
  REQUIRE(fixture.rename("d/inner", "moved").status == Status::ok);
  REQUIRE(fixture.create("d/new").status == Status::ok);
  REQUIRE(fixture.rmdir("d").status == Status::notempty);
  REQUIRE(fixture.remove("d/new").status == Status::ok);
  REQUIRE(fixture.rmdir("d").status == Status::ok);
  REQUIRE(fixture.content("moved") == "inner");
}

TEST_CASE("a large image directory is found empty page by page") {
  ApplianceFixture fixture;
  fixture.image.add_directory("big");
  for (int i = 0; i < 1500; ++i) fixture.image.add_file("big/" + std::to_string(i), "x");
  REQUIRE(fixture.rmdir("big").status == Status::notempty);
  for (int i = 0; i < 1500; ++i)
    REQUIRE(fixture.remove("big/" + std::to_string(i)).status == Status::ok);
  REQUIRE(fixture.rmdir("big").status == Status::ok);
}

TEST_CASE("names made and removed in an image directory leave nothing in the store") {
  ApplianceFixture fixture;
  build(fixture);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(fixture.create("d/temporary").status == Status::ok);
    REQUIRE(fixture.remove("d/temporary").status == Status::ok);
  }
  REQUIRE_FALSE(*fixture.store().has_names(fixture.image.find("d")));
  REQUIRE(fixture.store().usage().objects == 1);  // the directory itself
}

TEST_CASE("hard links of the image are one object with one link count") {
  ApplianceFixture fixture;
  build(fixture);
  REQUIRE(fixture.attributes("f").nlink == 2);
  REQUIRE(fixture.write("f", 0, "FILE").status == Status::ok);
  REQUIRE(fixture.content("hard") == "FILE");
  REQUIRE(fixture.link("hard", "third").status == Status::ok);
  REQUIRE(fixture.attributes("f").nlink == 3);
  nfs3::Handle handle = fixture.walk("f");
  REQUIRE(fixture.remove("f").status == Status::ok);
  REQUIRE(fixture.remove("hard").status == Status::ok);
  REQUIRE(fixture.attributes("third").nlink == 1);
  REQUIRE(fixture.walk("third") == handle);
  REQUIRE(fixture.remove("third").status == Status::ok);
  nfs3::GetattrArgs args{handle};
  REQUIRE(fixture.run(fixture.service.getattr(fixture.context, args)).status == Status::stale);
}

TEST_CASE("LINK refuses directories, taken names and foreign directories") {
  ApplianceFixture fixture;
  build(fixture);
  REQUIRE(fixture.link("d", "x").status == Status::isdir);
  REQUIRE(fixture.link("f", "d").status == Status::exist);
  REQUIRE(fixture.link("f", "hard").status == Status::exist);
  fixture.context = context_of(1000, 1000);
  REQUIRE(fixture.link("f", "d/x").status == Status::acces);
}

TEST_CASE("an image directory is renamed with all below it, keeping ids and handles") {
  ApplianceFixture fixture;
  build(fixture);
  nfs3::Handle inner = fixture.walk("d/inner");
  cache::Ticket before = fixture.store().applied();
  REQUIRE(fixture.rename("d", "empty/moved").status == Status::ok);
  REQUIRE(fixture.store().applied() == before + 1);  // one transaction, whatever lies below
  REQUIRE(fixture.walk("empty/moved/inner") == inner);
  REQUIRE(fixture.lookup("d").status == Status::noent);
  REQUIRE(fixture.lookup("empty/moved/..").object == fixture.walk("empty"));
  REQUIRE(fixture.attributes("empty").nlink == 3);
  fixture.crash();
  REQUIRE(fixture.content("empty/moved/inner") == "inner");
  REQUIRE(fixture.names("empty") == Names{"moved"});
  REQUIRE(fixture.rename("empty/moved", "d").status == Status::ok);
  REQUIRE(fixture.lookup("d/..").object == fixture.root());
}

TEST_CASE("RENAME checks what it replaces") {
  ApplianceFixture fixture;
  build(fixture);
  REQUIRE(fixture.rename("d", "f").status == Status::notdir);
  REQUIRE(fixture.rename("f", "empty").status == Status::isdir);
  REQUIRE(fixture.rename("empty", "d").status == Status::notempty);
  REQUIRE(fixture.rename("none", "x").status == Status::noent);
  REQUIRE(fixture.rename("f", "hard").status == Status::ok);  // one object: nothing happens
  REQUIRE(fixture.lookup("f").status == Status::ok);
  REQUIRE(fixture.rename("d", "d/sub").status == Status::inval);
  REQUIRE(fixture.mkdir("d/sub").status == Status::ok);
  REQUIRE(fixture.rename("d", "d/sub/x").status == Status::inval);
  REQUIRE(fixture.rename("d", "empty").status == Status::ok);
  REQUIRE(fixture.names("empty") == Names{"inner", "sub"});
  REQUIRE(fixture.rename("l", "f").status == Status::ok);
  REQUIRE(fixture.attributes("f").type == nfs3::FileType::symlink);
  REQUIRE(fixture.attributes("hard").nlink == 1);
}

TEST_CASE("a directory of others is not moved to another place") {
  ApplianceFixture fixture;
  build(fixture);
  fixture.image.add_directory("open");
  fixture.image.set_attributes("open", 0777, 0, 0);
  fixture.context = context_of(1000, 1000);
  REQUIRE(fixture.rename("empty", "open/x").status == Status::acces);  // its ".." would change
  REQUIRE(fixture.rename("empty", "still").status == Status::ok);
  REQUIRE(fixture.rename("f", "open/f").status == Status::ok);
}

TEST_CASE("a listing shows dots, the image's names, then local ones, each once") {
  ApplianceFixture fixture;
  build(fixture);
  fixture.create("b");
  fixture.create("a");
  fixture.remove("l");
  fixture.remove("f");
  fixture.create("f");
  nfs3::ReaddirArgs args{fixture.root(), 0, {}, 4096};
  nfs3::ReaddirRes res = fixture.run(fixture.service.readdir(fixture.context, args));
  Names names;
  for (const nfs3::DirEntry& entry : res.entries) names.push_back(entry.name);
  REQUIRE(names == Names{".", "..", "d", "empty", "hard", "b", "a", "f"});
  REQUIRE(res.eof);
  REQUIRE(res.entries[0].fileid == 1);
  REQUIRE(res.entries[1].fileid == 1);
  // From every cookie on, the rest of the same listing.
  for (std::size_t i = 0; i < res.entries.size(); ++i) {
    args.cookie = res.entries[i].cookie;
    nfs3::ReaddirRes rest = fixture.run(fixture.service.readdir(fixture.context, args));
    REQUIRE(rest.entries.size() == res.entries.size() - i - 1);
    REQUIRE(rest.verifier == res.verifier);
    if (!rest.entries.empty()) REQUIRE(rest.entries[0].name == names[i + 1]);
  }
}

TEST_CASE("cookies stay good while the directory changes and over a restart") {
  ApplianceFixture fixture;
  build(fixture);
  for (int i = 0; i < 20; ++i) fixture.create("n" + std::to_string(i));
  nfs3::ReaddirArgs args{fixture.root(), 0, {}, 512};
  nfs3::ReaddirRes res = fixture.run(fixture.service.readdir(fixture.context, args));
  REQUIRE_FALSE(res.eof);
  Names seen;
  for (int round = 0;; ++round) {
    for (const nfs3::DirEntry& entry : res.entries) seen.push_back(entry.name);
    if (res.eof) break;
    args.cookie = res.entries.back().cookie;
    fixture.remove(seen.back());  // also the one that the cookie is of
    fixture.create("later" + std::to_string(round));
    if (round == 0) fixture.crash();
    res = fixture.run(fixture.service.readdir(fixture.context, args));
    REQUIRE(res.status == Status::ok);
  }
  for (int i = 0; i < 20; ++i)
    REQUIRE(std::count(seen.begin(), seen.end(), "n" + std::to_string(i)) == 1);
}

TEST_CASE("READDIRPLUS gives merged attributes and handles with every entry") {
  ApplianceFixture fixture;
  build(fixture);
  fixture.write("f", 10, "more");
  fixture.mkdir("local");
  nfs3::ReaddirplusArgs args{fixture.root(), 0, {}, 8192, 32768};
  nfs3::ReaddirRes res = fixture.run(fixture.service.readdirplus(fixture.context, args));
  REQUIRE(res.entries.size() == 8);
  for (const nfs3::DirEntry& entry : res.entries) {
    INFO(entry.name);
    REQUIRE(entry.attributes == fixture.attributes(entry.name));
    REQUIRE(*entry.object == fixture.walk(entry.name));
    REQUIRE(entry.fileid == entry.attributes->fileid);
  }
}

TEST_CASE("a listing refuses small buffers, cookies that are none, and who may not read") {
  ApplianceFixture fixture;
  build(fixture);
  nfs3::ReaddirArgs args{fixture.root(), 0, {}, 100};
  REQUIRE(fixture.run(fixture.service.readdir(fixture.context, args)).status == Status::toosmall);
  args.count = 4096;
  args.cookie = ~nfs3::Cookie{0};
  REQUIRE(fixture.run(fixture.service.readdir(fixture.context, args)).status == Status::bad_cookie);
  nfs3::ReaddirplusArgs plus{fixture.root(), 0, {}, 8192, 64};
  REQUIRE(fixture.run(fixture.service.readdirplus(fixture.context, plus)).status ==
          Status::toosmall);
  nfs3::SetAttributes closed;
  closed.mode = 0711;
  fixture.setattr("", closed);
  fixture.context = context_of(1000, 1000);
  args.cookie = 0;
  REQUIRE(fixture.run(fixture.service.readdir(fixture.context, args)).status == Status::acces);
  REQUIRE(fixture.lookup("f").status == Status::ok);
}

TEST_CASE("a directory of 20000 names is listed whole, in bounded replies") {
  ApplianceFixture fixture;
  fixture.image.add_directory("big");
  for (int i = 0; i < 20'000; ++i) {
    if (i % 2 == 0) fixture.image.add_symlink("big/i" + std::to_string(i), "x");
  }
  for (int i = 1; i < 200; i += 2) fixture.create("big/i" + std::to_string(i));
  nfs3::ReaddirplusArgs args{fixture.walk("big"), 0, {}, 4096, 65536};
  std::size_t names = 0;
  for (bool eof = false; !eof;) {
    nfs3::ReaddirRes res = fixture.run(fixture.service.readdirplus(fixture.context, args));
    std::size_t bytes = nfs3::encoded_overhead(true);
    for (const nfs3::DirEntry& entry : res.entries) bytes += nfs3::encoded_size(entry, true);
    REQUIRE(bytes <= 65536);
    names += res.entries.size();
    args.cookie = res.entries.back().cookie;
    eof = res.eof;
  }
  REQUIRE(names == 2 + 10'000 + 100);
}
