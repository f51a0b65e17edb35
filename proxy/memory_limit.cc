#include "proxy/memory_limit.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>

// A limit of the kernel's is met by the end of the process, wherever it happens to be; so what
// clients can make it take is bounded well below.

namespace rowan::proxy {
namespace {

constexpr std::uint64_t least_for_calls = 16u << 20, most_for_calls = 256u << 20;
// Stacks, pools of buffers, tables of the stores and the catalogue.
constexpr std::uint64_t own_needs = 100u << 20;
constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

std::uint64_t of_resource(__rlimit_resource_t resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return no_limit;
  return limit.rlim_cur;
}

std::uint64_t of_machine() {
  long pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || size <= 0) return no_limit;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size);
}

// "max", or bytes; absent at the root of the hierarchy and where there are no control groups.
std::uint64_t of_group(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t bytes = 0;
  return file >> bytes && bytes > 0 ? bytes : no_limit;
}

// Whether `controllers`, separated by commas, has the memory.
bool has_memory(std::string_view controllers) {
  std::string all = "," + std::string(controllers) + ",";
  return all.find(",memory,") != std::string::npos;
}

// `file` in the directory of `group`, and in each above it up to `root`.
void add_group(std::vector<std::string>& files, const std::string& root, std::string_view group,
               std::string_view file) {
  while (!group.empty() && group.back() == '/') group.remove_suffix(1);
  for (;;) {
    files.push_back(root + std::string(group) + "/" + std::string(file));
    if (group.empty()) return;
    std::size_t slash = group.rfind('/');
    group = group.substr(0, slash == std::string_view::npos ? 0 : slash);
  }
}

}  // namespace

std::vector<std::string> group_limit_files(std::string_view membership) {
  std::vector<std::string> files;
  while (!membership.empty()) {
    std::size_t end = membership.find('\n');
    std::string_view line = membership.substr(0, end);
    membership.remove_prefix(end == std::string_view::npos ? membership.size() : end + 1);
    std::size_t first = line.find(':');
    std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    std::string_view controllers = line.substr(first + 1, second - first - 1);
    std::string_view group = line.substr(second + 1);
    if (controllers.empty()) add_group(files, "/sys/fs/cgroup", group, "memory.max");
    if (has_memory(controllers)) {
      add_group(files, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    }
  }
  return files;
}

std::uint64_t process_limit() {
  return std::min({of_machine(), of_resource(RLIMIT_DATA), of_resource(RLIMIT_AS)});
}

std::uint64_t memory_limit() {
  std::uint64_t least = process_limit();
  std::ifstream file("/proc/self/cgroup");
  std::string membership{std::istreambuf_iterator<char>(file), {}};
  for (const std::string& path : group_limit_files(membership)) {
    least = std::min(least, of_group(path));
  }
  return least;
}

void share_one_heap() { ::mallopt(M_ARENA_MAX, 1); }

std::size_t memory_for_calls(std::uint64_t limit) {
  std::uint64_t left = limit > own_needs ? limit - own_needs : 0;
  return static_cast<std::size_t>(std::clamp(left / 3, least_for_calls, most_for_calls));
}

}  // namespace rowan::proxy
