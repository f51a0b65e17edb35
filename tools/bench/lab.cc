#include "tools/bench/lab.h"

#include <poll.h>

#include <chrono>
#include <fstream>

namespace rowan::bench {
namespace {

namespace fs = std::filesystem;
constexpr std::uint16_t rpcbind_port = 111;

std::string export_block(int id, const fs::path& path, const char* access) {
  return "EXPORT { Export_Id=" + std::to_string(id) + "; Path=\"" + path.string() +
         "\"; Pseudo=\"/" + path.filename().string() +
         "\"; Protocols=3; Transports=TCP; SecType=sys; "
         "Squash=No_Root_Squash; Disable_ACL=true; Access_Type=" +
         access + "; FSAL { Name=VFS; } }\n";
}

std::string ganesha_config(const fs::path& image, const fs::path& writable) {
  return "NFS_CORE_PARAM { NFS_Port=" + std::to_string(ports::ganesha_nfs) +
         "; MNT_Port=" + std::to_string(ports::ganesha_mount) +
         "; Protocols=3; Enable_NLM=false; Enable_RQUOTA=false; Enable_UDP=false;"
         " mount_path_pseudo=false; }\n" +
         export_block(1, image, "RO") + export_block(2, writable, "RW");
}

// It listens before its stores are open; mounts are refused until then.
Result<void> wait_for_export(ChildProcess& daemon, const Target& target) {
  constexpr auto patience = std::chrono::seconds(30);
  constexpr int between_tries_ms = 10;
  auto until = std::chrono::steady_clock::now() + patience;
  auto root = mount_root(target);
  while (!root) {
    if (!daemon.running() || std::chrono::steady_clock::now() > until) return root.error();
    poll(nullptr, 0, between_tries_ms);
    root = mount_root(target);
  }
  return {};
}

}  // namespace

Result<void> Lab::make_directories() {
  std::error_code code;
  for (const char* name : {"image", "rw", "state", "logs"}) {
    fs::create_directories(directory(name), code);
    if (code)
      return Error(Errc::io, "cannot make " + directory(name).string() + ": " + code.message());
  }
  return {};
}

Result<void> Lab::make_trees() {
  TRY_VOID(make_directories());
  TRY_VOID(make_local_tree(directory("image"), shape_));
  return make_local_tree(directory("rw"), shape_);
}

Result<void> Lab::start_ganesha() {
  TRY(auto rpcbind, ChildProcess::start({"rpcbind", "-f"}, log("rpcbind")));
  rpcbind_ = std::move(rpcbind);
  TRY_VOID(rpcbind_.wait_for_port(rpcbind_port));
  auto config = parent_ / "ganesha.conf";
  std::ofstream(config) << ganesha_config(directory("image"), directory("rw"));
  // It resolves odd names on the host, as root: see tools/bench/confine.h.
  TRY(auto ganesha,
      ChildProcess::start(
          {"/proc/self/exe", "confine", "--writable", parent_.string(), "--writable", "/run", "--",
           "ganesha.nfsd", "-F", "-f", config.string(), "-L", log("ganesha").string(), "-p",
           "/run/ganesha.pid"},
          log("ganesha-output")));
  ganesha_ = std::move(ganesha);
  return ganesha_.wait_for_port(ports::ganesha_nfs);
}

Result<ChildProcess> Lab::start_rowan(const std::string& name, const std::string& source,
                                      std::uint16_t port) {
  std::error_code code;
  fs::remove_all(state(name), code);
  TRY(auto create, ChildProcess::start({programs_.rowan, "create", name, source, "--state",
                                        state(name)},
                                       log(name + "-create")));
  TRY_VOID(create.wait());
  TRY(auto serve, serve_rowan(name, port));
  TRY_VOID(serve.wait_for_port(port));
  TRY_VOID(wait_for_export(serve, rowan(name, port)));
  return serve;
}

Result<ChildProcess> Lab::serve_rowan(const std::string& name, std::uint16_t port) {
  return ChildProcess::start({programs_.rowan, "serve", "--state", state(name), "--listen",
                              "127.0.0.1:" + std::to_string(port)},
                             log(name + "-serve"));
}

Result<ChildProcess> Lab::start_responder() {
  TRY(auto child, ChildProcess::start({programs_.responder, "--listen",
                                       "127.0.0.1:" + std::to_string(ports::responder)},
                                      log("responder")));
  TRY_VOID(child.wait_for_port(ports::responder));
  return child;
}

Result<ChildProcess> Lab::start_link(unsigned rtt_milliseconds, unsigned megabits_per_second) {
  TRY(auto child,
      ChildProcess::start(
          {programs_.link, "--listen", "127.0.0.1:" + std::to_string(ports::link), "--to",
           "127.0.0.1:" + std::to_string(ports::ganesha_nfs), "--rtt-ms",
           std::to_string(rtt_milliseconds), "--mbit", std::to_string(megabits_per_second)},
          log("link")));
  TRY_VOID(child.wait_for_port(ports::link));
  return child;
}

Target Lab::ganesha(const char* directory_name) const {
  Target target;
  target.host = "127.0.0.1";
  target.export_path = directory(directory_name).string();
  target.nfs_port = ports::ganesha_nfs;
  target.mount_port = ports::ganesha_mount;
  return target;
}

Target Lab::ganesha_through_link() const {
  Target target = ganesha_image();
  target.nfs_port = ports::link;
  return target;
}

Target Lab::rowan(const std::string& name, std::uint16_t port) {
  Target target;
  target.host = "127.0.0.1";
  target.export_path = "/" + name;
  target.nfs_port = port;
  return target;
}

Target Lab::responder() { return rowan("null", ports::responder); }

}  // namespace rowan::bench
