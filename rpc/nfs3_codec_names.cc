// The procedures that make, remove and move names (RFC 1813, 3.3.8 to 3.3.15).
#include "rpc/nfs3_fields.h"

namespace rowan::nfs3 {

template <class Io>
void arguments(Io& io, Ref<Io, CreateArgs> args) {
  fields(io, args.where);
  io.enumeration(args.how, CreateMode::unchecked, CreateMode::exclusive);
  if (args.how == CreateMode::exclusive) {
    io.fixed(args.verifier);
  } else {
    fields(io, args.attributes);
  }
}

template <class Io>
void arguments(Io& io, Ref<Io, MkdirArgs> args) {
  fields(io, args.where);
  fields(io, args.attributes);
}

template <class Io>
void arguments(Io& io, Ref<Io, SymlinkArgs> args) {
  fields(io, args.where);
  fields(io, args.attributes);
  io.text(args.target, name_decode_limit);
}

template <class Io>
void arguments(Io& io, Ref<Io, MknodArgs> args) {
  fields(io, args.where);
  io.enumeration(args.type, FileType::regular, FileType::fifo);
  bool device = args.type == FileType::block || args.type == FileType::character;
  bool special = device || args.type == FileType::socket || args.type == FileType::fifo;
  if (special) fields(io, args.attributes);
  if (device) fields(io, args.device);
}

template <class Io>
void result(Io& io, Ref<Io, CreateRes> res) {
  if (res.status == Status::ok) {
    fields(io, res.object);
    fields(io, res.attributes);
  }
  fields(io, res.dir_wcc);
}

template <class Io>
void arguments(Io& io, Ref<Io, RemoveArgs> args) {
  fields(io, args.what);
}
template <class Io>
void result(Io& io, Ref<Io, RemoveRes> res) {
  fields(io, res.dir_wcc);
}

template <class Io>
void arguments(Io& io, Ref<Io, RenameArgs> args) {
  fields(io, args.from);
  fields(io, args.to);
}
template <class Io>
void result(Io& io, Ref<Io, RenameRes> res) {
  fields(io, res.from_wcc);
  fields(io, res.to_wcc);
}

template <class Io>
void arguments(Io& io, Ref<Io, LinkArgs> args) {
  fields(io, args.file);
  fields(io, args.link);
}
template <class Io>
void result(Io& io, Ref<Io, LinkRes> res) {
  fields(io, res.attributes);
  fields(io, res.dir_wcc);
}

template struct Codec<Procedure::create>;
template struct Codec<Procedure::mkdir>;
template struct Codec<Procedure::symlink>;
template struct Codec<Procedure::mknod>;
template struct Codec<Procedure::remove>;
template struct Codec<Procedure::rmdir>;
template struct Codec<Procedure::rename>;
template struct Codec<Procedure::link>;

}  // namespace rowan::nfs3
