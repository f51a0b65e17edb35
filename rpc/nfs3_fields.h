// Field lists of the types that several procedures share (RFC 1813, 2.5 and 2.6). For
// nfs3_codec_*.cc only.
#pragma once

#include "rpc/nfs3_codec.h"
#include "rpc/xdr_fields.h"

namespace rowan::nfs3 {

using xdr::Ref;

inline bool is_known(Status status) { return !to_string(status).empty(); }

template <class Io>
void fields(Io& io, Ref<Io, Status> status) {
  if constexpr (Io::decoding) {
    std::uint32_t value = 0;
    io.number(value);
    status = static_cast<Status>(value);
    if (value != 0 && !is_known(status)) status = Status::serverfault;
  } else {
    io.enumeration(status, Status::ok, Status::ok);
  }
}

template <class Io>
void fields(Io& io, Ref<Io, Handle> handle) {
  if constexpr (Io::decoding) {
    ByteView bytes;
    io.opaque(bytes, max_handle_size);
    handle.size = static_cast<std::uint8_t>(bytes.size());
    if (!bytes.empty()) std::memcpy(handle.bytes.data(), bytes.data(), bytes.size());
  } else {
    io.opaque(handle.view(), max_handle_size);
  }
}

template <class Io>
void fields(Io& io, Ref<Io, Time> time) {
  io.number(time.seconds);
  io.number(time.nseconds);
}

template <class Io>
void fields(Io& io, Ref<Io, SpecData> device) {
  io.number(device.major);
  io.number(device.minor);
}

template <class Io>
void fields(Io& io, Ref<Io, Attributes> attributes) {
  io.enumeration(attributes.type, FileType::regular, FileType::fifo);
  io.number(attributes.mode);
  io.number(attributes.nlink);
  io.number(attributes.uid);
  io.number(attributes.gid);
  io.number(attributes.size);
  io.number(attributes.used);
  fields(io, attributes.rdev);
  io.number(attributes.fsid);
  io.number(attributes.fileid);
  fields(io, attributes.atime);
  fields(io, attributes.mtime);
  fields(io, attributes.ctime);
}
inline constexpr std::uint32_t attributes_size = 84;

template <class Io>
void fields(Io& io, Ref<Io, PostOpAttributes> attributes) {
  if (io.present(attributes)) fields(io, *attributes);
}

template <class Io>
void fields(Io& io, Ref<Io, std::optional<Handle>> handle) {
  if (io.present(handle)) fields(io, *handle);
}

template <class Io>
void fields(Io& io, Ref<Io, WccData> wcc) {
  if (io.present(wcc.before)) {
    io.number(wcc.before->size);
    fields(io, wcc.before->mtime);
    fields(io, wcc.before->ctime);
  }
  fields(io, wcc.after);
}

template <class Io>
void fields(Io& io, Ref<Io, SetTime> set) {
  io.enumeration(set.how, TimeHow::dont_change, TimeHow::client_time);
  if (set.how == TimeHow::client_time) fields(io, set.time);
}

template <class Io>
void fields(Io& io, Ref<Io, SetAttributes> set) {
  if (io.present(set.mode)) io.number(*set.mode);
  if (io.present(set.uid)) io.number(*set.uid);
  if (io.present(set.gid)) io.number(*set.gid);
  if (io.present(set.size)) io.number(*set.size);
  fields(io, set.atime);
  fields(io, set.mtime);
}

template <class Io>
void fields(Io& io, Ref<Io, DirOpArgs> where) {
  fields(io, where.dir);
  io.text(where.name, name_decode_limit);
}

// Each codec file defines arguments(io, args) and result(io, res) for its procedures and
// instantiates Codec.
template <Procedure P>
bool Codec<P>::decode_args(xdr::Reader& in, Args& args) {
  xdr::Decoder io(in);
  arguments(io, args);
  return in.finish();
}

template <Procedure P>
void Codec<P>::encode_args(xdr::Writer& out, const Args& args) {
  xdr::Encoder io(out);
  arguments(io, args);
}

template <Procedure P>
inline constexpr bool is_listing = P == Procedure::readdir || P == Procedure::readdirplus;

template <Procedure P>
bool Codec<P>::decode_res(xdr::Reader& in, Res& res) {
  xdr::Decoder io(in);
  fields(io, res.status);
  if constexpr (is_listing<P>) {
    listing(io, res, P == Procedure::readdirplus);
  } else {
    result(io, res);
  }
  return in.finish();
}

template <Procedure P>
void Codec<P>::encode_res(xdr::Writer& out, const Res& res) {
  xdr::Encoder io(out);
  fields(io, res.status);
  if constexpr (is_listing<P>) {
    listing(io, res, P == Procedure::readdirplus);
  } else {
    result(io, res);
  }
}

}  // namespace rowan::nfs3
