// Registration with a real port mapper, in network and mount namespaces of the test's own. Skips
// (77) where these or rpcbind are not to be had.
#include "rpc/rpcbind.h"

#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "rpc/base/unique_fd.h"
#include "rpc/nfs_client.h"
#include "tests/support/raw_peer.h"

// libtirpc 1.3.3 keeps 16 bytes of its own for ever.
extern "C" const char* __lsan_default_suppressions() { return "leak:libtirpc\n"; }

namespace rowan::rpc {
namespace {

constexpr std::uint32_t program = 100005, version = 3;

[[noreturn]] void skip(const char* why) {
  std::printf("skipped: %s\n", why);
  std::exit(77);
}

void enter_namespaces() {
  if (::access("/sbin/rpcbind", X_OK) != 0) skip("rpcbind is not installed");
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) skip("no namespaces for this user");
  CHECK(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  CHECK(::mount("tmpfs", "/run", "tmpfs", 0, nullptr) == 0);
  CHECK(::mkdir("/run/rpcbind", 0755) == 0);
  UniqueFd socket(::socket(AF_INET, SOCK_DGRAM, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  CHECK(::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0);
}

Result<std::uint16_t> registered() {
  AsioLoop loop;
  ClientOptions options;
  options.host = "127.0.0.1";
  options.port = portmap::port;
  options.program = portmap::program;
  options.version = portmap::lowest_version;
  options.patient = false;
  Client client(loop, options);
  PortmapClient portmap(client);
  auto port = test::run_task(loop, portmap.getport(program, version));
  test::run_task(loop, client.close());
  return port;
}

void wait_until_it_answers(const std::vector<Registration>& wanted) {
  MonotonicTime end = real_clock().now() + test::patience;
  while (!register_with_rpcbind(wanted)) CHECK(real_clock().now() < end);
}

void run() {
  std::vector<Registration> wanted{{program, version, false, 4711}, {program, version, true, 4712}};
  auto failed = register_with_rpcbind(wanted);
  CHECK(failed.failed_with(Errc::disconnected));
  CHECK(failed.error().detail.find("start rpcbind") != std::string::npos);

  pid_t mapper = ::fork();
  CHECK(mapper >= 0);
  if (mapper == 0) {
    ::execl("/sbin/rpcbind", "rpcbind", "-f", nullptr);
    ::_exit(127);
  }
  wait_until_it_answers(wanted);
  CHECK_EQ(*registered(), 4711);
  wanted[0].port = 4713;  // a second life replaces what the first has left
  CHECK(register_with_rpcbind(wanted).has_value());
  CHECK_EQ(*registered(), 4713);
  unregister_from_rpcbind({{program, version, false, 4711}});  // not what is registered
  CHECK_EQ(*registered(), 4713);
  unregister_from_rpcbind(wanted);
  CHECK(registered().failed_with(Errc::not_found));
  ::kill(mapper, SIGTERM);
  ::waitpid(mapper, nullptr, 0);
}

}  // namespace
}  // namespace rowan::rpc

int main() {
  rowan::rpc::enter_namespaces();
  rowan::rpc::run();
}
