// One TCP connection of libnfs' raw interface, used in two ways: `call` sends one call and waits
// for its reply; a driver polls `fd` and queues calls on `context` itself. One thread per client.
//
// libnfs 4.0.0 decodes replies without checking them, so this is for servers of our own choosing
// only. Reconnection stays off: that version joins the bytes of two connections.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "rpc/base/result.h"
#include "tools/bench/libnfs.h"
#include "tools/bench/target.h"

namespace rowan::bench {

// A file handle with its own bytes; libnfs' handles point into the receive buffer.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(const nfs_fh3& borrowed)
      : bytes_(borrowed.data.data_val, borrowed.data.data_len) {}
  explicit FileHandle(std::string bytes) : bytes_(std::move(bytes)) {}

  // Borrows from this object: valid while it lives and is not assigned to.
  nfs_fh3 borrow() const;
  const std::string& bytes() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  friend bool operator==(const FileHandle&, const FileHandle&) = default;

 private:
  std::string bytes_;
};

class RawClient {
 public:
  static constexpr std::chrono::milliseconds default_deadline{10'000};

  // Connects to host:port with AUTH_SYS as the target's uid and gid.
  static Result<std::unique_ptr<RawClient>> connect(const Target& target, std::uint16_t port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  rpc_context* context() { return context_; }
  int fd() { return rpc_get_fd(context_); }
  short events() { return static_cast<short>(rpc_which_events(context_)); }
  // Performs the I/O that poll(2) announced; runs callbacks. Errc::disconnected ends the
  // connection.
  Result<void> service(int revents);

  // Who the following calls come from.
  void set_user(std::uint32_t uid, std::uint32_t gid, std::vector<std::uint32_t> groups = {});

  // One call, waiting for its reply; `use` sees the decoded result while it is valid. An RPC-level
  // refusal (garbage arguments, unknown procedure) is Errc::malformed with libnfs' text, silence
  // Errc::timed_out.
  template <class Res, class Args>
  Result<void> call(int (*queue)(rpc_context*, rpc_cb, Args*, void*), Args args,
                    std::function<void(const Res&)> use) {
    return wait_for([&](rpc_cb cb, void* data) { return queue(context_, cb, &args, data); },
                    [&](void* reply) { use(*static_cast<const Res*>(reply)); });
  }
  // The same for calls whose argument is not a struct (NULL, the MOUNT program).
  Result<void> wait_for(const std::function<int(rpc_cb, void*)>& queue,
                        const std::function<void(void*)>& use);

  void set_deadline(std::chrono::milliseconds deadline) { deadline_ = deadline; }

 private:
  explicit RawClient(rpc_context* context) : context_(context) {}

  rpc_context* context_;
  std::chrono::milliseconds deadline_ = default_deadline;
};

// The root handle of the target's export, through the MOUNT protocol.
Result<FileHandle> mount_root(const Target& target);

}  // namespace rowan::bench
