// The 21 operations on the merged view of one appliance, below handles and addresses and above
// storage: by object id, with permission already a question of `caller`. A file per family
// (redirect_*.cc).
//
// `op`, names and arguments outlive the returned task.
#pragma once

#include <string_view>

#include "cache/ids.h"
#include "proxy/merged_view.h"
#include "proxy/permission.h"
#include "rpc/base/task.h"
#include "rpc/nfs3.h"

namespace rowan::proxy::redirect {

struct Op {
  MergedView& view;
  const Caller& caller;
};

using cache::ObjectId;

// --- redirect_attr.cc
Task<nfs3::GetattrRes> getattr(const Op& op, ObjectId object);
Task<nfs3::SetattrRes> setattr(const Op& op, ObjectId object, const nfs3::SetattrArgs& args);
Task<nfs3::AccessRes> access(const Op& op, ObjectId object, std::uint32_t asked);
Task<nfs3::FsstatRes> fsstat(const Op& op, ObjectId root);
Task<nfs3::FsinfoRes> fsinfo(const Op& op, ObjectId root);
Task<nfs3::PathconfRes> pathconf(const Op& op, ObjectId object);

// --- redirect_read.cc
Task<nfs3::ReadRes> read(const Op& op, ObjectId file, std::uint64_t offset, std::uint32_t count);
Task<nfs3::ReadlinkRes> readlink(const Op& op, ObjectId symlink);

// --- redirect_write.cc
Task<nfs3::WriteRes> write(const Op& op, ObjectId file, const nfs3::WriteArgs& args);
Task<nfs3::CommitRes> commit(const Op& op, ObjectId file);

// --- redirect_names.cc
Task<nfs3::LookupRes> lookup(const Op& op, ObjectId directory, std::string_view name);
Task<nfs3::LinkRes> link(const Op& op, ObjectId file, ObjectId directory, std::string_view name);
Task<nfs3::RemoveRes> remove(const Op& op, ObjectId directory, std::string_view name);
Task<nfs3::RemoveRes> rmdir(const Op& op, ObjectId directory, std::string_view name);

// --- redirect_create.cc
Task<nfs3::CreateRes> create(const Op& op, ObjectId directory, const nfs3::CreateArgs& args);
Task<nfs3::CreateRes> mkdir(const Op& op, ObjectId directory, const nfs3::MkdirArgs& args);
Task<nfs3::CreateRes> symlink(const Op& op, ObjectId directory, const nfs3::SymlinkArgs& args);
Task<nfs3::CreateRes> mknod(const Op& op, ObjectId directory, const nfs3::MknodArgs& args);

// --- redirect_rename.cc
struct RenameEnd {
  ObjectId directory{};
  std::string_view name;
};
Task<nfs3::RenameRes> rename(const Op& op, RenameEnd from, RenameEnd to);

// --- redirect_dir.cc
Task<nfs3::ReaddirRes> readdir(const Op& op, ObjectId directory, const nfs3::ReaddirArgs& args);
Task<nfs3::ReaddirRes> readdirplus(const Op& op, ObjectId directory,
                                   const nfs3::ReaddirplusArgs& args);

}  // namespace rowan::proxy::redirect
