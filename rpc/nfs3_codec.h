// The 22 procedures of RFC 1813 on the wire, both directions: a server decodes arguments and
// encodes results, our client for image servers encodes arguments and decodes results. Replies are
// as hostile as calls.
//
// Decoding fills a freshly made structure and is true only if the input followed the grammar to its
// last byte; the reader says why not. Views in what was decoded borrow from the reader's bytes.
// Names, paths and symlink targets decode up to name_decode_limit, so that the service can answer
// NFS3ERR_NAMETOOLONG. A status that RFC 1813 does not have decodes as NFS3ERR_SERVERFAULT.
#pragma once

#include "rpc/nfs3.h"
#include "rpc/xdr_cursor.h"

namespace rowan::nfs3 {

// Data of a READ reply or WRITE call as decoded: more than max_transfer_size, so that a WRITE which
// exceeds wtmax a little is answered short; the record limit of rpc/record.h stands before it.
inline constexpr std::uint32_t data_decode_limit = max_transfer_size + 4096;

template <class A, class R>
struct ProcedureTypes {
  using Args = A;
  using Res = R;
};
template <Procedure P>
struct Traits;
template <> struct Traits<Procedure::getattr> : ProcedureTypes<GetattrArgs, GetattrRes> {};
template <> struct Traits<Procedure::setattr> : ProcedureTypes<SetattrArgs, SetattrRes> {};
template <> struct Traits<Procedure::lookup> : ProcedureTypes<LookupArgs, LookupRes> {};
template <> struct Traits<Procedure::access> : ProcedureTypes<AccessArgs, AccessRes> {};
template <> struct Traits<Procedure::readlink> : ProcedureTypes<ReadlinkArgs, ReadlinkRes> {};
template <> struct Traits<Procedure::read> : ProcedureTypes<ReadArgs, ReadRes> {};
template <> struct Traits<Procedure::write> : ProcedureTypes<WriteArgs, WriteRes> {};
template <> struct Traits<Procedure::create> : ProcedureTypes<CreateArgs, CreateRes> {};
template <> struct Traits<Procedure::mkdir> : ProcedureTypes<MkdirArgs, CreateRes> {};
template <> struct Traits<Procedure::symlink> : ProcedureTypes<SymlinkArgs, CreateRes> {};
template <> struct Traits<Procedure::mknod> : ProcedureTypes<MknodArgs, CreateRes> {};
template <> struct Traits<Procedure::remove> : ProcedureTypes<RemoveArgs, RemoveRes> {};
template <> struct Traits<Procedure::rmdir> : ProcedureTypes<RemoveArgs, RemoveRes> {};
template <> struct Traits<Procedure::rename> : ProcedureTypes<RenameArgs, RenameRes> {};
template <> struct Traits<Procedure::link> : ProcedureTypes<LinkArgs, LinkRes> {};
template <> struct Traits<Procedure::readdir> : ProcedureTypes<ReaddirArgs, ReaddirRes> {};
template <> struct Traits<Procedure::readdirplus> : ProcedureTypes<ReaddirplusArgs, ReaddirRes> {};
template <> struct Traits<Procedure::fsstat> : ProcedureTypes<FsstatArgs, FsstatRes> {};
template <> struct Traits<Procedure::fsinfo> : ProcedureTypes<FsinfoArgs, FsinfoRes> {};
template <> struct Traits<Procedure::pathconf> : ProcedureTypes<PathconfArgs, PathconfRes> {};
template <> struct Traits<Procedure::commit> : ProcedureTypes<CommitArgs, CommitRes> {};

// Codec<Procedure::getattr>::decode_args(in, args), and so on. NULL has neither arguments nor
// results.
template <Procedure P>
struct Codec {
  using Args = typename Traits<P>::Args;
  using Res = typename Traits<P>::Res;
  static bool decode_args(xdr::Reader& in, Args& args);
  static void encode_args(xdr::Writer& out, const Args& args);
  static bool decode_res(xdr::Reader& in, Res& res);
  static void encode_res(xdr::Writer& out, const Res& res);
};

// A READ result up to its data: the data and its padding follow by scatter write
// (rpc::Reply::body).
void encode_read_head(xdr::Writer& out, const ReadRes& res);

// A READ result whose data stays in the reply's record: what a client uses. Codec<read>::decode_res
// copies.
struct ReadResView {
  Status status = Status::ok;
  PostOpAttributes attributes;
  bool eof = false;
  ByteView data;
};
bool decode_read_view(xdr::Reader& in, ReadResView& res);

// Calls visit(std::integral_constant<Procedure, P>) for every procedure that has arguments.
template <class Visit>
constexpr void for_each_procedure(Visit visit) {
  [&]<std::size_t... index>(std::index_sequence<index...>) {
    (visit(std::integral_constant<Procedure, static_cast<Procedure>(index + 1)>()), ...);
  }(std::make_index_sequence<procedure_count - 1>());
}

}  // namespace rowan::nfs3
