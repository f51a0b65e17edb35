#include "proxy/nfs_source.h"

#include <random>

#include "rpc/base/log.h"
#include "tests/support/fake_origin.h"
#include "tests/support/raw_peer.h"
#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

using nfs3::Procedure;
using nfs3::Status;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::FakeOrigin;
using test::run_task;
using test::run_until;

NfsSourceOptions quick() {
  NfsSourceOptions options;
  options.deadline = milliseconds(300);
  options.first_retry = milliseconds(1);
  options.mount_pause = milliseconds(1);
  options.reserved_port = false;
  return options;
}

struct Fixture {
  explicit Fixture(NfsSourceOptions options = quick()) : origin(loop) {
    file = origin.tree.add_file(1, "file", "0123456789abcdef");
    directory = origin.tree.add_directory(1, "dir");
    open(origin.url(), options);
  }
  ~Fixture() { run_task(loop, source->close()); }
  void open(const std::string& url, NfsSourceOptions options = quick()) {
    if (source) run_task(loop, source->close());
    auto parsed = parse_nfs_url(url);
    REQUIRE(parsed);
    source = NfsSource::create(loop, *parsed, options);
  }
  SourceRef ref(std::uint64_t id, const std::string& path) const {
    nfs3::Handle handle = origin.tree.handle(id);
    return {std::string(as_text(handle.view())), path};
  }
  Result<std::string> read(std::uint64_t offset, std::size_t size, SourceRead* out = nullptr) {
    std::string bytes(size, '#');
    ByteSpan into(reinterpret_cast<std::byte*>(bytes.data()), bytes.size());
    SourceRef what = ref(file, "file");
    auto got = run_task(loop, source->read(what, offset, into));
    if (!got) return std::move(got).error();
    if (out != nullptr) *out = *got;
    bytes.resize(got->count);
    return bytes;
  }
  Result<std::vector<cache::SourceEntry>> list_all(std::size_t* pages = nullptr) {
    std::vector<cache::SourceEntry> all;
    std::string cursor;
    SourceRef what = ref(directory, "dir");
    for (bool last = false; !last;) {
      auto page = run_task(loop, source->list(what, cursor));
      if (!page) return std::move(page).error();
      for (auto& entry : page->entries) all.push_back(std::move(entry));
      cursor = page->cursor;
      last = page->last;
      if (pages != nullptr) ++*pages;
    }
    return all;
  }

  AsioLoop loop;
  FakeOrigin origin;
  std::unique_ptr<NfsSource> source;
  std::uint64_t file = 0, directory = 0;
};

template <Procedure P>
auto answering(typename nfs3::Traits<P>::Res res) {
  auto shared = std::make_shared<typename nfs3::Traits<P>::Res>(std::move(res));
  return [shared](const FakeOrigin::Call& call) {
    if (!call.is(P)) return false;
    call.reply<P>(*shared);
    return true;
  };
}

TEST_CASE("the root, names, links and bytes of an export are found") {
  Fixture f;
  f.origin.tree.add_symlink(f.directory, "link", "../file");
  auto root = run_task(f.loop, f.source->root());
  REQUIRE(root);
  REQUIRE(root->attributes.kind == cache::FileKind::directory);
  SourceRef at_root{root->source_handle, ""};
  auto dir = run_task(f.loop, f.source->lookup(at_root, "dir"));
  REQUIRE(dir);
  REQUIRE(dir->name == "dir");
  REQUIRE(dir->attributes.source_fileid == f.directory);
  SourceRef at_dir{dir->source_handle, "dir"};
  auto link = run_task(f.loop, f.source->lookup(at_dir, "link"));
  REQUIRE(link);
  SourceRef at_link{link->source_handle, "dir/link"};
  REQUIRE(*run_task(f.loop, f.source->readlink(at_link)) == "../file");
  REQUIRE(run_task(f.loop, f.source->lookup(at_root, "absent")).failed_with(Errc::not_found));
  REQUIRE(*f.read(3, 5) == "34567");
  SourceRef by_path{"", "dir/link"};
  REQUIRE(run_task(f.loop, f.source->attributes(by_path))->kind == cache::FileKind::symlink);
  REQUIRE(f.source->describe() == f.origin.url());
}

TEST_CASE("ports are asked of the port mapper; with nfsport alone MOUNT is tried there first") {
  Fixture f;
  NfsSourceOptions options = quick();
  options.portmap_port = f.origin.port();
  f.open("nfs://127.0.0.1/export", options);
  REQUIRE(run_task(f.loop, f.source->root()));
  REQUIRE(f.origin.calls[{100000, 3}] == 2);
  f.origin.calls.clear();
  f.open("nfs://127.0.0.1:" + std::to_string(f.origin.port()) + "/export", options);
  REQUIRE(run_task(f.loop, f.source->root()));
  REQUIRE(f.origin.calls[{100000, 3}] == 0);
  // A server that has no MOUNT on its NFS port.
  FakeOrigin nfs_only(f.loop);
  nfs_only.script = [](const FakeOrigin::Call& call) {
    if (call.program != mount3::program) return false;
    call.refuse(rpc::AcceptStatus::prog_unavail);
    return true;
  };
  f.open("nfs://127.0.0.1/export?nfsport=" + std::to_string(nfs_only.port()), options);
  REQUIRE(run_task(f.loop, f.source->root()));
  REQUIRE(f.origin.calls[{100000, 3}] == 1);
}

TEST_CASE("an export that is not there or not for us is refused by name") {
  Fixture f;
  std::string port = std::to_string(f.origin.port());
  f.open("nfs://127.0.0.1/other?nfsport=" + port + "&mountport=" + port);
  auto missing = run_task(f.loop, f.source->root());
  REQUIRE(missing.failed_with(Errc::not_found));
  REQUIRE(missing.error().detail.find("/other") != std::string::npos);
  REQUIRE(missing.error().detail.find("MNT3ERR_NOENT") != std::string::npos);
}

TEST_CASE("with nobody there operations fail soon, and work once somebody is") {
  Fixture f;
  f.origin.stop();
  REQUIRE(run_task(f.loop, f.source->root()).failed_with(Errc::disconnected));
  f.origin.start();
  run_until(f.loop, [&] { return run_task(f.loop, f.source->root()).has_value(); });
}

TEST_CASE("who cannot be mounted is told what to do: about the name, or about the port") {
  Fixture f;
  NfsSourceOptions options = quick();
  options.deadline = seconds(20);
  options.portmap_port = f.origin.port();
  f.origin.stop();
  auto remedy_of = [&](const std::string& url) {
    f.open(url, options);
    auto failed = run_task(f.loop, f.source->root());
    REQUIRE(failed.failed_with(Errc::disconnected));
    return failed.error().detail;
  };
  const std::string refused = remedy_of("nfs://127.0.0.1/export");
  CHECK(refused.find("port mapper") != std::string::npos);
  CHECK(refused.find("/etc/hosts") == std::string::npos);
  for (const char* ports : {"", "?nfsport=1&mountport=1"}) {
    // No name of a host: nobody is asked for it.
    const std::string unknown = remedy_of(std::string("nfs://no..host/export") + ports);
    CHECK(unknown.find("'no..host' cannot be resolved") != std::string::npos);
    CHECK(unknown.find("/etc/hosts") != std::string::npos);
    CHECK(unknown.find("port mapper") == std::string::npos);
  }
}

TEST_CASE("reads are cut to the server's size, short answers continued") {
  Fixture f;
  f.origin.tree.rtmax = 512;
  std::string data(5000, '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7);
  f.origin.tree.node(f.file).data = data;
  f.origin.tree.node(f.file).attributes.size = data.size();
  REQUIRE(*f.read(0, 5000) == data);
  REQUIRE(f.source->limits().read_size == 512);
  REQUIRE(f.origin.count(Procedure::read) == 10);
  f.origin.tree.rtmax = 100;  // now every answer is short
  SourceRead out;
  REQUIRE(*f.read(1, 9000, &out) == data.substr(1));
  REQUIRE(out.eof);
  REQUIRE(out.attributes->size == 5000);
  REQUIRE(out.attributes->mtime == WallTime{1000, static_cast<std::uint32_t>(f.file)});
}

TEST_CASE("a server that comes back with smaller reads is read on, at its size") {
  Fixture f;
  std::string data(1u << 20, '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i / 7);
  f.origin.tree.node(f.file).data = data;
  f.origin.tree.node(f.file).attributes.size = data.size();
  REQUIRE(*f.read(0, data.size()) == data);
  f.origin.stop();
  f.origin.tree.rtmax = 4096;
  f.origin.start();
  REQUIRE(*f.read(0, data.size()) == data);
  REQUIRE(f.source->limits().read_size == 4096);
  std::size_t before = f.origin.count(Procedure::fsinfo);
  REQUIRE(*f.read(0, data.size()) == data);
  REQUIRE(f.origin.count(Procedure::fsinfo) == before);
}

TEST_CASE("a server that gives more than was asked for is not believed") {
  Fixture f;
  nfs3::ReadRes res;
  res.data = Buffer::copy_of(as_bytes("0123456789abcdef"));
  res.attributes = f.origin.tree.node(f.file).attributes;
  f.origin.script = answering<Procedure::read>(std::move(res));
  auto refused = f.read(0, 8);
  REQUIRE_FALSE(refused);
  f.origin.script = nullptr;
  REQUIRE(*f.read(0, 8) == "01234567");
}

TEST_CASE("an end of file is believed only with the attributes' word") {
  Fixture f;
  SECTION("eof before the size, with data: read on") {
    f.origin.script = [&](const FakeOrigin::Call& call) {
      if (!call.is(Procedure::read) || f.origin.count(Procedure::read) > 1) return false;
      nfs3::ReadRes res;
      res.data = Buffer::copy_of(as_bytes("0123"));
      res.eof = true;
      res.attributes = f.origin.tree.node(f.file).attributes;
      call.reply<Procedure::read>(res);
      return true;
    };
    REQUIRE(*f.read(0, 16) == "0123456789abcdef");
  }
  SECTION("eof without data before the size: nonsense, never a short file") {
    nfs3::ReadRes res;
    res.eof = true;
    res.attributes = f.origin.tree.node(f.file).attributes;
    f.origin.script = answering<Procedure::read>(std::move(res));
    REQUIRE(f.read(0, 16).failed_with(Errc::malformed));
  }
  SECTION("eof without attributes: they are asked for") {
    f.origin.tree.read_has_attributes = false;
    SourceRead out;
    REQUIRE(*f.read(10, 16, &out) == "abcdef");
    REQUIRE(out.eof);
    REQUIRE(f.origin.count(Procedure::getattr) == 1);
  }
  SECTION("nothing, and no eof either") {
    f.origin.script = answering<Procedure::read>(nfs3::ReadRes());
    REQUIRE(f.read(0, 16).failed_with(Errc::malformed));
  }
  SECTION("beyond the end there is nothing, and that is the end") {
    SourceRead out;
    REQUIRE(*f.read(100, 16, &out) == "");
    REQUIRE(out.eof);
  }
}

TEST_CASE("a server that gives single bytes is given up") {
  Fixture f;
  nfs3::ReadRes res;
  res.data = Buffer::copy_of(as_bytes("x"));
  f.origin.script = answering<Procedure::read>(std::move(res));
  REQUIRE(f.read(0, 4096).failed_with(Errc::malformed));
  REQUIRE(f.origin.count(Procedure::read) < 100);
}

TEST_CASE("a file that changes between two pieces of one read is drift, not a mixture") {
  Fixture f;
  f.origin.tree.rtmax = 512;
  f.origin.tree.node(f.file).data = std::string(2048, 'a');
  f.origin.tree.node(f.file).attributes.size = 2048;
  f.origin.script = [&](const FakeOrigin::Call& call) {
    if (call.is(Procedure::read) && f.origin.count(Procedure::read) == 3) {
      f.origin.tree.node(f.file).data = std::string(2048, 'b');
      f.origin.tree.node(f.file).attributes.mtime.seconds += 1;
    }
    return false;
  };
  auto failed = f.read(0, 2048);
  REQUIRE(failed.failed_with(Errc::drift));
  REQUIRE(failed.error().detail.find("'file'") != std::string::npos);
}

TEST_CASE("JUKEBOX is asked again, and ends as timed_out, never as an error of the file") {
  Fixture f;
  REQUIRE(run_task(f.loop, f.source->root()));
  int left = 4;
  f.origin.script = [&](const FakeOrigin::Call& call) {
    if (!call.is(Procedure::read) || left == 0) return false;
    --left;
    nfs3::ReadRes res;
    res.status = Status::jukebox;
    call.reply<Procedure::read>(res);
    return true;
  };
  REQUIRE(*f.read(0, 4) == "0123");
  left = -1;
  REQUIRE(f.read(0, 4).failed_with(Errc::timed_out));
}

TEST_CASE("a stale handle is stale; a stale root is mounted again") {
  Fixture f;
  auto root = run_task(f.loop, f.source->root());
  REQUIRE(root);
  SourceRef old = f.ref(f.file, "file");
  f.origin.tree.node(f.file).generation = 2;
  REQUIRE(run_task(f.loop, f.source->attributes(old)).failed_with(Errc::stale));
  f.origin.tree.node(1).generation = 9;
  auto again = run_task(f.loop, f.source->root());
  REQUIRE(again);
  REQUIRE(again->source_handle != root->source_handle);
  SourceRef at_root{again->source_handle, ""};
  REQUIRE(run_task(f.loop, f.source->lookup(at_root, "file")));
  REQUIRE(f.origin.calls[{mount3::program, 1}] == 2);
}

TEST_CASE("a hanging server gives timed_out, and it recovers by itself") {
  Fixture f;
  REQUIRE(*f.read(0, 2) == "01");
  bool hang = true;
  f.origin.script = [&](const FakeOrigin::Call&) { return hang; };
  REQUIRE(f.read(0, 4).failed_with(Errc::timed_out));
  hang = false;
  REQUIRE(*f.read(0, 4) == "0123");
}

TEST_CASE("a server that restarts in the middle of many reads is not noticed") {
  NfsSourceOptions options = quick();
  options.deadline = seconds(20);
  Fixture f(options);
  f.origin.script = [&](const FakeOrigin::Call& call) {
    if (call.is(Procedure::read) && f.origin.count(Procedure::read) == 10) {
      f.loop.defer([&] { f.origin.stop(); });
      f.loop.call_after(milliseconds(10), [&] { f.origin.start(); });
    }
    return false;
  };
  int good = 0;
  TaskGroup group;
  auto one = [](Fixture& fixture, int& count) -> Task<void> {
    std::array<std::byte, 4> into{};
    SourceRef what = fixture.ref(fixture.file, "file");
    auto got = co_await fixture.source->read(what, 4, into);
    if (got && as_text(into) == "4567") ++count;
  };
  for (int i = 0; i < 40; ++i) group.start(one(f, good));
  run_until(f.loop, [&] { return group.running() == 0; });
  REQUIRE(good == 40);
  REQUIRE(f.origin.connections > 2);
}

TEST_CASE("a server that comes back on another port is found through the port mapper") {
  Fixture f;
  FakeOrigin moved(f.loop);
  moved.tree.add_file(1, "file", "moved");
  std::uint16_t nfs_port = f.origin.port();
  FakeOrigin mapper(f.loop);
  mapper.script = [&](const FakeOrigin::Call& call) {
    xdr::Writer out;
    out.u32(nfs_port);
    call.reply(out.view());
    return true;
  };
  NfsSourceOptions options = quick();
  options.deadline = milliseconds(60);
  options.portmap_port = mapper.port();
  f.open("nfs://127.0.0.1/export", options);
  REQUIRE(*f.read(0, 4) == "0123");
  f.origin.stop();
  nfs_port = moved.port();
  REQUIRE(f.read(0, 4).failed_with(Errc::timed_out));
  REQUIRE(*f.read(0, 5) == "moved");
}

TEST_CASE("large directories are listed in pages, each name once, with attributes and handles") {
  Fixture f;
  constexpr std::size_t count = 2500;
  for (std::size_t i = 0; i < count; ++i)
    f.origin.tree.add_file(f.directory, "n" + std::to_string(i), "");
  std::size_t pages = 0, lookups = 0;
  SECTION("READDIRPLUS with everything") {}
  SECTION("READDIRPLUS without attributes and handles") {
    f.origin.tree.plus_is_complete = false;
    lookups = count;
  }
  SECTION("READDIRPLUS not supported, and LOOKUP without attributes") {
    f.origin.tree.has_readdirplus = false;
    f.origin.tree.lookup_has_attributes = false;
    lookups = count;
  }
  auto all = f.list_all(&pages);
  REQUIRE(all);
  REQUIRE(all->size() == count);
  REQUIRE(pages == 25);
  for (std::size_t i = 0; i < count; ++i) {
    const cache::SourceEntry& entry = (*all)[i];
    REQUIRE(entry.name == "n" + std::to_string(i));
    REQUIRE(entry.attributes.source_fileid == f.directory + 1 + i);
    nfs3::Handle handle = f.origin.tree.handle(f.directory + 1 + i);
    REQUIRE(entry.source_handle == as_text(handle.view()));
  }
  REQUIRE(f.origin.count(Procedure::lookup) == lookups);
  if (!f.origin.tree.has_readdirplus) REQUIRE(f.origin.count(Procedure::readdirplus) == 1);
}

TEST_CASE("\".\" and \"..\" are left out; a name removed during the listing is, too") {
  Fixture f;
  nfs3::ReaddirRes res;
  for (const char* name : {".", "..", "gone", "file"}) {
    nfs3::DirEntry entry;
    entry.name = name;
    entry.cookie = res.entries.size() + 1;
    res.entries.push_back(std::move(entry));
  }
  res.eof = true;
  f.origin.tree.add_file(f.directory, "file", "");
  f.origin.script = answering<Procedure::readdirplus>(std::move(res));
  auto all = f.list_all();
  REQUIRE(all);
  REQUIRE(all->size() == 1);
  REQUIRE(all->front().name == "file");
}

TEST_CASE("a listing that cannot be is refused: bad names, no progress, no end") {
  for (std::string name :
       {std::string("a/b"), std::string(), std::string("a\0b", 3), std::string(256, 'x')}) {
    Fixture f;
    nfs3::ReaddirRes res;
    nfs3::DirEntry entry;
    entry.name = name;
    entry.cookie = 1;
    res.entries.push_back(entry);
    res.eof = true;
    f.origin.script = answering<Procedure::readdirplus>(std::move(res));
    REQUIRE(f.list_all().failed_with(Errc::malformed));
  }
  Fixture f;
  nfs3::ReaddirRes same;
  nfs3::DirEntry entry;
  entry.name = "again";
  entry.cookie = 5;
  entry.attributes.emplace();
  entry.object = f.origin.tree.handle(f.file);
  same.entries.push_back(entry);
  f.origin.script = answering<Procedure::readdirplus>(std::move(same));
  REQUIRE(f.list_all().failed_with(Errc::malformed));
  f.origin.script = answering<Procedure::readdirplus>(nfs3::ReaddirRes());
  REQUIRE(f.list_all().failed_with(Errc::malformed));
  f.origin.script = nullptr;
  SourceRef what = f.ref(f.directory, "dir");
  REQUIRE(run_task(f.loop, f.source->list(what, "not a cursor")).failed_with(Errc::bad_cookie));
}

TEST_CASE("a cookie that the server does not know any more is bad_cookie, for a new start") {
  Fixture f;
  for (int i = 0; i < 150; ++i) f.origin.tree.add_file(f.directory, "n" + std::to_string(i), "");
  SourceRef what = f.ref(f.directory, "dir");
  auto page = run_task(f.loop, f.source->list(what, ""));
  REQUIRE(page);
  nfs3::ReaddirRes res;
  res.status = Status::bad_cookie;
  f.origin.script = answering<Procedure::readdirplus>(std::move(res));
  REQUIRE(run_task(f.loop, f.source->list(what, page->cursor)).failed_with(Errc::bad_cookie));
}

TEST_CASE("statuses of the server become the project's errors") {
  Fixture f;
  for (auto [status, code] :
       {std::pair(Status::acces, Errc::access), std::pair(Status::perm, Errc::not_permitted),
        std::pair(Status::io, Errc::io), std::pair(Status::notdir, Errc::not_directory),
        std::pair(Status::badhandle, Errc::stale)}) {
    nfs3::GetattrRes res;
    res.status = status;
    f.origin.script = answering<Procedure::getattr>(std::move(res));
    SourceRef what = f.ref(f.file, "file");
    auto failed = run_task(f.loop, f.source->attributes(what));
    REQUIRE(failed.failed_with(code));
    if (code != Errc::stale) REQUIRE(failed.error().detail.find("'file'") != std::string::npos);
  }
}

TEST_CASE("close() ends what is in flight with disconnected, also while it mounts") {
  for (bool mounted : {true, false}) {
    NfsSourceOptions options = quick();
    options.deadline = seconds(20);
    Fixture f(options);
    if (mounted) REQUIRE(run_task(f.loop, f.source->root()));
    std::size_t came = 0;
    f.origin.script = [&](const FakeOrigin::Call&) { return ++came != 0; };
    int ended = 0;
    TaskGroup group;
    auto one = [](Fixture& fixture, int& count) -> Task<void> {
      std::array<std::byte, 4> into{};
      SourceRef what = fixture.ref(fixture.file, "file");
      auto got = co_await fixture.source->read(what, 4, into);
      if (got.failed_with(Errc::disconnected)) ++count;
    };
    for (int i = 0; i < 3; ++i) group.start(one(f, ended));
    run_until(f.loop, [&] { return came > 0; });
    run_task(f.loop, f.source->close());
    run_until(f.loop, [&] { return group.running() == 0; });
    REQUIRE(ended == 3);
  }
}

}  // namespace
}  // namespace rowan::proxy
