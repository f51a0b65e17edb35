// The suite for every source, run against an NFS server: one in this process, that answers by the
// book, one that does only what it must, and one that somebody else has started (hidden cases).
#include <cstdlib>

#include "proxy/nfs_source.h"
#include "tests/suites/source_suite.h"
#include "tests/support/fake_origin.h"
#include "tests/support/raw_peer.h"

#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

using test::FakeOrigin;
using test::FakeTree;
using test::SourceSuite;
using test::TreeEntry;

nfs3::FileType type_of(cache::FileKind kind) {
  return static_cast<nfs3::FileType>(kind);  // both are RFC 1813's ftype3
}

std::uint64_t add(FakeTree& tree, std::uint64_t parent, const std::string& name,
                  const TreeEntry& entry) {
  switch (entry.kind) {
    case cache::FileKind::directory: return tree.add_directory(parent, name);
    case cache::FileKind::symlink: return tree.add_symlink(parent, name, entry.target);
    case cache::FileKind::regular: return tree.add_file(parent, name, "");
    default: return tree.add_special(parent, name, type_of(entry.kind));
  }
}

void fill(FakeTree& tree, const std::vector<TreeEntry>& entries) {
  std::map<std::string, std::uint64_t> ids{{"", 1}};
  for (const TreeEntry& entry : entries) {
    std::size_t slash = entry.path.rfind('/');
    std::string above = slash == std::string::npos ? "" : entry.path.substr(0, slash);
    std::string name = slash == std::string::npos ? entry.path : entry.path.substr(slash + 1);
    bool link = entry.kind == cache::FileKind::regular && !entry.target.empty();
    if (link) {
      tree.add_link(ids.at(above), name, ids.at(entry.target));
      continue;
    }
    std::uint64_t id = add(tree, ids.at(above), name, entry);
    ids[entry.path] = id;
    FakeTree::Node& node = tree.node(id);
    node.attributes.mode = entry.mode;
    node.attributes.mtime = {static_cast<std::uint32_t>(entry.mtime), 0};
    if (entry.kind != cache::FileKind::regular) continue;
    node.attributes.size = entry.size;
    node.content = [entry](std::uint64_t offset, ByteSpan into) {
      test::fill_content(entry, offset, into);
    };
  }
}

struct Export {
  explicit Export(const std::vector<TreeEntry>& tree) : origin(loop) { fill(origin.tree, tree); }
  ~Export() { test::run_task(loop, source->close()); }
  SourceSuite suite(const std::string& url) {
    NfsSourceOptions options;
    options.reserved_port = false;
    source = NfsSource::create(loop, *parse_nfs_url(url), options);
    auto work = [this](const std::function<bool()>& done) { test::run_until(loop, done); };
    return SourceSuite{work, *source};
  }
  SourceSuite suite() { return suite(origin.url()); }

  AsioLoop loop;
  FakeOrigin origin;
  std::unique_ptr<NfsSource> source;
};

const char* setting(const char* name) {
  const char* value = std::getenv(name);
  INFO("set " << name);
  REQUIRE(value != nullptr);
  return value;
}

constexpr std::size_t crowd = 100'000;

}  // namespace

TEST_CASE("an NFS export is a source") {
  Export bench(test::standard_tree());
  bench.suite().all();
}

TEST_CASE("an export of a server that does only what it must is a source") {
  Export bench(test::standard_tree());
  bench.origin.tree.has_readdirplus = false;
  bench.origin.tree.lookup_has_attributes = false;
  bench.origin.tree.read_has_attributes = false;
  bench.origin.tree.rtmax = 8192;
  bench.origin.tree.entries_per_page = 7;
  SourceSuite suite = bench.suite();
  suite.reads_tell_attributes = false;
  suite.all();
}

TEST_CASE("an export may have 100,000 names in one directory, of any bytes, and sparse files") {
  Export bench(test::large_tree(crowd));
  bench.origin.tree.entries_per_page = 1000;
  bench.suite().large_trees_are_read(crowd);
}

// For the end-to-end tests, which start the server: standard/ and large/ below the directory, and
// the addresses that it exports them under.
TEST_CASE("make the trees", "[.make]") {
  std::string parent = setting("ROWAN_SOURCE_DIRECTORY");
  test::make_tree(test::standard_tree(), parent + "/standard");
  test::make_tree(test::large_tree(crowd), parent + "/large");
}

TEST_CASE("the standard tree of another server is a source", "[.standard]") {
  Export bench({});
  bench.suite(setting("ROWAN_SOURCE_STANDARD")).all();
}

TEST_CASE("the large tree of another server is a source", "[.large]") {
  Export bench({});
  bench.suite(setting("ROWAN_SOURCE_LARGE")).large_trees_are_read(crowd);
}

}  // namespace rowan::proxy
