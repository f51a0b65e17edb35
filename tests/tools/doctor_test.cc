#include "tools/doctor.h"

#include <unistd.h>

#include <csignal>

#include "tests/support/catch.h"
#include "tools/doctor_text.h"

namespace rowan::tools {
namespace {

TEST_CASE("what doctor looks at may be written in several ways") {
  DoctorTarget here = parse_doctor_target("").value();
  CHECK(here.host == "127.0.0.1");
  CHECK(here.nfs_port == 2049);
  CHECK(here.path.empty());
  DoctorTarget appliance = parse_doctor_target("10.0.0.5:/vm1").value();
  CHECK(appliance.host == "10.0.0.5");
  CHECK(appliance.path == "/vm1");
  CHECK(appliance.nfs_port == 0);
  DoctorTarget with_port = parse_doctor_target("host:1234:/vm1/usr").value();
  CHECK(with_port.nfs_port == 1234);
  CHECK(with_port.mount_port == 1234);
  CHECK(with_port.path == "/vm1/usr");
  CHECK(parse_doctor_target("host:1234").value().path.empty());
  CHECK(parse_doctor_target("[fe80::1]:99:/x").value().host == "fe80::1");
  DoctorTarget url =
      parse_doctor_target("nfs://h/export/sub?nfsport=5&mountport=6&uid=7&gid=8").value();
  CHECK(url.host == "h");
  CHECK(url.path == "/export/sub");
  CHECK(url.nfs_port == 5);
  CHECK(url.mount_port == 6);
  CHECK(url.uid == 7);
  CHECK(url.gid == 8);
  CHECK(parse_doctor_target("nfs://h/nfsport=/x").value().nfs_port == 0);
  CHECK(parse_doctor_target("nfs://h/x").value().uid == ::geteuid());
}

TEST_CASE("what doctor cannot look at is refused") {
  for (const char* text : {"nfs://", "nfs://h", "nfs://h/x?port=1", ":2049", "h:port", "h:0",
                           "h:65536", "h:1:2", "a/b", "[::1", "[::1]x"}) {
    INFO(text);
    CHECK(parse_doctor_target(text).failed_with(Errc::usage));
  }
}

std::vector<Finding> watch(const std::function<void(Notebook&)>& body,
                           std::uint32_t patience = 60) {
  std::vector<Finding> findings;
  run_watched(body, patience, [&findings](const Finding& finding) { findings.push_back(finding); });
  return findings;
}

TEST_CASE("findings of the child arrive as they were written") {
  auto findings = watch([](Notebook& notebook) {
    notebook.step("one");
    notebook.write({Finding::Level::ok, "NFS", "fine \"\n\xff", ""});
    notebook.write({Finding::Level::warn, "space", "little", "give more"});
  });
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].topic == "NFS");
  CHECK(findings[0].text.starts_with("fine \"\n"));
  CHECK(findings[1].level == Finding::Level::warn);
  CHECK(findings[1].remedy == "give more");
}

TEST_CASE("a crash is a finding that names the step") {
  auto findings = watch([](Notebook& notebook) {
    notebook.write({Finding::Level::ok, "NFS", "fine", ""});
    notebook.step("reading nonsense");
    std::signal(SIGABRT, SIG_DFL);
    std::raise(SIGABRT);
  });
  REQUIRE(findings.size() == 2);
  CHECK(findings[1].level == Finding::Level::fail);
  CHECK(findings[1].text.find("reading nonsense") != std::string::npos);
}

TEST_CASE("a child that does not come to an end is ended") {
  auto findings = watch(
      [](Notebook& notebook) {
        notebook.step("spinning");
        while (true) ::pause();
      },
      1);
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].text.find("not done after 1 s; it was spinning") != std::string::npos);
}

TEST_CASE("a child that writes nonsense or without end is ended") {
  auto endless = watch([](Notebook& notebook) {
    while (true) notebook.write({Finding::Level::ok, "x", std::string(10000, 'x'), ""});
  });
  CHECK(endless.back().level == Finding::Level::fail);
  CHECK(endless.size() < 2000);
}

TEST_CASE("a finding survives JSON, and other JSON is no finding") {
  Finding finding{Finding::Level::fail, "read", "no", "do"};
  Finding back = read_finding(finding_json(finding)).value();
  CHECK(back.level == Finding::Level::fail);
  CHECK(back.remedy == "do");
  for (const char* text :
       {"{}", "[]", "1", R"({"level":"great","topic":"a","text":"b","remedy":""})"}) {
    CHECK(!read_finding(proxy::parse_json(text).value()));
  }
}

TEST_CASE("a finding prints on one line, its remedy on the next, without control characters") {
  std::string text = finding_text({Finding::Level::warn, "MOUNT", "odd\x1b[2Jname", "look"});
  CHECK(text == "warn  MOUNT        odd?[2Jname\n                   -> look\n");
}

}  // namespace
}  // namespace rowan::tools
