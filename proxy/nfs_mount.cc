#include "proxy/nfs_mount.h"

#include <algorithm>

#include "rpc/base/log.h"
#include "rpc/nfs3_status.h"

namespace rowan::proxy {
namespace {

constexpr std::uint32_t flavor_none = 0, flavor_sys = 1;
// What a server that names no rtmax is read with.
constexpr std::uint32_t smallest_useful_read = 512, default_read = 8192;

std::uint32_t useful_read_size(std::uint32_t rtmax) {
  if (rtmax == 0) return default_read;
  return std::clamp(rtmax, smallest_useful_read, nfs3::max_transfer_size);
}

// A server that has the NFS port but no MOUNT behind it, or nothing at all there.
bool ask_elsewhere(Errc code) {
  return code == Errc::not_supported || code == Errc::disconnected || code == Errc::timed_out;
}

}  // namespace

NfsMount::NfsMount(AsioLoop& loop, const NfsUrl& url, const NfsSourceOptions& options)
    : loop_(loop), url_(url), options_(options) {}

rpc::ClientOptions NfsMount::client_options(std::uint32_t program, std::uint32_t version,
                                            std::uint16_t port) const {
  rpc::ClientOptions client;
  client.host = url_.host;
  client.port = port;
  client.program = program;
  client.version = version;
  client.connections = 1;
  client.deadline = options_.deadline;
  client.connect_timeout = std::min(client.connect_timeout, options_.deadline);
  client.patient = false;
  client.reserved_port = options_.reserved_port;
  client.identity = rpc::ClientOptions::Identity();
  client.identity->uid = url_.uid;
  client.identity->gid = url_.gid;
  return client;
}

Task<Result<void>> NfsMount::ensure() {
  if (closed_) co_return Error(Errc::disconnected, "the source is closed");
  if (root_ && !suspected_) co_return Result<void>();
  if (mounting_) {
    auto others = mounting_;
    co_await others->wait();
    co_return others->value();
  }
  if (failure_ && loop_.clock().now() < retry_at_) co_return *failure_;
  auto mine = std::make_shared<Shared<Result<void>>>(loop_);
  mounting_ = mine;
  Result<void> outcome;
  if (root_) {
    co_await check_port();
  } else {
    outcome = co_await mount();
  }
  if (closed_) outcome = Error(Errc::disconnected, "the source is closed");
  suspected_ = false;
  failure_.reset();
  if (!outcome) {
    failure_ = outcome.error();
    retry_at_ = loop_.clock().now() + options_.mount_pause;
  }
  mounting_.reset();
  mine->set(outcome);
  co_return outcome;
}

Task<Result<void>> NfsMount::mount() {
  std::uint16_t port = 0;
  if (url_.nfs_port) {
    port = *url_.nfs_port;
  } else {
    CO_TRY(port, co_await ask_port(nfs3::program, nfs3::version));
  }
  CO_TRY(nfs3::Handle root, co_await find_root(port));
  if (closed_) co_return Error(Errc::disconnected, "the source is closed");
  if (!nfs_) {
    rpc::ClientOptions client = client_options(nfs3::program, nfs3::version, port);
    client.connections = options_.connections;
    client.patient = true;
    nfs_ = std::make_unique<rpc::Client>(loop_, client);
  } else if (nfs_->options().port != port) {
    nfs_->move_to_port(port);
  }
  root_ = root;
  Result<void> limits = co_await ask_limits();
  if (!limits) root_.reset();
  co_return limits;
}

// With a root in hand only the port can have changed; whoever does not answer here does not answer
// anywhere.
Task<void> NfsMount::check_port() {
  if (url_.nfs_port) co_return;
  Result<std::uint16_t> port = co_await ask_port(nfs3::program, nfs3::version);
  if (!port || closed_ || nfs_->options().port == *port) co_return;
  log(Level::info, "source.moved", {{"source", to_string(url_)}, {"port", *port}});
  nfs_->move_to_port(*port);
}

Task<Result<std::uint16_t>> NfsMount::ask_port(std::uint32_t program, std::uint32_t version) {
  rpc::Client client(loop_, client_options(portmap::program, portmap::lowest_version,
                                           options_.portmap_port));
  brief_.push_back(&client);
  rpc::PortmapClient portmap(client);
  Result<std::uint16_t> port = co_await portmap.getport(program, version);
  std::erase(brief_, &client);
  co_await client.close();
  if (!port && !client.unresolved()) {
    Error error = std::move(port).error();
    error.detail +=
        "; name the port in the source (?nfsport=N&mountport=N) or start its port mapper";
    co_return error;
  }
  co_return port;
}

Task<Result<nfs3::Handle>> NfsMount::find_root(std::uint16_t nfs_port) {
  if (url_.mount_port) co_return co_await ask_root(*url_.mount_port);
  if (url_.nfs_port) {
    // Servers with all programs on one port need no port mapper.
    Result<nfs3::Handle> root = co_await ask_root(nfs_port);
    if (root || !ask_elsewhere(root.error().code)) co_return root;
  }
  CO_TRY(std::uint16_t port, co_await ask_port(mount3::program, mount3::version));
  co_return co_await ask_root(port);
}

Task<Result<nfs3::Handle>> NfsMount::ask_root(std::uint16_t port) {
  rpc::Client client(loop_, client_options(mount3::program, mount3::version, port));
  brief_.push_back(&client);
  rpc::MountClient mount(client);
  Result<mount3::MntRes> res = co_await mount.mnt(url_.export_path);
  std::erase(brief_, &client);
  co_await client.close();
  if (!res) co_return std::move(res).error();
  co_return accept_root(std::move(*res));
}

Result<nfs3::Handle> NfsMount::accept_root(mount3::MntRes res) const {
  std::string what = "mounting " + to_string(url_);
  if (res.status != mount3::Status::ok) {
    what += ": the server answers " + std::string(mount3::to_string(res.status));
    if (res.status == mount3::Status::acces || res.status == mount3::Status::perm) {
      what += "; it must export the path to this host, perhaps with the option 'insecure'";
    }
    return Error(mount3::errc_of(res.status), what);
  }
  bool usable = res.flavors.empty();
  for (std::uint32_t flavor : res.flavors) {
    usable = usable || flavor == flavor_sys || flavor == flavor_none;
  }
  if (!usable) {
    return Error(Errc::access, what + ": the server takes neither AUTH_SYS nor AUTH_NONE");
  }
  if (res.root.size == 0) return Error(Errc::malformed, what + ": the root has an empty handle");
  return res.root;
}

Task<Result<void>> NfsMount::ask_limits() {
  Result<nfs3::FsinfoRes> info = co_await nfs().fsinfo(*root_);
  if (!info) co_return std::move(info).error();
  if (info->status != nfs3::Status::ok) {
    co_return Error(nfs3::errc_of(info->status), "FSINFO of " + to_string(url_) + ": " +
                                                     std::string(nfs3::to_string(info->status)));
  }
  read_size_ = useful_read_size(info->rtmax);
  co_return Result<void>();
}

Task<void> NfsMount::refresh_limits() {
  if (!root_) co_return;
  Result<void> asked = co_await ask_limits();
  if (!asked) log(Level::debug, "source.limits", {{"failed", to_string(asked.error())}});
}

Task<void> NfsMount::close() {
  closed_ = true;
  for (rpc::Client* client : brief_) client->abort();
  if (nfs_) co_await nfs_->close();
  if (mounting_) {
    auto others = mounting_;
    co_await others->wait();
  }
}

}  // namespace rowan::proxy
