#include "proxy/state_dir.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <thread>

namespace rowan::proxy {
namespace {

constexpr std::string_view lock_name = "rowan.lock";
constexpr std::string_view draft_prefix = ".new-";
constexpr std::string_view retired_prefix = ".old-";
// Rowan nests four levels below an appliance at most; more is not ours to delete.
constexpr int max_tree_depth = 8;

std::string join(std::string_view prefix, std::string_view name) {
  std::string joined(prefix);
  joined += name;
  return joined;
}

constexpr std::string_view daemon_name = "(rowan serve)";
constexpr auto lock_retry = std::chrono::milliseconds(20);

// What the holder of the lock wrote into it. A hint only: it may be of a process that has gone.
std::string holder_of(cache::Directory& root) {
  auto text = read_record(root, lock_name);
  if (!text) return "another process";
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return text->empty() ? "another process" : *text;
}

// A daemon keeps the lock for its life: there is nothing to wait for.
bool is_running_daemon(std::string_view holder) {
  constexpr std::string_view start = "process ";
  if (!holder.starts_with(start) || !holder.ends_with(daemon_name)) return false;
  holder.remove_prefix(start.size());
  int process = 0;
  std::from_chars(holder.data(), holder.data() + holder.size(), process);
  return process > 0 && (::kill(process, 0) == 0 || errno == EPERM);
}

// Commands hold the lock for a moment, so a daemon that starts beside one waits for it.
Result<std::unique_ptr<cache::File>> lock_root(cache::Directory& root, Duration patience) {
  for (Duration waited{};; waited += lock_retry) {
    auto lock = root.lock(lock_name);
    if (!lock.failed_with(Errc::busy)) return lock;
    const std::string holder = holder_of(root);
    if (waited >= patience || is_running_daemon(holder)) {
      return Error(Errc::busy,
                   "the state directory " + root.path() + " is in use by " + holder +
                       "; stop that process first, or choose another directory with --state");
    }
    std::this_thread::sleep_for(lock_retry);
  }
}

Result<void> write_holder(cache::File& lock, std::string_view who) {
  std::string text = "process " + std::to_string(::getpid()) + " (" + std::string(who) + ")\n";
  TRY_VOID(lock.truncate(0));
  return lock.write_at(0, as_bytes(text));
}

Result<void> remove_below(cache::Directory& parent, std::string_view name, int depth) {
  Result<void> removed = parent.remove(name);
  if (removed || removed.failed_with(Errc::not_found)) return {};
  if (!removed.failed_with(Errc::not_empty)) return removed;
  if (depth == max_tree_depth) {
    return Error(Errc::limit, parent.path() + "/" + std::string(name) +
                                  " is nested too deeply; remove it by hand");
  }
  TRY(auto directory, parent.directory(name, false));
  TRY(auto names, directory->list());
  for (const std::string& child : names) TRY_VOID(remove_below(*directory, child, depth + 1));
  return parent.remove(name);
}

// If the disk does not say that it has the new name, the old one is put back, so that what failed
// can be tried again. Which of the two the next start finds is open then, as it is after a crash.
Result<void> rename_durably(cache::Directory& parent, std::string_view from, std::string_view to) {
  TRY_VOID(parent.rename(from, to));
  Result<void> synced = parent.sync();
  if (!synced) (void)parent.rename(to, from);
  return synced;
}

}  // namespace

Result<void> write_record(cache::Directory& directory, std::string_view name,
                          std::string_view text) {
  CHECK_LE(text.size(), max_record_bytes);
  std::string fresh = join(name, ".new");
  TRY(auto file, directory.open(fresh, cache::OpenMode::create));
  TRY_VOID(file->truncate(0));
  TRY_VOID(file->write_at(0, as_bytes(text)));
  TRY_VOID(file->sync());
  TRY_VOID(directory.rename(fresh, name));
  return directory.sync();
}

Result<std::string> read_record(cache::Directory& directory, std::string_view name) {
  TRY(auto file, directory.open(name, cache::OpenMode::read));
  TRY(std::uint64_t size, file->size());
  if (size > max_record_bytes) {
    return Error(Errc::corrupt,
                 directory.path() + "/" + std::string(name) + " is too long to be a record");
  }
  std::string text(size, '\0');
  TRY(std::size_t count,
      file->read_at(0, {reinterpret_cast<std::byte*>(text.data()), text.size()}));
  text.resize(count);
  return text;
}

Result<void> remove_tree(cache::Directory& parent, std::string_view name) {
  return remove_below(parent, name, 0);
}

Result<std::unique_ptr<StateDir>> StateDir::open(std::unique_ptr<cache::Directory> root,
                                                 std::string_view who, Duration patience) {
  std::unique_ptr<StateDir> state(new StateDir);
  TRY(state->lock_, lock_root(*root, patience));
  TRY_VOID(write_holder(*state->lock_, who));
  TRY(state->images_, root->directory("images", true));
  TRY(state->appliances_, root->directory("appliances", true));
  TRY(state->stores_, root->directory("stores", true));
  TRY(state->receives_, root->directory("receives", true));
  TRY_VOID(root->sync());
  state->root_ = std::move(root);
  TRY_VOID(sweep(*state->images_));
  TRY_VOID(sweep(*state->appliances_));
  TRY_VOID(sweep(*state->stores_));
  TRY_VOID(sweep(*state->receives_));
  return state;
}

Result<std::vector<std::string>> StateDir::entries(cache::Directory& directory) {
  TRY(auto names, directory.list());
  std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });
  return names;
}

Result<std::unique_ptr<cache::Directory>> StateDir::draft(cache::Directory& parent,
                                                          std::string_view name) {
  std::string hidden = join(draft_prefix, name);
  TRY_VOID(remove_tree(parent, hidden));
  return parent.directory(hidden, true);
}

Result<void> StateDir::publish(cache::Directory& parent, std::string_view name) {
  return rename_durably(parent, join(draft_prefix, name), name);
}

Result<void> StateDir::retire(cache::Directory& parent, std::string_view name) {
  std::string hidden = join(retired_prefix, name);
  TRY_VOID(remove_tree(parent, hidden));
  return rename_durably(parent, name, hidden);
}

Result<void> StateDir::sweep(cache::Directory& parent) {
  TRY(auto names, parent.list());
  for (const std::string& name : names) {
    if (name.starts_with(draft_prefix) || name.starts_with(retired_prefix))
      TRY_VOID(remove_tree(parent, name));
  }
  return {};
}

Result<std::string> default_state_path() {
  if (::geteuid() == 0) return std::string("/var/lib/rowan");
  // The specification says to ignore a relative XDG_STATE_HOME.
  const char* state_home = std::getenv("XDG_STATE_HOME");
  if (state_home != nullptr && state_home[0] == '/') return std::string(state_home) + "/rowan";
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::string(home) + "/.local/state/rowan";
  return Error(Errc::usage,
               "no place for state: neither XDG_STATE_HOME nor HOME is set; give --state DIR");
}

std::string socket_path(std::string_view state_path) { return join(state_path, "/rowan.sock"); }

}  // namespace rowan::proxy
