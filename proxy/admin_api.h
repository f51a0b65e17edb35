// The resources of the admin interface: /v1/status, /v1/images[/NAME],
// /v1/appliances[/NAME[@CHECKPOINT][/ACTION]]. Used by the daemon behind its socket, and directly
// by the command when no daemon runs.
//
// Requests that touch the registry are done one after the other; its file work happens on a disk
// thread, so the loop that serves NFS never waits for it. Asking a source happens outside of that
// order.
#pragma once

#include <string>

#include "proxy/admin_http.h"
#include "proxy/admin_states.h"
#include "proxy/host.h"
#include "proxy/json.h"
#include "proxy/registry.h"
#include "proxy/turn.h"
#include "rpc/base/loop.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

class AdminApi final : public AdminHandler {
 public:
  // All outlive the API.
  AdminApi(Registry& registry, Host& host, Loop& loop, DiskPool& disk)
      : registry_(registry), host_(host), loop_(loop), disk_(disk), turn_(loop) {}
  // Ends the long work that requests began; before the host shuts down.
  Task<void> close() { return states_.close(); }

  Task<HttpReply> handle(const HttpRequest& request) override;

 private:
  // What a target means: "/v1/appliances/vm1/check?x=y".
  struct Route {
    std::string method, collection, name, action;
    std::string version;  // of "NAME@VERSION"
    bool force = false, offline = false;
    Json body;
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

  Task<Result<Json>> add_image(const Route& route);
  Task<Result<Json>> remove_image(const Route& route);
  Task<Result<Json>> create_appliance(const Route& route);
  Task<Result<Json>> remove_appliance(const Route& route);
  Task<Result<Json>> check_appliance(const Route& route);
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
};

}  // namespace rowan::proxy
