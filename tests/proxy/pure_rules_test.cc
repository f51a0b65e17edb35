// The pure parts: handles, permission, merging, cookies and pages, address lists, counters.
#include "proxy/access_list.h"
#include "proxy/appliance.h"
#include "proxy/dir_pages.h"
#include "proxy/handle.h"
#include "proxy/merge.h"
#include "proxy/permission.h"
#include "proxy/recent_map.h"
#include "tests/support/appliance_fixture.h"
#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::proxy;
using nfs3::FileType;
using nfs3::Status;

namespace {

ApplianceKey key_of(std::uint8_t first) {
  ApplianceKey key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(first + i);
  return key;
}

std::string hex(ByteView bytes) {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (std::byte byte : bytes) {
    text += digits[static_cast<unsigned>(byte) >> 4];
    text += digits[static_cast<unsigned>(byte) & 15];
  }
  return text;
}

nfs3::Attributes object(FileType type, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid) {
  nfs3::Attributes attributes;
  attributes.type = type;
  attributes.mode = mode;
  attributes.uid = uid;
  attributes.gid = gid;
  return attributes;
}

Caller user(std::uint32_t uid, std::uint32_t gid, GroupList groups = {}) {
  return {uid, gid, groups};
}

}  // namespace

TEST_CASE("a handle has its golden bytes") {
  // Changing these makes every handle of every client stale.
  HandleSealer sealer(cache::ApplianceId{0x1122334455667788}, key_of(0));
  nfs3::Handle handle = sealer.seal(cache::ObjectId{0x8000000000000001});
  REQUIRE(handle.size == 36);
  REQUIRE(hex(handle.view()).substr(0, 40) == "5277010011223344556677888000000000000001");
  // HMAC-SHA-256 of those 20 bytes under 000102...1f, by python3's hmac module.
  REQUIRE(hex(handle.view()).substr(40) == "cfc1c3ffd3384b6782c5d7da290b7ffb");
}

TEST_CASE("any flipped bit of a handle is noticed") {
  HandleSealer sealer(cache::ApplianceId{7}, key_of(3));
  nfs3::Handle good = sealer.seal(cache::ObjectId{42});
  for (int bit = 0; bit < handle_size * 8; ++bit) {
    nfs3::Handle bad = good;
    bad.bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    std::optional<HandleClaim> claim = parse_handle(bad);
    bool accepted = claim && claim->appliance == cache::ApplianceId{7} &&
                    same_mac(sealer.mac(claim->object), claim->mac);
    INFO("bit " << bit);
    REQUIRE_FALSE(accepted);
  }
}

TEST_CASE("a handle of another size or format is not parsed") {
  HandleSealer sealer(cache::ApplianceId{7}, key_of(3));
  nfs3::Handle handle = sealer.seal(cache::ObjectId{42});
  for (std::uint8_t size : {0, 8, 35, 37, 64}) {
    handle.size = size;
    REQUIRE_FALSE(parse_handle(handle).has_value());
  }
}

TEST_CASE("two appliances' keys give different handles for one object") {
  HandleSealer a(cache::ApplianceId{7}, key_of(3)), b(cache::ApplianceId{7}, key_of(4));
  REQUIRE_FALSE(same_mac(a.mac(cache::ObjectId{1}), b.mac(cache::ObjectId{1})));
  REQUIRE(same_mac(a.mac(cache::ObjectId{1}), a.mac(cache::ObjectId{1})));
}

TEST_CASE("mode bits decide by owner, then group, then others") {
  struct Case {
    std::uint32_t mode, uid, gid, wanted;
    bool expected;
  };
  // The file belongs to 10:20.
  const Case cases[] = {
      {0400, 10, 99, may_read, true},
      {0077, 10, 20, may_read, false},
      {0040, 11, 20, may_read, true},
      {0707, 11, 20, may_read, false},
      {0004, 11, 99, may_read, true},
      {0700, 11, 99, may_read, false},
      {0200, 10, 99, may_write, true},
      {0600, 10, 99, may_execute, false},
      {0000, 0, 0, may_write, true},
      {0000, 0, 0, may_execute, false},
      {0001, 0, 0, may_execute, true},
      {0006, 11, 99, may_read | may_write, true},
      {0004, 11, 99, may_read | may_write, false},
  };
  for (const Case& one : cases) {
    INFO("mode " << one.mode << " uid " << one.uid << " gid " << one.gid << " wants "
                 << one.wanted);
    nfs3::Attributes file = object(FileType::regular, one.mode, 10, 20);
    REQUIRE(permitted(user(one.uid, one.gid), file, one.wanted) == one.expected);
  }
  GroupList groups{7, 20};
  REQUIRE(permitted(user(11, 5, groups), object(FileType::regular, 0040, 10, 20), may_read));
  REQUIRE(permitted(user(0, 0), object(FileType::directory, 0, 10, 20), may_execute));
}

TEST_CASE("a squashed root is nobody, in all its groups") {
  Credentials root{0, 0, {0, 5}, true};
  Caller squashed = make_caller(root, true);
  REQUIRE(squashed.uid == nobody_id);
  REQUIRE(squashed.gid == nobody_id);
  REQUIRE(squashed.groups == GroupList{nobody_id, 5});
  REQUIRE(make_caller(root, false).is_root());
}

TEST_CASE("ACCESS grants what the operations allow") {
  nfs3::Attributes directory = object(FileType::directory, 0750, 10, 20);
  constexpr std::uint32_t all = 0x3f;
  REQUIRE(granted_access(user(10, 1), directory, all) ==
          (nfs3::access_read | nfs3::access_lookup | nfs3::access_modify | nfs3::access_extend |
           nfs3::access_delete));
  REQUIRE(granted_access(user(11, 20), directory, all) ==
          (nfs3::access_read | nfs3::access_lookup));
  REQUIRE(granted_access(user(11, 21), directory, all) == 0);
  nfs3::Attributes file = object(FileType::regular, 0755, 10, 20);
  REQUIRE(granted_access(user(0, 0), file, all) ==
          (nfs3::access_read | nfs3::access_modify | nfs3::access_extend | nfs3::access_execute));
  REQUIRE(granted_access(user(0, 0), file, nfs3::access_read) == nfs3::access_read);
}

TEST_CASE("an owner may always read and write, an executor may read") {
  nfs3::Attributes file = object(FileType::regular, 0, 10, 20);
  REQUIRE(may_read_data(user(10, 1), file));
  REQUIRE(may_write_data(user(10, 1), file));
  REQUIRE_FALSE(may_read_data(user(11, 1), file));
  file.mode = 0711;
  REQUIRE(may_read_data(user(11, 1), file));
  REQUIRE_FALSE(may_write_data(user(11, 1), file));
}

TEST_CASE("the sticky bit leaves names to owners") {
  nfs3::Attributes directory = object(FileType::directory, 01777, 10, 20);
  nfs3::Attributes file = object(FileType::regular, 0666, 11, 20);
  REQUIRE(check_delete(user(12, 1), directory, file) == Status::perm);
  REQUIRE(check_delete(user(11, 1), directory, file) == Status::ok);
  REQUIRE(check_delete(user(10, 1), directory, file) == Status::ok);
  REQUIRE(check_delete(user(0, 0), directory, file) == Status::ok);
  directory.mode = 01755;
  REQUIRE(check_delete(user(11, 1), directory, file) == Status::acces);
}

TEST_CASE("who may set which attribute") {
  nfs3::Attributes file = object(FileType::regular, 0644, 10, 20);
  nfs3::SetAttributes set;
  set.mode = 0600;
  REQUIRE(check_set_attributes(user(11, 20), file, set) == Status::perm);
  REQUIRE(check_set_attributes(user(10, 20), file, set) == Status::ok);
  set = {};
  set.uid = 11;
  REQUIRE(check_set_attributes(user(10, 20), file, set) == Status::perm);
  REQUIRE(check_set_attributes(user(0, 0), file, set) == Status::ok);
  set = {};
  set.gid = 30;
  REQUIRE(check_set_attributes(user(10, 20), file, set) == Status::perm);
  REQUIRE(check_set_attributes(user(10, 20, {30}), file, set) == Status::ok);
  set = {};
  set.size = 1;
  REQUIRE(check_set_attributes(user(11, 1), file, set) == Status::acces);
  REQUIRE(check_set_attributes(user(0, 0), object(FileType::directory, 0755, 0, 0), set) ==
          Status::isdir);
  REQUIRE(check_set_attributes(user(0, 0), object(FileType::fifo, 0755, 0, 0), set) ==
          Status::inval);
  set = {};
  set.mtime = {nfs3::TimeHow::client_time, {1, 2}};
  REQUIRE(check_set_attributes(user(11, 1), file, set) == Status::perm);
  set.mtime = {nfs3::TimeHow::server_time, {}};
  REQUIRE(check_set_attributes(user(11, 1), file, set) == Status::acces);
  file.mode = 0666;
  REQUIRE(check_set_attributes(user(11, 1), file, set) == Status::ok);
  set.mtime = {nfs3::TimeHow::client_time, {1, 1'000'000'000}};
  REQUIRE(check_set_attributes(user(0, 0), file, set) == Status::inval);
}

TEST_CASE("set-id bits fall with chown and with foreign writes") {
  REQUIRE(mode_after_write(user(10, 1), 06755) == 0755);
  REQUIRE(mode_after_write(user(10, 1), 06745) ==
          02745);  // without group execute it is a lock flag
  REQUIRE(mode_after_write(user(0, 0), 06755) == 06755);
  nfs3::SetAttributes chown;
  chown.gid = 30;
  nfs3::Attributes file = object(FileType::regular, 06755, 10, 20);
  REQUIRE(apply_ownership(user(0, 0), file, chown).mode == 0755);
  file.type = FileType::directory;
  REQUIRE(apply_ownership(user(0, 0), file, chown).mode == 06755);
  nfs3::SetAttributes chmod;
  chmod.mode = 02755;
  REQUIRE(apply_ownership(user(10, 1), object(FileType::regular, 0644, 10, 20), chmod).mode ==
          0755);
  REQUIRE(apply_ownership(user(10, 20), object(FileType::regular, 0644, 10, 20), chmod).mode ==
          02755);
}

TEST_CASE("new objects take their owner from the caller and their group from a set-gid directory") {
  nfs3::SetAttributes set;
  set.mode = 0644;
  set.uid = 77;
  set.gid = 78;
  nfs3::Attributes plain = object(FileType::directory, 0777, 1, 2);
  Ownership made = new_ownership(user(10, 20), plain, set, FileType::regular, 0);
  REQUIRE((made.uid == 10 && made.gid == 20 && made.mode == 0644));
  made = new_ownership(user(0, 0), plain, set, FileType::regular, 0);
  REQUIRE((made.uid == 77 && made.gid == 78));
  nfs3::Attributes setgid = object(FileType::directory, 02777, 1, 2);
  made = new_ownership(user(10, 20), setgid, {}, FileType::directory, 0755);
  REQUIRE((made.gid == 2 && made.mode == 02755));
  set = {};
  set.mode = 02755;
  REQUIRE(new_ownership(user(10, 20), setgid, set, FileType::regular, 0).mode == 0755);
}

TEST_CASE("READ's length and eof on the boundary table") {
  struct Case {
    std::uint64_t offset;
    std::uint32_t count;
    std::uint64_t size;
    std::uint32_t length;
    bool eof;
  };
  constexpr std::uint64_t max = ~std::uint64_t{0};
  const Case cases[] = {
      {0, 0, 0, 0, true},
      {0, 1, 0, 0, true},
      {0, 0, 1, 0, false},
      {0, 1, 1, 1, true},
      {0, 1, 2, 1, false},
      {1, 1, 2, 1, true},
      {2, 1, 2, 0, true},
      {2, 0, 2, 0, true},
      {3, 9, 2, 0, true},
      {0, 4096, 4096, 4096, true},
      {0, 4096, 4097, 4096, false},
      {4096, 4096, 4097, 1, true},
      {max, 4096, 10, 0, true},
      {max - 1, 4096, max, 1, true},
      {5ull << 30, 10, (5ull << 30) + 10, 10, true},
      {5ull << 30, 9, (5ull << 30) + 10, 9, false},
  };
  for (const Case& one : cases) {
    INFO(one.offset << " " << one.count << " " << one.size);
    ReadRange range = read_range(one.offset, one.count, one.size);
    REQUIRE(range.length == one.length);
    REQUIRE(range.eof == one.eof);
  }
}

TEST_CASE("writes and sizes stay below 2^63") {
  REQUIRE(check_file_range(max_file_size, 0) == Status::ok);
  REQUIRE(check_file_range(max_file_size - 1, 1) == Status::ok);
  REQUIRE(check_file_range(max_file_size, 1) == Status::fbig);
  REQUIRE(check_file_range(~std::uint64_t{0}, 4096) == Status::fbig);
}

TEST_CASE("a change moves ctime forward although the clock was set back") {
  REQUIRE(change_time({100, 0}, {50, 7}) == WallTime{100, 0});
  REQUIRE(change_time({100, 0}, {100, 0}) == WallTime{100, 1});
  REQUIRE(change_time({100, 0}, {200, 999'999'999}) == WallTime{201, 0});
}

TEST_CASE("times outside of nfstime3 are shown as the nearest") {
  REQUIRE(shown_time({-5, 3}) == nfs3::Time{0, 0});
  REQUIRE(shown_time({5, 3}) == nfs3::Time{5, 3});
  REQUIRE(shown_time({std::int64_t{1} << 32, 0}).seconds == ~std::uint32_t{0});
}

TEST_CASE("a cut image file does not grow its content back") {
  cache::ObjectRecord record;
  record.size = record.base_size = 100;
  set_size(record, 40);
  set_size(record, 80);
  REQUIRE(record.size == 80);
  REQUIRE(record.base_size == 40);
}

TEST_CASE("cookies tell their place and nothing else is one") {
  using Phase = DirPosition::Phase;
  REQUIRE(position_of(0) == DirPosition{Phase::dot, 0});
  REQUIRE(position_of(1) == DirPosition{Phase::dot_dot, 0});
  REQUIRE(position_of(2) == DirPosition{Phase::image, 0});
  REQUIRE(position_of(image_cookie(7)) == DirPosition{Phase::image, 7});
  REQUIRE(position_of(local_cookie(9)) == DirPosition{Phase::local, 9});
  REQUIRE_FALSE(position_of(nfs3::Cookie{1} << 62).has_value());
  REQUIRE_FALSE(position_of(nfs3::Cookie{1} << 63).has_value());
  REQUIRE_FALSE(position_of(~nfs3::Cookie{0}).has_value());
  REQUIRE(local_cookie(1) < nfs3::Cookie{1} << 63);  // a signed file position
}

TEST_CASE("a page takes entries to the last byte that the client allows") {
  nfs3::DirEntry entry;
  entry.name = "name";
  std::uint32_t size = nfs3::encoded_size(entry, false);
  std::uint32_t overhead = nfs3::encoded_overhead(true);
  DirPage exact = DirPage::readdir(overhead + 2 * size);
  REQUIRE(exact.add(entry));
  REQUIRE(exact.add(entry));
  REQUIRE_FALSE(exact.add(entry));
  REQUIRE_FALSE(exact.too_small());
  DirPage one_less = DirPage::readdir(overhead + size - 1);
  REQUIRE_FALSE(one_less.add(entry));
  REQUIRE(one_less.too_small());
  DirPage nothing = DirPage::readdir(0);
  REQUIRE_FALSE(nothing.add(entry));
  REQUIRE(nothing.too_small());
}

TEST_CASE("dircount bounds the names of a page but never stops a listing") {
  nfs3::DirEntry entry;
  entry.name = "name";
  entry.attributes.emplace();
  std::uint32_t names = nfs3::encoded_size(entry, false);
  DirPage page = DirPage::readdirplus(2 * names, 1 << 20);
  REQUIRE(page.add(entry));
  REQUIRE(page.add(entry));
  REQUIRE_FALSE(page.add(entry));
  DirPage tiny = DirPage::readdirplus(1, 1 << 20);
  REQUIRE(tiny.add(entry));
  REQUIRE_FALSE(tiny.add(entry));
  REQUIRE_FALSE(tiny.too_small());
}

TEST_CASE("address lists know networks of both families") {
  auto list = AccessList::parse({"10.0.0.0/8", "192.168.1.7", "2001:db8::/33"});
  REQUIRE(list.has_value());
  REQUIRE(list->allows(test::peer_of(10, 200, 3, 4)));
  REQUIRE_FALSE(list->allows(test::peer_of(11, 0, 0, 1)));
  REQUIRE(list->allows(test::peer_of(192, 168, 1, 7)));
  REQUIRE_FALSE(list->allows(test::peer_of(192, 168, 1, 8)));
  PeerAddress six;
  six.ip[0] = std::byte{0x20};
  six.ip[1] = std::byte{0x01};
  six.ip[2] = std::byte{0x0d};
  six.ip[3] = std::byte{0xb8};
  REQUIRE(list->allows(six));
  six.ip[4] = std::byte{0x80};
  REQUIRE_FALSE(list->allows(six));
  REQUIRE(list->to_strings() ==
          std::vector<std::string>{"10.0.0.0/8", "192.168.1.7", "2001:db8::/33"});
  REQUIRE(AccessList::loopback().allows(test::peer_of(127, 9, 9, 9)));
  REQUIRE_FALSE(AccessList::loopback().allows(test::peer_of(10, 0, 0, 1)));
  REQUIRE_FALSE(AccessList().allows(test::loopback_peer()));
  REQUIRE(AccessList::parse({"0.0.0.0/0"})->allows(test::peer_of(8, 8, 8, 8)));
}

TEST_CASE("texts that are no network are refused by name") {
  for (const char* text :
       {"", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "host", "::/129", "1.2.3"}) {
    auto network = parse_network(text);
    INFO(text);
    REQUIRE(network.failed_with(Errc::usage));
    REQUIRE(network.error().detail.find("'" + std::string(text) + "'") != std::string::npos);
  }
  REQUIRE(AccessList::parse(std::vector<std::string>(max_networks + 1, "::1"))
              .failed_with(Errc::usage));
}

TEST_CASE("counters bound their percentiles from above") {
  rpc::ProcedureStats counters;
  REQUIRE(counters.latency.percentile(50) == Duration::zero());
  for (int i = 0; i < 99; ++i) counters.served(nfs3::Status::ok, std::chrono::microseconds(3));
  counters.served(nfs3::Status::jukebox, std::chrono::milliseconds(50));
  REQUIRE(counters.latency.count() == 100);
  REQUIRE(counters.errors == 1);
  REQUIRE(counters.retries == 1);
  REQUIRE(counters.latency.percentile(50) == Duration(4096));
  REQUIRE(counters.latency.percentile(100) == std::chrono::milliseconds(50));
  counters.latency.add(std::chrono::hours(100));  // beyond the last bucket
  REQUIRE(counters.latency.longest() == std::chrono::hours(100));
  REQUIRE(counters.latency.percentile(100) == std::chrono::hours(100));
}

TEST_CASE("a map of recent keys stays within its limit and keeps what is used") {
  RecentMap<int, int> map(100);
  for (int i = 0; i < 10'000; ++i) {
    map.put(i, i);
    REQUIRE(map.size() <= 100);
    REQUIRE(map.find(0) != nullptr);  // used all the time
  }
  REQUIRE(*map.find(9'999) == 9'999);
  REQUIRE(map.find(5'000) == nullptr);
  map.erase(0);
  REQUIRE(map.find(0) == nullptr);
}
