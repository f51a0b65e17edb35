#include "proxy/mount_table.h"

#include "tests/support/catch.h"

namespace rowan::proxy {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

Entries all(const MountTable& table) {
  Entries entries;
  for (const mount3::MountEntry& entry : table.entries())
    entries.emplace_back(entry.hostname, entry.directory);
  return entries;
}

TEST_CASE("a list of mounts keeps every path through its text") {
  MountTable table;
  int changes = 0;
  table.on_change([&] { ++changes; });
  std::string every;
  for (int byte = 1; byte < 256; ++byte) every += static_cast<char>(byte);
  table.add({"10.0.0.1", "/vm1"});
  table.add({"::1", "/vm1/a b%41\n"});
  table.add({"10.0.0.2", "/" + every});
  table.add({"10.0.0.1", "/vm1"});  // once more: the newest now, and nothing new
  CHECK(changes == 3);
  Entries expected{{"::1", "/vm1/a b%41\n"}, {"10.0.0.2", "/" + every}, {"10.0.0.1", "/vm1"}};
  CHECK(all(table) == expected);
  MountTable again;
  again.read(table.text());
  CHECK(all(again) == expected);
  again.remove_if([](const mount3::MountEntry& entry) { return entry.hostname == "::1"; });
  CHECK(again.entries().size() == 2);
}

TEST_CASE("a list of mounts is bounded in entries and bytes, the oldest go") {
  MountTable table;
  for (std::size_t i = 0; i < max_mount_entries + 10; ++i)
    table.add({"host", "/vm" + std::to_string(i)});
  CHECK(table.entries().size() == max_mount_entries);
  CHECK(table.entries().front().directory == "/vm10");
  for (std::size_t i = 0; i < 2 * max_mount_bytes / 1000; ++i)
    table.add({"host", "/" + std::string(1000, 'x') + std::to_string(i)});
  CHECK(table.text().size() <= max_mount_bytes + 16 + 2 * table.entries().size());
}

TEST_CASE("damage to a kept list of mounts costs the damaged lines") {
  MountTable table;
  table.read("rowan mounts 1\n10.0.0.1 /vm1\nnonsense\n10.0.0.1 /%zz\n10.0.0.1 /%4\n"
             "10.0.0.1 \n /vm2\n10.0.0.2 /vm2\n10.0.0.3 /cut");
  CHECK(all(table) == Entries{{"10.0.0.1", "/vm1"}, {"10.0.0.2", "/vm2"}});
  table.read("something else\n10.0.0.1 /vm1\n");
  CHECK(table.entries().empty());
}

}  // namespace
}  // namespace rowan::proxy
