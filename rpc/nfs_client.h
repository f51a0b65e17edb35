// The read-only procedures of NFSv3, MOUNT's and the port mapper's that an image server is asked,
// typed. A status other than NFS3_OK is a result, not an error; errors are Client::call's.
#pragma once

#include <string_view>
#include <vector>

#include "rpc/client.h"
#include "rpc/nfs3.h"
#include "rpc/portmap.h"
#include "rpc/service.h"

namespace rowan::rpc {

struct ReadInto {  // a READ result whose data was copied to the caller's bytes
  nfs3::Status status = nfs3::Status::ok;
  nfs3::PostOpAttributes attributes;
  std::uint32_t count = 0;
  bool eof = false;
};

// Arguments and the NfsClient itself may be temporaries; the Client and what a result is written to
// outlive the task.
class NfsClient {
 public:
  explicit NfsClient(Client& client) : client_(client) {}

  Task<Result<void>> null();
  Task<Result<nfs3::GetattrRes>> getattr(nfs3::Handle object);
  Task<Result<nfs3::LookupRes>> lookup(nfs3::Handle directory, std::string_view name);
  Task<Result<nfs3::AccessRes>> access(nfs3::Handle object, std::uint32_t access);
  Task<Result<nfs3::ReadlinkRes>> readlink(nfs3::Handle symlink);
  // At most into.size() bytes; a server that sends more is malformed.
  Task<Result<ReadInto>> read(nfs3::Handle file, std::uint64_t offset, ByteSpan into);
  Task<Result<nfs3::ReaddirRes>> readdir(const nfs3::ReaddirArgs& args);
  Task<Result<nfs3::ReaddirRes>> readdirplus(const nfs3::ReaddirplusArgs& args);
  Task<Result<nfs3::FsstatRes>> fsstat(nfs3::Handle root);
  Task<Result<nfs3::FsinfoRes>> fsinfo(nfs3::Handle root);
  Task<Result<nfs3::PathconfRes>> pathconf(nfs3::Handle object);

 private:
  template <nfs3::Procedure P, class Args>
  auto call(const Args& args);

  Client& client_;
};

class MountClient {
 public:
  explicit MountClient(Client& client) : client_(client) {}
  Task<Result<void>> null();
  Task<Result<mount3::MntRes>> mnt(std::string_view path);
  Task<Result<void>> umnt(std::string_view path);
  Task<Result<std::vector<mount3::ExportEntry>>> exports();

 private:
  Client& client_;
};

class PortmapClient {
 public:
  explicit PortmapClient(Client& client) : client_(client) {}
  // The TCP port of a program's version. not_found: it is not registered.
  Task<Result<std::uint16_t>> getport(std::uint32_t program, std::uint32_t version);

 private:
  Client& client_;
};

}  // namespace rowan::rpc
