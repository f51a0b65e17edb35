#include "tools/bench/raw_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace rowan::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

// State of one waited-for call; libnfs holds a pointer to it until the callback ran.
struct Pending {
  const std::function<void(void*)>& use;
  bool done = false;
  int status = RPC_STATUS_SUCCESS;
  std::string error = {};
};

void on_reply(rpc_context*, int status, void* data, void* user) {
  auto& pending = *static_cast<Pending*>(user);
  pending.done = true;
  pending.status = status;
  if (status == RPC_STATUS_SUCCESS) {
    pending.use(data);
  } else if (status == RPC_STATUS_ERROR && data != nullptr) {
    pending.error = static_cast<const char*>(data);
  }
}

}  // namespace

nfs_fh3 FileHandle::borrow() const {
  nfs_fh3 handle;
  handle.data.data_len = static_cast<u_int>(bytes_.size());
  handle.data.data_val = const_cast<char*>(bytes_.data());  // libnfs only reads it
  return handle;
}

Result<std::unique_ptr<RawClient>> RawClient::connect(const Target& target, std::uint16_t port) {
  rpc_context* context = rpc_init_context();
  if (context == nullptr) return Error(Errc::limit, "no memory for a libnfs context");
  std::unique_ptr<RawClient> client(new RawClient(context));
  client->set_user(target.uid, target.gid);
  auto where = target.host + ":" + std::to_string(port);
  auto connected = client->wait_for(
      [&](rpc_cb cb, void* data) {
        return rpc_connect_async(context, target.host.c_str(), port, cb, data);
      },
      [](void*) {});
  if (!connected) {
    return Error(Errc::disconnected,
                 "cannot connect to " + where + ": " + to_string(connected.error()));
  }
  int on = 1;
  setsockopt(client->fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return client;
}

RawClient::~RawClient() { rpc_destroy_context(context_); }

Result<void> RawClient::service(int revents) {
  if (rpc_service(context_, revents) < 0) {
    const char* text = rpc_get_error(context_);
    return Error(Errc::disconnected, text != nullptr ? text : "connection lost");
  }
  return {};
}

void RawClient::set_user(std::uint32_t uid, std::uint32_t gid, std::vector<std::uint32_t> groups) {
  rpc_set_auth(context_,
               libnfs_authunix_create("rowan-bench", uid, gid,
                                      static_cast<std::uint32_t>(groups.size()), groups.data()));
}

Result<void> RawClient::wait_for(const std::function<int(rpc_cb, void*)>& queue,
                                 const std::function<void(void*)>& use) {
  Pending pending{.use = use};
  if (queue(on_reply, &pending) != 0) {
    const char* text = rpc_get_error(context_);
    return Error(Errc::malformed, text != nullptr ? text : "the call could not be queued");
  }
  auto until = SteadyClock::now() + deadline_;
  while (!pending.done) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - SteadyClock::now());
    pollfd entry{.fd = fd(), .events = events(), .revents = 0};
    if (left.count() <= 0 || poll(&entry, 1, static_cast<int>(left.count())) == 0) {
      rpc_disconnect(context_, "no reply in time");  // runs the callback while `pending` lives
      return Error(Errc::timed_out, "no reply in time");
    }
    auto served = service(entry.revents);
    if (!served) {
      if (!pending.done) rpc_disconnect(context_, "connection lost");
      return served;
    }
  }
  if (pending.status != RPC_STATUS_SUCCESS) {
    return Error(Errc::malformed, pending.error.empty() ? "refused" : pending.error);
  }
  return {};
}

Result<FileHandle> mount_root(const Target& target) {
  TRY(auto client, RawClient::connect(target, target.mount_or_nfs_port()));
  FileHandle root;
  int status = MNT3_OK;
  std::string path = target.export_path;
  TRY_VOID(client->wait_for(
      [&](rpc_cb cb, void* data) {
        return rpc_mount3_mnt_async(client->context(), cb, path.data(), data);
      },
      [&](void* reply) {
        const auto& result = *static_cast<const mountres3*>(reply);
        status = result.fhs_status;
        if (status != MNT3_OK) return;
        const auto& handle = result.mountres3_u.mountinfo.fhandle;
        root = FileHandle(std::string(handle.fhandle3_val, handle.fhandle3_len));
      }));
  if (status != MNT3_OK) {
    return Error(Errc::access, target.url() + ": mount refused: " + mountstat3_to_str(status));
  }
  return root;
}

}  // namespace rowan::bench
