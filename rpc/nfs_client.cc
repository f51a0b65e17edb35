#include "rpc/nfs_client.h"

#include <cstring>
#include <string>

#include "rpc/mount3_codec.h"
#include "rpc/nfs3_codec.h"

namespace rowan::rpc {
namespace {

bool decode_nothing(xdr::Reader& in, void*) { return in.finish(); }

template <nfs3::Procedure P>
bool decode_into(xdr::Reader& in, void* into) {
  return nfs3::Codec<P>::decode_res(in, *static_cast<typename nfs3::Codec<P>::Res*>(into));
}

template <class Res>
Task<Result<Res>> finish(Client& client, Buffer message, DecodeResults decode) {
  Res res;
  Result<void> done = co_await client.call(std::move(message), decode, &res);
  if (!done) co_return std::move(done).error();
  co_return res;
}

struct ReadTarget {
  ByteSpan bytes;
  ReadInto result;
};

bool decode_read(xdr::Reader& in, void* into) {
  auto& target = *static_cast<ReadTarget*>(into);
  nfs3::ReadResView view;
  if (!nfs3::decode_read_view(in, view)) return false;
  if (view.data.size() > target.bytes.size()) {
    in.fail("a READ has more data than was asked for");
    return false;
  }
  if (!view.data.empty()) std::memcpy(target.bytes.data(), view.data.data(), view.data.size());
  target.result.status = view.status;
  target.result.attributes = view.attributes;
  target.result.count = static_cast<std::uint32_t>(view.data.size());
  target.result.eof = view.eof;
  return true;
}

template <class T>
bool decode_mount(xdr::Reader& in, void* into) {
  return mount3::decode(in, *static_cast<T*>(into));
}

bool decode_port_number(xdr::Reader& in, void* into) {
  return portmap::decode_port(in, *static_cast<std::uint32_t*>(into));
}

Task<Result<ReadInto>> finish_read(Client& client, Buffer message, ByteSpan into) {
  ReadTarget target;
  target.bytes = into;
  Result<void> done = co_await client.call(std::move(message), decode_read, &target);
  if (!done) co_return std::move(done).error();
  co_return target.result;
}

Task<Result<std::uint16_t>> finish_getport(Client& client, Buffer message, std::uint32_t program) {
  std::uint32_t port = 0;
  Result<void> done = co_await client.call(std::move(message), decode_port_number, &port);
  if (!done) co_return std::move(done).error();
  if (port == 0) {
    co_return Error(Errc::not_found, "the port mapper of " + client.options().host +
                                         " has no program " + std::to_string(program));
  }
  if (port > 65535) co_return Error(Errc::malformed, "the port mapper named an impossible port");
  co_return static_cast<std::uint16_t>(port);
}

std::uint32_t number(mount3::Procedure procedure) { return static_cast<std::uint32_t>(procedure); }

template <class Procedure>
Buffer bare_call(const Client& client, Procedure procedure) {
  xdr::Writer out;
  client.begin(out, static_cast<std::uint32_t>(procedure));
  return out.take();
}

Buffer path_call(const Client& client, mount3::Procedure procedure, std::string_view path) {
  xdr::Writer out;
  client.begin(out, number(procedure));
  mount3::encode_path(out, path);
  return out.take();
}

}  // namespace

// None of these is a coroutine itself: arguments are encoded before they return, and what waits
// holds the Client alone, so arguments and the object itself may be temporaries.
template <nfs3::Procedure P, class Args>
auto NfsClient::call(const Args& args) {
  xdr::Writer out;
  client_.begin(out, static_cast<std::uint32_t>(P));
  nfs3::Codec<P>::encode_args(out, args);
  return finish<typename nfs3::Codec<P>::Res>(client_, out.take(), decode_into<P>);
}

Task<Result<void>> NfsClient::null() {
  return client_.call(bare_call(client_, nfs3::Procedure::null), decode_nothing, nullptr);
}

Task<Result<nfs3::GetattrRes>> NfsClient::getattr(nfs3::Handle object) {
  nfs3::GetattrArgs args{object};
  return call<nfs3::Procedure::getattr>(args);
}

Task<Result<nfs3::LookupRes>> NfsClient::lookup(nfs3::Handle directory, std::string_view name) {
  nfs3::LookupArgs args{{directory, name}};
  return call<nfs3::Procedure::lookup>(args);
}

Task<Result<nfs3::AccessRes>> NfsClient::access(nfs3::Handle object, std::uint32_t access) {
  nfs3::AccessArgs args{object, access};
  return call<nfs3::Procedure::access>(args);
}

Task<Result<nfs3::ReadlinkRes>> NfsClient::readlink(nfs3::Handle symlink) {
  nfs3::ReadlinkArgs args{symlink};
  return call<nfs3::Procedure::readlink>(args);
}

Task<Result<ReadInto>> NfsClient::read(nfs3::Handle file, std::uint64_t offset, ByteSpan into) {
  ByteSpan wanted = into.first(std::min<std::size_t>(into.size(), nfs3::max_transfer_size));
  nfs3::ReadArgs args{file, offset, static_cast<std::uint32_t>(wanted.size())};
  xdr::Writer out;
  client_.begin(out, static_cast<std::uint32_t>(nfs3::Procedure::read));
  nfs3::Codec<nfs3::Procedure::read>::encode_args(out, args);
  return finish_read(client_, out.take(), wanted);
}

Task<Result<nfs3::ReaddirRes>> NfsClient::readdir(const nfs3::ReaddirArgs& args) {
  return call<nfs3::Procedure::readdir>(args);
}

Task<Result<nfs3::ReaddirRes>> NfsClient::readdirplus(const nfs3::ReaddirplusArgs& args) {
  return call<nfs3::Procedure::readdirplus>(args);
}

Task<Result<nfs3::FsstatRes>> NfsClient::fsstat(nfs3::Handle root) {
  nfs3::FsstatArgs args{root};
  return call<nfs3::Procedure::fsstat>(args);
}

Task<Result<nfs3::FsinfoRes>> NfsClient::fsinfo(nfs3::Handle root) {
  nfs3::FsinfoArgs args{root};
  return call<nfs3::Procedure::fsinfo>(args);
}

Task<Result<nfs3::PathconfRes>> NfsClient::pathconf(nfs3::Handle object) {
  nfs3::PathconfArgs args{object};
  return call<nfs3::Procedure::pathconf>(args);
}

Task<Result<void>> MountClient::null() {
  return client_.call(bare_call(client_, mount3::Procedure::null), decode_nothing, nullptr);
}

Task<Result<mount3::MntRes>> MountClient::mnt(std::string_view path) {
  return finish<mount3::MntRes>(client_, path_call(client_, mount3::Procedure::mnt, path),
                                decode_mount<mount3::MntRes>);
}

Task<Result<void>> MountClient::umnt(std::string_view path) {
  return client_.call(path_call(client_, mount3::Procedure::umnt, path), decode_nothing, nullptr);
}

Task<Result<std::vector<mount3::ExportEntry>>> MountClient::exports() {
  using Exports = std::vector<mount3::ExportEntry>;
  return finish<Exports>(client_, bare_call(client_, mount3::Procedure::exports),
                         decode_mount<Exports>);
}

Task<Result<std::uint16_t>> PortmapClient::getport(std::uint32_t program, std::uint32_t version) {
  xdr::Writer out;
  client_.begin(out, static_cast<std::uint32_t>(portmap::Procedure2::getport));
  portmap::Mapping wanted;
  wanted.program = program;
  wanted.version = version;
  portmap::encode(out, wanted);
  return finish_getport(client_, out.take(), program);
}

}  // namespace rowan::rpc
