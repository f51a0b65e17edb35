// NFS version 3 for the appliances of one strand: from handle and address to appliance, object and
// caller, then the operation (redirect.h).
//
//   BADHANDLE   the handle was not issued by the appliance that it names
//   STALE       no such appliance here, or no such object in it any more
//   ACCES       the client's address is not on the appliance's list, however good the handle
//   JUKEBOX     the appliance is being opened, cannot be opened now or is closing, or the source
//               does not answer
#pragma once

#include "cache/ids.h"
#include "proxy/exports.h"
#include "rpc/service.h"

namespace rowan::proxy {

class NfsService final : public nfs3::Service {
 public:
  // `exports` outlives the service.
  explicit NfsService(Exports& exports) : exports_(exports) {}

  Task<nfs3::GetattrRes> getattr(const CallContext& context,
                                 const nfs3::GetattrArgs& args) override;
  Task<nfs3::SetattrRes> setattr(const CallContext& context,
                                 const nfs3::SetattrArgs& args) override;
  Task<nfs3::LookupRes> lookup(const CallContext& context, const nfs3::LookupArgs& args) override;
  Task<nfs3::AccessRes> access(const CallContext& context, const nfs3::AccessArgs& args) override;
  Task<nfs3::ReadlinkRes> readlink(const CallContext& context,
                                   const nfs3::ReadlinkArgs& args) override;
  Task<nfs3::ReadRes> read(const CallContext& context, const nfs3::ReadArgs& args) override;
  Task<nfs3::WriteRes> write(const CallContext& context, const nfs3::WriteArgs& args) override;
  Task<nfs3::CreateRes> create(const CallContext& context, const nfs3::CreateArgs& args) override;
  Task<nfs3::CreateRes> mkdir(const CallContext& context, const nfs3::MkdirArgs& args) override;
  Task<nfs3::CreateRes> symlink(const CallContext& context, const nfs3::SymlinkArgs& args) override;
  Task<nfs3::CreateRes> mknod(const CallContext& context, const nfs3::MknodArgs& args) override;
  Task<nfs3::RemoveRes> remove(const CallContext& context, const nfs3::RemoveArgs& args) override;
  Task<nfs3::RemoveRes> rmdir(const CallContext& context, const nfs3::RemoveArgs& args) override;
  Task<nfs3::RenameRes> rename(const CallContext& context, const nfs3::RenameArgs& args) override;
  Task<nfs3::LinkRes> link(const CallContext& context, const nfs3::LinkArgs& args) override;
  Task<nfs3::ReaddirRes> readdir(const CallContext& context,
                                 const nfs3::ReaddirArgs& args) override;
  Task<nfs3::ReaddirRes> readdirplus(const CallContext& context,
                                     const nfs3::ReaddirplusArgs& args) override;
  Task<nfs3::FsstatRes> fsstat(const CallContext& context, const nfs3::FsstatArgs& args) override;
  Task<nfs3::FsinfoRes> fsinfo(const CallContext& context, const nfs3::FsinfoArgs& args) override;
  Task<nfs3::PathconfRes> pathconf(const CallContext& context,
                                   const nfs3::PathconfArgs& args) override;
  Task<nfs3::CommitRes> commit(const CallContext& context, const nfs3::CommitArgs& args) override;

 private:
  struct Target {
    nfs3::Status status = nfs3::Status::ok;
    Appliance* appliance = nullptr;  // if OK
    cache::ObjectId object{};
  };
  Target admit(const CallContext& context, const nfs3::Handle& handle) const;
  // The second handle of LINK and RENAME: of the same appliance, or XDEV.
  Target admit_second(const CallContext& context, const Target& first,
                      const nfs3::Handle& handle) const;
  template <class Res, class Run>
  Task<Res> serve(const CallContext& context, nfs3::Procedure procedure, Target target, Run run);

  Exports& exports_;
};

}  // namespace rowan::proxy
