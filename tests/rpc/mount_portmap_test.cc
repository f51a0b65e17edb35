#include <string>
#include <vector>

#include "rpc/mount3_codec.h"
#include "rpc/portmap.h"
#include "tests/support/catch.h"

namespace rowan {
namespace {

// Encodes, decodes, encodes again; refuses every cut and every surplus.
template <class T, class Encode, class Decode>
void check_round_trip(const T& value, std::size_t size, Encode encode, Decode decode) {
  xdr::Writer out;
  encode(out, value);
  CHECK(out.size() == size);
  T back{};
  xdr::Reader in(out.view());
  REQUIRE(decode(in, back));
  xdr::Writer again;
  encode(again, back);
  CHECK(as_text(again.view()) == as_text(out.view()));
  for (std::size_t cut = 0; cut < out.size(); ++cut) {
    T ignored{};
    std::string part(as_text(out.view()).substr(0, cut));
    xdr::Reader cut_in(as_bytes(part));
    REQUIRE_FALSE(decode(cut_in, ignored));
  }
  out.u32(0);
  xdr::Reader surplus(out.view());
  T ignored{};
  REQUIRE_FALSE(decode(surplus, ignored));
}

constexpr auto encode_any = [](xdr::Writer& out, const auto& value) { encode(out, value); };
constexpr auto decode_any = [](xdr::Reader& in, auto& value) { return decode(in, value); };

TEST_CASE("MNT's result survives the wire, with and without success") {
  mount3::MntRes res;
  res.root.size = 5;
  res.root.bytes[4] = std::byte{9};
  res.flavors = {1, 0};
  check_round_trip(res, 4 + 4 + 8 + 4 + 8, encode_any, decode_any);
  mount3::MntRes refused;
  refused.status = mount3::Status::acces;
  check_round_trip(refused, 4, encode_any, decode_any);
}

TEST_CASE("MNT's result with an unknown status or 33 flavors") {
  mount3::MntRes res;
  xdr::Writer unknown;
  unknown.u32(4711);
  xdr::Reader in(unknown.view());
  REQUIRE(mount3::decode(in, res));
  CHECK(res.status == mount3::Status::serverfault);

  mount3::MntRes many;
  many.flavors.assign(33, 1);
  xdr::Writer out;
  mount3::encode(out, many);
  xdr::Reader too_many(out.view());
  CHECK_FALSE(mount3::decode(too_many, res));
}

TEST_CASE("MNT's path decodes beyond what is allowed, so that it can be answered, and no further") {
  for (std::size_t size : {0u, 1024u, 1025u, 4096u, 4097u}) {
    std::string path(size, '/');
    xdr::Writer out;
    mount3::encode_path(out, path);
    xdr::Reader in(out.view());
    std::string_view back;
    CHECK(mount3::decode_path(in, back) == (size <= 4096));
    if (size <= 4096) CHECK(back == path);
  }
}

TEST_CASE("DUMP's and EXPORT's lists survive the wire") {
  check_round_trip(std::vector<mount3::MountEntry>{}, 4, encode_any, decode_any);
  std::vector<mount3::MountEntry> mounts = {{"node1", "/vm1"}, {"node22", "/"}};
  check_round_trip(mounts, (4 + 12 + 8) + (4 + 12 + 8) + 4, encode_any, decode_any);
  std::vector<mount3::ExportEntry> exports = {{"/vm1", {"10.0.0.0/8", "*"}}, {"/vm2", {}}};
  check_round_trip(exports, (4 + 8 + 4 + 16 + 4 + 8 + 4) + (4 + 8 + 4) + 4, encode_any, decode_any);
}

TEST_CASE("an EXPORT list without an end is refused at the end of its bytes") {
  xdr::Writer out;
  for (int i = 0; i < 100'000; ++i) {
    out.boolean(true);
    out.text("");
    out.boolean(false);
  }
  xdr::Reader in(out.view());
  std::vector<mount3::ExportEntry> exports;
  CHECK_FALSE(mount3::decode(in, exports));
}

TEST_CASE("portmap's structures survive the wire") {
  check_round_trip(portmap::Mapping{100003, 3, 6, 2049}, 16, encode_any, decode_any);
  std::vector<portmap::Mapping> mappings = {{1, 2, 3, 4}, {5, 6, 7, 8}};
  check_round_trip(mappings, 20 + 20 + 4, encode_any, decode_any);
  portmap::Binding binding{100003, 3, "tcp", "10.0.0.1.8.1", "superuser"};
  check_round_trip(binding, 8 + 8 + 16 + 16, encode_any, decode_any);
  check_round_trip(std::vector<portmap::Binding>{binding, binding}, 52 + 52 + 4, encode_any,
                   decode_any);
  check_round_trip(std::uint32_t{2049}, 4, portmap::encode_port, portmap::decode_port);
  check_round_trip(std::string("::.8.1"), 12, portmap::encode_address, portmap::decode_address);
}

TEST_CASE("universal addresses hold the port in two numbers after the host") {
  CHECK(portmap::universal_address("10.0.0.1", 2049) == "10.0.0.1.8.1");
  CHECK(portmap::universal_address("fe80::1", 65535) == "fe80::1.255.255");
  for (std::uint32_t port = 0; port <= 65535; port += 257) {
    auto narrow = static_cast<std::uint16_t>(port);
    std::string text = portmap::universal_address("::", narrow);
    auto parsed = portmap::parse_universal_address(text);
    REQUIRE(parsed);
    CHECK(parsed->port == port);
    CHECK(parsed->host == "::");
  }
}

TEST_CASE("what is no universal address is refused") {
  for (std::string_view text :
       {"", ".", "..", "8.1", ".8.1", "10.0.0.1.8.", "10.0.0.1..1", "h.256.1", "h.1.256", "h.-1.1",
        "h.+1.1", "h. 1.1", "h.1.1x", "h.0x1.1", "host"}) {
    CAPTURE(text);
    CHECK_FALSE(portmap::parse_universal_address(text));
  }
}

}  // namespace
}  // namespace rowan
