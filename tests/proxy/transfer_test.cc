// An appliance between two hosts, without their sockets: the admin interface's side of send and
// receive, on real files.
#include <optional>

#include "proxy/admin_api.h"
#include "proxy/state_question.h"
#include "proxy/store_maker.h"
#include "tests/proxy/fake_host.h"
#include "tests/support/catch.h"
#include "tests/support/manual_loop.h"
#include "tests/support/temp_directory.h"

namespace rowan::proxy {
namespace {

using cache::ObjectId;

struct HostBench {
  explicit HostBench(bool with_image = true) {
    open();
    if (with_image) REQUIRE(registry->add_version({"debian", ""}, "/srv/debian"));
  }
  ~HostBench() { close(); }

  struct Process {
    Process(test::ManualLoop& loop, test::ManualDiskPool& disk, Registry& registry)
        : pools(loop, disk),
          versions(loop, disk, registry, pools, exports),
          host(versions),
          api(registry, host, loop, disk) {}
    Exports exports;
    PoolSet pools;
    Versions versions;
    FakeHost host;
    AdminApi api;
  };
  void open() {
    state = StateDir::open(directory.open(), "test").value();
    registry = Registry::load(*state, loop.clock(), make_store).value();
    process.emplace(loop, disk, *registry);
  }
  void close() {
    run(process->api.close());
    process.reset();
    registry.reset();
    state.reset();
  }
  // Of the process, in good order; what was received so far is on disk.
  void restart() {
    close();
    open();
  }

  template <class T>
  T run(Task<T> task) {
    return test::run_task(loop, disk, std::move(task), false);
  }
  void run(Task<void> task) {
    TaskGroup tasks;
    tasks.start(std::move(task));
    test::settle(loop, disk, false);
    CHECK(tasks.running() == 0);
  }
  HttpReply ask(std::string method, std::string target, std::string body = "") {
    HttpRequest request{std::move(method), std::move(target), std::move(body)};
    return run(process->api.handle(request));
  }
  Json json(std::string method, std::string target, std::string body = "") {
    HttpReply reply = ask(std::move(method), std::move(target), std::move(body));
    INFO(reply.body);
    REQUIRE(reply.status == 200);
    return parse_json(reply.body).value();
  }
  void create(const std::string& name) {
    json("POST", "/v1/appliances", R"({"name":")" + name + R"(","image":"debian"})");
  }
  std::string checkpoint(const std::string& name) {
    return *text_member(json("POST", "/v1/appliances/" + name + "/checkpoints"), "name");
  }

  // In the running state, as the appliance itself would.
  Task<Result<std::string>> work(std::string name, std::string written) {
    CO_TRY(ApplianceRecord record, registry->appliance(name));
    CO_TRY(Pool * pool, co_await process->versions.acquire(record));
    CO_TRY(auto store, co_await pool->store(record.head));
    std::string text;
    for (std::size_t at = 0; at < written.size(); at += 1 << 20) {
      cache::ObjectRecord file;
      file.size = written.size();
      cache::Transaction transaction;
      transaction.put_object(ObjectId{5}, file);
      transaction.truncate(ObjectId{5}, at);
      transaction.write(ObjectId{5}, at, as_bytes(std::string_view(written).substr(at, 1 << 20)));
      auto step = [&] { return store->apply(transaction); };
      CO_TRY_VOID(co_await when_possible(pool->jobs(), step));
    }
    auto look = [&] { return store->object(ObjectId{5}); };
    CO_TRY(const cache::ObjectRecord file, co_await when_possible(pool->jobs(), look));
    auto find = [&] { return store->extents(ObjectId{5}, file, 0, file.size); };
    CO_TRY(const auto extents, co_await when_possible(pool->jobs(), find));
    for (const cache::Extent& extent : extents) {
      std::string part(extent.length, '\0');
      auto read = [&] {
        return store->read(extent, {reinterpret_cast<std::byte*>(part.data()), part.size()});
      };
      CO_TRY_VOID(co_await when_possible(pool->jobs(), read));
      text += part;
    }
    store.reset();
    co_await process->versions.release(*pool);
    co_return text;
  }
  void write(const std::string& name, const std::string& text) {
    CHECK(run(work(name, text)).value() == text);
  }
  std::string read(const std::string& name) { return run(work(name, "")).value(); }
  // The calendar's clock.
  void wait(std::int64_t seconds) {
    WallTime later = loop.clock().wall();
    later.seconds += seconds;
    loop.clock().set_wall(later);
  }
  // Of its pool, without those that were dropped.
  std::size_t states(const std::string& name) {
    Pool* pool = run(process->versions.acquire(*registry->appliance(name))).value();
    std::size_t count = 0;
    for (const cache::StateInfo& info : pool->family().states()) count += info.dropped ? 0 : 1;
    run(process->versions.release(*pool));
    return count;
  }
  std::size_t pools() { return StateDir::entries(state->stores())->size(); }

  test::TempDirectory directory;
  test::ManualLoop loop;
  test::ManualDiskPool disk;
  std::unique_ptr<StateDir> state;
  std::unique_ptr<Registry> registry;
  std::optional<Process> process;
};

struct Sent {
  std::string header, checkpoint;
  std::vector<FrameAnswer> frames;
  cache::ChangeTotals totals;
};

Sent send(HostBench& from, const std::string& state, const std::string& since = {}) {
  Json body = Json::object();
  if (!since.empty()) body["since"] = since;
  const Json begun = from.json("POST", "/v1/appliances/" + state + "/send", json_line(body));
  Sent sent{*text_member(begun, "header"), *text_member(begun, "checkpoint"), {}, {}};
  Json request;
  for (const char* key : {"state", "base", "image", "version"})
    request[key] = *text_member(begun, key);
  std::string cursor;
  do {
    request["cursor"] = hex_text(cursor);
    const std::string name = state.substr(0, state.find('@'));
    const HttpReply reply =
        from.ask("POST", "/v1/appliances/" + name + "/frames", json_line(request));
    INFO(reply.body);
    REQUIRE(reply.status == 200);
    sent.frames.push_back(*decode_frame_answer(reply.body));
    cursor = sent.frames.back().cursor;
    if (sent.frames.back().type == cache::StreamFrame::changes)
      sent.totals.add(cache::decode_changes(sent.frames.back().content)->totals);
  } while (!cursor.empty());
  return sent;
}

HttpReply begin(HostBench& to, const std::string& name, const Sent& sent, Json options = {}) {
  options["header"] = sent.header;
  return to.ask("POST", "/v1/receives/" + name, json_line(options));
}

void take(HostBench& to, const std::string& name, const FrameAnswer& frame) {
  to.json("POST", "/v1/receives/" + name + "/frame", encode_frame_answer(frame));
}

HttpReply end(HostBench& to, const std::string& name, const cache::ChangeTotals& totals) {
  const FrameAnswer last{cache::StreamFrame::totals, {}, cache::encode(totals)};
  return to.ask("POST", "/v1/receives/" + name + "/end", encode_frame_answer(last));
}

HttpReply receive(HostBench& to, const std::string& name, const Sent& sent, Json options = {}) {
  HttpReply reply = begin(to, name, sent, std::move(options));
  if (reply.status != 200) return reply;
  for (const FrameAnswer& frame : sent.frames) take(to, name, frame);
  return end(to, name, sent.totals);
}

std::string message(const HttpReply& reply) {
  auto body = parse_json(reply.body);
  auto text = body && has_member(*body, "error") ? text_member((*body)["error"], "message")
                                                 : Result<std::string>(reply.body);
  return text ? *text : reply.body;
}
bool says(const HttpReply& reply, std::string_view words) {
  INFO(reply.body);
  return reply.status != 200 && message(reply).find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("an appliance is received with its identity, its key and its files") {
  HostBench one, two;
  one.create("vm");
  one.write("vm", std::string(300'000, 'a'));
  one.process->host.names = {{cache::image_root, "etc", ObjectId{7}, cache::image_root, "etc"}};
  const Sent sent = send(one, "vm");
  const HttpReply reply = receive(two, "vm", sent);
  INFO(reply.body);
  REQUIRE(reply.status == 200);
  CHECK(two.read("vm") == std::string(300'000, 'a'));
  const ApplianceRecord was = *one.registry->appliance("vm"), is = *two.registry->appliance("vm");
  CHECK(is.id == was.id);
  CHECK(is.key == was.key);
  CHECK(is.fsid == was.fsid);
  CHECK((two.process->host.names == one.process->host.names));
  CHECK(two.process->host.started == std::vector<std::string>{"vm"});
  CHECK(two.registry->receives().empty());
  const Json log = two.json("GET", "/v1/appliances/vm/checkpoints");
  CHECK(log["checkpoints"].size() == 1);
  CHECK(log["checkpoints"][0]["name"] == sent.checkpoint);
  two.restart();
  CHECK(two.read("vm") == std::string(300'000, 'a'));
}

TEST_CASE("an increment needs its base, and an appliance that is as it was") {
  HostBench one, two;
  one.create("vm");
  one.write("vm", "first");
  const std::string base = one.checkpoint("vm");
  const Sent whole = send(one, "vm@" + base);
  one.write("vm", "second");
  const Sent more = send(one, "vm", base);
  CHECK(says(receive(two, "vm", more), "send it whole first"));
  REQUIRE(receive(two, "vm", whole).status == 200);
  SECTION("it is") {
    const HttpReply reply = receive(two, "vm", more);
    INFO(reply.body);
    REQUIRE(reply.status == 200);
    CHECK(two.read("vm") == "second");
    CHECK(*text_member(*parse_json(reply.body), "put_aside") == "");
    CHECK(two.json("GET", "/v1/appliances/vm/checkpoints")["checkpoints"].size() == 2);
    CHECK(says(receive(two, "vm", more), "already"));
  }
  SECTION("it has changed") {
    two.write("vm", "own");
    CHECK(says(receive(two, "vm", more), "--force"));
    CHECK(two.read("vm") == "own");
    const HttpReply reply = receive(two, "vm", more, Json{{"force", true}});
    INFO(reply.body);
    REQUIRE(reply.status == 200);
    CHECK(two.read("vm") == "second");
    const std::string aside = *text_member(*parse_json(reply.body), "put_aside");
    two.json("POST", "/v1/appliances/vm@" + aside + "/rollback");
    CHECK(two.read("vm") == "own");
  }
  SECTION("it changes while the increment comes") {
    REQUIRE(begin(two, "vm", more).status == 200);
    for (const FrameAnswer& frame : more.frames) take(two, "vm", frame);
    two.write("vm", "own");
    CHECK(says(end(two, "vm", more.totals), "has changed while"));
    CHECK(two.read("vm") == "own");
    two.json("DELETE", "/v1/receives/vm");
    CHECK(two.json("GET", "/v1/appliances/vm/checkpoints")["checkpoints"].size() == 1);
  }
  SECTION("its base is removed while the increment comes") {
    const bool forced = GENERATE(false, true);
    REQUIRE(begin(two, "vm", more, Json{{"force", forced}}).status == 200);
    for (const FrameAnswer& frame : more.frames) take(two, "vm", frame);
    two.json("DELETE", "/v1/appliances/vm@" + base);
    const std::size_t states = two.states("vm");
    CHECK(says(end(two, "vm", more.totals), "was removed while it came"));
    CHECK(two.states("vm") == states);
    CHECK(two.read("vm") == "first");
    two.json("DELETE", "/v1/receives/vm");
    CHECK(two.states("vm") == 1);
  }
  SECTION("it is mounted") {
    two.process->host.mounted = "vm";
    CHECK(says(begin(two, "vm", more), "mounted by"));
  }
  SECTION("another appliance, of the same name") {
    HostBench three;
    three.create("vm");
    CHECK(says(receive(three, "vm", more), "no checkpoint that is"));
    CHECK(says(receive(three, "vm", whole), "already exists"));
  }
  CHECK(two.registry->receives().empty());
}

TEST_CASE("a receive goes on after a restart, and nothing shows before its end") {
  HostBench one, two;
  one.create("vm");
  one.write("vm", std::string(5 << 20, 'x'));
  const Sent sent = send(one, "vm");
  REQUIRE(sent.frames.size() > 4);
  REQUIRE(begin(two, "vm", sent).status == 200);
  for (std::size_t i = 0; i < 3; ++i) take(two, "vm", sent.frames[i]);
  two.restart();
  CHECK(two.json("GET", "/v1/appliances")["appliances"].empty());
  const Json half = two.json("GET", "/v1/receives")["receives"];
  REQUIRE(half.size() == 1);
  CHECK(half[0]["name"] == "vm");
  CHECK(half[0]["increment"] == false);
  CHECK(half[0]["received_bytes"] > 0);
  CHECK(half[0]["received_bytes"] < 5 << 20);
  CHECK(half[0]["trouble"] == "");
  CHECK(two.pools() == 1);
  const HttpReply again = begin(two, "vm", sent);
  REQUIRE(again.status == 200);
  const std::string reached = *parse_hex_text(*text_member(*parse_json(again.body), "reached"));
  CHECK(reached == cache::decode_changes(sent.frames[2].content)->reached);
  CHECK(says(begin(two, "vm", send(one, "vm")), "another stream"));
  for (std::size_t i = 3; i < sent.frames.size(); ++i) take(two, "vm", sent.frames[i]);
  SECTION("to the end") {
    REQUIRE(end(two, "vm", sent.totals).status == 200);
    CHECK(two.read("vm") == std::string(5 << 20, 'x'));
  }
  SECTION("unless it is dropped") {
    two.json("DELETE", "/v1/receives/vm");
    CHECK(two.ask("DELETE", "/v1/receives/vm").status == 404);
    CHECK(two.pools() == 0);
  }
  SECTION("or given up after a week while the daemon runs") {
    two.process->api.watch_receives();
    two.wait(receive_patience_seconds - 86'400);
    two.loop.advance(std::chrono::hours(2));
    CHECK(two.registry->receives().size() == 1);
    // Gone on with: the week begins anew.
    REQUIRE(begin(two, "vm", sent).status == 200);
    two.wait(2 * 86'400);
    two.restart();
    CHECK(two.registry->receives().size() == 1);
    two.process->api.watch_receives();
    two.wait(receive_patience_seconds);
    two.loop.advance(std::chrono::hours(1));
    test::settle(two.loop, two.disk, false);
    CHECK(two.registry->receives().empty());
    CHECK(two.pools() == 0);
  }
  SECTION("or given up after a week") {
    two.wait(receive_patience_seconds + 1);
    two.restart();
    CHECK(two.registry->receives().empty());
    CHECK(two.pools() == 0);
  }
  SECTION("or is not what was sent") {
    cache::ChangeTotals other = sent.totals;
    ++other.sum;
    CHECK(says(end(two, "vm", other), "is not what was sent"));
    CHECK(two.registry->appliances().empty());
    REQUIRE(end(two, "vm", sent.totals).status == 200);
  }
  CHECK(two.registry->receives().empty());
}

TEST_CASE("an appliance is not twice on a host, unless as another one") {
  HostBench one;
  one.create("vm");
  one.write("vm", "text");
  const Sent sent = send(one, "vm");
  CHECK(says(receive(one, "copy", sent), "identity"));
  REQUIRE(receive(one, "copy", sent, Json{{"new_identity", true}}).status == 200);
  CHECK(one.read("copy") == "text");
  CHECK(one.registry->appliance("copy")->id != one.registry->appliance("vm")->id);
  CHECK(one.registry->appliance("copy")->key != one.registry->appliance("vm")->key);
  // Its checkpoint is its own.
  CHECK(one.json("GET", "/v1/appliances/copy/checkpoints")["checkpoints"].size() == 1);
}

TEST_CASE("the image is the one of the same name, or that is named, or comes from its source") {
  HostBench one, two(false);
  one.create("vm");
  one.write("vm", "text");
  const Sent sent = send(one, "vm");
  CHECK(says(receive(two, "vm", sent), "rowan image add debian SOURCE --version 1"));
  SECTION("named") {
    REQUIRE(two.registry->add_version({"other", "5"}, "/srv/other"));
    REQUIRE(receive(two, "vm", sent, Json{{"image", "other"}}).status == 200);
    CHECK(two.registry->appliance("vm")->image == "other");
    CHECK(two.registry->appliance("vm")->version == "5");
  }
  SECTION("with other names than here") {
    REQUIRE(two.registry->add_version({"debian", "1"}, "/srv/debian"));
    two.process->host.names_error = "the name 'b'";
    REQUIRE(begin(two, "vm", sent).status == 200);
    const HttpReply refused =
        two.ask("POST", "/v1/receives/vm/frame", encode_frame_answer(sent.frames[0]));
    CHECK(says(refused, "--image NAME2"));
    two.json("DELETE", "/v1/receives/vm");
  }
  SECTION("from a source that the network has") {
    REQUIRE(one.registry->add_version({"net", ""}, "nfs://h/d"));
    one.json("POST", "/v1/appliances", R"({"name":"vm2","image":"net"})");
    const Sent other = send(one, "vm2");
    two.process->host.source_error = "nobody answers";
    CHECK(says(receive(two, "vm2", other), "nobody answers"));
    two.process->host.source_error.clear();
    REQUIRE(receive(two, "vm2", other).status == 200);
    CHECK(two.registry->version({"net", "1"})->source == "nfs://h/d");
  }
}

}  // namespace rowan::proxy
