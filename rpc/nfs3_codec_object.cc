// GETATTR, SETATTR, LOOKUP, ACCESS, READLINK and the three about file systems (RFC 1813, 3.3.1 to
// 3.3.5 and 3.3.18 to 3.3.20).
#include "rpc/nfs3_fields.h"

namespace rowan::nfs3 {

template <class Io>
void arguments(Io& io, Ref<Io, GetattrArgs> args) {
  fields(io, args.object);
}
template <class Io>
void result(Io& io, Ref<Io, GetattrRes> res) {
  if (res.status == Status::ok) fields(io, res.attributes);
}

template <class Io>
void arguments(Io& io, Ref<Io, SetattrArgs> args) {
  fields(io, args.object);
  fields(io, args.attributes);
  if (io.present(args.guard)) fields(io, *args.guard);
}
template <class Io>
void result(Io& io, Ref<Io, SetattrRes> res) {
  fields(io, res.wcc);
}

template <class Io>
void arguments(Io& io, Ref<Io, LookupArgs> args) {
  fields(io, args.what);
}
template <class Io>
void result(Io& io, Ref<Io, LookupRes> res) {
  if (res.status == Status::ok) {
    fields(io, res.object);
    fields(io, res.attributes);
  }
  fields(io, res.dir_attributes);
}

template <class Io>
void arguments(Io& io, Ref<Io, AccessArgs> args) {
  fields(io, args.object);
  io.number(args.access);
}
template <class Io>
void result(Io& io, Ref<Io, AccessRes> res) {
  fields(io, res.attributes);
  if (res.status == Status::ok) io.number(res.access);
}

template <class Io>
void arguments(Io& io, Ref<Io, ReadlinkArgs> args) {
  fields(io, args.symlink);
}
template <class Io>
void result(Io& io, Ref<Io, ReadlinkRes> res) {
  fields(io, res.attributes);
  if (res.status == Status::ok) io.text(res.target, name_decode_limit);
}

template <class Io>
void arguments(Io& io, Ref<Io, FsstatArgs> args) {
  fields(io, args.root);
}
template <class Io>
void result(Io& io, Ref<Io, FsstatRes> res) {
  fields(io, res.attributes);
  if (res.status != Status::ok) return;
  io.number(res.tbytes);
  io.number(res.fbytes);
  io.number(res.abytes);
  io.number(res.tfiles);
  io.number(res.ffiles);
  io.number(res.afiles);
  io.number(res.invarsec);
}

template <class Io>
void arguments(Io& io, Ref<Io, FsinfoArgs> args) {
  fields(io, args.root);
}
template <class Io>
void result(Io& io, Ref<Io, FsinfoRes> res) {
  fields(io, res.attributes);
  if (res.status != Status::ok) return;
  io.number(res.rtmax);
  io.number(res.rtpref);
  io.number(res.rtmult);
  io.number(res.wtmax);
  io.number(res.wtpref);
  io.number(res.wtmult);
  io.number(res.dtpref);
  io.number(res.maxfilesize);
  fields(io, res.time_delta);
  io.number(res.properties);
}

template <class Io>
void arguments(Io& io, Ref<Io, PathconfArgs> args) {
  fields(io, args.object);
}
template <class Io>
void result(Io& io, Ref<Io, PathconfRes> res) {
  fields(io, res.attributes);
  if (res.status != Status::ok) return;
  io.number(res.linkmax);
  io.number(res.name_max);
  io.boolean(res.no_trunc);
  io.boolean(res.chown_restricted);
  io.boolean(res.case_insensitive);
  io.boolean(res.case_preserving);
}

template struct Codec<Procedure::getattr>;
template struct Codec<Procedure::setattr>;
template struct Codec<Procedure::lookup>;
template struct Codec<Procedure::access>;
template struct Codec<Procedure::readlink>;
template struct Codec<Procedure::fsstat>;
template struct Codec<Procedure::fsinfo>;
template struct Codec<Procedure::pathconf>;

}  // namespace rowan::nfs3
