// How much memory this process may take, and what of it may be lent to clients.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rowan::proxy {

// The least of the machine's memory and the process' limits (RLIMIT_DATA, RLIMIT_AS), in bytes.
// Allocates nothing.
std::uint64_t process_limit();

// The least of that and of the limits of the process' control groups, in bytes.
std::uint64_t memory_limit();

// One heap for all threads, of which there are few. With one for each, what disk threads made and
// the loop gave back stays with them: half of what the daemon held. Before the first thread starts.
void share_one_heap();

// The files that may hold the limits of the groups that `membership` (/proc/self/cgroup) names and
// of those above them, whether or not they exist. Both hierarchies, of version 1 and 2.
std::vector<std::string> group_limit_files(std::string_view membership);

// Bytes that calls and replies of all connections together may hold: of what `limit` leaves beside
// the daemon's own needs a third, within bounds. rpc::ServerLimits::bytes_total may be exceeded
// twofold before connections are closed, and some room is lost between buffers.
std::size_t memory_for_calls(std::uint64_t limit);

}  // namespace rowan::proxy
