#include "tools/bench/processes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>

#include "rpc/base/unique_fd.h"

namespace rowan::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr auto stop_patience = std::chrono::seconds(10);
constexpr auto start_patience = std::chrono::seconds(30);
constexpr auto step = std::chrono::milliseconds(20);
constexpr int exec_failed = 127;

[[noreturn]] void become(std::vector<char*>& argv, int log) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execvp(argv[0], argv.data());
  _exit(exec_failed);
}

bool port_answers(std::uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

std::string tail(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  constexpr std::size_t shown = 600;
  return text.size() > shown ? text.substr(text.size() - shown) : text;
}

Error system_error(const std::string& what) {
  return Error(Errc::io, what + ": " + std::strerror(errno));
}

// The loopback comes up, and gets a second address: getaddrinfo(AI_ADDRCONFIG), which nfs-ganesha
// uses, finds nothing on a host that has only 127.0.0.1.
Result<void> bring_loopback_up() {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
  if (ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) return system_error("bringing the loopback up");
  ifreq alias{};
  std::strcpy(alias.ifr_name, "lo:1");
  auto& address = reinterpret_cast<sockaddr_in&>(alias.ifr_addr);
  address.sin_family = AF_INET;
  inet_pton(AF_INET, "10.77.0.1", &address.sin_addr);
  if (ioctl(fd.get(), SIOCSIFADDR, &alias) != 0) return system_error("adding an address");
  return {};
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments,
                                         const std::filesystem::path& log) {
  UniqueFd out(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!out.valid()) return system_error("cannot open " + log.string());
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ChildProcess child;
  child.name_ = arguments.front();
  child.log_ = log;
  child.pid_ = fork();
  if (child.pid_ < 0) return system_error("cannot fork");
  if (child.pid_ == 0) become(argv, out.get());
  return child;
}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    stop();
    pid_ = std::exchange(other.pid_, 0);
    name_ = std::move(other.name_);
    log_ = std::move(other.log_);
  }
  return *this;
}

bool ChildProcess::running() {
  if (pid_ == 0) return false;
  if (waitpid(pid_, nullptr, WNOHANG) == 0) return true;
  pid_ = 0;
  return false;
}

void ChildProcess::stop() {
  if (!running()) return;
  kill(pid_, SIGTERM);
  auto until = SteadyClock::now() + stop_patience;
  while (SteadyClock::now() < until) {
    if (!running()) return;
    std::this_thread::sleep_for(step);
  }
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

Error ChildProcess::failure(const std::string& what) const {
  return Error(Errc::io, name_ + " " + what + "; " + log_.string() + " ends with:\n" + tail(log_));
}

Result<void> ChildProcess::wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = 0;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == exec_failed) {
    return Error(Errc::not_found,
                 "cannot run " + name_ + ": install it, or name it with its option");
  }
  return failure("failed with status " + std::to_string(status));
}

Result<void> ChildProcess::wait_for_port(std::uint16_t port) {
  auto until = SteadyClock::now() + start_patience;
  while (!port_answers(port)) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) != 0) {
      pid_ = 0;
      return failure("ended (status " + std::to_string(status) + ") before it listened");
    }
    if (SteadyClock::now() > until) return failure("does not listen on " + std::to_string(port));
    std::this_thread::sleep_for(step);
  }
  return {};
}

Result<void> enter_private_network() {
  if (geteuid() != 0) {
    return Error(Errc::not_permitted,
                 "this makes a private network for the servers: run it as root");
  }
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0)
    return system_error("cannot make private namespaces");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0) {
    return system_error("cannot make a private /run");
  }
  std::error_code code;
  std::filesystem::create_directories("/run/rpcbind", code);
  std::filesystem::create_directories("/run/ganesha", code);
  return bring_loopback_up();
}

std::uint64_t status_kilobytes(pid_t pid, std::string_view key) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ':') {
      return std::stoull(line.substr(key.size() + 1));
    }
  }
  return 0;
}

}  // namespace rowan::bench
