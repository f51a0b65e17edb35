#include "proxy/mount_service.h"

#include <algorithm>

#include "proxy/merged_view.h"
#include "proxy/redirect_common.h"
#include "rpc/nfs3_status.h"

namespace rowan::proxy {
namespace {

using mount3::Status;

constexpr std::uint32_t auth_sys = 1;

struct MountPath {
  Status status = Status::ok;
  std::vector<std::string_view> parts;  // the appliance first
};

Status check_part(std::string_view part) {
  if (part == "..") return Status::acces;
  switch (redirect::check_name(part)) {
    case nfs3::Status::ok:
      return Status::ok;
    case nfs3::Status::nametoolong:
      return Status::nametoolong;
    default:
      return Status::acces;
  }
}

MountPath parse_path(std::string_view path) {
  MountPath result;
  if (path.size() > mount3::max_path_length) return {Status::nametoolong, {}};
  while (!path.empty()) {
    std::size_t slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    result.status = check_part(part);
    if (result.status != Status::ok) return result;
    result.parts.push_back(part);
  }
  if (result.parts.empty()) result.status = Status::noent;
  return result;
}

using Parts = std::vector<std::string_view>;

// A step: from the appliance's root down.
Result<cache::ObjectId> walk(MergedView& view, Facts& facts, const Parts& parts) {
  cache::ObjectId directory = cache::image_root;
  TRY(Node * node, view.directory(facts, directory));
  for (auto part = parts.begin() + 1; part != parts.end(); ++part) {
    TRY(Child child, view.child(facts, directory, *part));
    directory = child.id;
    node = child.node;
    if (!node->is(nfs3::FileType::directory)) return Errc::not_directory;
  }
  return directory;
}

bool is_of(const mount3::MountEntry& entry, std::string_view appliance) {
  MountPath parsed = parse_path(entry.directory);
  return parsed.status == Status::ok && parsed.parts.front() == appliance;
}

}  // namespace

// A checkpoint is opened when somebody mounts it.
Task<Appliance*> MountService::find(std::string_view name) {
  Appliance* appliance = exports_.find(name);
  if (appliance != nullptr || !exports_.opener() || !exports_.expects(name)) co_return appliance;
  std::string wanted(name);
  Result<Appliance*> opened = co_await exports_.opener()(wanted);
  co_return opened ? *opened : nullptr;
}

Task<mount3::MntRes> MountService::mnt(const CallContext& context, std::string_view path) {
  mount3::MntRes res;
  MountPath parsed = parse_path(path);
  res.status = parsed.status;
  if (res.status != Status::ok) co_return res;
  Appliance* appliance = co_await find(parsed.parts.front());
  if (appliance == nullptr) {
    res.status = exports_.expects(parsed.parts.front()) ? Status::serverfault : Status::noent;
  } else if (!appliance->settings().allow.allows(context.peer)) {
    res.status = Status::acces;
  } else if (appliance->waiting()) {
    res.status = Status::serverfault;
  }
  if (res.status != Status::ok) co_return res;

  Appliance::Call call(*appliance, nfs3::Procedure::null, context.received);
  MergedView& view = appliance->view();
  auto step = [&](Facts& facts) { return walk(view, facts, parsed.parts); };
  Result<cache::ObjectId> root = co_await view.attempt(step);
  if (!root) {
    res.status = mount3::status_of(root.error().code);
    co_return res;
  }
  call.done(nfs3::Status::ok);
  res.root = view.handle(*root);
  res.flavors = {auth_sys};
  mounted_.add({ip_to_string(context.peer), std::string(path)});
  co_return res;
}

std::vector<std::string> MountService::clients_of(std::string_view appliance) const {
  std::vector<std::string> clients;
  for (const mount3::MountEntry& entry : mounted_.entries()) {
    if (!is_of(entry, appliance)) continue;
    if (std::find(clients.begin(), clients.end(), entry.hostname) == clients.end()) {
      clients.push_back(entry.hostname);
    }
  }
  return clients;
}

void MountService::forget_clients_of(std::string_view appliance) {
  mounted_.remove_if(
      [appliance](const mount3::MountEntry& entry) { return is_of(entry, appliance); });
}

Task<std::vector<mount3::MountEntry>> MountService::dump(const CallContext&) {
  co_return std::vector<mount3::MountEntry>(mounted_.entries().begin(),
                                             mounted_.entries().end());
}

Task<void> MountService::umnt(const CallContext& context, std::string_view path) {
  std::string host = ip_to_string(context.peer);
  auto meant = [&](const mount3::MountEntry& known) {
    return known.hostname == host && known.directory == path;
  };
  mounted_.remove_if(meant);
  co_return;
}

Task<void> MountService::umntall(const CallContext& context) {
  std::string host = ip_to_string(context.peer);
  auto meant = [&](const mount3::MountEntry& known) { return known.hostname == host; };
  mounted_.remove_if(meant);
  co_return;
}

Task<std::vector<mount3::ExportEntry>> MountService::exports(const CallContext&) {
  std::vector<mount3::ExportEntry> entries;
  for (Appliance* appliance : exports_.all()) {
    const ApplianceSettings& settings = appliance->settings();
    // Checkpoints come and go with who looks at them.
    if (settings.read_only) continue;
    entries.push_back({"/" + settings.name, settings.allow.to_strings()});
  }
  co_return entries;
}

}  // namespace rowan::proxy
