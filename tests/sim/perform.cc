// Operations, done as a client does them.
#include "rpc/base/check.h"
#include "tests/sim/operations.h"
#include "tests/support/appliance_fixture.h"

namespace rowan::sim {

using nfs3::FileType;
using nfs3::Status;

namespace {

CallContext context_of(const test::ModelUser& user) {
  GroupList groups;
  for (std::uint32_t group : user.groups) groups.push_back(group);
  return test::context_of(user.uid, user.groups.front(), groups);
}

nfs3::SetAttributes to_nfs(const test::ModelSet& set) {
  nfs3::SetAttributes result;
  result.mode = set.mode;
  result.uid = set.uid;
  result.gid = set.gid;
  result.size = set.size;
  return result;
}

struct Client {
  nfs3::Service& service;
  const Handles& handles;

  Task<void> names(const CallContext& context, const Operation& operation, Outcome& outcome);
  Task<void> data(const CallContext& context, const Operation& operation, Outcome& outcome);
  Task<void> make(const CallContext& context, const Operation& operation, Outcome& outcome);
};

Task<void> Client::names(const CallContext& context, const Operation& operation,
                         Outcome& outcome) {
  nfs3::DirOpArgs at{handles.at(operation.object), operation.name};
  using Kind = Operation::Kind;
  if (operation.kind == Kind::lookup) {
    nfs3::LookupArgs args{at};
    nfs3::LookupRes res = co_await service.lookup(context, args);
    outcome.status = res.status;
    outcome.handle = res.object;
  } else if (operation.kind == Kind::remove || operation.kind == Kind::rmdir) {
    nfs3::RemoveArgs args{at};
    bool directory = operation.kind == Kind::rmdir;
    Task<nfs3::RemoveRes> task =
        directory ? service.rmdir(context, args) : service.remove(context, args);
    nfs3::RemoveRes res = co_await task;
    outcome.status = res.status;
  } else if (operation.kind == Kind::rename) {
    nfs3::DirOpArgs to{handles.at(operation.other), operation.new_name};
    nfs3::RenameArgs args{at, to};
    nfs3::RenameRes res = co_await service.rename(context, args);
    outcome.status = res.status;
  } else {
    nfs3::DirOpArgs to{handles.at(operation.other), operation.new_name};
    nfs3::LinkArgs args{handles.at(operation.object), to};
    nfs3::LinkRes res = co_await service.link(context, args);
    outcome.status = res.status;
  }
}

Task<void> Client::data(const CallContext& context, const Operation& operation,
                        Outcome& outcome) {
  nfs3::Handle object = handles.at(operation.object);
  using Kind = Operation::Kind;
  if (operation.kind == Kind::access) {
    nfs3::AccessArgs args{object, 0x3f};
    nfs3::AccessRes res = co_await service.access(context, args);
    outcome.status = res.status;
    outcome.access = res.access;
  } else if (operation.kind == Kind::setattr) {
    nfs3::SetattrArgs args{object, to_nfs(operation.set), std::nullopt};
    nfs3::SetattrRes res = co_await service.setattr(context, args);
    outcome.status = res.status;
  } else if (operation.kind == Kind::read) {
    nfs3::ReadArgs args{object, operation.offset, operation.count};
    nfs3::ReadRes res = co_await service.read(context, args);
    outcome.status = res.status;
    outcome.bytes = as_text(res.data.view());
    outcome.eof = res.eof;
  } else if (operation.kind == Kind::write) {
    auto count = static_cast<std::uint32_t>(operation.bytes.size());
    ByteView data = as_bytes(operation.bytes);
    nfs3::WriteArgs args{object, operation.offset, count, operation.stable, data};
    if (count % 2 == 0) {  // as if it came in a record that may be kept
      args.data_owner = std::make_shared<const Buffer>(Buffer::copy_of(data));
      args.data = args.data_owner->view();
    }
    nfs3::WriteRes res = co_await service.write(context, args);
    outcome.status = res.status;
    outcome.verifier = res.verifier;
    CHECK(res.status != Status::ok || res.count == count);
  } else if (operation.kind == Kind::commit) {
    nfs3::CommitArgs args{object, operation.offset, operation.count};
    nfs3::CommitRes res = co_await service.commit(context, args);
    outcome.status = res.status;
    outcome.verifier = res.verifier;
  } else {
    nfs3::ReadlinkArgs args{object};
    nfs3::ReadlinkRes res = co_await service.readlink(context, args);
    outcome.status = res.status;
    outcome.bytes = res.target;
  }
}

Task<void> Client::make(const CallContext& context, const Operation& operation,
                        Outcome& outcome) {
  nfs3::DirOpArgs at{handles.at(operation.object), operation.name};
  nfs3::SetAttributes set = to_nfs(operation.set);
  using Kind = Operation::Kind;
  nfs3::CreateRes res;
  if (operation.kind == Kind::create) {
    nfs3::CreateArgs args{at, operation.how, set, operation.verifier};
    res = co_await service.create(context, args);
  } else if (operation.kind == Kind::mkdir) {
    nfs3::MkdirArgs args{at, set};
    res = co_await service.mkdir(context, args);
  } else if (operation.kind == Kind::symlink) {
    nfs3::SymlinkArgs args{at, set, operation.bytes};
    res = co_await service.symlink(context, args);
  } else {
    nfs3::SpecData device{4, 64};
    nfs3::MknodArgs args{at, FileType::character, set, device};
    res = co_await service.mknod(context, args);
  }
  outcome.status = res.status;
  outcome.handle = res.object;
}

}  // namespace

Task<void> perform(nfs3::Service& service, const Handles& handles, Operation operation,
                   Outcome& outcome) {
  Client client{service, handles};
  CallContext context = context_of(operation.user);
  Outcome own;
  switch (operation.kind) {
    case Operation::Kind::create:
    case Operation::Kind::mkdir:
    case Operation::Kind::symlink:
    case Operation::Kind::mknod:
      co_await client.make(context, operation, own);
      break;
    case Operation::Kind::lookup:
    case Operation::Kind::remove:
    case Operation::Kind::rmdir:
    case Operation::Kind::rename:
    case Operation::Kind::link:
      co_await client.names(context, operation, own);
      break;
    default:
      co_await client.data(context, operation, own);
      break;
  }
  own.replied = true;
  outcome = own;
}

}  // namespace rowan::sim
