#include "proxy/memory_limit.h"

#include <sys/resource.h>

#include "tests/support/catch.h"

namespace rowan::proxy {

TEST_CASE("calls get a third of what the daemon itself leaves, within bounds") {
  REQUIRE(memory_for_calls(0) == 16u << 20);
  REQUIRE(memory_for_calls(100u << 20) == 16u << 20);
  REQUIRE(memory_for_calls(190u << 20) == 30u << 20);
  REQUIRE(memory_for_calls(std::uint64_t{1} << 40) == 256u << 20);
  REQUIRE(memory_for_calls(~std::uint64_t{0}) == 256u << 20);
}

TEST_CASE("the limits of a process' groups are those of each group up to the root") {
  using Files = std::vector<std::string>;
  REQUIRE(group_limit_files("").empty());
  REQUIRE(group_limit_files("0::/\n") == Files{"/sys/fs/cgroup/memory.max"});
  REQUIRE(group_limit_files("0::/system.slice/rowan.service\n") ==
          Files{"/sys/fs/cgroup/system.slice/rowan.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max", "/sys/fs/cgroup/memory.max"});
  REQUIRE(group_limit_files("9:name=systemd:/x\n4:cpu,memory:/docker\n3:cpuset,memoryx:/y\n") ==
          Files{"/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"});
  REQUIRE(group_limit_files("nonsense\n:\n1:memory").empty());
}

TEST_CASE("a limit of the process is a limit of its memory") {
  std::uint64_t before = process_limit();
  REQUIRE(before > 64u << 20);
  REQUIRE(memory_limit() <= before);
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_DATA, &old) == 0);
  constexpr rlim_t lower = 60u << 20;
  rlimit less{lower, old.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_DATA, &less) == 0);
  // A sanitizer has more than that, and could allocate nothing now.
  std::uint64_t limited = process_limit();
  REQUIRE(::setrlimit(RLIMIT_DATA, &old) == 0);
  REQUIRE(limited == lower);
  REQUIRE(process_limit() == before);
}

}  // namespace rowan::proxy
