// A disk and a quota that are used up, through the procedures, over the real store on a simulated
// disk: what grows is refused, what there is stays, removing helps, and everything goes on by
// itself once there is room.
#include <string>
#include <vector>

#include "tests/sim/proxy_world.h"

#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::sim;
using nfs3::StableHow;
using nfs3::Status;
using Kind = Operation::Kind;

namespace {

constexpr std::uint64_t lots = 1'000'000;

class Host {
 public:
  explicit Host(std::uint64_t seed = 1) : Host(disk_stores(seed), seed) {}

  Outcome run(const Operation& operation) {
    INFO(describe(operation));
    std::vector<Outcome> outcomes;
    if (!world.on_turn) {
      world.on_turn = [](std::uint64_t turn) {
        if (turn == 5000) FAIL("no reply, and nothing that could bring one");
      };
    }
    do world.run({operation}, outcomes);
    while (outcomes[0].status == Status::jukebox);
    REQUIRE(outcomes[0].replied);
    return outcomes[0];
  }

  Outcome make(Kind kind, const std::string& name) {
    Operation operation = in_root(kind, name);
    operation.set.mode = 0644;
    operation.bytes = "target";
    operation.made = world.next_id++;
    const Outcome outcome = run(operation);
    if (outcome.handle) {
      world.handles[operation.made] = *outcome.handle;
      ids[name] = operation.made;
    }
    return outcome;
  }
  Outcome remove(const std::string& name) { return run(in_root(Kind::remove, name)); }
  Outcome write(const std::string& name, std::uint64_t offset, const std::string& bytes,
                StableHow stable = StableHow::file_sync) {
    Operation operation = on_file(Kind::write, name);
    operation.offset = offset;
    operation.bytes = bytes;
    operation.stable = stable;
    return run(operation);
  }
  Outcome commit(const std::string& name) { return run(on_file(Kind::commit, name)); }
  Outcome set_mode(const std::string& name) {
    Operation operation = on_file(Kind::setattr, name);
    operation.set.mode = 0600;
    return run(operation);
  }
  std::string content(const std::string& name) {
    Operation operation = on_file(Kind::read, name);
    operation.count = lots;
    const Outcome outcome = run(operation);
    REQUIRE(outcome.status == Status::ok);
    return outcome.bytes;
  }

  StoreMaker* stores;
  World world;
  std::map<std::string, test::ModelId> ids;

 private:
  Host(std::unique_ptr<StoreMaker> made, std::uint64_t seed)
      : stores(made.get()), world(seed, std::move(made)) {}

  static Operation in_root(Kind kind, const std::string& name) {
    Operation operation;
    operation.kind = kind;
    operation.user = {0, {0}};
    operation.object = test::model_root;
    operation.name = name;
    return operation;
  }
  Operation on_file(Kind kind, const std::string& name) const {
    Operation operation = in_root(kind, "");
    operation.object = ids.at(name);
    return operation;
  }
};

// The first answer that is not "done".
template <class Call>
Status until_refused(Call call) {
  for (int i = 0; i < 2000; ++i) {
    const Status status = call(i);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

}  // namespace

TEST_CASE("on a full disk all that grows is refused, all can be removed, and then there is room") {
  Host host;
  REQUIRE(host.make(Kind::create, "first").status == Status::ok);
  REQUIRE(host.write("first", 0, "kept").status == Status::ok);
  host.world.leave_room(3 << 20);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::string> files, names;
    auto make = [&](Kind kind) {
      return until_refused([&](int i) {
        const std::string name = "n" + std::to_string(static_cast<int>(kind) * 10'000 + i);
        const Status status = host.make(kind, name).status;
        if (status == Status::ok && kind != Kind::mkdir) names.push_back(name);
        return status;
      });
    };
    CHECK(until_refused([&](int i) {
            const std::string name = "f" + std::to_string(i);
            const Status made = host.make(Kind::create, name).status;
            if (made != Status::ok) return made;
            files.push_back(name);
            const StableHow how = i % 2 == 0 ? StableHow::unstable : StableHow::file_sync;
            return host.write(name, 0, std::string(50'000, 'x'), how).status;
          }) == Status::nospc);
    CHECK(files.size() > 10);
    CHECK(make(Kind::create) == Status::nospc);
    CHECK(make(Kind::symlink) == Status::nospc);
    CHECK(until_refused([&](int) { return host.set_mode("first").status; }) == Status::nospc);
    CHECK(host.content("first") == "kept");
    CHECK(host.commit(files[0]).status == Status::ok);
    CHECK(host.content(files[1]) == std::string(50'000, 'x'));
    for (const auto* removed : {&files, &names}) {
      for (const std::string& name : *removed) {
        INFO("round " << round << ", " << name);
        REQUIRE(host.remove(name).status == Status::ok);
      }
    }
    CHECK(host.make(Kind::create, "again").status == Status::ok);
    CHECK(host.write("again", 0, std::string(500'000, 'y')).status == Status::ok);
    CHECK(host.remove("again").status == Status::ok);
    CHECK(host.set_mode("first").status == Status::ok);
  }
}

TEST_CASE("a COMMIT that meets a full disk at any step waits for room and is kept then") {
  const std::string bytes(60'000, 'c');
  std::uint64_t stalls = 0;
  for (std::uint64_t step = 0;; ++step) {
    Host host(step + 1);
    REQUIRE(host.make(Kind::create, "f").status == Status::ok);
    const Outcome written = host.write("f", 0, bytes, StableHow::unstable);
    REQUIRE(written.status == Status::ok);
    test::SimDisk& disk = host.stores->disk();
    const std::uint64_t first = disk.steps();
    bool full = false;
    disk.on_step([&] {
      if (disk.steps() != first + step) return;
      disk.limit(1);   // nothing, even with the reserve given up
      full = true;
    });
    bool stalled = false;
    host.world.on_turn = [&](std::uint64_t turn) {
      stalled = stalled || host.world.stalled();
      if (turn == 100) host.world.plenty();
    };
    const Outcome committed = host.commit("f");
    disk.on_step({});
    host.world.on_turn = nullptr;
    host.world.plenty();
    stalls += stalled ? 1 : 0;
    INFO("step " << step);
    REQUIRE(committed.status == Status::ok);
    REQUIRE(committed.verifier == written.verifier);
    host.world.crash();
    REQUIRE(host.content("f") == bytes);
    if (!full) break;
  }
  CHECK(stalls > 0);
}

TEST_CASE("UNSTABLE data that a full disk never took is known to be lost after a restart") {
  Host host;
  REQUIRE(host.make(Kind::create, "f").status == Status::ok);
  REQUIRE(host.write("f", 0, "stable").status == Status::ok);
  host.stores->disk().limit(1);
  const Outcome written = host.write("f", 0, "UNSTABLE", StableHow::unstable);
  CHECK(host.content("f") == (written.status == Status::ok ? "UNSTABLE" : "stable"));
  host.world.crash();
  CHECK(host.world.write_verifier() != written.verifier);
  CHECK(host.content("f") == "stable");
  const Outcome again = host.write("f", 0, "UNSTABLE", StableHow::unstable);
  REQUIRE(again.status == Status::ok);
  const Outcome committed = host.commit("f");
  CHECK(committed.status == Status::ok);
  CHECK(committed.verifier == again.verifier);
  host.world.crash();
  CHECK(host.content("f") == "UNSTABLE");
}

TEST_CASE("at its quota an appliance writes over what it has, and more once something is removed") {
  Host host;
  for (const std::string name : {"a", "b"}) {
    REQUIRE(host.make(Kind::create, name).status == Status::ok);
    REQUIRE(host.write(name, 0, std::string(100'000, 'q')).status == Status::ok);
  }
  host.world.set_quota(8192);
  CHECK(until_refused([&](int i) {
          return host.write("a", 200'000 + static_cast<std::uint64_t>(i) * 4096, "more").status;
        }) == Status::dquot);
  CHECK(host.write("b", 0, std::string(100'000, 'w')).status == Status::ok);
  CHECK(host.make(Kind::create, "c").status == Status::ok);   // a name is not data
  CHECK(host.write("c", 0, std::string(50'000, 'c'), StableHow::unstable).status == Status::dquot);
  CHECK(host.content("c").empty());
  CHECK(host.content("b") == std::string(100'000, 'w'));
  CHECK(host.remove("a").status == Status::ok);
  CHECK(host.write("c", 0, std::string(50'000, 'c')).status == Status::ok);
  host.world.crash();
  CHECK(host.content("c") == std::string(50'000, 'c'));
  CHECK(until_refused([&](int i) {
          return host.write("c", static_cast<std::uint64_t>(i) * 4096, "more").status;
        }) == Status::dquot);
}
