#include "rpc/mount3_codec.h"

#include "rpc/nfs3_fields.h"
#include "rpc/nfs3_status.h"

namespace rowan::mount3 {

using xdr::Ref;

namespace {

template <class Io>
void fields(Io& io, Ref<Io, MntRes> res) {
  if constexpr (Io::decoding) {
    std::uint32_t status = 0;
    io.number(status);
    res.status = static_cast<Status>(status);
    if (to_string(res.status).empty()) res.status = Status::serverfault;
  } else {
    io.number(static_cast<std::uint32_t>(res.status));
  }
  if (res.status != Status::ok) return;
  nfs3::fields(io, res.root);
  io.numbers(res.flavors, max_flavors);
}

template <class Io>
void fields(Io& io, Ref<Io, std::vector<MountEntry>> entries) {
  io.list(entries, [&io](auto& entry) {
    io.text(entry.hostname, max_name_length);
    io.text(entry.directory, path_decode_limit);
  });
}

template <class Io>
void fields(Io& io, Ref<Io, std::vector<ExportEntry>> entries) {
  io.list(entries, [&io](auto& entry) {
    io.text(entry.directory, path_decode_limit);
    io.list(entry.groups, [&io](auto& group) { io.text(group, max_name_length); });
  });
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

}  // namespace

bool decode_path(xdr::Reader& in, std::string_view& path) {
  path = in.text(path_decode_limit);
  return in.finish();
}
void encode_path(xdr::Writer& out, std::string_view path) { out.text(path); }

bool decode(xdr::Reader& in, MntRes& res) { return decode_all(in, res); }
void encode(xdr::Writer& out, const MntRes& res) { encode_all(out, res); }
bool decode(xdr::Reader& in, std::vector<MountEntry>& entries) { return decode_all(in, entries); }
void encode(xdr::Writer& out, const std::vector<MountEntry>& entries) { encode_all(out, entries); }
bool decode(xdr::Reader& in, std::vector<ExportEntry>& entries) { return decode_all(in, entries); }
void encode(xdr::Writer& out, const std::vector<ExportEntry>& entries) { encode_all(out, entries); }

}  // namespace rowan::mount3
