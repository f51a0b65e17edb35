// The examinations. Each step says in the notebook what it is about to do, then what it found; a
// step whose ground is missing (no port, no root handle) is skipped, since the finding before says
// why.
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include "proxy/size_text.h"
#include "tools/bench/raw_client.h"
#include "tools/doctor.h"
#include "tools/doctor_files.h"

namespace rowan::tools {
namespace {

using bench::FileHandle;
using bench::RawClient;
using Level = Finding::Level;

constexpr std::uint16_t portmap_port = 111;
constexpr std::uint16_t nfs_default_port = 2049;
constexpr std::chrono::milliseconds call_patience{5000};
constexpr int round_trips = 21;

std::string quoted(const std::string& text) { return "'" + text + "'"; }
std::string port_text(std::uint16_t port) { return "port " + std::to_string(port); }
std::uint64_t nanoseconds_since(std::chrono::steady_clock::time_point start) {
  auto passed = std::chrono::steady_clock::now() - start;
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(passed).count());
}
std::string status_text(int status) { return nfsstat3_to_str(status); }

class Examination {
 public:
  Examination(const DoctorTarget& target, Notebook& notebook)
      : target_(target), notebook_(notebook) {}

  void run() {
    if (!find_host()) return;
    find_ports();
    if (!reach_mount() || target_.path.empty()) {
      reach_nfs();
      return;
    }
    mount();
    if (!reach_nfs() || root_.empty()) return;
    look_at_limits();
    look_at_access();
    FileLimits limits{rtmax_, wtmax_};
    examine_files(*nfs_, root_, limits, target_.write, notebook_);
  }

 private:
  void add(Level level, const char* topic, std::string text, std::string remedy = "") {
    notebook_.write({level, topic, std::move(text), std::move(remedy)});
  }

  bool find_host() {
    notebook_.step("looking the name " + quoted(target_.host) + " up");
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(target_.host.c_str(), nullptr, &hints, &found);
    if (error == 0) {
      ::freeaddrinfo(found);
      return true;
    }
    add(Level::fail, "name",
        "the name " + quoted(target_.host) + " cannot be resolved: " + ::gai_strerror(error),
        "check its spelling, /etc/hosts and the DNS server, or give the address instead");
    return false;
  }

  Result<std::unique_ptr<RawClient>> connect(std::uint16_t port) {
    bench::Target where;
    where.host = target_.host;
    where.uid = target_.uid;
    where.gid = target_.gid;
    TRY(auto client, RawClient::connect(where, port));
    client->set_deadline(call_patience);
    return client;
  }

  // Ports from the port mapper at `mapper`, 0 for what is not registered.
  Result<std::array<std::uint16_t, 2>> ask_port_mapper(std::uint16_t mapper) {
    TRY(auto client, connect(mapper));
    std::array<std::uint16_t, 2> ports{};
    const std::array<int, 2> programs{NFS_PROGRAM, MOUNT_PROGRAM};
    for (std::size_t i = 0; i < ports.size(); ++i) {
      TRY_VOID(client->wait_for(
          [&](rpc_cb cb, void* data) {
            return rpc_pmap2_getport_async(client->context(), programs[i], 3, IPPROTO_TCP, cb,
                                           data);
          },
          [&](void* reply) {
            ports[i] = static_cast<std::uint16_t>(*static_cast<std::uint32_t*>(reply));
          }));
    }
    return ports;
  }

  void find_ports() {
    bool told = target_.nfs_port != 0;
    std::uint16_t mapper = told ? target_.nfs_port : portmap_port;
    notebook_.step("asking the port mapper at " + port_text(mapper));
    auto ports = ask_port_mapper(mapper);
    if (ports && (*ports)[0] != 0 && (*ports)[1] != 0) {
      add(Level::ok, "portmap",
          port_text(mapper) + " says NFS is at " + std::to_string((*ports)[0]) + ", MOUNT at " +
              std::to_string((*ports)[1]));
      if (!told) target_.nfs_port = (*ports)[0];
      if (target_.mount_port == 0) target_.mount_port = (*ports)[1];
    } else if (told) {
      // Most servers answer portmap at port 111 only; a client that was told its ports does not
      // ask.
      if (target_.mount_port == 0) target_.mount_port = target_.nfs_port;
    } else {
      std::string why =
          ports ? "NFS version 3 or MOUNT is not registered there" : ports.error().detail;
      add(Level::warn, "portmap",
          "no help from port 111: " + why + "; trying " + port_text(nfs_default_port),
          "tell clients the ports (mount -o port=N,mountport=N), or serve with --rpcbind");
      target_.nfs_port = target_.mount_port = nfs_default_port;
    }
  }

  bool reach_mount() {
    notebook_.step("calling MOUNT at " + port_text(target_.mount_port));
    auto client = connect(target_.mount_port);
    Result<void> answered =
        client ? null_call(**client, rpc_mount3_null_async) : Result<void>(client.error());
    if (!answered) {
      add(Level::fail, "MOUNT",
          port_text(target_.mount_port) + " does not answer: " + answered.error().detail,
          "check that the server runs and listens on an address that this machine reaches (rowan "
          "serve --listen)");
      return false;
    }
    add(Level::ok, "MOUNT", "version 3 answers at " + port_text(target_.mount_port));
    list_exports(**client);
    return true;
  }

  static Result<void> null_call(RawClient& client, int (*queue)(rpc_context*, rpc_cb, void*)) {
    return client.wait_for([&](rpc_cb cb, void* data) { return queue(client.context(), cb, data); },
                           [](void*) {});
  }

  void list_exports(RawClient& client) {
    notebook_.step("listing the exports");
    std::vector<std::string> names;
    auto listed = client.wait_for(
        [&](rpc_cb cb, void* data) { return rpc_mount3_export_async(client.context(), cb, data); },
        [&](void* reply) {
          for (exports list = *static_cast<exports*>(reply); list != nullptr;
               list = list->ex_next) {
            if (list->ex_dir != nullptr) names.emplace_back(list->ex_dir);
          }
        });
    if (!listed) {
      add(Level::warn, "exports", "not listed: " + listed.error().detail);
      return;
    }
    std::string text = std::to_string(names.size()) + (names.size() == 1 ? " export" : " exports");
    for (std::size_t i = 0; i < names.size() && i < 10; ++i)
      text += (i == 0 ? ": " : ", ") + names[i];
    if (names.size() > 10) text += ", ...";
    if (names.empty()) {
      add(Level::warn, "exports", text + " that this machine may see",
          "make one with 'rowan create', allow this machine with --allow");
    } else {
      add(Level::ok, "exports", text);
    }
  }

  void mount() {
    notebook_.step("mounting " + quoted(target_.path));
    bench::Target where;
    where.host = target_.host;
    where.export_path = target_.path;
    where.nfs_port = target_.nfs_port;
    where.mount_port = target_.mount_port;
    where.uid = target_.uid;
    where.gid = target_.gid;
    auto root = bench::mount_root(where);
    if (root) {
      root_ = *root;
      add(Level::ok, "mount",
          "this machine may mount " + quoted(target_.path) + " (handle of " +
              std::to_string(root_.bytes().size()) + " bytes)");
      return;
    }
    std::string why = root.error().detail;
    std::string remedy = "check the export's name with 'rowan list'";
    if (why.find("ACCES") != std::string::npos)
      remedy = "allow this machine's address ('rowan create --allow', or the server's export list)";
    add(Level::fail, "mount", why, remedy);
  }

  bool reach_nfs() {
    notebook_.step("calling NFS at " + port_text(target_.nfs_port));
    auto client = connect(target_.nfs_port);
    Result<void> answered =
        client ? null_call(**client, rpc_nfs3_null_async) : Result<void>(client.error());
    if (!answered) {
      add(Level::fail, "NFS",
          port_text(target_.nfs_port) + " does not answer: " + answered.error().detail,
          "check that the server runs, serves NFS version 3 over TCP, and listens on an address "
          "that this machine reaches");
      return false;
    }
    nfs_ = std::move(*client);
    add(Level::ok, "NFS", "version 3 answers at " + port_text(target_.nfs_port));
    measure_round_trip();
    return true;
  }

  void measure_round_trip() {
    notebook_.step("measuring the round trip");
    std::vector<std::uint64_t> times;
    for (int i = 0; i < round_trips; ++i) {
      auto start = std::chrono::steady_clock::now();
      if (!null_call(*nfs_, rpc_nfs3_null_async)) {
        add(Level::fail, "round trip",
            "call " + std::to_string(i + 2) + " on the connection got no answer",
            "see the server's log");
        return;
      }
      times.push_back(nanoseconds_since(start));
    }
    std::sort(times.begin(), times.end());
    std::uint64_t median = times[times.size() / 2];
    std::string text = "median " + proxy::duration_text(median) + ", slowest " +
                       proxy::duration_text(times.back()) + " of " + std::to_string(round_trips) +
                       " calls";
    bool slow = median > 100'000'000;
    add(slow ? Level::warn : Level::ok, "round trip", text,
        slow ? "use a proxy that is closer: every cold name costs a round trip" : "");
  }

  void look_at_limits() {
    notebook_.step("asking for the limits");
    FSINFO3args args{};
    args.fsroot = root_.borrow();
    FSINFO3resok limits{};
    int status = NFS3_OK;
    auto asked = nfs_->call<FSINFO3res>(rpc_nfs3_fsinfo_async, args, [&](const FSINFO3res& reply) {
      status = reply.status;
      if (status == NFS3_OK) limits = reply.FSINFO3res_u.resok;
    });
    if (!asked || status != NFS3_OK) {
      add(Level::fail, "limits",
          "FSINFO failed: " + (asked ? status_text(status) : asked.error().detail),
          "see the server's log");
      return;
    }
    std::string text = "reads up to " + proxy::size_text(limits.rtmax) + ", writes up to " +
                       proxy::size_text(limits.wtmax) + ", files up to " +
                       proxy::size_text(limits.maxfilesize);
    bool small = limits.rtmax < (32u << 10) || limits.wtmax < (32u << 10);
    add(small ? Level::warn : Level::ok, "limits", text,
        small ? "raise the server's transfer size: small ones make it slow" : "");
    rtmax_ = limits.rtmax;
    wtmax_ = limits.wtmax;
    look_at_space();
  }

  void look_at_space() {
    FSSTAT3args args{};
    args.fsroot = root_.borrow();
    std::optional<FSSTAT3resok> space;
    auto asked = nfs_->call<FSSTAT3res>(rpc_nfs3_fsstat_async, args, [&](const FSSTAT3res& reply) {
      if (reply.status == NFS3_OK) space = reply.FSSTAT3res_u.resok;
    });
    if (!asked || !space) {
      add(Level::warn, "space", "FSSTAT failed", "see the server's log");
      return;
    }
    std::string text =
        proxy::size_text(space->abytes) + " free of " + proxy::size_text(space->tbytes);
    bool full = space->tbytes != 0 && space->abytes < space->tbytes / 20;
    add(full ? Level::warn : Level::ok, "space", text,
        full ? "less than 5 % is free: give space, or raise the quota" : "");
  }

  void look_at_access() {
    notebook_.step("asking for permissions");
    ACCESS3args args{};
    args.object = root_.borrow();
    args.access = ACCESS3_READ | ACCESS3_LOOKUP | ACCESS3_MODIFY | ACCESS3_EXTEND | ACCESS3_DELETE;
    std::optional<std::uint32_t> granted;
    std::string owner;
    auto asked = nfs_->call<ACCESS3res>(rpc_nfs3_access_async, args, [&](const ACCESS3res& reply) {
      if (reply.status != NFS3_OK) return;
      granted = reply.ACCESS3res_u.resok.access;
      const post_op_attr& root = reply.ACCESS3res_u.resok.obj_attributes;
      if (!root.attributes_follow) return;
      char text[80];
      const fattr3& attributes = root.post_op_attr_u.attributes;
      std::snprintf(text, sizeof text, "; the root is mode %04o of %u:%u", attributes.mode & 07777,
                    attributes.uid, attributes.gid);
      owner = text;
    });
    std::string who =
        "as uid " + std::to_string(target_.uid) + ", gid " + std::to_string(target_.gid) + " ";
    if (!asked || !granted) {
      add(Level::fail, "access", who + "ACCESS on the root failed", "see the server's log");
      return;
    }
    bool reads = (*granted & ACCESS3_READ) != 0 && (*granted & ACCESS3_LOOKUP) != 0;
    bool changes =
        (*granted & (ACCESS3_MODIFY | ACCESS3_EXTEND)) == (ACCESS3_MODIFY | ACCESS3_EXTEND);
    std::string text = who + (reads ? "may read" : "may not read") +
                       (changes ? " and change" : ", not change") + " the root directory" + owner;
    if (!reads) {
      add(Level::fail, "access", text,
          "the owner and mode of the image's root decide; look with nfs://...?uid=N&gid=N");
    } else {
      add(Level::ok, "access", text);
    }
  }

  DoctorTarget target_;
  Notebook& notebook_;
  std::unique_ptr<RawClient> nfs_;
  FileHandle root_;
  std::uint32_t rtmax_ = 0, wtmax_ = 0;
};

}  // namespace

void examine(const DoctorTarget& target, Notebook& notebook) {
  Examination(target, notebook).run();
}

}  // namespace rowan::tools
