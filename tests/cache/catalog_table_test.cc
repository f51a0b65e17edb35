// The catalogue on its real table and the real disk; everything else of it is in catalog_test.cc.
#include "cache/catalog.h"

#include "tests/support/temp_directory.h"

#include "tests/support/catch.h"

namespace rowan::cache {
namespace {

constexpr VersionId version{7};

template <class Question>
auto answer(Catalog& catalog, Question question) {
  for (;;) {
    auto result = question();
    if (!result.failed_with(Errc::needs_load)) return result;
    auto job = catalog.take_load();
    REQUIRE(job != nullptr);
    job->run();
    catalog.complete(std::move(job));
  }
}

void run_jobs(Catalog& catalog) {
  while (auto job = catalog.next_job()) {
    job->run();
    catalog.complete(std::move(job));
  }
}

SourceEntry entry(std::string name, FileKind kind, std::uint64_t fileid) {
  SourceEntry made;
  made.name = std::move(name);
  made.attributes.kind = kind;
  made.attributes.source_fileid = fileid;
  return made;
}

}  // namespace

TEST_CASE("ten thousand objects are there after a restart, after a clean end and after none") {
  for (bool clean : {true, false}) {
    test::TempDirectory temp;
    auto directory = temp.open();
    auto catalog = *Catalog::open(*directory);
    REQUIRE(catalog->add_root(version, entry("", FileKind::directory, 1)));
    std::vector<SourceEntry> page;
    for (std::uint64_t i = 0; i < 10'000; ++i) {
      page.push_back(entry("f" + std::to_string(i), FileKind::regular, 10 + i));
    }
    auto add = [&] { return catalog->add_page(version, image_root, page, "", true); };
    Result<Ticket> added = answer(*catalog, add);
    while (added.failed_with(Errc::try_later)) {
      catalog->want_durable(catalog->applied());
      run_jobs(*catalog);
      added = answer(*catalog, add);
    }
    INFO((added ? std::string() : to_string(added.error())));
    REQUIRE(added);
    catalog->want_durable(*added);
    run_jobs(*catalog);
    REQUIRE(catalog->durable() >= *added);
    if (clean) catalog->prepare_close();
    run_jobs(*catalog);
    catalog.reset();
    auto opened = Catalog::open(*directory);
    INFO((opened ? std::string() : to_string(opened.error())));
    REQUIRE(opened);
    catalog = std::move(*opened);
    REQUIRE(catalog->object_count(version) == 10'001);
    auto look_up = [&] { return catalog->lookup(version, image_root, "f7777"); };
    Result<ObjectId> found = answer(*catalog, look_up);
    REQUIRE(found);
    auto object = [&] { return catalog->object(version, *found); };
    REQUIRE(answer(*catalog, object)->attributes.source_fileid == 7787);
    auto list = [&] { return catalog->list(version, image_root, 9'990, 100); };
    Result<Listing> end = answer(*catalog, list);
    REQUIRE(end->entries.size() == 10);
    REQUIRE(end->complete);
  }
}

}  // namespace rowan::cache
