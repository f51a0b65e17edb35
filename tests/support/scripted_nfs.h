// An NFS and a MOUNT service that answer what a test tells them: every procedure gives a default
// result with `status`, remembers the last call's name and caller, and waits for `gate` first if
// there is one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rpc/base/loop.h"
#include "rpc/service.h"

namespace rowan::test {

class ScriptedNfs : public nfs3::Service {
 public:
  nfs3::Status status = nfs3::Status::ok;
  Signal* gate = nullptr;
  std::string last;
  std::string last_name;
  CallContext last_context;
  int calls = 0;
  std::string read_data = "data";
  std::shared_ptr<const Buffer> last_owner;  // of a WRITE's data

// A macro, because a virtual function cannot be a template: one line per procedure.
#define ROWAN_SCRIPTED(method, Args, Res)                                                     \
  Task<nfs3::Res> method(const CallContext& context, const nfs3::Args& args) override {       \
    return answer<nfs3::Res>(#method, context, args);                                         \
  }
  ROWAN_SCRIPTED(getattr, GetattrArgs, GetattrRes)
  ROWAN_SCRIPTED(setattr, SetattrArgs, SetattrRes)
  ROWAN_SCRIPTED(lookup, LookupArgs, LookupRes)
  ROWAN_SCRIPTED(access, AccessArgs, AccessRes)
  ROWAN_SCRIPTED(readlink, ReadlinkArgs, ReadlinkRes)
  ROWAN_SCRIPTED(read, ReadArgs, ReadRes)
  ROWAN_SCRIPTED(write, WriteArgs, WriteRes)
  ROWAN_SCRIPTED(create, CreateArgs, CreateRes)
  ROWAN_SCRIPTED(mkdir, MkdirArgs, CreateRes)
  ROWAN_SCRIPTED(symlink, SymlinkArgs, CreateRes)
  ROWAN_SCRIPTED(mknod, MknodArgs, CreateRes)
  ROWAN_SCRIPTED(remove, RemoveArgs, RemoveRes)
  ROWAN_SCRIPTED(rmdir, RemoveArgs, RemoveRes)
  ROWAN_SCRIPTED(rename, RenameArgs, RenameRes)
  ROWAN_SCRIPTED(link, LinkArgs, LinkRes)
  ROWAN_SCRIPTED(readdir, ReaddirArgs, ReaddirRes)
  ROWAN_SCRIPTED(readdirplus, ReaddirplusArgs, ReaddirRes)
  ROWAN_SCRIPTED(fsstat, FsstatArgs, FsstatRes)
  ROWAN_SCRIPTED(fsinfo, FsinfoArgs, FsinfoRes)
  ROWAN_SCRIPTED(pathconf, PathconfArgs, PathconfRes)
  ROWAN_SCRIPTED(commit, CommitArgs, CommitRes)
#undef ROWAN_SCRIPTED

 private:
  template <class Res, class Args>
  Task<Res> answer(const char* method, const CallContext& context, const Args& args) {
    ++calls;
    last = method;
    last_context = context;
    if constexpr (requires { args.where.name; }) last_name = args.where.name;
    if constexpr (requires { args.data_owner; }) last_owner = args.data_owner;
    Res res;
    res.status = status;
    if (gate != nullptr) co_await gate->wait();
    if constexpr (requires { res.data; }) res.data = Buffer::copy_of(as_bytes(read_data));
    co_return std::move(res);
  }
};

class ScriptedMount : public mount3::Service {
 public:
  mount3::MntRes result;
  std::string last;
  std::vector<mount3::ExportEntry> export_list;
  std::vector<mount3::MountEntry> mount_list;

  Task<mount3::MntRes> mnt(const CallContext&, std::string_view path) override {
    last = "mnt " + std::string(path);
    co_return result;
  }
  Task<std::vector<mount3::MountEntry>> dump(const CallContext&) override {
    last = "dump";
    co_return mount_list;
  }
  Task<void> umnt(const CallContext&, std::string_view path) override {
    last = "umnt " + std::string(path);
    co_return;
  }
  Task<void> umntall(const CallContext&) override {
    last = "umntall";
    co_return;
  }
  Task<std::vector<mount3::ExportEntry>> exports(const CallContext&) override {
    last = "exports";
    co_return export_list;
  }
};

}  // namespace rowan::test
