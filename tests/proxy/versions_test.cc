// The states of appliances as clients see them: checkpoints that are mounted, roll-backs under
// mounted clients, clones, and what a crash in between leaves.
#include "proxy/versions.h"

#include <algorithm>
#include <set>

#include "tests/proxy/live_fixture.h"
#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

struct Fixture : test::LiveFixture {
  Fixture() {
    record = create("vm");
    start();
    run(host->start_all());
  }

  // Of root on this machine.
  CallContext context() {
    CallContext call = test::LiveFixture::context();
    call.credentials = {0, 0, {}, true};
    return call;
  }
  // A client of `name`, which it mounts.
  nfs3::Handle root_of(const std::string& name) {
    CallContext call = context();
    mount3::MntRes res = run(host->mount().mnt(call, "/" + name));
    REQUIRE(res.status == mount3::Status::ok);
    return res.root;
  }
  nfs3::Status getattr(const nfs3::Handle& handle) {
    CallContext call = context();
    nfs3::GetattrArgs args{handle};
    return run(host->nfs().getattr(call, args)).status;
  }
  nfs3::LookupRes lookup(const nfs3::Handle& directory, std::string_view name) {
    CallContext call = context();
    nfs3::LookupArgs args{{directory, name}};
    return run(host->nfs().lookup(call, args));
  }
  nfs3::Status create_file(const nfs3::Handle& directory, std::string_view name) {
    CallContext call = context();
    nfs3::CreateArgs args;
    args.where = {directory, name};
    return run(host->nfs().create(call, args)).status;
  }
  nfs3::Status write(const nfs3::Handle& file, std::string_view text) {
    CallContext call = context();
    nfs3::WriteArgs args;
    args.file = file;
    args.count = static_cast<std::uint32_t>(text.size());
    args.stable = nfs3::StableHow::file_sync;
    args.data = as_bytes(text);
    return run(host->nfs().write(call, args)).status;
  }
  std::string read(const nfs3::Handle& file) {
    CallContext call = context();
    nfs3::ReadArgs args{file, 0, 4096};
    nfs3::ReadRes res = run(host->nfs().read(call, args));
    if (res.status != nfs3::Status::ok) return std::string(to_string(res.status));
    return std::string(as_text(res.data.view()));
  }
  // What is in the appliance's file now.
  void put(const std::string& name, std::string_view text) {
    nfs3::Handle root = root_of("vm");
    if (lookup(root, name).status != nfs3::Status::ok)
      REQUIRE(create_file(root, name) == nfs3::Status::ok);
    REQUIRE(write(lookup(root, name).object, text) == nfs3::Status::ok);
  }
  std::string get(const std::string& appliance, const std::string& name) {
    nfs3::LookupRes found = lookup(root_of(appliance), name);
    if (found.status != nfs3::Status::ok) return std::string(to_string(found.status));
    return read(found.object);
  }

  // Changes a byte where the first segment that has the text has it first.
  bool flip_in_segments(const std::string& name, const std::string& text) const {
    const std::filesystem::path folder = std::filesystem::path(store_file(name, "x")).parent_path();
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (!entry.path().filename().string().starts_with("segment-")) continue;
      std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
      const std::string bytes(std::istreambuf_iterator<char>(file), {});
      const std::size_t at = bytes.find(text);
      if (at == std::string::npos) continue;
      file.clear();
      file.seekp(static_cast<std::streamoff>(at));
      file.put('x');
      return true;
    }
    return false;
  }

  Versions& versions() { return host->versions(); }
  Result<Checkpoint> checkpoint(const std::string& name) {
    Versions::NewCheckpoint wanted;
    wanted.name = name;
    return run(versions().checkpoint(record, wanted));
  }
  Result<ApplianceRecord> clone(const std::string& from, const std::string& name) {
    Result<ApplianceRecord> made = Errc::io;
    Versions::Adopt adopt = [&](cache::StateId head) -> Task<Result<void>> {
      made = registry->adopt_clone(record, name, head);
      if (!made) co_return made.error();
      co_return co_await host->start(*made);
    };
    Result<void> done = run(versions().clone(record, from, adopt));
    if (!done) return std::move(done).error();
    return made;
  }
  std::vector<std::string> names() {
    std::vector<std::string> found;
    const History history = run(versions().history(record)).value();
    for (const Checkpoint& checkpoint : history.checkpoints)
      found.push_back(checkpoint.label.name);
    return found;
  }
  std::size_t states() {
    Pool* pool = run(versions().acquire(record)).value();
    std::size_t count = 0;
    for (const cache::StateInfo& info : pool->family().states()) count += info.dropped ? 0 : 1;
    run(versions().release(*pool));
    return count;
  }

  ApplianceRecord record;
};

TEST_CASE("a checkpoint shows what was, read-only, whatever becomes of the appliance") {
  Fixture f;
  f.put("new", "before");
  REQUIRE(f.checkpoint("one"));
  f.put("new", "behind");
  f.put("file", "CONTENT");
  CHECK(f.get("vm", "new") == "behind");
  CHECK(f.get("vm@one", "new") == "before");
  CHECK(f.get("vm@one", "file") == "content");
  nfs3::Handle root = f.root_of("vm@one");
  CHECK(f.create_file(root, "x") == nfs3::Status::rofs);
  CHECK(f.write(f.lookup(root, "new").object, "x") == nfs3::Status::rofs);
  CHECK(f.names() == std::vector<std::string>{"one"});
}

TEST_CASE("of a checkpoint that is made it alone is told, after one is dropped all that are left") {
  Fixture f;
  std::vector<std::string> made;
  std::vector<std::size_t> changed;
  Versions::Watch watch;
  watch.made = [&](const ApplianceRecord&, const Checkpoint& one) {
    made.push_back(one.label.name);
  };
  watch.changed = [&](const ApplianceRecord&, const History& history) {
    changed.push_back(history.checkpoints.size());
  };
  f.versions().set_watch(std::move(watch));
  for (const char* name : {"one", "two", "three"}) REQUIRE(f.checkpoint(name));
  CHECK(made == std::vector<std::string>{"one", "two", "three"});
  CHECK(changed.empty());
  REQUIRE(f.run(f.versions().drop(f.record, "one")));
  CHECK(changed == std::vector<std::size_t>{2});
}

TEST_CASE("a checkpoint that is dropped while it is made cannot be mounted") {
  Fixture f;
  TaskGroup tasks;
  auto make = [&](std::string name) -> Task<void> {
    Versions::NewCheckpoint wanted;
    wanted.name = name;
    Result<Checkpoint> done = co_await f.versions().checkpoint(f.record, wanted);
    REQUIRE(done);
  };
  std::size_t dropped = 0;
  auto drop = [&](std::string name) -> Task<void> {
    Result<void> done = co_await f.versions().drop(f.record, name);
    if (done) ++dropped;
  };
  for (int i = 0; i < 20; ++i) {
    const std::string name = "c" + std::to_string(i);
    tasks.start(make(name));
    tasks.start(drop(name));
  }
  while (tasks.running() > 0) f.loop.run_some(std::chrono::seconds(1));
  CHECK(dropped > 0);
  const std::vector<std::string> left = f.names();
  CHECK(left.size() == 20 - dropped);
  for (int i = 0; i < 20; ++i) {
    const std::string name = "c" + std::to_string(i);
    const bool there = std::ranges::count(left, name) == 1;
    CHECK(f.mount("vm@" + name) == (there ? mount3::Status::ok : mount3::Status::noent));
  }
}

TEST_CASE("a handle of a checkpoint is good after a restart, and stale once it is removed") {
  Fixture f;
  f.put("new", "text");
  REQUIRE(f.checkpoint("one"));
  nfs3::Handle file = f.lookup(f.root_of("vm@one"), "new").object;
  f.restart();
  // It is opened because somebody asks for it.
  nfs3::Status status = f.getattr(file);
  CHECK(status == nfs3::Status::jukebox);
  while ((status = f.getattr(file)) == nfs3::Status::jukebox)
    f.loop.run_some(std::chrono::seconds(1));
  CHECK(status == nfs3::Status::ok);
  REQUIRE(f.run(f.versions().drop(f.record, "one")));
  CHECK(f.getattr(file) == nfs3::Status::stale);
  CHECK(f.mount("vm@one") == mount3::Status::noent);
  CHECK(f.get("vm", "new") == "text");
}

TEST_CASE("the handles of an appliance and of its checkpoint are not mixed up") {
  Fixture f;
  f.put("new", "text");
  REQUIRE(f.checkpoint("one"));
  REQUIRE(f.checkpoint("two"));
  std::set<std::string> handles;
  for (const char* name : {"vm", "vm@one", "vm@two"}) {
    const nfs3::Handle handle = f.lookup(f.root_of(name), "new").object;
    handles.emplace(as_text(handle.view()));
  }
  CHECK(handles.size() == 3);
}

TEST_CASE("after a rollback handles of what was made since are stale, all others are good") {
  Fixture f;
  f.put("old", "old text");
  REQUIRE(f.checkpoint("one"));
  nfs3::Handle old_file = f.lookup(f.root_of("vm"), "old").object;
  nfs3::Handle image_file = f.lookup(f.root_of("vm"), "file").object;
  f.put("old", "changed text");
  f.put("new", "new text");
  nfs3::Handle new_file = f.lookup(f.root_of("vm"), "new").object;
  Checkpoint left = f.run(f.versions().rollback(f.record, "one")).value();
  CHECK(f.read(old_file) == "old text");
  CHECK(f.read(image_file) == "content");
  CHECK(f.getattr(new_file) == nfs3::Status::stale);
  CHECK(f.get("vm", "new") == "NFS3ERR_NOENT");
  CHECK(left.label.reason == CheckpointReason::rollback);
  CHECK(f.get("vm@" + left.label.name, "new") == "new text");

  // A file that is made now is another than the one that is gone.
  f.put("new", "newer text");
  CHECK(f.getattr(new_file) == nfs3::Status::stale);
  f.restart();
  CHECK(f.get("vm", "new") == "newer text");
  CHECK(f.get("vm", "old") == "old text");
  // And forth again.
  REQUIRE(f.run(f.versions().rollback(f.record, left.label.name)));
  CHECK(f.get("vm", "new") == "new text");
  CHECK(f.read(new_file) == "new text");
}

TEST_CASE("clones of a checkpoint and of what runs go their own ways, also when one is removed") {
  Fixture f;
  f.put("new", "at one");
  REQUIRE(f.checkpoint("one"));
  f.put("new", "running");
  REQUIRE(f.clone("one", "of-one"));
  REQUIRE(f.clone("", "of-running"));
  f.put("new", "further");
  CHECK(f.get("of-one", "new") == "at one");
  CHECK(f.get("of-running", "new") == "running");
  CHECK(f.get("vm", "new") == "further");
  // What the clone of the running state began from has no name.
  CHECK(f.names() == std::vector<std::string>{"one"});

  REQUIRE(f.run(f.host->stop("vm")));
  REQUIRE(f.registry->remove_appliance("vm"));
  REQUIRE(f.run(f.versions().drop_all(f.record)));
  CHECK(f.mount("vm") == mount3::Status::noent);
  CHECK(f.mount("vm@one") == mount3::Status::noent);
  f.restart();
  CHECK(f.get("of-one", "new") == "at one");
  CHECK(f.get("of-running", "new") == "running");
}

TEST_CASE("what a crash left without an owner is dropped when the pool is opened") {
  Fixture f;
  f.put("new", "text");
  REQUIRE(f.checkpoint("one"));
  REQUIRE(f.states() == 2);
  Pool* pool = f.run(f.versions().acquire(f.record)).value();
  const cache::StateId one = history_of(*pool, f.record).checkpoints.front().state;
  REQUIRE(pool->family().branch(one, {}));
  REQUIRE(f.run(pool->settle()));
  f.run(f.versions().release(*pool));
  CHECK(f.states() == 3);
  f.restart();
  CHECK(f.states() == 2);
  CHECK(f.get("vm", "new") == "text");
  CHECK(f.get("vm@one", "new") == "text");
}

TEST_CASE("a served appliance is checked with all its checkpoints, and damage is named by path") {
  Fixture f;
  f.put("old", std::string(100'000, 'o'));
  REQUIRE(f.checkpoint("one"));
  f.put("old", std::string(100'000, 'n'));
  f.put("new", "text");
  auto check = [&f] { return f.check(f.record, false).value(); };
  CHECK(check().empty());
  for (const bool offline : {false, true}) {
    StoreWalk walk;
    REQUIRE(f.run(f.host->check_store(f.record, offline, walk)));
    CHECK(walk.progress().data);
    CHECK(walk.progress().done > 0);
    CHECK(walk.progress().done == walk.progress().total);
  }
  CHECK(f.names() == std::vector<std::string>{"one"});
  const std::size_t states = f.states();

  REQUIRE(f.flip_in_segments("vm", std::string(64, 'o')));
  const std::vector<std::string> findings = check();
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].find("/old: bytes 0 to 4096 are damaged") != std::string::npos);
  CHECK(f.get("vm", "new") == "text");
  CHECK(f.states() == states);
}

TEST_CASE("a moment of the running state is nobody's checkpoint, and goes with the orphans") {
  Fixture f;
  f.put("new", "text");
  const std::size_t states = f.states();
  Pool* pool = f.run(f.versions().acquire(f.record)).value();
  const cache::StateId moment = f.run(pool->moment(f.record.head)).value();
  CHECK(f.names().empty());
  REQUIRE(f.run(pool->settle()));
  f.run(f.versions().release(*pool));
  CHECK(f.states() == states + 1);
  f.restart();
  CHECK(f.states() == states);

  pool = f.run(f.versions().acquire(f.record)).value();
  CHECK(f.run(pool->drop(moment)).failed_with(Errc::stale));
  f.run(f.versions().release(*pool));
}

TEST_CASE("names of checkpoints are the operator's or the time's, and each is there once") {
  Fixture f;
  REQUIRE(f.checkpoint("one"));
  auto again = f.checkpoint("one");
  REQUIRE(again.failed_with(Errc::exists));
  CHECK(again.error().detail.find("'vm@one'") != std::string::npos);
  const std::string first = f.checkpoint("")->label.name, second = f.checkpoint("")->label.name;
  CHECK(first != second);
  CHECK(f.names() == std::vector<std::string>{second, first, "one"});
  auto missing = f.run(f.versions().rollback(f.record, "nothing"));
  REQUIRE(missing.failed_with(Errc::not_found));
  CHECK(missing.error().detail.find("'rowan log vm'") != std::string::npos);
  CHECK(f.run(f.versions().drop(f.record, "nothing")).failed_with(Errc::not_found));
  CHECK(f.clone("nothing", "vm2").failed_with(Errc::not_found));
}

}  // namespace
}  // namespace rowan::proxy
