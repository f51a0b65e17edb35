#include "proxy/mount_keeper.h"

#include "proxy/blocking.h"
#include "proxy/state_dir.h"
#include "rpc/base/log.h"

namespace rowan::proxy {

void MountKeeper::start() {
  Result<std::string> text = read_record(root_, StateDir::mount_list);
  if (text) {
    table_.read(*text);
  } else if (!text.failed_with(Errc::not_found)) {
    log(Level::warn, "mounts.unreadable", {{"why", to_string(text.error())}});
  }
  table_.on_change([this] { changed(); });
}

void MountKeeper::changed() {
  dirty_ = true;
  if (writing_.running() == 0) writing_.start(write());
}

Task<void> MountKeeper::write() {
  while (dirty_) {
    dirty_ = false;
    auto work = [this, text = table_.text()] {
      return write_record(root_, StateDir::mount_list, text);
    };
    Result<void> written = co_await run_blocking(disk_, loop_, std::move(work));
    if (!written && !failing_)
      log(Level::warn, "mounts.not_written", {{"why", to_string(written.error())}});
    failing_ = !written;
  }
}

Task<void> MountKeeper::close() {
  table_.on_change(nullptr);
  co_await writing_.idle();
}

}  // namespace rowan::proxy
