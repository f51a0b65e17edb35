#include "cache/catalog.h"

#include <map>
#include <random>
#include <set>

#include "cache/catalog_impl.h"
#include "tests/support/memory_table.h"

#include "tests/support/catch.h"

namespace rowan::cache {
namespace {

using test::MemoryDisk;
using test::MemoryTable;

constexpr VersionId v1{101};
constexpr VersionId v2{102};

struct Bench {
  MemoryDisk disk;
  std::unique_ptr<CatalogImpl> catalog;
  std::uint64_t seed = 0;

  explicit Bench(std::uint64_t s = 0) : seed(s) { reopen(); }
  void reopen() {
    catalog.reset();
    catalog = std::make_unique<CatalogImpl>(std::make_unique<MemoryTable>(disk, seed));
    REQUIRE(catalog->load_counters());
  }
  // Asks again after loads, as the runner does.
  template <class Question>
  auto answer(Question question) {
    for (;;) {
      auto result = question();
      if (!result.failed_with(Errc::needs_load)) return result;
      auto job = catalog->take_load();
      REQUIRE(job != nullptr);
      job->run();
      catalog->complete(std::move(job));
    }
  }
  void sync() {
    catalog->want_durable(catalog->applied());
    while (auto job = catalog->next_job()) {
      job->run();
      catalog->complete(std::move(job));
    }
  }
  void add_root(VersionId version = v1) {
    SourceEntry root;
    root.attributes.kind = FileKind::directory;
    root.attributes.source_fileid = 2;
    REQUIRE(answer([&] { return catalog->add_root(version, root); }));
  }
  Result<Ticket> add(VersionId version, ObjectId directory, const SourceEntry& entry) {
    return answer([&] { return catalog->add_entry(version, directory, entry); });
  }
  Result<Ticket> add_page(VersionId version, ObjectId directory,
                          const std::vector<SourceEntry>& entries, std::string cursor, bool last) {
    return answer([&] { return catalog->add_page(version, directory, entries, cursor, last); });
  }
  Result<ObjectId> lookup(ObjectId directory, std::string_view name, VersionId version = v1) {
    return answer([&] { return catalog->lookup(version, directory, name); });
  }
  Result<ImageObject> object(ObjectId id, VersionId version = v1) {
    return answer([&] { return catalog->object(version, id); });
  }
  Result<std::string> path(ObjectId id) {
    return answer([&] { return catalog->path(id); });
  }
  Listing list(ObjectId directory, std::uint64_t after = 0, std::size_t limit = 1000) {
    return *answer([&] { return catalog->list(v1, directory, after, limit); });
  }
};

SourceEntry file(std::string name, std::uint64_t fileid, std::uint64_t size = 10,
                 std::uint32_t nlink = 1) {
  SourceEntry entry;
  entry.name = std::move(name);
  entry.attributes.size = size;
  entry.attributes.nlink = nlink;
  entry.attributes.source_fileid = fileid;
  entry.attributes.mtime = {1000, 5};
  entry.source_handle = "handle-" + std::to_string(fileid);
  return entry;
}
SourceEntry directory(std::string name, std::uint64_t fileid) {
  SourceEntry entry = file(std::move(name), fileid);
  entry.attributes.kind = FileKind::directory;
  return entry;
}

}  // namespace

TEST_CASE("an object that was added is found by name and id, also after a restart") {
  Bench bench(7);
  bench.add_root();
  REQUIRE(bench.lookup(image_root, "etc").failed_with(Errc::not_found));
  REQUIRE(bench.add(v1, image_root, directory("etc", 11)));
  ObjectId etc = *bench.lookup(image_root, "etc");
  REQUIRE(bench.add(v1, etc, file("passwd", 12, 1234)));
  bench.sync();
  bench.reopen();
  REQUIRE(*bench.lookup(image_root, "etc") == etc);
  ObjectId passwd = *bench.lookup(etc, "passwd");
  ImageObject object = *bench.object(passwd);
  REQUIRE(object.attributes == file("passwd", 12, 1234).attributes);
  REQUIRE(object.source_handle == "handle-12");
  REQUIRE(object.parent == etc);
  REQUIRE(object.name == "passwd");
  REQUIRE(*bench.path(passwd) == "/etc/passwd");
  REQUIRE(*bench.path(image_root) == "/");
  REQUIRE(bench.catalog->object_count(v1) == 3);
  REQUIRE(bench.catalog->known_bytes(v1) == 1234);
  REQUIRE(bench.object(ObjectId{4711}).failed_with(Errc::not_found));
}

TEST_CASE("what was not synced is forgotten by a crash, as a whole") {
  Bench bench;
  bench.add_root();
  bench.sync();
  REQUIRE(bench.add(v1, image_root, file("a", 11)));
  ObjectId a = *bench.lookup(image_root, "a");
  REQUIRE(bench.catalog->shown_after(a) > bench.catalog->durable());
  bench.reopen();
  REQUIRE(bench.lookup(image_root, "a").failed_with(Errc::not_found));
  REQUIRE(bench.object(a).failed_with(Errc::not_found));
  // Told again, it gets the same id: it is a digest of the path.
  REQUIRE(bench.add(v1, image_root, file("a", 11)));
  REQUIRE(*bench.lookup(image_root, "a") == a);
  bench.sync();
  REQUIRE(bench.catalog->shown_after(a) == 0);
}

TEST_CASE("ids are the same on every host, whatever the order, and never reserved ones") {
  Bench one, two;
  one.add_root();
  two.add_root();
  std::set<ObjectId> seen;
  for (int i = 0; i < 300; ++i) {
    REQUIRE(one.add(v1, image_root, file("f" + std::to_string(i), 100 + i)));
    REQUIRE(two.add(v1, image_root, file("f" + std::to_string(299 - i), 900 + i)));
  }
  for (int i = 0; i < 300; ++i) {
    ObjectId id = *one.lookup(image_root, "f" + std::to_string(i));
    REQUIRE(*two.lookup(image_root, "f" + std::to_string(i)) == id);
    REQUIRE_FALSE(is_local(id));
    REQUIRE(to_number(id) > 1);
    REQUIRE(seen.insert(id).second);
  }
  // Part of the format: a different digest would change every fileid.
  REQUIRE(to_number(catalog::natural_id(image_root, "etc", 0)) == 0x3bd1ef5f3619550cu);
}

TEST_CASE("a path whose id is taken gets another one, and keeps it") {
  Bench bench;
  bench.add_root();
  // The id of "b" is given to another path beforehand, as a collision of the digest would.
  ObjectId natural = catalog::natural_id(image_root, "b", 0);
  bench.disk.durable[catalog::identity_key(natural)] =
      catalog::Identity{ObjectId{99}, "other"}.encode();
  bench.reopen();
  bench.add_root();
  REQUIRE(bench.add(v1, image_root, file("b", 5)));
  ObjectId b = *bench.lookup(image_root, "b");
  REQUIRE(b == catalog::natural_id(image_root, "b", 1));
  REQUIRE(*bench.path(b) == "/b");
}

TEST_CASE("names of one file share an id, in every version") {
  Bench bench;
  bench.add_root();
  REQUIRE(bench.add_page(v1, image_root, {file("a", 7, 10, 3), file("b", 7, 10, 3)}, "", false));
  REQUIRE(bench.add(v1, image_root, file("c", 7, 10, 3)));
  ObjectId a = *bench.lookup(image_root, "a");
  REQUIRE(*bench.lookup(image_root, "b") == a);
  REQUIRE(*bench.lookup(image_root, "c") == a);
  REQUIRE(bench.catalog->object_count(v1) == 2);
  REQUIRE(bench.catalog->known_bytes(v1) == 10);
  // The next version shows the names in another order and with other numbers.
  bench.add_root(v2);
  REQUIRE(bench.add(v2, image_root, file("c", 70, 10, 3)));
  REQUIRE(*bench.lookup(image_root, "c", v2) == a);
  REQUIRE(bench.add(v2, image_root, file("a", 70, 10, 3)));
  REQUIRE(*bench.lookup(image_root, "a", v2) == a);
  // And "b" has become a file of its own there.
  REQUIRE(bench.add(v2, image_root, file("b", 71, 10, 2)));
  REQUIRE(*bench.lookup(image_root, "b", v2) != a);
}

TEST_CASE("a file that takes the place of a link's id in another version gets its own") {
  Bench bench;
  bench.add_root();
  REQUIRE(bench.add_page(v1, image_root, {file("a", 7, 10, 2), file("b", 7, 10, 2)}, "", true));
  bench.add_root(v2);
  REQUIRE(bench.add(v2, image_root, file("b", 8, 10, 2)));    // takes a's id by its alias
  REQUIRE(bench.add(v2, image_root, file("a", 9, 20, 1)));
  ObjectId a = *bench.lookup(image_root, "a", v2);
  ObjectId b = *bench.lookup(image_root, "b", v2);
  REQUIRE(a != b);
  REQUIRE(bench.object(a, v2)->attributes.size == 20);
  REQUIRE(bench.object(b, v2)->attributes.size == 10);
}

TEST_CASE("a complete listing answers for every other name") {
  Bench bench(3);
  bench.add_root();
  REQUIRE(bench.add_page(v1, image_root, {file("a", 1), file("b", 2)}, "cursor-1", false));
  REQUIRE(bench.lookup(image_root, "x").failed_with(Errc::not_found));
  Listing listing = bench.list(image_root);
  REQUIRE_FALSE(listing.complete);
  REQUIRE(listing.source_cursor == "cursor-1");
  REQUIRE(bench.add_page(v1, image_root, {file("c", 3)}, "", true));
  REQUIRE(*bench.lookup(image_root, "x") == no_object);
  listing = bench.list(image_root);
  REQUIRE(listing.complete);
  REQUIRE(listing.entries.size() == 3);
  REQUIRE(listing.entries[2].name == "c");
  REQUIRE(listing.entries[2].child == *bench.lookup(image_root, "c"));
  // Nothing can be added any more: the view is frozen.
  REQUIRE(bench.add(v1, image_root, file("new", 9)));
  REQUIRE(*bench.lookup(image_root, "new") == no_object);
  REQUIRE(bench.catalog->take_contradictions().size() == 1);
}

TEST_CASE("positions are those of arrival, without gaps, and stay") {
  Bench bench;
  bench.add_root();
  REQUIRE(bench.add(v1, image_root, file("z", 26)));   // known before its page
  std::vector<SourceEntry> page;
  for (int i = 0; i < 5000; ++i) page.push_back(file("f" + std::to_string(i), 100 + i));
  page.push_back(file("z", 26));
  REQUIRE(bench.add_page(v1, image_root, page, "more", false));
  REQUIRE(bench.add_page(v1, image_root, page, "more", false));   // told twice: no harm
  REQUIRE(bench.add_page(v1, image_root, {file("last", 27)}, "", true));
  bench.sync();
  bench.reopen();
  std::uint64_t position = 0;
  std::size_t seen = 0;
  for (;;) {
    Listing listing = bench.list(image_root, position, 777);
    for (const auto& entry : listing.entries) {
      REQUIRE(entry.position == ++position);
      std::string expected = seen < 5000 ? "f" + std::to_string(seen) : seen == 5000 ? "z" : "last";
      REQUIRE(entry.name == expected);
      ++seen;
    }
    if (listing.complete) break;
    REQUIRE(listing.entries.size() == 777);
  }
  REQUIRE(seen == 5002);
  REQUIRE(bench.list(image_root, 5002).complete);
  REQUIRE(bench.list(image_root, ~0ull).entries.empty());
}

TEST_CASE("names that were looked up but are missing in the listing end it") {
  Bench bench;
  bench.add_root();
  for (int i = 0; i < 1000; ++i)
    REQUIRE(bench.add(v1, image_root, file("g" + std::to_string(i), 100 + i)));
  REQUIRE(bench.add_page(v1, image_root, {file("a", 1)}, "", true));
  Listing listing = bench.list(image_root, 0, 5000);
  REQUIRE(listing.complete);
  REQUIRE(listing.entries.size() == 1001);
  REQUIRE(listing.entries[0].name == "a");
  REQUIRE(bench.catalog->take_contradictions().size() == 64);
}

TEST_CASE("the first telling stands, and a different one is reported") {
  Bench bench;
  bench.add_root();
  REQUIRE(bench.add(v1, image_root, file("a", 1, 10)));
  SourceEntry changed = file("a", 1, 12);
  REQUIRE(bench.add(v1, image_root, changed));
  ObjectId a = *bench.lookup(image_root, "a");
  REQUIRE(bench.object(a)->attributes.size == 10);
  auto found = bench.catalog->take_contradictions();
  REQUIRE(found.size() == 1);
  REQUIRE(found[0].what == "size 10 became 12");
  REQUIRE(bench.catalog->take_contradictions().empty());
  REQUIRE(bench.answer([&] { return bench.catalog->add_absent(v1, image_root, "b"); }));
  REQUIRE(*bench.lookup(image_root, "b") == no_object);
  REQUIRE(bench.add(v1, image_root, file("b", 2)));
  REQUIRE(*bench.lookup(image_root, "b") == no_object);
  REQUIRE(bench.catalog->take_contradictions().size() == 1);
  REQUIRE(bench.add_page(v1, image_root, {file("b", 2)}, "", true));
  REQUIRE(bench.list(image_root).entries.size() == 1);   // "a", which the page lacks
}

TEST_CASE("which differences of attributes mean other content") {
  ImageAttributes known = file("a", 1, 10).attributes;
  auto differs = [&known](auto change) {
    ImageAttributes seen = known;
    change(seen);
    return describe_drift(known, seen).has_value();
  };
  REQUIRE(differs([](ImageAttributes& a) { a.size = 11; }));
  REQUIRE(differs([](ImageAttributes& a) { a.mtime.nanoseconds = 6; }));
  REQUIRE(differs([](ImageAttributes& a) { a.mtime.seconds = 999; }));
  REQUIRE(differs([](ImageAttributes& a) { a.kind = FileKind::fifo; }));
  REQUIRE_FALSE(differs([](ImageAttributes& a) { a.ctime.seconds = 5; }));
  REQUIRE_FALSE(differs([](ImageAttributes& a) { a.atime.seconds = 5; }));
  REQUIRE_FALSE(differs([](ImageAttributes& a) { a.nlink = 5; }));
  REQUIRE_FALSE(differs([](ImageAttributes& a) { a.source_fileid = 2; }));
}

TEST_CASE("symlinks, handles and drift are kept") {
  Bench bench(5);
  bench.add_root();
  SourceEntry link = file("l", 3);
  link.attributes.kind = FileKind::symlink;
  REQUIRE(bench.add(v1, image_root, link));
  ObjectId id = *bench.lookup(image_root, "l");
  REQUIRE_FALSE(bench.object(id)->target.has_value());
  REQUIRE(bench.answer([&] { return bench.catalog->add_target(v1, id, "usr/bin"); }));
  REQUIRE(bench.answer([&] { return bench.catalog->set_handle(v1, id, "new", 3); }));
  REQUIRE(bench.answer([&] { return bench.catalog->set_drifted(v1, id); }));
  bench.sync();
  bench.reopen();
  ImageObject object = *bench.object(id);
  REQUIRE(*bench.answer([&] { return bench.catalog->drifted(v1, 10); }) == std::vector{id});
  REQUIRE(bench.answer([&] { return bench.catalog->drifted(v2, 10); })->empty());
  REQUIRE(object.target == "usr/bin");
  REQUIRE(object.source_handle == "new");
  REQUIRE(object.drifted);
}

TEST_CASE("names are joined by the numbers of the disk that the source is on now") {
  Bench bench(6);
  bench.add_root();
  REQUIRE(bench.add(v1, image_root, file("a", 3, 10, 2)));
  const ObjectId a = *bench.lookup(image_root, "a");
  REQUIRE(bench.answer([&] { return bench.catalog->set_handle(v1, a, "moved", 8); }));
  REQUIRE(bench.add(v1, image_root, file("b", 8, 10, 2)));
  REQUIRE(*bench.lookup(image_root, "b") == a);
  // What has its old number is another file.
  REQUIRE(bench.add(v1, image_root, file("c", 3, 10, 2)));
  const ObjectId c = *bench.lookup(image_root, "c");
  REQUIRE(c != a);
  REQUIRE(bench.catalog->take_contradictions().empty());
  // One that was not looked at since it moved does not lend its number to a file that differs.
  REQUIRE(bench.add(v1, image_root, file("d", 3, 11, 2)));
  REQUIRE(*bench.lookup(image_root, "d") != c);
  REQUIRE(bench.catalog->take_contradictions().size() == 1);
}

TEST_CASE("names and bounds that a source must not break are refused") {
  Bench bench;
  bench.add_root();
  for (std::string name : {std::string(), std::string("."), std::string(".."), std::string("a/b"),
                           std::string("a\0b", 3), std::string(256, 'x')}) {
    REQUIRE(bench.add(v1, image_root, file(name, 5)).failed_with(Errc::invalid));
    REQUIRE(bench.add_page(v1, image_root, {file(name, 5)}, "", true).failed_with(Errc::invalid));
  }
  REQUIRE(bench.add(v1, image_root, file(std::string(255, '\xff'), 5)));
  SourceEntry long_handle = file("h", 6);
  long_handle.source_handle.assign(2000, 'x');
  REQUIRE(bench.add(v1, image_root, long_handle).failed_with(Errc::invalid));
  REQUIRE(
      bench.add_page(v1, image_root, {}, std::string(5000, 'c'), false).failed_with(Errc::invalid));
  ObjectId id = *bench.lookup(image_root, std::string(255, '\xff'));
  REQUIRE(bench.catalog->add_target(v1, id, std::string(5000, 't')).failed_with(Errc::invalid));
  REQUIRE(bench.catalog->add_target(v1, id, "").failed_with(Errc::invalid));
}

TEST_CASE("absent names are kept up to a bound") {
  Bench bench;
  bench.add_root();
  for (int i = 0; i < 65'600; ++i) {
    REQUIRE(bench.catalog->add_absent(v1, image_root, "no" + std::to_string(i)));
  }
  REQUIRE(*bench.lookup(image_root, "no65535") == no_object);
  REQUIRE(bench.lookup(image_root, "no65536").failed_with(Errc::not_found));
}

TEST_CASE("removing a version takes everything of it and nothing else") {
  Bench bench;
  for (VersionId version : {v1, v2}) {
    bench.add_root(version);
    std::vector<SourceEntry> page;
    for (int i = 0; i < 2000; ++i) page.push_back(file("f" + std::to_string(i), 100 + i, 10, 2));
    REQUIRE(bench.add_page(version, image_root, page, "", true));
  }
  ObjectId kept = *bench.lookup(image_root, "f7", v2);
  Result<Ticket> removed = Errc::try_later;
  int calls = 0;
  while (removed.failed_with(Errc::try_later)) {
    removed = bench.answer([&] { return bench.catalog->remove_version(v1); });
    ++calls;
  }
  REQUIRE(removed);
  REQUIRE(calls > 5);
  bench.sync();
  bench.reopen();
  REQUIRE(bench.object(image_root).failed_with(Errc::not_found));
  REQUIRE(bench.catalog->object_count(v1) == 0);
  REQUIRE(bench.catalog->object_count(v2) == 2001);
  REQUIRE(bench.object(kept, v2)->name == "f7");
  REQUIRE(*bench.path(kept) == "/f7");
}

TEST_CASE("damaged records are named, not believed") {
  Bench bench;
  bench.add_root();
  REQUIRE(bench.add(v1, image_root, file("a", 1)));
  bench.sync();
  ObjectId a = *bench.lookup(image_root, "a");
  for (auto& [key, value] : bench.disk.durable) {
    if (key[0] != 'v') value = value.substr(0, value.size() / 2);
  }
  bench.reopen();
  REQUIRE(bench.object(a).failed_with(Errc::corrupt));
  REQUIRE(bench.lookup(image_root, "a").failed_with(Errc::corrupt));
  REQUIRE(bench.path(a).failed_with(Errc::corrupt));
}

}  // namespace rowan::cache
