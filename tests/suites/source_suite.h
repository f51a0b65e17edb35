// What every source must do, whatever stands behind it. The tree is test::standard_tree(); `has`
// says which kinds of it the source can show.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proxy/source.h"
#include "tests/support/image_tree.h"
#include "tests/support/manual_loop.h"

#include "tests/support/catch.h"

namespace rowan::test {

struct SourceSuite {
  // Works on what the source needs (loop, disk, network) until the condition holds.
  using Worker = std::function<void(const std::function<bool()>& done)>;
  Worker work_until;
  proxy::Source& source;
  bool reads_tell_attributes = true;

  static Worker worker(ManualLoop& loop, ManualDiskPool& disk) {
    return [&](const std::function<bool()>& done) {
      settle(loop, disk, false);
      if (!done()) settle(loop, disk, true);
      CHECK(done());
    };
  }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> value;
    TaskGroup group;
    auto body = [](Task<T> inner, std::optional<T>& out) -> Task<void> {
      T result = co_await inner;
      out.emplace(std::move(result));
    };
    group.start(body(std::move(task), value));
    work_until([&] { return value.has_value() && group.running() == 0; });
    return std::move(*value);
  }
  Result<proxy::SourceRef> find(const std::string& path) {
    proxy::SourceRef ref;
    ref.handle = run(source.root())->source_handle;
    for (std::size_t from = 0; from < path.size();) {
      std::size_t end = std::min(path.find('/', from), path.size());
      auto entry = run(source.lookup(ref, path.substr(from, end - from)));
      if (!entry) return entry.error();
      ref.path = path.substr(0, end);
      ref.handle = entry->source_handle;
      from = end + 1;
    }
    return ref;
  }
  std::vector<cache::SourceEntry> list_all(const proxy::SourceRef& directory) {
    std::vector<cache::SourceEntry> all;
    std::string cursor;
    for (;;) {
      auto page = run(source.list(directory, cursor));
      REQUIRE(page);
      REQUIRE((page->last || !page->entries.empty()));
      for (auto& entry : page->entries) all.push_back(std::move(entry));
      if (page->last) return all;
      cursor = page->cursor;
    }
  }

  void objects_are_what_they_are() {
    REQUIRE(run(source.root())->attributes.kind == cache::FileKind::directory);
    for (const TreeEntry& entry : standard_tree()) {
      INFO(entry.path);
      auto ref = find(entry.path);
      REQUIRE(ref);
      auto attributes = run(source.attributes(*ref));
      REQUIRE(attributes);
      REQUIRE(attributes->kind == entry.kind);
      REQUIRE(attributes->source_fileid != 0);
      if (entry.kind != cache::FileKind::symlink) REQUIRE(attributes->mode == entry.mode);
      if (entry.kind == cache::FileKind::regular) REQUIRE(attributes->size == entry.size);
      REQUIRE(attributes->mtime == WallTime{entry.mtime, 0});
    }
    auto cc = run(source.attributes(*find("usr/bin/cc")));
    auto gcc = run(source.attributes(*find("usr/bin/gcc")));
    REQUIRE(cc->source_fileid == gcc->source_fileid);
    REQUIRE(cc->nlink == 2);
    REQUIRE(run(source.attributes(*find("etc/passwd")))->source_fileid != cc->source_fileid);
  }

  void listings_are_whole_and_agree_with_lookups() {
    for (std::string path : {"", "etc", "many", "dev", "empty-directory"}) {
      INFO("listing " << path);
      std::map<std::string, cache::FileKind> expected;
      for (const TreeEntry& entry : standard_tree()) {
        auto slash = entry.path.rfind('/');
        std::string parent = slash == std::string::npos ? "" : entry.path.substr(0, slash);
        if (parent == path) expected[entry.path.substr(slash + 1)] = entry.kind;
      }
      proxy::SourceRef ref = *find(path);
      auto all = list_all(ref);
      REQUIRE(all.size() == expected.size());
      for (const auto& entry : all) {
        REQUIRE(expected.contains(entry.name));
        REQUIRE(entry.attributes.kind == expected[entry.name]);
        auto looked_up = run(source.lookup(ref, entry.name));
        REQUIRE(looked_up->attributes == entry.attributes);
        REQUIRE(looked_up->source_handle == entry.source_handle);
      }
      auto again = list_all(ref);
      auto same = [](const auto& a, const auto& b) { return a.name == b.name; };
      REQUIRE(std::equal(all.begin(), all.end(), again.begin(), again.end(), same));
    }
  }

  void reads_give_the_bytes() {
    for (const char* path :
         {"etc/passwd", "etc/one-unit", "usr/bin/cc", "usr/bin/gcc", "etc/empty"}) {
      INFO(path);
      proxy::SourceRef ref = *find(path);
      auto tree = standard_tree();
      auto entry = std::find_if(tree.begin(), tree.end(),
                                [path](const TreeEntry& at) { return at.path == path; });
      for (std::uint64_t offset : {0ull, 1ull, 1000ull, 16383ull, 999'999ull, 2'000'000ull}) {
        std::vector<std::byte> bytes(300'000), expected(300'000);
        auto read = run(source.read(ref, offset, bytes));
        REQUIRE(read);
        std::uint64_t left = offset < entry->size ? entry->size - offset : 0;
        REQUIRE(read->count == std::min<std::uint64_t>(left, bytes.size()));
        REQUIRE(read->eof == (offset + read->count >= entry->size));
        fill_content(entry->seed, offset, expected);
        REQUIRE(std::equal(bytes.begin(), bytes.begin() + read->count, expected.begin()));
        if (reads_tell_attributes) REQUIRE(read->attributes->size == entry->size);
      }
    }
  }

  // The tree is large_tree(count).
  void large_trees_are_read(std::size_t count) {
    std::map<std::string, bool> seen;
    for (const TreeEntry& entry : large_tree(count)) {
      if (entry.path.starts_with("crowd/")) seen[entry.path.substr(6)] = false;
    }
    REQUIRE(seen.size() == count);
    proxy::SourceRef crowd = *find("crowd");
    for (const cache::SourceEntry& entry : list_all(crowd)) {
      auto found = seen.find(entry.name);
      bool new_and_known = found != seen.end() && !found->second;
      if (!new_and_known) FAIL("listed twice, or never made: " << entry.name);
      found->second = true;
    }
    REQUIRE(std::all_of(seen.begin(), seen.end(), [](const auto& name) { return name.second; }));
    for (std::size_t i : {std::size_t{0}, std::size_t{46}, std::size_t{127}, count - 1}) {
      std::string name = large_tree(count).at(i + 2).path.substr(6);
      REQUIRE(run(source.lookup(crowd, name))->name == name);
    }
    far_offsets_are_read();
  }
  void far_offsets_are_read() {
    TreeEntry file = large_tree(0).front();
    proxy::SourceRef sparse = *find(file.path);
    REQUIRE(run(source.attributes(sparse))->size == file.size);
    constexpr std::uint64_t four_gibibytes = std::uint64_t{1} << 32;
    for (std::uint64_t offset : {std::uint64_t{0}, file.hole - 500, four_gibibytes - 1,
                                 four_gibibytes, file.size - 100, file.size, 3 * file.size}) {
      std::vector<std::byte> bytes(4096, std::byte{0xee}), expected(4096);
      auto read = run(source.read(sparse, offset, bytes));
      REQUIRE(read);
      std::uint64_t left = offset < file.size ? file.size - offset : 0;
      REQUIRE(read->count == std::min<std::uint64_t>(left, bytes.size()));
      REQUIRE(read->eof == (offset + read->count >= file.size));
      fill_content(file, offset, expected);
      REQUIRE(std::equal(bytes.begin(), bytes.begin() + read->count, expected.begin()));
    }
  }

  void symlinks_are_read_and_not_followed() {
    REQUIRE(*run(source.readlink(*find("bin"))) == "usr/bin");
    REQUIRE(*run(source.readlink(*find("outside"))) == "/etc/shadow");
    REQUIRE(find("bin/cc").failed_with(Errc::not_directory));
    REQUIRE_FALSE(run(source.readlink(*find("etc/passwd"))));
    std::vector<std::byte> bytes(10);
    REQUIRE_FALSE(run(source.read(*find("outside"), 0, bytes)));
  }

  void errors_are_facts() {
    REQUIRE(find("nothing").failed_with(Errc::not_found));
    REQUIRE(find("etc/passwd/x").failed_with(Errc::not_directory));
    REQUIRE(run(source.list(*find("etc/passwd"), "")).failed_with(Errc::not_directory));
    std::vector<std::byte> bytes(10);
    REQUIRE_FALSE(run(source.read(*find("etc"), 0, bytes)));
    REQUIRE(source.limits().read_size >= 4096);
    REQUIRE_FALSE(source.describe().empty());
  }

  void a_closed_source_is_disconnected() {
    proxy::SourceRef root = *find("");
    auto close = [](proxy::Source& closing) -> Task<bool> {
      co_await closing.close();
      co_return true;
    };
    REQUIRE(run(close(source)));
    REQUIRE(run(source.root()).failed_with(Errc::disconnected));
    REQUIRE(run(source.list(root, "")).failed_with(Errc::disconnected));
  }

  void all() {
    objects_are_what_they_are();
    listings_are_whole_and_agree_with_lookups();
    reads_give_the_bytes();
    symlinks_are_read_and_not_followed();
    errors_are_facts();
    a_closed_source_is_disconnected();
  }
};

}  // namespace rowan::test
