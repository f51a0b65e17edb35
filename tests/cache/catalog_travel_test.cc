// Ids that are the same on two hosts, whatever each of them sees first.
#include <map>

#include "cache/catalog_impl.h"
#include "tests/support/memory_table.h"

#include "tests/support/catch.h"

namespace rowan::cache {
namespace {

// Two hosts know the same version under numbers of their own.
struct HostCatalog {
  explicit HostCatalog(VersionId v) : version(v) {
    REQUIRE(catalog.load_counters());
    SourceEntry root;
    root.attributes.kind = FileKind::directory;
    root.attributes.source_fileid = 2;
    REQUIRE(catalog.add_root(version, root));
  }
  ObjectId see(ObjectId directory, const std::string& name, std::uint64_t fileid,
               std::uint32_t links = 1, FileKind kind = FileKind::regular) {
    SourceEntry entry;
    entry.name = name;
    entry.attributes.kind = kind;
    entry.attributes.nlink = links;
    entry.attributes.source_fileid = fileid;
    REQUIRE(catalog.add_entry(version, directory, entry));
    return *catalog.lookup(version, directory, name);
  }
  std::vector<KnownName> names(std::size_t page = 2) {
    std::vector<KnownName> all;
    while (true) {
      auto found =
          catalog.known_names(version, all.empty() ? KnownName() : all.back(), page);
      REQUIRE(found);
      all.insert(all.end(), found->begin(), found->end());
      if (found->size() < page) return all;
    }
  }

  test::MemoryDisk disk;
  CatalogImpl catalog{std::make_unique<test::MemoryTable>(disk, 0)};
  VersionId version;
};

TEST_CASE("a host that was told another one's names gives the same ids, in whatever order") {
  HostCatalog one(VersionId{1}), two(VersionId{2});
  const ObjectId bin = one.see(image_root, "bin", 10, 2, FileKind::directory);
  const ObjectId perl = one.see(bin, "perl", 11, 2);
  CHECK(one.see(bin, "perl5", 11, 2) == perl);
  const ObjectId plain = one.see(bin, "sh", 12);
  REQUIRE(one.catalog.add_absent(one.version, bin, "zsh"));
  const auto names = one.names();
  CHECK(names.size() == 4);

  CHECK(two.catalog.origin(perl).failed_with(Errc::not_found));
  REQUIRE(two.catalog.take_names(two.version, names));
  CHECK(two.catalog.object(two.version, perl).failed_with(Errc::not_found));
  CHECK(*two.catalog.path(perl) == "/bin/perl");
  CHECK(two.catalog.origin(perl)->directory == bin);
  CHECK(two.catalog.origin(perl)->name == "perl");
  two.see(image_root, "bin", 77, 2, FileKind::directory);
  CHECK(two.see(bin, "perl5", 78, 2) == perl);   // the other name first
  CHECK(two.see(bin, "perl", 78, 2) == perl);
  CHECK(two.see(bin, "sh", 79) == plain);
  CHECK(two.names() == names);
  REQUIRE(two.catalog.take_names(two.version, names));   // again is no harm
}

TEST_CASE("without being told, the two give different ids: that is refused when it is too late") {
  HostCatalog one(VersionId{1}), two(VersionId{2});
  one.see(image_root, "a", 11, 2);
  one.see(image_root, "b", 11, 2);
  two.see(image_root, "b", 11, 2);
  const ObjectId other = two.see(image_root, "a", 11, 2);
  CHECK_FALSE(other == *one.catalog.lookup(one.version, image_root, "a"));
  const auto taken = two.catalog.take_names(two.version, one.names());
  REQUIRE(taken.failed_with(Errc::exists));
  CHECK(taken.error().detail.find("'a'") != std::string::npos);
}

TEST_CASE("a name that is known to be absent here is another image") {
  HostCatalog one(VersionId{1}), two(VersionId{2});
  one.see(image_root, "a", 11);
  REQUIRE(two.catalog.add_absent(two.version, image_root, "a"));
  CHECK(two.catalog.take_names(two.version, one.names()).failed_with(Errc::exists));
}

TEST_CASE("names that no catalogue has are refused") {
  HostCatalog one(VersionId{1}), two(VersionId{2});
  one.see(image_root, "a", 11);
  const KnownName good = one.names()[0];
  for (const char* name : {"", ".", "..", "x/y"}) {
    KnownName bad = good;
    bad.first_name = name;
    CHECK(two.catalog.take_names(two.version, {bad}).failed_with(Errc::corrupt));
  }
  KnownName forged = good;
  forged.child = ObjectId{77};
  CHECK(two.catalog.take_names(two.version, {forged}).failed_with(Errc::corrupt));
  const std::vector<KnownName> many(max_known_names + 1, good);
  CHECK(two.catalog.take_names(two.version, many).failed_with(Errc::invalid));
}

}  // namespace
}  // namespace rowan::cache
