#include "proxy/nfs_service.h"

#include <utility>

#include "proxy/handle.h"
#include "proxy/merged_view.h"
#include "proxy/permission.h"
#include "proxy/redirect.h"

namespace rowan::proxy {

using nfs3::Procedure;
using nfs3::Status;
using redirect::ObjectId;
using redirect::Op;

namespace {

// COMMIT changes nothing, but only who wrote something asks for it.
bool changes(Procedure procedure) {
  switch (procedure) {
    case Procedure::setattr:
    case Procedure::write:
    case Procedure::create:
    case Procedure::mkdir:
    case Procedure::symlink:
    case Procedure::mknod:
    case Procedure::remove:
    case Procedure::rmdir:
    case Procedure::rename:
    case Procedure::link:
    case Procedure::commit:
      return true;
    default:
      return false;
  }
}

}  // namespace

NfsService::Target NfsService::admit(const CallContext& context, const nfs3::Handle& handle) const {
  std::optional<HandleClaim> claim = parse_handle(handle);
  if (!claim) return {Status::badhandle, nullptr, {}};
  Appliance* appliance = exports_.find(claim->appliance);
  if (appliance == nullptr) {
    if (!exports_.expects(claim->appliance)) return {Status::stale, nullptr, {}};
    exports_.summon(claim->appliance);
    return {Status::jukebox, nullptr, {}};
  }
  if (!appliance->settings().allow.allows(context.peer)) return {Status::acces, nullptr, {}};
  if (!appliance->view().verify(*claim)) return {Status::badhandle, nullptr, {}};
  if (appliance->waiting()) return {Status::jukebox, nullptr, {}};
  return {Status::ok, appliance, claim->object};
}

NfsService::Target NfsService::admit_second(const CallContext& context, const Target& first,
                                            const nfs3::Handle& handle) const {
  if (first.status != Status::ok) return first;
  Target second = admit(context, handle);
  if (second.status == Status::ok && second.appliance != first.appliance)
    second.status = Status::xdev;
  return second;
}

template <class Res, class Run>
Task<Res> NfsService::serve(const CallContext& context, Procedure procedure, Target target,
                            Run run) {
  if (target.status == Status::ok && target.appliance->settings().read_only && changes(procedure))
    target.status = Status::rofs;
  if (target.status != Status::ok) {
    Res refused;
    refused.status = target.status;
    co_return refused;
  }
  Appliance& appliance = *target.appliance;
  Appliance::Call call(appliance, procedure, context.received);
  Caller caller = make_caller(context.credentials, appliance.settings().root_squash);
  Op op{appliance.view(), caller};
  Res res = co_await run(op, target.object);
  if constexpr (std::is_same_v<Res, nfs3::ReadRes>) appliance.count_read(res.data.size());
  if constexpr (std::is_same_v<Res, nfs3::WriteRes>) appliance.count_written(res.count);
  call.done(res.status);
  co_return res;
}

Task<nfs3::GetattrRes> NfsService::getattr(const CallContext& context,
                                           const nfs3::GetattrArgs& args) {
  auto run = [](const Op& op, ObjectId object) { return redirect::getattr(op, object); };
  return serve<nfs3::GetattrRes>(context, Procedure::getattr, admit(context, args.object), run);
}

Task<nfs3::SetattrRes> NfsService::setattr(const CallContext& context,
                                           const nfs3::SetattrArgs& args) {
  auto run = [&args](const Op& op, ObjectId object) { return redirect::setattr(op, object, args); };
  return serve<nfs3::SetattrRes>(context, Procedure::setattr, admit(context, args.object), run);
}

Task<nfs3::LookupRes> NfsService::lookup(const CallContext& context, const nfs3::LookupArgs& args) {
  auto run = [&args](const Op& op, ObjectId dir) {
    return redirect::lookup(op, dir, args.what.name);
  };
  return serve<nfs3::LookupRes>(context, Procedure::lookup, admit(context, args.what.dir), run);
}

Task<nfs3::AccessRes> NfsService::access(const CallContext& context, const nfs3::AccessArgs& args) {
  auto run = [&args](const Op& op, ObjectId object) {
    return redirect::access(op, object, args.access);
  };
  return serve<nfs3::AccessRes>(context, Procedure::access, admit(context, args.object), run);
}

Task<nfs3::ReadlinkRes> NfsService::readlink(const CallContext& context,
                                             const nfs3::ReadlinkArgs& args) {
  auto run = [](const Op& op, ObjectId symlink) { return redirect::readlink(op, symlink); };
  return serve<nfs3::ReadlinkRes>(context, Procedure::readlink, admit(context, args.symlink), run);
}

Task<nfs3::ReadRes> NfsService::read(const CallContext& context, const nfs3::ReadArgs& args) {
  auto run = [&args](const Op& op, ObjectId file) {
    return redirect::read(op, file, args.offset, args.count);
  };
  return serve<nfs3::ReadRes>(context, Procedure::read, admit(context, args.file), run);
}

Task<nfs3::WriteRes> NfsService::write(const CallContext& context, const nfs3::WriteArgs& args) {
  auto run = [&args](const Op& op, ObjectId file) { return redirect::write(op, file, args); };
  return serve<nfs3::WriteRes>(context, Procedure::write, admit(context, args.file), run);
}

Task<nfs3::CreateRes> NfsService::create(const CallContext& context, const nfs3::CreateArgs& args) {
  auto run = [&args](const Op& op, ObjectId dir) { return redirect::create(op, dir, args); };
  return serve<nfs3::CreateRes>(context, Procedure::create, admit(context, args.where.dir), run);
}

Task<nfs3::CreateRes> NfsService::mkdir(const CallContext& context, const nfs3::MkdirArgs& args) {
  auto run = [&args](const Op& op, ObjectId dir) { return redirect::mkdir(op, dir, args); };
  return serve<nfs3::CreateRes>(context, Procedure::mkdir, admit(context, args.where.dir), run);
}

Task<nfs3::CreateRes> NfsService::symlink(const CallContext& context,
                                          const nfs3::SymlinkArgs& args) {
  auto run = [&args](const Op& op, ObjectId dir) { return redirect::symlink(op, dir, args); };
  return serve<nfs3::CreateRes>(context, Procedure::symlink, admit(context, args.where.dir), run);
}

Task<nfs3::CreateRes> NfsService::mknod(const CallContext& context, const nfs3::MknodArgs& args) {
  auto run = [&args](const Op& op, ObjectId dir) { return redirect::mknod(op, dir, args); };
  return serve<nfs3::CreateRes>(context, Procedure::mknod, admit(context, args.where.dir), run);
}

Task<nfs3::RemoveRes> NfsService::remove(const CallContext& context, const nfs3::RemoveArgs& args) {
  auto run = [&args](const Op& op, ObjectId dir) {
    return redirect::remove(op, dir, args.what.name);
  };
  return serve<nfs3::RemoveRes>(context, Procedure::remove, admit(context, args.what.dir), run);
}

Task<nfs3::RemoveRes> NfsService::rmdir(const CallContext& context, const nfs3::RemoveArgs& args) {
  auto run = [&args](const Op& op, ObjectId dir) {
    return redirect::rmdir(op, dir, args.what.name);
  };
  return serve<nfs3::RemoveRes>(context, Procedure::rmdir, admit(context, args.what.dir), run);
}

Task<nfs3::RenameRes> NfsService::rename(const CallContext& context, const nfs3::RenameArgs& args) {
  Target from = admit(context, args.from.dir);
  Target to = admit_second(context, from, args.to.dir);
  auto run = [&args, to](const Op& op, ObjectId from_dir) {
    redirect::RenameEnd from_end{from_dir, args.from.name};
    redirect::RenameEnd to_end{to.object, args.to.name};
    return redirect::rename(op, from_end, to_end);
  };
  if (to.status != Status::ok) from.status = to.status;
  return serve<nfs3::RenameRes>(context, Procedure::rename, from, run);
}

Task<nfs3::LinkRes> NfsService::link(const CallContext& context, const nfs3::LinkArgs& args) {
  Target file = admit(context, args.file);
  Target dir = admit_second(context, file, args.link.dir);
  auto run = [&args, dir](const Op& op, ObjectId object) {
    return redirect::link(op, object, dir.object, args.link.name);
  };
  if (dir.status != Status::ok) file.status = dir.status;
  return serve<nfs3::LinkRes>(context, Procedure::link, file, run);
}

Task<nfs3::ReaddirRes> NfsService::readdir(const CallContext& context,
                                           const nfs3::ReaddirArgs& args) {
  auto run = [&args](const Op& op, ObjectId dir) { return redirect::readdir(op, dir, args); };
  return serve<nfs3::ReaddirRes>(context, Procedure::readdir, admit(context, args.dir), run);
}

Task<nfs3::ReaddirRes> NfsService::readdirplus(const CallContext& context,
                                               const nfs3::ReaddirplusArgs& args) {
  auto run = [&args](const Op& op, ObjectId dir) { return redirect::readdirplus(op, dir, args); };
  return serve<nfs3::ReaddirRes>(context, Procedure::readdirplus, admit(context, args.dir), run);
}

Task<nfs3::FsstatRes> NfsService::fsstat(const CallContext& context, const nfs3::FsstatArgs& args) {
  auto run = [](const Op& op, ObjectId root) { return redirect::fsstat(op, root); };
  return serve<nfs3::FsstatRes>(context, Procedure::fsstat, admit(context, args.root), run);
}

Task<nfs3::FsinfoRes> NfsService::fsinfo(const CallContext& context, const nfs3::FsinfoArgs& args) {
  auto run = [](const Op& op, ObjectId root) { return redirect::fsinfo(op, root); };
  return serve<nfs3::FsinfoRes>(context, Procedure::fsinfo, admit(context, args.root), run);
}

Task<nfs3::PathconfRes> NfsService::pathconf(const CallContext& context,
                                             const nfs3::PathconfArgs& args) {
  auto run = [](const Op& op, ObjectId object) { return redirect::pathconf(op, object); };
  return serve<nfs3::PathconfRes>(context, Procedure::pathconf, admit(context, args.object), run);
}

Task<nfs3::CommitRes> NfsService::commit(const CallContext& context, const nfs3::CommitArgs& args) {
  auto run = [](const Op& op, ObjectId file) { return redirect::commit(op, file); };
  return serve<nfs3::CommitRes>(context, Procedure::commit, admit(context, args.file), run);
}

}  // namespace rowan::proxy
