#include "proxy/admin_api.h"

#include "tests/proxy/fake_host.h"
#include "tests/support/catch.h"
#include "tests/support/manual_loop.h"
#include "tests/support/temp_directory.h"

namespace rowan::proxy {
namespace {

Result<void> make_marker(cache::Directory& directory) {
  return write_record(directory, "marker", "");
}

struct Fixture {
  test::TempDirectory directory;
  test::ManualLoop loop;
  test::ManualDiskPool disk;
  std::unique_ptr<StateDir> state = StateDir::open(directory.open(), "test").value();
  std::unique_ptr<Registry> registry = Registry::load(*state, loop.clock(), make_marker).value();
  Exports exports;
  PoolSet pools{loop, disk};
  Versions versions{loop, disk, *registry, pools, exports};
  FakeHost host{versions};
  AdminApi api{*registry, host, loop, disk};

  HttpReply ask(std::string method, std::string target, std::string body = "") {
    HttpRequest request{std::move(method), std::move(target), std::move(body)};
    return test::run_task(loop, disk, api.handle(request));
  }
  Json json(std::string method, std::string target, std::string body = "") {
    HttpReply reply = ask(std::move(method), std::move(target), std::move(body));
    INFO(reply.body);
    REQUIRE(reply.status == 200);
    return parse_json(reply.body).value();
  }
  void add_debian() { json("POST", "/v1/images", R"({"name":"debian","source":"nfs://h/d"})"); }
};

std::string message(const HttpReply& reply) {
  return text_member(parse_json(reply.body).value()["error"], "message").value();
}

TEST_CASE("an image is added, shown, used and removed") {
  Fixture f;
  CHECK(f.json("POST", "/v1/images", R"({"name":"debian","source":"nfs://h/d"})")["version"] ==
        "1");
  CHECK(f.host.probed == std::vector<std::string>{"nfs://h/d"});
  CHECK(f.json("POST", "/v1/images",
               R"({"name":"debian","source":"nfs://h/e","version":"e"})")["version"] == "e");
  Json image = f.json("GET", "/v1/images/debian");
  CHECK(image["versions"].size() == 2);
  CHECK(f.json("GET", "/v1/images")["images"].size() == 1);
  CHECK(f.json("POST", "/v1/appliances",
               R"({"name":"vm1","image":"debian@1","quota":"1G"})")["quota"] == 1 << 30);
  CHECK(f.host.started == std::vector<std::string>{"vm1"});
  CHECK(f.ask("DELETE", "/v1/images/debian").status == 409);
  CHECK(f.host.forgotten.empty());
  f.json("DELETE", "/v1/images/debian@e");
  CHECK(f.json("DELETE", "/v1/appliances/vm1")["removed"] == "vm1");
  CHECK(f.host.stopped == std::vector<std::string>{"vm1"});
  f.json("DELETE", "/v1/images/debian");
  CHECK(f.json("GET", "/v1/images")["images"].empty());
}

TEST_CASE("a source that does not answer adds nothing") {
  Fixture f;
  f.host.source_error = "nfs://h/d does not answer";
  HttpReply reply = f.ask("POST", "/v1/images", R"({"name":"debian","source":"nfs://h/d"})");
  CHECK(reply.status == 502);
  CHECK(message(reply) == "nfs://h/d does not answer");
  CHECK(f.registry->images().empty());
  CHECK(f.ask("POST", "/v1/appliances", R"({"name":"vm1","source":"nfs://h/d"})").status == 502);
  CHECK(f.registry->appliances().empty());
}

TEST_CASE("a source that is slow to answer holds up nobody else") {
  Fixture f;
  Signal answer(f.loop);
  f.host.source_waits = &answer;
  TaskGroup tasks;
  std::optional<HttpReply> slow;
  HttpRequest add{"POST", "/v1/images", R"({"name":"debian","source":"nfs://h/d"})"};
  auto body = [](AdminApi& api, const HttpRequest& request,
                 std::optional<HttpReply>& into) -> Task<void> {
    into = co_await api.handle(request);
  };
  tasks.start(body(f.api, add, slow));
  test::settle(f.loop, f.disk);
  CHECK(!slow);
  CHECK(f.json("GET", "/v1/status")["images"].empty());
  answer.set();
  test::settle(f.loop, f.disk);
  REQUIRE(slow);
  CHECK(slow->status == 200);
}

TEST_CASE("two requests for one name: one is done, the other is refused") {
  Fixture f;
  f.add_debian();
  TaskGroup tasks;
  std::optional<HttpReply> first, second;
  HttpRequest create{"POST", "/v1/appliances", R"({"name":"vm1","image":"debian"})"};
  auto body = [](AdminApi& api, const HttpRequest& request,
                 std::optional<HttpReply>& into) -> Task<void> {
    into = co_await api.handle(request);
  };
  tasks.start(body(f.api, create, first));
  tasks.start(body(f.api, create, second));
  test::settle(f.loop, f.disk);
  REQUIRE((first && second));
  CHECK(first->status == 200);
  CHECK(second->status == 409);
}

TEST_CASE("a source in the place of an image becomes one, once") {
  Fixture f;
  Json made = f.json("POST", "/v1/appliances", R"({"name":"vm1","source":"/srv/images/debian"})");
  CHECK(made["image"] == "debian");
  CHECK(f.json("POST", "/v1/appliances",
               R"({"name":"vm2","source":"/srv/images/debian"})")["version"] == "1");
  CHECK(f.host.probed.size() == 1);
  CHECK(f.json("POST", "/v1/appliances", R"({"name":"vm3","source":"/other/debian"})")["version"] ==
        "2");
}

TEST_CASE("a mounted appliance is removed by force only") {
  Fixture f;
  f.add_debian();
  f.json("POST", "/v1/appliances", R"({"name":"vm1","image":"debian"})");
  f.host.mounted = "vm1";
  HttpReply refused = f.ask("DELETE", "/v1/appliances/vm1");
  CHECK(refused.status == 409);
  CHECK(message(refused).find("10.0.0.7") != std::string::npos);
  CHECK(f.host.stopped.empty());
  f.json("DELETE", "/v1/appliances/vm1?force=true");
}

TEST_CASE("an appliance that was made but cannot be served says so") {
  Fixture f;
  f.add_debian();
  f.host.start_error = "its store is damaged";
  HttpReply reply = f.ask("POST", "/v1/appliances", R"({"name":"vm1","image":"debian"})");
  CHECK(reply.status == 500);
  CHECK(message(reply) == "appliance 'vm1' was made but is not served: its store is damaged");
}

TEST_CASE("status shows procedures, ratios and the daemon, or that there is none") {
  Fixture f;
  f.add_debian();
  f.json("POST", "/v1/appliances", R"({"name":"vm1","image":"debian"})");
  f.host.version.bytes_fetched = 25;
  f.host.version.known_bytes = 100;
  Json status = f.json("GET", "/v1/status");
  CHECK(status["daemon"].is_object());
  CHECK(status["images"][0]["versions"][0]["fetched_share"] == 0.25);
  CHECK(status["images"][0]["versions"][0]["hit_ratio"].is_null());
  CHECK(status["appliances"][0]["state"] == "serving");
  CHECK(status["appliances"][0]["procedures"]["GETATTR"]["calls"] == 1);
  CHECK(!status["appliances"][0].contains("key"));
  f.host.status.reset();
  CHECK(f.json("GET", "/v1/status")["daemon"].is_null());
  CHECK(f.json("GET", "/v1/appliances/vm1")["state"] == "stopped");
}

TEST_CASE("check passes on what was found") {
  Fixture f;
  f.add_debian();
  f.json("POST", "/v1/appliances", R"({"name":"vm1","image":"debian"})");
  CHECK(f.json("POST", "/v1/appliances/vm1/check")["ok"] == true);
  f.host.findings = {"object 7: its data is damaged"};
  Json found = f.json("POST", "/v1/appliances/vm1/check");
  CHECK(found["ok"] == false);
  CHECK(found["findings"][0] == "object 7: its data is damaged");
  CHECK(found.size() == 3);
  CHECK(f.ask("POST", "/v1/appliances/vm9/check").status == 404);
  CHECK(f.ask("POST", "/v1/appliances/vm1@a/check").status == 400);
  CHECK(f.ask("GET", "/v1/appliances/vm1/check").status == 405);
  Json repaired = f.json("POST", "/v1/appliances/vm1/check?repair=true");
  CHECK(repaired["repaired"] == true);
  CHECK(repaired["lost"].size() == 1);
}

// A check of vm1 that was begun in the background and waits for `gate`.
struct CheckFixture : Fixture {
  Signal gate{loop};
  std::string work;
  explicit CheckFixture(const std::string& order) {
    add_debian();
    json("POST", "/v1/appliances", R"({"name":"vm1","image":"debian"})");
    host.walk_waits = &gate;
    const Json begun =
        json("POST", "/v1/appliances/vm1/check?background=true" + order);
    work = "/v1/work/" + std::to_string(number_member(begun, "work").value());
  }
  ~CheckFixture() {
    TaskGroup tasks;
    tasks.start(api.close());
    test::settle(loop, disk);
  }
};

TEST_CASE("a check in the background tells how far it is, and then what was found") {
  CheckFixture f("");
  Json answer = f.json("GET", f.work);
  CHECK(answer["done"] == false);
  CHECK(answer["name"] == "vm1");
  CHECK(answer["unit"] == "pages");
  f.host.findings = {"object 7: its data is damaged"};
  f.gate.set();
  test::settle(f.loop, f.disk);
  answer = f.json("GET", f.work);
  CHECK(answer["done"] == true);
  CHECK(answer["ok"] == false);
  CHECK(answer["findings"].size() == 1);
  f.json("DELETE", f.work);
  CHECK(f.ask("GET", f.work).status == 404);
}

TEST_CASE("how far a check is, is told in bytes once it reads data") {
  CheckFixture f("");
  f.gate.set();
  test::settle(f.loop, f.disk);
  Signal second(f.loop);
  f.host.walk_waits = &second;
  f.host.walk_progress = {10, 40, true};
  const Json begun = f.json("POST", "/v1/appliances/vm1/check?background=true&repair=true");
  const std::string work = "/v1/work/" + std::to_string(number_member(begun, "work").value());
  const Json answer = f.json("GET", work);
  CHECK(answer["repair"] == true);
  CHECK(answer["unit"] == "bytes");
  CHECK(answer["looked_at"] == 10 * 4096);
  CHECK(answer["to_look_at"] == 40 * 4096);
  second.set();
  test::settle(f.loop, f.disk);
  CHECK(f.json("GET", work)["lost"].size() == 1);
}

TEST_CASE("a check that nobody wants any more is stopped") {
  CheckFixture f("");
  f.json("DELETE", f.work);
  bool stopped = false;
  f.host.walk_stopped = &stopped;
  f.gate.set();
  test::settle(f.loop, f.disk);
  CHECK(stopped);
}

TEST_CASE("a check that fails says why, in the background too") {
  CheckFixture f("&offline=true");
  f.host.walk_error = "both superblocks are damaged";
  f.gate.set();
  test::settle(f.loop, f.disk);
  const HttpReply reply = f.ask("GET", f.work);
  CHECK(reply.status == 500);
  CHECK(message(reply) == "both superblocks are damaged");
  // Others have their turn again.
  CHECK(f.json("GET", "/v1/appliances")["appliances"].size() == 1);
}

TEST_CASE("requests that make no sense get a reason") {
  Fixture f;
  f.add_debian();
  auto [method, target, body, status] =
      GENERATE(table<std::string, std::string, std::string, unsigned>({
          {"GET", "/", "", 404},
          {"GET", "*", "", 404},
          {"GET", "/v1", "", 404},
          {"GET", "/v2/status", "", 404},
          {"GET", "/v1/status/x", "", 404},
          {"GET", "/v1/nothing", "", 404},
          {"GET", "/v1/images/", "", 404},
          {"GET", "/v1/images/fedora", "", 404},
          {"GET", "/v1/images/debian/x", "", 404},
          {"GET", "/v1/appliances/a/b/c", "", 404},
          {"GET", "/v1/appliances/%2e%2e", "", 404},
          {"DELETE", "/v1/appliances/..", "", 404},
          {"DELETE", "/v1/images/..", "", 404},
          {"PUT", "/v1/images", "", 405},
          {"DELETE", "/v1/status", "", 405},
          {"DELETE", "/v1/appliances", "", 405},
          {"DELETE", "/v1/appliances/a?force=maybe", "", 400},
          {"POST", "/v1/images", "", 400},
          {"POST", "/v1/images", "not json", 400},
          {"POST", "/v1/images", "[1]", 400},
          {"POST", "/v1/images", R"({"name":"x"})", 400},
          {"POST", "/v1/images", R"({"name":"x","source":"relative"})", 400},
          {"POST", "/v1/images", R"({"name":"x","source":"http://h/"})", 400},
          {"POST", "/v1/images", R"({"name":"x","source":"/s","sauce":1})", 400},
          {"POST", "/v1/images", R"({"name":"../x","source":"/s"})", 400},
          {"POST", "/v1/images", R"({"name":"debian","version":"1","source":"/s"})", 409},
          {"POST", "/v1/appliances", R"({"name":"vm"})", 400},
          {"POST", "/v1/appliances", R"({"name":"vm","image":"debian","source":"/s"})", 400},
          {"POST", "/v1/appliances", R"({"name":"vm","image":"fedora"})", 404},
          {"POST", "/v1/appliances", R"({"name":"vm","image":"debian@9"})", 404},
          {"POST", "/v1/appliances", R"({"name":"vm","image":"debian","quota":"huge"})", 400},
          {"POST", "/v1/appliances", R"({"name":"vm","image":"debian","quota":-1})", 400},
          {"POST", "/v1/appliances", R"({"name":"vm","image":"debian","durability":"maybe"})", 400},
          {"POST", "/v1/appliances", R"({"name":"vm","image":"debian","allow":"all"})", 400},
          {"POST", "/v1/appliances", R"({"name":"vm","image":"debian","allow":["all"]})", 400},
          {"POST", "/v1/appliances", R"({"name":"vm","image":"debian","root_squash":"no"})", 400},
      }));
  HttpReply reply = f.ask(method, target, body);
  INFO(method + " " + target + " " + body + ": " + reply.body);
  CHECK(reply.status == status);
  CHECK(!message(reply).empty());
  CHECK(f.registry->appliances().empty());
}

}  // namespace
}  // namespace rowan::proxy
