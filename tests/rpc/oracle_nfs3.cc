#include "tests/rpc/oracle_nfs3.h"

#include "rpc/nfs3_codec.h"
#include "nfs3_oracle.h"  // made by rpcgen; brings libtirpc's names

namespace rowan::test {
namespace {

using nfs3::Procedure;

// C structure to ours. Everything borrows from the C structure.
void convert(const nfs_fh3& from, nfs3::Handle& to) {
  to.size = static_cast<std::uint8_t>(from.data.data_len);
  if (to.size != 0) std::memcpy(to.bytes.data(), from.data.data_val, to.size);
}
void convert(const nfstime3& from, nfs3::Time& to) { to = {from.seconds, from.nseconds}; }
void convert(const char (&from)[8], nfs3::Verifier& to) { std::memcpy(to.data(), from, 8); }

void convert(const fattr3& from, nfs3::Attributes& to) {
  to.type = static_cast<nfs3::FileType>(from.type);
  to.mode = from.mode;
  to.nlink = from.nlink;
  to.uid = from.uid;
  to.gid = from.gid;
  to.size = from.size;
  to.used = from.used;
  to.rdev = {from.rdev.specdata1, from.rdev.specdata2};
  to.fsid = from.fsid;
  to.fileid = from.fileid;
  convert(from.atime, to.atime);
  convert(from.mtime, to.mtime);
  convert(from.ctime, to.ctime);
}
void convert(const post_op_attr& from, nfs3::PostOpAttributes& to) {
  if (from.attributes_follow) convert(from.post_op_attr_u.attributes, to.emplace());
}
void convert(const post_op_fh3& from, std::optional<nfs3::Handle>& to) {
  if (from.handle_follows) convert(from.post_op_fh3_u.handle, to.emplace());
}
void convert(const wcc_data& from, nfs3::WccData& to) {
  if (from.before.attributes_follow) {
    const wcc_attr& before = from.before.pre_op_attr_u.attributes;
    to.before.emplace().size = before.size;
    convert(before.mtime, to.before->mtime);
    convert(before.ctime, to.before->ctime);
  }
  convert(from.after, to.after);
}
void convert(const set_uint32& from, std::optional<std::uint32_t>& to) {
  if (from.set_it) to = from.set_uint32_u.value;
}
void convert(const set_time& from, nfs3::SetTime& to) {
  to.how = static_cast<nfs3::TimeHow>(from.set_it);
  if (from.set_it == 2) convert(from.set_time_u.value, to.time);
}
void convert(const sattr3& from, nfs3::SetAttributes& to) {
  convert(from.mode, to.mode);
  convert(from.uid, to.uid);
  convert(from.gid, to.gid);
  if (from.size.set_it) to.size = from.size.set_uint64_u.value;
  convert(from.atime, to.atime);
  convert(from.mtime, to.mtime);
}
void convert(const diropargs3& from, nfs3::DirOpArgs& to) {
  convert(from.dir, to.dir);
  to.name = from.name;
}

// --- arguments
void convert(const GETATTR3args& from, nfs3::GetattrArgs& to) { convert(from.object, to.object); }
void convert(const SETATTR3args& from, nfs3::SetattrArgs& to) {
  convert(from.object, to.object);
  convert(from.new_attributes, to.attributes);
  if (from.guard.check) convert(from.guard.sattrguard3_u.obj_ctime, to.guard.emplace());
}
void convert(const LOOKUP3args& from, nfs3::LookupArgs& to) { convert(from.what, to.what); }
void convert(const ACCESS3args& from, nfs3::AccessArgs& to) {
  convert(from.object, to.object);
  to.access = from.access;
}
void convert(const READLINK3args& from, nfs3::ReadlinkArgs& to) {
  convert(from.symlink, to.symlink);
}
void convert(const READ3args& from, nfs3::ReadArgs& to) {
  convert(from.file, to.file);
  to.offset = from.offset;
  to.count = from.count;
}
void convert(const WRITE3args& from, nfs3::WriteArgs& to) {
  convert(from.file, to.file);
  to.offset = from.offset;
  to.count = from.count;
  to.stable = static_cast<nfs3::StableHow>(from.stable);
  to.data = as_bytes({from.data.data_val, from.data.data_len});
}
void convert(const CREATE3args& from, nfs3::CreateArgs& to) {
  convert(from.where, to.where);
  to.how = static_cast<nfs3::CreateMode>(from.how.mode);
  if (from.how.mode == 0) convert(from.how.createhow3_u.unchecked_attributes, to.attributes);
  if (from.how.mode == 1) convert(from.how.createhow3_u.guarded_attributes, to.attributes);
  if (from.how.mode == 2) convert(from.how.createhow3_u.verf, to.verifier);
}
void convert(const MKDIR3args& from, nfs3::MkdirArgs& to) {
  convert(from.where, to.where);
  convert(from.attributes, to.attributes);
}
void convert(const SYMLINK3args& from, nfs3::SymlinkArgs& to) {
  convert(from.where, to.where);
  convert(from.symlink_attributes, to.attributes);
  to.target = from.symlink_data;
}
void convert(const MKNOD3args& from, nfs3::MknodArgs& to) {
  convert(from.where, to.where);
  to.type = static_cast<nfs3::FileType>(from.what.type);
  const auto& what = from.what.mknoddata3_u;
  if (from.what.type == 3 || from.what.type == 4) {
    const devicedata3& device = from.what.type == 3 ? what.blk_device : what.chr_device;
    convert(device.dev_attributes, to.attributes);
    to.device = {device.spec.specdata1, device.spec.specdata2};
  }
  if (from.what.type == 6) convert(what.sock_attributes, to.attributes);
  if (from.what.type == 7) convert(what.pipe_attributes, to.attributes);
}
void convert(const REMOVE3args& from, nfs3::RemoveArgs& to) { convert(from.object, to.what); }
void convert(const RENAME3args& from, nfs3::RenameArgs& to) {
  convert(from.from, to.from);
  convert(from.to, to.to);
}
void convert(const LINK3args& from, nfs3::LinkArgs& to) {
  convert(from.file, to.file);
  convert(from.link, to.link);
}
void convert(const READDIR3args& from, nfs3::ReaddirArgs& to) {
  convert(from.dir, to.dir);
  to.cookie = from.cookie;
  convert(from.verf, to.verifier);
  to.count = from.count;
}
void convert(const READDIRPLUS3args& from, nfs3::ReaddirplusArgs& to) {
  convert(from.dir, to.dir);
  to.cookie = from.cookie;
  convert(from.verf, to.verifier);
  to.dircount = from.dircount;
  to.maxcount = from.maxcount;
}
void convert(const FSSTAT3args& from, nfs3::FsstatArgs& to) { convert(from.fsroot, to.root); }
void convert(const FSINFO3args& from, nfs3::FsinfoArgs& to) { convert(from.fsroot, to.root); }
void convert(const PATHCONF3args& from, nfs3::PathconfArgs& to) { convert(from.object, to.object); }
void convert(const COMMIT3args& from, nfs3::CommitArgs& to) {
  convert(from.file, to.file);
  to.offset = from.offset;
  to.count = from.count;
}

// --- results
nfs3::Status status_of(unsigned int value) { return static_cast<nfs3::Status>(value); }

void convert(const GETATTR3res& from, nfs3::GetattrRes& to) {
  to.status = status_of(from.status);
  if (from.status == 0) convert(from.GETATTR3res_u.resok.obj_attributes, to.attributes);
}
void convert(const SETATTR3res& from, nfs3::SetattrRes& to) {
  to.status = status_of(from.status);
  convert(from.obj_wcc, to.wcc);
}
void convert(const LOOKUP3res& from, nfs3::LookupRes& to) {
  to.status = status_of(from.status);
  const auto& ok = from.LOOKUP3res_u.resok;
  if (from.status != 0) return convert(from.LOOKUP3res_u.resfail.dir_attributes, to.dir_attributes);
  convert(ok.object, to.object);
  convert(ok.obj_attributes, to.attributes);
  convert(ok.dir_attributes, to.dir_attributes);
}
void convert(const ACCESS3res& from, nfs3::AccessRes& to) {
  to.status = status_of(from.status);
  if (from.status != 0) return convert(from.ACCESS3res_u.resfail.obj_attributes, to.attributes);
  convert(from.ACCESS3res_u.resok.obj_attributes, to.attributes);
  to.access = from.ACCESS3res_u.resok.access;
}
void convert(const READLINK3res& from, nfs3::ReadlinkRes& to) {
  to.status = status_of(from.status);
  const auto& ok = from.READLINK3res_u.resok;
  if (from.status != 0) {
    return convert(from.READLINK3res_u.resfail.symlink_attributes, to.attributes);
  }
  convert(ok.symlink_attributes, to.attributes);
  to.target = ok.data;
}
void convert(const READ3res& from, nfs3::ReadRes& to) {
  to.status = status_of(from.status);
  const auto& ok = from.READ3res_u.resok;
  if (from.status != 0) return convert(from.READ3res_u.resfail.file_attributes, to.attributes);
  convert(ok.file_attributes, to.attributes);
  to.eof = ok.eof;
  to.data = Buffer::copy_of(as_bytes({ok.data.data_val, ok.count}));
}
void convert(const WRITE3res& from, nfs3::WriteRes& to) {
  to.status = status_of(from.status);
  const auto& ok = from.WRITE3res_u.resok;
  if (from.status != 0) return convert(from.WRITE3res_u.resfail.file_wcc, to.wcc);
  convert(ok.file_wcc, to.wcc);
  to.count = ok.count;
  to.committed = static_cast<nfs3::StableHow>(ok.committed);
  convert(ok.verf, to.verifier);
}
void convert(const CREATE3res& from, nfs3::CreateRes& to) {
  to.status = status_of(from.status);
  const auto& ok = from.CREATE3res_u.resok;
  if (from.status != 0) return convert(from.CREATE3res_u.resfail.dir_wcc, to.dir_wcc);
  convert(ok.obj, to.object);
  convert(ok.obj_attributes, to.attributes);
  convert(ok.dir_wcc, to.dir_wcc);
}
void convert(const REMOVE3res& from, nfs3::RemoveRes& to) {
  to.status = status_of(from.status);
  convert(from.dir_wcc, to.dir_wcc);
}
void convert(const RENAME3res& from, nfs3::RenameRes& to) {
  to.status = status_of(from.status);
  convert(from.fromdir_wcc, to.from_wcc);
  convert(from.todir_wcc, to.to_wcc);
}
void convert(const LINK3res& from, nfs3::LinkRes& to) {
  to.status = status_of(from.status);
  convert(from.file_attributes, to.attributes);
  convert(from.linkdir_wcc, to.dir_wcc);
}
void convert(const READDIR3res& from, nfs3::ReaddirRes& to) {
  to.status = status_of(from.status);
  const auto& ok = from.READDIR3res_u.resok;
  if (from.status != 0)
    return convert(from.READDIR3res_u.resfail.dir_attributes, to.dir_attributes);
  convert(ok.dir_attributes, to.dir_attributes);
  convert(ok.verf, to.verifier);
  for (const entry3* at = ok.reply.entries; at != nullptr; at = at->nextentry) {
    nfs3::DirEntry& entry = to.entries.emplace_back();
    entry.fileid = at->fileid;
    entry.name = at->name;
    entry.cookie = at->cookie;
  }
  to.eof = ok.reply.eof;
}
void convert(const READDIRPLUS3res& from, nfs3::ReaddirRes& to) {
  to.status = status_of(from.status);
  const auto& ok = from.READDIRPLUS3res_u.resok;
  const auto& failed = from.READDIRPLUS3res_u.resfail;
  if (from.status != 0) return convert(failed.dir_attributes, to.dir_attributes);
  convert(ok.dir_attributes, to.dir_attributes);
  convert(ok.verf, to.verifier);
  for (const entryplus3* at = ok.reply.entries; at != nullptr; at = at->nextentry) {
    nfs3::DirEntry& entry = to.entries.emplace_back();
    entry.fileid = at->fileid;
    entry.name = at->name;
    entry.cookie = at->cookie;
    convert(at->name_attributes, entry.attributes);
    convert(at->name_handle, entry.object);
  }
  to.eof = ok.reply.eof;
}
void convert(const FSSTAT3res& from, nfs3::FsstatRes& to) {
  to.status = status_of(from.status);
  const auto& ok = from.FSSTAT3res_u.resok;
  if (from.status != 0) return convert(from.FSSTAT3res_u.resfail.obj_attributes, to.attributes);
  convert(ok.obj_attributes, to.attributes);
  to.tbytes = ok.tbytes;
  to.fbytes = ok.fbytes;
  to.abytes = ok.abytes;
  to.tfiles = ok.tfiles;
  to.ffiles = ok.ffiles;
  to.afiles = ok.afiles;
  to.invarsec = ok.invarsec;
}
void convert(const FSINFO3res& from, nfs3::FsinfoRes& to) {
  to.status = status_of(from.status);
  const auto& ok = from.FSINFO3res_u.resok;
  if (from.status != 0) return convert(from.FSINFO3res_u.resfail.obj_attributes, to.attributes);
  convert(ok.obj_attributes, to.attributes);
  to.rtmax = ok.rtmax;
  to.rtpref = ok.rtpref;
  to.rtmult = ok.rtmult;
  to.wtmax = ok.wtmax;
  to.wtpref = ok.wtpref;
  to.wtmult = ok.wtmult;
  to.dtpref = ok.dtpref;
  to.maxfilesize = ok.maxfilesize;
  convert(ok.time_delta, to.time_delta);
  to.properties = ok.properties;
}
void convert(const PATHCONF3res& from, nfs3::PathconfRes& to) {
  to.status = status_of(from.status);
  const auto& ok = from.PATHCONF3res_u.resok;
  if (from.status != 0) return convert(from.PATHCONF3res_u.resfail.obj_attributes, to.attributes);
  convert(ok.obj_attributes, to.attributes);
  to.linkmax = ok.linkmax;
  to.name_max = ok.name_max;
  to.no_trunc = ok.no_trunc;
  to.chown_restricted = ok.chown_restricted;
  to.case_insensitive = ok.case_insensitive;
  to.case_preserving = ok.case_preserving;
}
void convert(const COMMIT3res& from, nfs3::CommitRes& to) {
  to.status = status_of(from.status);
  const auto& ok = from.COMMIT3res_u.resok;
  if (from.status != 0) return convert(from.COMMIT3res_u.resfail.file_wcc, to.wcc);
  convert(ok.file_wcc, to.wcc);
  convert(ok.verf, to.verifier);
}

template <Procedure P, bool result, class C>
OracleAnswer ask(bool_t (*routine)(XDR*, C*), ByteView wire) {
  OracleAnswer answer;
  C value{};
  XDR in{};
  xdrmem_create(&in, const_cast<char*>(as_text(wire).data()), static_cast<u_int>(wire.size()),
                XDR_DECODE);
  answer.decoded = routine(&in, &value) != 0;
  answer.used = xdr_getpos(&in);
  if (answer.decoded) {
    answer.by_oracle.resize(wire.size() + 16);
    XDR out{};
    xdrmem_create(&out, reinterpret_cast<char*>(answer.by_oracle.data()),
                  static_cast<u_int>(answer.by_oracle.size()), XDR_ENCODE);
    bool fits = routine(&out, &value) != 0;
    answer.by_oracle.resize(fits ? xdr_getpos(&out) : 0);

    std::conditional_t<result, typename nfs3::Codec<P>::Res, typename nfs3::Codec<P>::Args> ours;
    convert(value, ours);
    xdr::Writer writer;
    if constexpr (result) nfs3::Codec<P>::encode_res(writer, ours);
    else nfs3::Codec<P>::encode_args(writer, ours);
    answer.by_us.assign(writer.view().begin(), writer.view().end());
  }
  xdr_free(reinterpret_cast<xdrproc_t>(routine), reinterpret_cast<char*>(&value));
  return answer;
}

}  // namespace

OracleAnswer ask_about_args(Procedure procedure, ByteView wire) {
  using enum Procedure;
  switch (procedure) {
    case null: break;
    case getattr: return ask<getattr, false>(xdr_GETATTR3args, wire);
    case setattr: return ask<setattr, false>(xdr_SETATTR3args, wire);
    case lookup: return ask<lookup, false>(xdr_LOOKUP3args, wire);
    case access: return ask<access, false>(xdr_ACCESS3args, wire);
    case readlink: return ask<readlink, false>(xdr_READLINK3args, wire);
    case read: return ask<read, false>(xdr_READ3args, wire);
    case write: return ask<write, false>(xdr_WRITE3args, wire);
    case create: return ask<create, false>(xdr_CREATE3args, wire);
    case mkdir: return ask<mkdir, false>(xdr_MKDIR3args, wire);
    case symlink: return ask<symlink, false>(xdr_SYMLINK3args, wire);
    case mknod: return ask<mknod, false>(xdr_MKNOD3args, wire);
    case remove: return ask<remove, false>(xdr_REMOVE3args, wire);
    case rmdir: return ask<rmdir, false>(xdr_REMOVE3args, wire);
    case rename: return ask<rename, false>(xdr_RENAME3args, wire);
    case link: return ask<link, false>(xdr_LINK3args, wire);
    case readdir: return ask<readdir, false>(xdr_READDIR3args, wire);
    case readdirplus: return ask<readdirplus, false>(xdr_READDIRPLUS3args, wire);
    case fsstat: return ask<fsstat, false>(xdr_FSSTAT3args, wire);
    case fsinfo: return ask<fsinfo, false>(xdr_FSINFO3args, wire);
    case pathconf: return ask<pathconf, false>(xdr_PATHCONF3args, wire);
    case commit: return ask<commit, false>(xdr_COMMIT3args, wire);
  }
  return {};
}

OracleAnswer ask_about_res(Procedure procedure, ByteView wire) {
  using enum Procedure;
  switch (procedure) {
    case null: break;
    case getattr: return ask<getattr, true>(xdr_GETATTR3res, wire);
    case setattr: return ask<setattr, true>(xdr_SETATTR3res, wire);
    case lookup: return ask<lookup, true>(xdr_LOOKUP3res, wire);
    case access: return ask<access, true>(xdr_ACCESS3res, wire);
    case readlink: return ask<readlink, true>(xdr_READLINK3res, wire);
    case read: return ask<read, true>(xdr_READ3res, wire);
    case write: return ask<write, true>(xdr_WRITE3res, wire);
    case create: return ask<create, true>(xdr_CREATE3res, wire);
    case mkdir: return ask<mkdir, true>(xdr_CREATE3res, wire);
    case symlink: return ask<symlink, true>(xdr_CREATE3res, wire);
    case mknod: return ask<mknod, true>(xdr_CREATE3res, wire);
    case remove: return ask<remove, true>(xdr_REMOVE3res, wire);
    case rmdir: return ask<rmdir, true>(xdr_REMOVE3res, wire);
    case rename: return ask<rename, true>(xdr_RENAME3res, wire);
    case link: return ask<link, true>(xdr_LINK3res, wire);
    case readdir: return ask<readdir, true>(xdr_READDIR3res, wire);
    case readdirplus: return ask<readdirplus, true>(xdr_READDIRPLUS3res, wire);
    case fsstat: return ask<fsstat, true>(xdr_FSSTAT3res, wire);
    case fsinfo: return ask<fsinfo, true>(xdr_FSINFO3res, wire);
    case pathconf: return ask<pathconf, true>(xdr_PATHCONF3res, wire);
    case commit: return ask<commit, true>(xdr_COMMIT3res, wire);
  }
  return {};
}

}  // namespace rowan::test
