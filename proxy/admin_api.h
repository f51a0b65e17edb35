// The resources of the admin interface: /v1/status, /v1/images[/NAME],
// /v1/appliances[/NAME[@CHECKPOINT][/ACTION]],
// /v1/receives[/NAME[/ACTION]]. Used by the daemon behind its socket, and directly by the command
// when no daemon runs.
//
// Requests that touch the registry are done one after the other; its file work happens on a disk
// thread, so the loop that serves NFS never waits for it. Asking a source happens outside of that
// order.
#pragma once

#include <string>
#include <utility>

#include "proxy/admin_http.h"
#include "proxy/admin_states.h"
#include "proxy/frame_answer.h"
#include "proxy/held_pools.h"
#include "proxy/host.h"
#include "proxy/json.h"
#include "proxy/receiver.h"
#include "proxy/registry.h"
#include "proxy/sender.h"
#include "proxy/turn.h"
#include "rpc/base/loop.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

class AdminApi final : public AdminHandler {
 public:
  // All outlive the API. `frame_bytes`: as Sender's.
  AdminApi(Registry& registry, Host& host, Loop& loop, DiskPool& disk,
           std::size_t frame_bytes = cache::changes_frame_bytes)
      : registry_(registry),
        host_(host),
        loop_(loop),
        disk_(disk),
        turn_(loop),
        pools_(loop, host.versions(), turn_),
        sender_(loop, disk, pools_, frame_bytes),
        receiver_(loop, disk, registry, host, pools_, sender_) {}

  Task<HttpReply> handle(const HttpRequest& request) override;
  // From now on receives that nobody goes on with are given up in time, not only at the next start.
  void watch_receives();
  // Ends the long work that requests began, and gives back what they left open for the next ones.
  // After the last request, before the host is shut down.
  Task<void> close() {
    loop_.cancel(std::exchange(receives_timer_, 0));
    co_await tasks_.idle();
    co_await states_.close();
    co_await pools_.close();
  }

 private:
  // What a target means: "/v1/appliances/vm1?force=true".
  struct Route {
    std::string method, collection, name, action;
    std::string version;  // of "NAME@VERSION"
    bool force = false;
    Json body;
    std::string raw;  // instead, where it is no JSON
  };
  static Result<Route> parse_route(const HttpRequest& request);
  Task<Result<Json>> dispatch(Route& route);
  Task<Result<Json>> dispatch_images(Route& route);
  Task<Result<Json>> dispatch_appliances(Route& route);

  // admin_versions.cc
  Task<Result<Json>> dispatch_versions(const Route& route);
  Task<Result<Json>> make_checkpoint(const Route& route);
  Task<Result<Json>> list_checkpoints(const Route& route);
  Task<Result<Json>> roll_back(const Route& route);
  Task<Result<Json>> clone_appliance(const Route& route);
  Task<Result<Json>> set_schedule(const Route& route);
  Task<Result<Json>> remove_checkpoint(const Route& route);
  // busy: clients have that export mounted, and force was not asked for.
  Result<void> check_unmounted(const std::string& mounted, const Route& route) const;

  // admin_send.cc
  Task<Result<Json>> begin_send(const Route& route);
  Task<Result<Json>> send_header(std::string name, std::string checkpoint, std::string since);
  Task<Result<FrameAnswer>> send_frame(const Route& route);
  Task<Result<FrameAnswer>> names_frame(ImageName image, std::string cursor);
  Task<Result<FrameAnswer>> changes_frame(ApplianceRecord record, cache::StateId base,
                                          cache::StateId state, std::string behind);
  static Result<ImageName> image_member(const Json& body);

  // admin_receive.cc
  Task<Result<Json>> dispatch_receives(const Route& route);
  Task<Result<Json>> list_receives();
  Task<void> give_up_receives();
  Task<Result<Json>> begin_receive(const Route& route);
  Task<Result<Json>> receive_frame(const Route& route);
  Task<Result<Json>> end_receive(const Route& route);
  Task<Result<Json>> abort_receive(const Route& route);
  Task<Result<ImageVersion>> image_for(StreamHeader& header, std::string image);

  Task<Result<Json>> add_image(const Route& route);
  Task<Result<Json>> remove_image(const Route& route);
  Task<Result<Json>> create_appliance(const Route& route);
  Task<Result<Json>> remove_appliance(const Route& route);
  Task<Result<ImageVersion>> version_of_source(std::string source);
  Task<Result<ImageVersion>> add_source(ImageName name, std::string source);

  Json status_json() const;
  Json daemon_json() const;
  Json images_json() const;
  Json appliances_json() const;
  Json image_json(const ImageRecord& image) const;
  Json appliance_json(const ApplianceRecord& appliance) const;

  Registry& registry_;
  Host& host_;
  Loop& loop_;
  DiskPool& disk_;
  Turn turn_;
  StatesApi states_{registry_, host_, loop_, disk_, turn_};
  HeldPools pools_;
  Sender sender_;
  Receiver receiver_;
  Loop::TimerId receives_timer_ = 0;
  TaskGroup tasks_;
};

}  // namespace rowan::proxy
