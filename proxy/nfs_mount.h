// The way to the root of an NFSv3 export: port mapper, MOUNT, FSINFO, and the connections to the
// NFS program. What proxy/nfs_source asks its questions through.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/nfs_source.h"
#include "rpc/client.h"
#include "rpc/nfs_client.h"

namespace rowan::proxy {

class NfsMount {
 public:
  NfsMount(AsioLoop& loop, const NfsUrl& url, const NfsSourceOptions& options);
  NfsMount(const NfsMount&) = delete;

  // Mounts unless that is done; concurrent callers share one attempt. Errors: disconnected,
  // timed_out (nothing is known); access, not_found, not_directory, not_supported (the server
  // refuses), malformed.
  Task<Result<void>> ensure();

  // After ensure() has succeeded once.
  rpc::NfsClient nfs() { return rpc::NfsClient(*nfs_); }
  const nfs3::Handle& root() const { return *root_; }
  // Bytes per READ; before the first mount what most servers take.
  std::uint32_t read_size() const { return read_size_; }

  // Asks for the limits again: the server seems to give less than it once said. A failure leaves
  // them as they are.
  Task<void> refresh_limits();

  // The root's handle has become stale: the next ensure() mounts again.
  void forget_root() { root_.reset(); }
  // A call has timed out: the server may have come back on other ports.
  void suspect() { suspected_ = true; }
  bool from_any_port() const { return nfs_ && nfs_->fell_back_to_any_port(); }

  // Ends everything with disconnected.
  Task<void> close();

 private:
  Task<Result<void>> mount();
  Task<void> check_port();
  Task<Result<std::uint16_t>> ask_port(std::uint32_t program, std::uint32_t version);
  Task<Result<nfs3::Handle>> ask_root(std::uint16_t port);
  Task<Result<nfs3::Handle>> find_root(std::uint16_t nfs_port);
  Task<Result<void>> ask_limits();
  rpc::ClientOptions client_options(std::uint32_t program, std::uint32_t version,
                                    std::uint16_t port) const;
  Result<nfs3::Handle> accept_root(mount3::MntRes res) const;

  AsioLoop& loop_;
  const NfsUrl& url_;
  const NfsSourceOptions& options_;
  std::unique_ptr<rpc::Client> nfs_;
  std::vector<rpc::Client*> brief_;  // of the port mapper and MOUNT, while they are asked
  std::optional<nfs3::Handle> root_;
  std::uint32_t read_size_ = nfs3::max_transfer_size;
  std::shared_ptr<Shared<Result<void>>> mounting_;
  std::optional<Error> failure_;  // of the last attempt, good until retry_at_
  MonotonicTime retry_at_{};
  bool suspected_ = false;
  bool closed_ = false;
};

}  // namespace rowan::proxy
