#include "tools/output.h"

#include "tests/support/catch.h"

namespace rowan::tools {
namespace {

using proxy::Json;
using proxy::parse_json;

TEST_CASE("columns are as wide as their cells, numbers to the right") {
  Table table({"NAME", "CALLS"});
  table.add({"vm1", "1,234"});
  table.add({"a-long-name", "7"});
  table.add({"x", "-"});
  CHECK(table.text() ==
        "NAME         CALLS\nvm1          1,234\na-long-name      7\nx                -\n");
}

TEST_CASE("control characters cannot reach the terminal, and UTF-8 keeps its width") {
  Table table({"NAME", "X"});
  table.add({"\x1b[2J", "1"});
  table.add({"\xc3\xa4\xc3\xb6", "2"});
  CHECK(table.text() == "NAME  X\n?[2J  1\n\xc3\xa4\xc3\xb6    2\n");
}

TEST_CASE("what is half received is listed with the remedy") {
  const std::string text = appliance_list_text(
      parse_json(R"({"appliances":[],"receives":[
        {"name":"vm2","image":"debian@1","received_bytes":3145728,"touched":"T","trouble":""},
        {"name":"vm3","image":"debian@1","received_bytes":null,"touched":"T","trouble":"bad"}]})")
          .value());
  CHECK(text.find("HALF RECEIVED  IMAGE      SO FAR  LAST\n"
                  "vm2            debian@1  3.0 MiB  T\n"
                  "vm3            debian@1        -  T\n") != std::string::npos);
  CHECK(text.find("rowan receive NAME --abort") != std::string::npos);
  CHECK(text.find("! receive of vm3: bad\n") != std::string::npos);
}

TEST_CASE("empty lists say what to do") {
  CHECK(image_list_text(parse_json(R"({"images":[]})").value()).find("rowan image add") !=
        std::string::npos);
  CHECK(appliance_list_text(parse_json(R"({"appliances":[]})").value()).find("rowan create") !=
        std::string::npos);
}

TEST_CASE("a status of another version, or with anything missing, still prints") {
  for (const char* text :
       {"{}", "[]", R"({"daemon":{},"images":[{}],"appliances":[{}],"cache":{}})",
        R"({"daemon":7,"images":{},"appliances":[1,null],"cache":"x"})",
        R"({"images":[{"versions":[{}]}],"appliances":[{"procedures":{"READ":{}}}]})"}) {
    INFO(text);
    CHECK(!status_text(parse_json(text).value()).empty());
  }
}

TEST_CASE("a status shows appliances, procedures and trouble") {
  std::string text = status_text(parse_json(R"({
    "daemon": {"pid": 7, "uptime_seconds": 7300, "listen": ["127.0.0.1:2049"],
               "connections": 2, "calls": 1000},
    "cache": {"bytes": 1048576, "limit_bytes": 10737418240, "hit_ratio": 0.5},
    "images": [{"name": "debian", "versions": [{"version": "1", "fetched_share": 0.25,
                "trouble": "away",
                "drifted": ["/etc/passwd"]}]}],
    "appliances": [{"name": "vm1", "state": "serving", "image": "debian",
                    "version": "1", "trouble": "",
                    "procedures": {"GETATTR": {"calls": 5, "errors": 0, "p50_ns": 1500,
                                               "p99_ns": 3000, "max_ns": 4000}}}]
  })")
                                     .value());
  INFO(text);
  for (const char* part :
       {"process 7, up 2 h", "127.0.0.1:2049", "1.0 MiB of 10.0 GiB, hits 50.0 %", "25.0 %",
        "debian@1", "GETATTR", "1.5 us", "! image debian@1: away",
        "! image debian@1: changed at the source: /etc/passwd"}) {
    CHECK(text.find(part) != std::string::npos);
  }
}

}  // namespace
}  // namespace rowan::tools
