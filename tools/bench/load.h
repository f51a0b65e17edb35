// A kind of load: what it needs on the server, and the calls it sends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/base/result.h"
#include "tools/bench/raw_client.h"
#include "tools/bench/tree.h"

namespace rowan::bench {

struct LoadOptions {
  std::string work;                        // one of load_names()
  std::uint32_t size = 4096;               // bytes of a READ or WRITE, at most max_io_size
  std::uint64_t commit_every = 64u << 20;  // bytes written between two COMMITs
  std::uint64_t seed = 1;
  TreeShape tree;
};

inline constexpr std::uint32_t max_io_size = 1u << 20;  // libnfs 4.0.0 drops longer replies

// A call in flight: `index` counts the calls of the run, `slot` names the place it occupies, which
// sends its next call only after this one's reply.
struct Ticket {
  std::uint64_t index = 0;
  std::uint32_t slot = 0;
};

// Every method runs on the driver's thread.
class Load {
 public:
  virtual ~Load() = default;

  // False when no handle is needed, so that a server without MOUNT will do.
  virtual bool needs_export() const { return true; }

  // Finds or makes what the load needs. Not measured.
  virtual Result<void> prepare(RawClient& client, const FileHandle& root) = 0;

  // Queues the ticket's call; the arguments are encoded before it returns.
  virtual void issue(rpc_context* context, const Ticket& ticket, rpc_cb done, void* user) = 0;

  // Looks at the reply of the ticket's call: data bytes that it moved, or why it does not count.
  virtual Result<std::uint64_t> check(const Ticket& ticket, const void* reply) = 0;

  // What belongs to the measured work but comes at its end (COMMIT).
  virtual Result<void> finish(RawClient&) { return {}; }

  // Removes what the load made, unless it is of use to the next run. Not measured.
  virtual Result<void> clean_up(RawClient&) { return {}; }
};

const std::vector<std::string_view>& load_names();
bool moves_data(std::string_view work);  // reads or writes the bytes of files

// Errc::usage for an unknown name or a size outside its bounds.
Result<std::unique_ptr<Load>> make_load(const LoadOptions& options);

// The families, each in its file.
std::unique_ptr<Load> make_name_load(
    const LoadOptions& options);  // null getattr lookup access readdirplus
std::unique_ptr<Load> make_data_load(const LoadOptions& options);  // those that moves_data()
std::unique_ptr<Load> make_create_load(const LoadOptions& options);  // create

}  // namespace rowan::bench
