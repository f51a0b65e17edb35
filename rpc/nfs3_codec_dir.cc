// READDIR and READDIRPLUS (RFC 1813, 3.3.16 and 3.3.17), and what their entries take on the wire.
#include "rpc/nfs3_fields.h"

namespace rowan::nfs3 {

template <class Io>
void arguments(Io& io, Ref<Io, ReaddirArgs> args) {
  fields(io, args.dir);
  io.number(args.cookie);
  io.fixed(args.verifier);
  io.number(args.count);
}

template <class Io>
void arguments(Io& io, Ref<Io, ReaddirplusArgs> args) {
  fields(io, args.dir);
  io.number(args.cookie);
  io.fixed(args.verifier);
  io.number(args.dircount);
  io.number(args.maxcount);
}

template <class Io>
void listing(Io& io, Ref<Io, ReaddirRes> res, bool plus) {
  fields(io, res.dir_attributes);
  if (res.status != Status::ok) return;
  io.fixed(res.verifier);
  io.list(res.entries, [&io, plus](auto& entry) {
    io.number(entry.fileid);
    io.text(entry.name, name_decode_limit);
    io.number(entry.cookie);
    if (!plus) return;
    fields(io, entry.attributes);
    fields(io, entry.object);
  });
  io.boolean(res.eof);
}

std::uint32_t encoded_size(const DirEntry& entry, bool plus) {
  // TRUE, fileid, name, cookie
  std::size_t size = 4 + 8 + 4 + xdr::padded(entry.name.size()) + 8;
  if (plus) {
    size += 4 + (entry.attributes ? attributes_size : 0);
    size += 4 + (entry.object ? 4 + xdr::padded(entry.object->size) : 0);
  }
  return static_cast<std::uint32_t>(size);
}

std::uint32_t encoded_overhead(bool with_attributes) {
  // status, attributes, verifier, FALSE, eof
  return 4 + 4 + (with_attributes ? attributes_size : 0) + 8 + 4 + 4;
}

template struct Codec<Procedure::readdir>;
template struct Codec<Procedure::readdirplus>;

}  // namespace rowan::nfs3
