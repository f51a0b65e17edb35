#include "rpc/portmap.h"

#include <charconv>

#include "rpc/xdr_fields.h"

namespace rowan::portmap {

using xdr::Ref;

namespace {

template <class Io>
void fields(Io& io, Ref<Io, Mapping> mapping) {
  io.number(mapping.program);
  io.number(mapping.version);
  io.number(mapping.protocol);
  io.number(mapping.port);
}

template <class Io>
void fields(Io& io, Ref<Io, Binding> binding) {
  io.number(binding.program);
  io.number(binding.version);
  io.text(binding.netid, text_limit);
  io.text(binding.address, text_limit);
  io.text(binding.owner, text_limit);
}

template <class Io>
void fields(Io& io, Ref<Io, std::vector<Mapping>> mappings) {
  io.list(mappings, [&io](auto& mapping) { fields(io, mapping); });
}

template <class Io>
void fields(Io& io, Ref<Io, std::vector<Binding>> bindings) {
  io.list(bindings, [&io](auto& binding) { fields(io, binding); });
}

template <class T>
bool decode_all(xdr::Reader& in, T& value) {
  xdr::Decoder io(in);
  fields(io, value);
  return in.finish();
}

template <class T>
void encode_all(xdr::Writer& out, const T& value) {
  xdr::Encoder io(out);
  fields(io, value);
}

// One number of a universal address: 0 to 255, digits only.
std::optional<unsigned> parse_octet(std::string_view text) {
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > 255) return std::nullopt;
  return value;
}

}  // namespace

bool decode(xdr::Reader& in, Mapping& mapping) { return decode_all(in, mapping); }
void encode(xdr::Writer& out, const Mapping& mapping) { encode_all(out, mapping); }
bool decode(xdr::Reader& in, std::vector<Mapping>& mappings) { return decode_all(in, mappings); }
void encode(xdr::Writer& out, const std::vector<Mapping>& mappings) { encode_all(out, mappings); }
bool decode(xdr::Reader& in, Binding& binding) { return decode_all(in, binding); }
void encode(xdr::Writer& out, const Binding& binding) { encode_all(out, binding); }
bool decode(xdr::Reader& in, std::vector<Binding>& bindings) { return decode_all(in, bindings); }
void encode(xdr::Writer& out, const std::vector<Binding>& bindings) { encode_all(out, bindings); }

bool decode_port(xdr::Reader& in, std::uint32_t& port) {
  port = in.u32();
  return in.finish();
}
void encode_port(xdr::Writer& out, std::uint32_t port) { out.u32(port); }

bool decode_address(xdr::Reader& in, std::string& address) {
  address = in.text(text_limit);
  return in.finish();
}
void encode_address(xdr::Writer& out, std::string_view address) { out.text(address); }

std::string universal_address(std::string_view host, std::uint16_t port) {
  return std::string(host) + "." + std::to_string(port >> 8) + "." + std::to_string(port & 255);
}

std::optional<UniversalAddress> parse_universal_address(std::string_view text) {
  std::size_t low_dot = text.rfind('.');
  if (low_dot == std::string_view::npos || low_dot == 0) return std::nullopt;
  std::size_t high_dot = text.rfind('.', low_dot - 1);
  if (high_dot == std::string_view::npos || high_dot == 0) return std::nullopt;
  auto high = parse_octet(text.substr(high_dot + 1, low_dot - high_dot - 1));
  auto low = parse_octet(text.substr(low_dot + 1));
  if (!high || !low) return std::nullopt;
  return UniversalAddress{text.substr(0, high_dot), static_cast<std::uint16_t>(*high << 8 | *low)};
}

}  // namespace rowan::portmap
