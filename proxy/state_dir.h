// The state directory: every name in it, its lock, and records that are replaced as a whole.
//
//   rowan.lock                      held by the one process that may change anything; says who
//   rowan.sock                      the daemon's admin socket
//   mounts                          who has mounted what (mount_table.h)
//   cache/                          the block cache, disposable
//   images/NAME/image.json          the image and its versions
//   images/NAME/catalog/            what is known of its objects
//   appliances/NAME/appliance.json  identity, key, settings, and where its redirect store is
//   receives/NAME/receive.json      what is half received, and how it shall become an appliance
//   stores/POOL/                    the redirect stores of appliances cloned from one another
//
// Directories are mode 0700, files 0600. A directory appears under its name only when it is
// complete, and leaves it before anything in it is removed; half-made and half-removed ones
// (".new-*", ".old-*") are swept when the state is opened. Synchronous; for start-up and for disk
// threads.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cache/file.h"
#include "rpc/base/clock.h"
#include "rpc/base/result.h"

namespace rowan::proxy {

inline constexpr std::size_t max_record_bytes = 1u << 20;
// What commands and a starting daemon give each other to finish.
inline constexpr Duration lock_patience = std::chrono::seconds(10);

// Replaces the file `name` by `text`, durably: after a crash it is the old or the new one, whole.
Result<void> write_record(cache::Directory& directory, std::string_view name,
                          std::string_view text);
// corrupt: longer than max_record_bytes.
Result<std::string> read_record(cache::Directory& directory, std::string_view name);

// Removes `name` and all below it; success if it is absent. limit: nested too deeply to be Rowan's.
Result<void> remove_tree(cache::Directory& parent, std::string_view name);

class StateDir {
 public:
  static constexpr std::string_view mount_list = "mounts";
  static constexpr std::string_view image_record = "image.json";
  static constexpr std::string_view appliance_record = "appliance.json";
  static constexpr std::string_view receive_record = "receive.json";
  static constexpr std::string_view catalog_name = "catalog";

  // Locks and prepares the directory. `who` ("rowan serve") is what others are told of the holder.
  // busy, naming the holder, if another process has it: at once if that is a daemon, after
  // `patience` if it is a command, which will be done soon.
  static Result<std::unique_ptr<StateDir>> open(std::unique_ptr<cache::Directory> root,
                                                std::string_view who,
                                                Duration patience = Duration::zero());

  const std::string& path() const { return root_->path(); }
  cache::Directory& root() { return *root_; }
  cache::Directory& images() { return *images_; }
  cache::Directory& appliances() { return *appliances_; }
  cache::Directory& stores() { return *stores_; }
  cache::Directory& receives() { return *receives_; }
  Result<std::unique_ptr<cache::Directory>> cache() { return root_->directory("cache", true); }

  // Complete entries of images(), appliances(), stores() or receives(), sorted.
  static Result<std::vector<std::string>> entries(cache::Directory& directory);
  // A directory that nobody sees yet; publish() gives it its name. Abandoned ones are swept at the
  // next open.
  static Result<std::unique_ptr<cache::Directory>> draft(cache::Directory& parent,
                                                         std::string_view name);
  static Result<void> publish(cache::Directory& parent, std::string_view name);
  // Takes the name away, durably; sweep() then removes what was there.
  static Result<void> retire(cache::Directory& parent, std::string_view name);
  static Result<void> sweep(cache::Directory& parent);

 private:
  StateDir() = default;

  std::unique_ptr<cache::Directory> root_, images_, appliances_, stores_, receives_;
  std::unique_ptr<cache::File> lock_;
};

// Where state lives when --state is not given: /var/lib/rowan for root, else $XDG_STATE_HOME/rowan,
// else
// ~/.local/state/rowan. usage: there is no home either.
Result<std::string> default_state_path();
std::string socket_path(std::string_view state_path);

}  // namespace rowan::proxy
