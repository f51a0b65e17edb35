#include "tools/bench/appliance.h"

#include <poll.h>

#include <chrono>

#include "proxy/admin_http.h"
#include "proxy/state_dir.h"

namespace rowan::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr Duration patience = std::chrono::minutes(5);
constexpr int between_tries_ms = 1;

double milliseconds_since(SteadyClock::time_point begin) {
  return std::chrono::duration<double, std::milli>(SteadyClock::now() - begin).count();
}

// The first bytes of a file through a mount of its own.
Result<void> read_once(const Target& target, const std::string& directory,
                       const std::string& file) {
  TRY(auto root, mount_root(target));
  TRY(auto client, RawClient::connect(target, target.nfs_port));
  TRY(auto folder, lookup(*client, root, directory));
  TRY(auto found, lookup(*client, folder, file));
  READ3args args{};
  args.file = found.borrow();
  args.count = 4096;
  int status = NFS3_OK;
  TRY_VOID(client->call<READ3res>(rpc_nfs3_read_async, args,
                                  [&](const READ3res& res) { status = res.status; }));
  if (status != NFS3_OK) return Error(Errc::io, "READ: " + status_text(status));
  return {};
}

}  // namespace

Result<Appliance> Appliance::make(Lab& lab, const std::string& name, std::uint16_t port) {
  Appliance appliance(lab, name, port);
  TRY(auto daemon, lab.start_rowan(name, lab.directory("image").string(), port));
  appliance.daemon_ = std::move(daemon);
  return appliance;
}

std::string Appliance::stores() const { return lab_->state(name_) + "/stores"; }

Result<double> Appliance::reopen(const std::string& directory, const std::string& file) {
  daemon_.stop();
  auto begin = SteadyClock::now();
  TRY(auto daemon, lab_->serve_rowan(name_, port_));
  daemon_ = std::move(daemon);
  // Clients are let in before the stores are open, and told to wait.
  auto answered = read_once(target(), directory, file);
  while (!answered) {
    if (!daemon_.running() || SteadyClock::now() - begin > patience) return answered.error();
    poll(nullptr, 0, between_tries_ms);
    answered = read_once(target(), directory, file);
  }
  return milliseconds_since(begin);
}

Result<TimedReply> Appliance::ask(const std::string& method, const std::string& target,
                                  const proxy::Json& body) {
  proxy::HttpRequest request{method, "/v1/" + target,
                             body.is_null() ? "" : proxy::json_line(body)};
  auto begin = SteadyClock::now();
  auto reply = proxy::call_admin(proxy::socket_path(lab_->state(name_)), request, patience);
  double milliseconds = milliseconds_since(begin);
  auto asked = method + " " + request.target + ": ";
  if (!reply) return Error(reply.error().code, asked + to_string(reply.error()));
  if (reply->status != 200) return Error(Errc::io, asked + reply->body);
  TRY(auto answer, proxy::parse_json(reply->body));
  return TimedReply{.body = std::move(answer), .milliseconds = milliseconds};
}

Result<double> Appliance::checkpoint(const std::string& checkpoint) {
  proxy::Json body;
  body["name"] = checkpoint;
  TRY(auto reply, ask("POST", "appliances/" + name_ + "/checkpoints", body));
  return reply.milliseconds;
}

Result<double> Appliance::roll_back(const std::string& checkpoint) {
  auto target = "appliances/" + name_ + "@" + checkpoint + "/rollback?force=true";
  TRY(auto reply, ask("POST", target, nullptr));
  return reply.milliseconds;
}

Result<double> Appliance::clone(const std::string& checkpoint, const std::string& clone_name) {
  proxy::Json body;
  body["name"] = clone_name;
  TRY(auto reply, ask("POST", "appliances/" + name_ + "@" + checkpoint + "/clone", body));
  return reply.milliseconds;
}

Result<double> Appliance::diff(const std::string& before, const std::string& checkpoint) {
  proxy::Json body = proxy::Json::object();
  if (!before.empty()) body["before"] = name_ + "@" + before;
  TRY(auto begun, ask("POST", "appliances/" + name_ + "@" + checkpoint + "/diff", body));
  TRY(auto number, proxy::number_member(begun.body, "work"));
  auto work = "work/" + std::to_string(number);
  double milliseconds = begun.milliseconds;
  for (bool done = false; !done;) {
    TRY(auto progress, ask("GET", work + "?wait=true", nullptr));
    milliseconds += progress.milliseconds;
    TRY(done, proxy::flag_member(progress.body, "done"));
  }
  TRY_VOID(ask("DELETE", work, nullptr));
  return milliseconds;
}

Result<void> Appliance::remove(const std::string& other_appliance) {
  TRY(auto reply, ask("DELETE", "appliances/" + other_appliance + "?force=true", nullptr));
  return {};
}

}  // namespace rowan::bench
