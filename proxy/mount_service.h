// MOUNT version 3 for the appliances of one strand: "/APPLIANCE" or a directory below it gives a
// handle.
//
//   NOENT        no such appliance, or no such directory in it
//   ACCES        the client's address is not on the appliance's list; ".." or a NUL in the path
//   NAMETOOLONG  the path or a part of it is too long
//   NOTDIR       the path leads to something else (symbolic links are not followed)
//   SERVERFAULT  the appliance is being opened, cannot be opened now or is closing, or the source
//                did not answer in time: the same again may succeed later
//   IO           the source, or what is stored here, is damaged
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/exports.h"
#include "proxy/mount_table.h"
#include "rpc/service.h"

namespace rowan::proxy {

class MountService final : public mount3::Service {
 public:
  // `exports` outlives the service.
  explicit MountService(Exports& exports) : exports_(exports) {}

  Task<mount3::MntRes> mnt(const CallContext& context, std::string_view path) override;
  Task<std::vector<mount3::MountEntry>> dump(const CallContext& context) override;
  Task<void> umnt(const CallContext& context, std::string_view path) override;
  Task<void> umntall(const CallContext& context) override;
  Task<std::vector<mount3::ExportEntry>> exports(const CallContext& context) override;

  // Addresses of those that mounted the appliance, or a directory of it, and did not say that
  // they left.
  std::vector<std::string> clients_of(std::string_view appliance) const;
  // Nobody has it mounted any more: it is removed.
  void forget_clients_of(std::string_view appliance);
  // To be kept over a restart.
  MountTable& mounted() { return mounted_; }

 private:
  Task<Appliance*> find(std::string_view name);

  Exports& exports_;
  MountTable mounted_;
};

}  // namespace rowan::proxy
