// READ, WRITE and COMMIT (RFC 1813, 3.3.6, 3.3.7 and 3.3.21).
#include "rpc/nfs3_fields.h"

namespace rowan::nfs3 {
namespace {

template <class Io, class Res>
void read_head(Io& io, Res& res, std::uint32_t& count) {
  fields(io, res.attributes);
  if (res.status != Status::ok) return;
  io.number(count);
  io.boolean(res.eof);
}

}  // namespace

template <class Io>
void arguments(Io& io, Ref<Io, ReadArgs> args) {
  fields(io, args.file);
  io.number(args.offset);
  io.number(args.count);
}

void encode_read_head(xdr::Writer& out, const ReadRes& res) {
  xdr::Encoder io(out);
  auto count = static_cast<std::uint32_t>(res.data.size());
  fields(io, res.status);
  read_head(io, res, count);
  if (res.status == Status::ok) out.count(res.data.size());
}

bool decode_read_view(xdr::Reader& in, ReadResView& res) {
  xdr::Decoder io(in);
  std::uint32_t count = 0;
  fields(io, res.status);
  read_head(io, res, count);
  if (res.status == Status::ok) {
    res.data = in.opaque(data_decode_limit);
    // Two lengths for one thing. If they differ, nobody knows which bytes are the file's.
    if (res.data.size() != count) in.fail("count and data of a READ disagree");
  }
  return in.finish();
}

template <>
bool Codec<Procedure::read>::decode_res(xdr::Reader& in, ReadRes& res) {
  ReadResView view;
  if (!decode_read_view(in, view)) return false;
  res.status = view.status;
  res.attributes = view.attributes;
  res.eof = view.eof;
  res.data = Buffer::copy_of(view.data);
  return true;
}

template <>
void Codec<Procedure::read>::encode_res(xdr::Writer& out, const ReadRes& res) {
  encode_read_head(out, res);
  if (res.status == Status::ok) out.fixed_opaque(res.data.view());
}

template <class Io>
void arguments(Io& io, Ref<Io, WriteArgs> args) {
  fields(io, args.file);
  io.number(args.offset);
  io.number(args.count);
  io.enumeration(args.stable, StableHow::unstable, StableHow::file_sync);
  io.opaque(args.data, data_decode_limit);
}
template <class Io>
void result(Io& io, Ref<Io, WriteRes> res) {
  fields(io, res.wcc);
  if (res.status != Status::ok) return;
  io.number(res.count);
  io.enumeration(res.committed, StableHow::unstable, StableHow::file_sync);
  io.fixed(res.verifier);
}

template <class Io>
void arguments(Io& io, Ref<Io, CommitArgs> args) {
  fields(io, args.file);
  io.number(args.offset);
  io.number(args.count);
}
template <class Io>
void result(Io& io, Ref<Io, CommitRes> res) {
  fields(io, res.wcc);
  if (res.status == Status::ok) io.fixed(res.verifier);
}

template struct Codec<Procedure::read>;
template struct Codec<Procedure::write>;
template struct Codec<Procedure::commit>;

}  // namespace rowan::nfs3
