// MOUNT and the port mapper, both directions. The first byte chooses the structure.
// sources: rpc/mount3_codec.cc rpc/portmap.cc rpc/nfs3.cc rpc/nfs3_status.cc rpc/xdr_cursor.cc
#include "rpc/mount3_codec.h"
#include "rpc/portmap.h"
#include "tests/fuzz/stable.h"

namespace {

using namespace rowan;

constexpr auto decode_any = [](xdr::Reader& in, auto& value) { return decode(in, value); };
constexpr auto encode_any = [](xdr::Writer& out, const auto& value) { encode(out, value); };

template <class T>
void check(ByteView input) {
  fuzz::check_stable<T>(input, decode_any, encode_any);
}

void check_address(ByteView input) {
  auto parsed = portmap::parse_universal_address(as_text(input));
  if (!parsed) return;
  std::string text = portmap::universal_address(parsed->host, parsed->port);
  auto again = portmap::parse_universal_address(text);
  FUZZ_CHECK(again && again->host == parsed->host && again->port == parsed->port);
}

template <class T>
std::string seed(char kind, const T& value) {
  xdr::Writer out;
  encode(out, value);
  return kind + std::string(as_text(out.view()));
}

}  // namespace

std::vector<std::string> rowan::fuzz::seeds() {
  mount3::MntRes mnt;
  mnt.root.size = 36;
  mnt.flavors = {1};
  portmap::Binding binding{100003, 3, "tcp", "10.0.0.1.8.1", "superuser"};
  return {
      seed('\0', mnt),
      seed('\1', std::vector<mount3::MountEntry>{{"node1", "/vm1"}, {"node2", "/vm2"}}),
      seed('\2', std::vector<mount3::ExportEntry>{{"/vm1", {"a", "b"}}, {"/vm2", {}}}),
      seed('\3', portmap::Mapping{100003, 3, 6, 2049}),
      seed('\4', std::vector<portmap::Mapping>{{1, 2, 3, 4}}),
      seed('\5', binding),
      seed('\6', std::vector<portmap::Binding>{binding, binding}),
      std::string("\7fe80::1.8.1"),
  };
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ByteView input = fuzz::view(data + 1, size - 1);
  switch (data[0] & 7) {
    case 0: check<mount3::MntRes>(input); break;
    case 1: check<std::vector<mount3::MountEntry>>(input); break;
    case 2: check<std::vector<mount3::ExportEntry>>(input); break;
    case 3: check<portmap::Mapping>(input); break;
    case 4: check<std::vector<portmap::Mapping>>(input); break;
    case 5: check<portmap::Binding>(input); break;
    case 6: check<std::vector<portmap::Binding>>(input); break;
    default: check_address(input); break;
  }
  return 0;
}
