// An inode has its contents as programs see them and as the platter has them, and the list of
// changes that lead from the second to the first. A crash applies a random part of that list.
#include "tests/support/sim_disk.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "rpc/base/check.h"

namespace rowan::test {

using namespace cache;

namespace {

constexpr std::uint64_t block_size = 4096;
constexpr std::uint64_t sector_size = 512;
constexpr std::uint64_t largest_file = std::uint64_t{1} << 46;

using Block = std::array<std::byte, block_size>;

// Sparse bytes; copies share their blocks.
struct Contents {
  std::map<std::uint64_t, std::shared_ptr<Block>> blocks;
  std::uint64_t size = 0;

  Block& writable(std::uint64_t index) {
    auto& slot = blocks[index];
    if (!slot)
      slot = std::make_shared<Block>();
    else if (slot.use_count() > 1)
      slot = std::make_shared<Block>(*slot);
    return *slot;
  }
  void write(std::uint64_t offset, ByteView bytes) {
    size = std::max(size, offset + bytes.size());
    while (!bytes.empty()) {
      const std::uint64_t at = offset % block_size;
      const auto count = std::min<std::uint64_t>(block_size - at, bytes.size());
      std::memcpy(writable(offset / block_size).data() + at, bytes.data(), count);
      bytes = bytes.subspan(count);
      offset += count;
    }
  }
  std::size_t read(std::uint64_t offset, ByteSpan into) const {
    if (offset >= size) return 0;
    const auto total = std::min<std::uint64_t>(into.size(), size - offset);
    for (std::uint64_t done = 0; done < total;) {
      const std::uint64_t at = (offset + done) % block_size;
      const auto count = std::min(block_size - at, total - done);
      const auto block = blocks.find((offset + done) / block_size);
      if (block == blocks.end())
        std::memset(into.data() + done, 0, count);
      else
        std::memcpy(into.data() + done, block->second->data() + at, count);
      done += count;
    }
    return total;
  }
  void truncate(std::uint64_t to) {
    if (to < size) {
      blocks.erase(blocks.lower_bound((to + block_size - 1) / block_size), blocks.end());
      if (to % block_size != 0 && blocks.contains(to / block_size))
        std::memset(writable(to / block_size).data() + to % block_size, 0,
                    block_size - to % block_size);
    }
    size = to;
  }
  void punch(std::uint64_t offset, std::uint64_t length) {
    blocks.erase(blocks.lower_bound(offset / block_size),
                 blocks.lower_bound((offset + length) / block_size));
  }
  void allocate(std::uint64_t to) {
    for (std::uint64_t i = 0; i * block_size < to; ++i) {
      if (!blocks.contains(i)) blocks.emplace(i, std::make_shared<Block>());
    }
    size = std::max(size, to);
  }
};

struct Change {
  enum class Kind : std::uint8_t { write, truncate, punch, allocate } kind = Kind::write;
  std::uint64_t offset = 0, length = 0;
  std::vector<std::byte> bytes;

  void apply(Contents& to) const {
    switch (kind) {
      case Kind::write:
        return to.write(offset, bytes);
      case Kind::truncate:
        return to.truncate(length);
      case Kind::punch:
        return to.punch(offset, length);
      case Kind::allocate:
        return to.allocate(length);
    }
  }
};

struct Inode {
  Contents live, durable;
  std::vector<Change> unsynced;
  std::uint64_t* used = nullptr;  // of the disk

  ~Inode() {
    if (used != nullptr) *used -= live.blocks.size() * block_size;
  }
  void change(Change change) {
    const auto before = live.blocks.size();
    change.apply(live);
    *used += (live.blocks.size() - before) * block_size;
    unsynced.push_back(std::move(change));
  }
};

struct Folder;
struct Entry {
  std::shared_ptr<Inode> file;
  std::shared_ptr<Folder> folder;
};
using Names = std::map<std::string, Entry, std::less<>>;
// One change of names; a rename is both parts at once.
struct NameChange {
  std::string removed, added;
  Entry entry;

  void apply(Names& to) const {
    if (!removed.empty()) to.erase(removed);
    if (!added.empty()) to[added] = entry;
  }
};
struct Folder {
  Names live, durable;
  std::vector<NameChange> unsynced;
  std::set<std::string, std::less<>> locks;

  void change(NameChange change) {
    change.apply(live);
    unsynced.push_back(std::move(change));
  }
};

}  // namespace

struct SimState {
  std::uint64_t steps = 0;
  std::uint64_t reads = 0;
  std::uint64_t used = 0, limit = 0;  // before the inodes, which refer to `used`
  std::shared_ptr<Folder> root = std::make_shared<Folder>();
  std::mt19937_64 random;
  double slow = 0;
  std::function<void()> hook;
  std::optional<std::uint64_t> fail_at, fail_from;
  Errc failure = Errc::io;

  // Counts a step; the error it is to fail with.
  std::optional<Error> step(const char* what, const std::string& path) {
    if (hook) hook();
    const std::uint64_t number = steps++;
    if (fail_at != number && !(fail_from && number >= *fail_from)) return {};
    return Error(failure, std::string(what) + " " + path + ": made to fail");
  }
  bool chance(double probability) {
    return std::uniform_real_distribution<>(0, 1)(random) < probability;
  }
  std::uint64_t free_bytes() const {
    return limit == 0 ? std::uint64_t{1} << 40 : limit > used ? limit - used : 0;
  }
};

namespace {

class SimFile : public File {
 public:
  SimFile(SimState& state, std::shared_ptr<Inode> inode, std::string path, bool writable)
      : state_(state), inode_(std::move(inode)), path_(std::move(path)), writable_(writable) {}

  Result<std::size_t> read_at(std::uint64_t offset, ByteSpan into) const override {
    ++state_.reads;
    return inode_->live.read(offset, into);
  }
  Result<std::size_t> read_cached(std::uint64_t offset, ByteSpan into) const override {
    if (state_.slow > 0 && state_.chance(state_.slow)) return Errc::needs_load;
    ++state_.reads;
    return inode_->live.read(offset, into);
  }
  Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
    return write_gather(offset, std::span(&bytes, 1));
  }

  Result<void> write_gather(std::uint64_t offset, std::span<const ByteView> pieces) override {
    std::vector<std::byte> bytes;
    for (const ByteView piece : pieces) bytes.insert(bytes.end(), piece.begin(), piece.end());
    const auto end = checked_add(offset, bytes.size());
    if (!writable_ || !end || *end > largest_file) return Error(Errc::io, "write " + path_);
    if (bytes.empty()) return {};
    auto failed = state_.step("write", path_);
    const std::size_t room = room_for(offset, bytes.size());
    if (!failed && room < bytes.size())
      failed = Error(Errc::no_space, "write " + path_ + ": disk full");
    if (failed) bytes.resize(std::min<std::size_t>(room, state_.random() % bytes.size()));
    if (!bytes.empty()) inode_->change({Change::Kind::write, offset, 0, std::move(bytes)});
    if (failed) return std::move(*failed);
    return {};
  }

  Result<void> sync() override {
    auto failed = state_.step("sync", path_);
    if (!failed) inode_->durable = inode_->live;
    // After a failed one the kernel calls the pages clean, and nobody knows which of them are on
    // disk.
    if (failed) {
      for (const Change& change : inode_->unsynced) {
        if (state_.chance(0.5)) change.apply(inode_->durable);
      }
    }
    inode_->unsynced.clear();
    if (failed) return std::move(*failed);
    return {};
  }

  Result<std::uint64_t> size() const override { return inode_->live.size; }

  Result<void> truncate(std::uint64_t size) override {
    if (!writable_ || size > largest_file) return Error(Errc::io, "truncate " + path_);
    if (auto failed = state_.step("truncate", path_)) return std::move(*failed);
    inode_->change({Change::Kind::truncate, 0, size, {}});
    return {};
  }
  Result<void> punch(std::uint64_t offset, std::uint64_t length) override {
    CHECK_EQ(offset % block_size, 0u);
    CHECK_EQ(length % block_size, 0u);
    if (auto failed = state_.step("punch", path_)) return std::move(*failed);
    inode_->change({Change::Kind::punch, offset, length, {}});
    return {};
  }
  Result<void> allocate(std::uint64_t size) override {
    if (auto failed = state_.step("allocate", path_)) return std::move(*failed);
    if (room_for(0, size) < size) return Error(Errc::no_space, "allocate " + path_ + ": disk full");
    inode_->change({Change::Kind::allocate, 0, size, {}});
    return {};
  }
  Result<std::uint64_t> allocated_bytes() const override {
    return inode_->live.blocks.size() * block_size;
  }

 private:
  // Bytes of [offset, offset + size) that can be written before the disk is full.
  std::size_t room_for(std::uint64_t offset, std::size_t size) const {
    std::uint64_t free = state_.free_bytes();
    for (std::uint64_t at = offset; at < offset + size;
         at = round_down(at, block_size) + block_size) {
      if (inode_->live.blocks.contains(at / block_size)) continue;
      if (free < block_size) return at - offset;
      free -= block_size;
    }
    return size;
  }

  SimState& state_;
  std::shared_ptr<Inode> inode_;
  std::string path_;
  bool writable_;
};

class SimLock final : public SimFile {
 public:
  SimLock(SimState& state, std::shared_ptr<Inode> inode, std::shared_ptr<Folder> folder,
          std::string name, std::string path)
      : SimFile(state, std::move(inode), std::move(path), true),
        folder_(std::move(folder)),
        name_(std::move(name)) {
    folder_->locks.insert(name_);
  }
  ~SimLock() override { folder_->locks.erase(name_); }

 private:
  std::shared_ptr<Folder> folder_;
  std::string name_;
};

bool is_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == name.npos &&
         name.find('\0') == name.npos;
}

class SimDirectory final : public Directory {
 public:
  SimDirectory(SimState& state, std::shared_ptr<Folder> folder, std::string path)
      : state_(state), folder_(std::move(folder)), path_(std::move(path)) {}

  Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) override {
    if (!is_name(name)) return Error(Errc::invalid, path_ + "/" + std::string(name));
    auto at = folder_->live.find(name);
    const bool there = at != folder_->live.end();
    if (there && !at->second.file) return Error(Errc::io, child(name) + " is not a regular file");
    if (there && mode == OpenMode::create_new) return Error(Errc::exists, child(name));
    if (!there) {
      if (mode == OpenMode::read || mode == OpenMode::write)
        return Error(Errc::not_found, child(name));
      if (auto failed = state_.step("create", child(name))) return std::move(*failed);
      auto inode = std::make_shared<Inode>();
      inode->used = &state_.used;
      folder_->change({{}, std::string(name), {inode, nullptr}});
      at = folder_->live.find(name);
    }
    return std::unique_ptr<File>(
        std::make_unique<SimFile>(state_, at->second.file, child(name), mode != OpenMode::read));
  }

  Result<std::unique_ptr<Directory>> directory(std::string_view name, bool create) override {
    if (!is_name(name)) return Error(Errc::invalid, path_ + "/" + std::string(name));
    auto at = folder_->live.find(name);
    if (at == folder_->live.end()) {
      if (!create) return Error(Errc::not_found, child(name));
      if (auto failed = state_.step("create", child(name))) return std::move(*failed);
      folder_->change({{}, std::string(name), {nullptr, std::make_shared<Folder>()}});
      at = folder_->live.find(name);
    }
    if (!at->second.folder) return Error(Errc::io, child(name) + " is not a directory");
    return std::unique_ptr<Directory>(
        std::make_unique<SimDirectory>(state_, at->second.folder, child(name)));
  }

  Result<std::vector<std::string>> list() const override {
    std::vector<std::string> names;
    for (const auto& [name, entry] : folder_->live) names.push_back(name);
    return names;
  }

  Result<void> remove(std::string_view name) override {
    if (!is_name(name)) return Error(Errc::invalid, path_ + "/" + std::string(name));
    const auto at = folder_->live.find(name);
    if (at == folder_->live.end()) return Error(Errc::not_found, child(name));
    if (at->second.folder && !at->second.folder->live.empty())
      return Error(Errc::not_empty, child(name));
    if (auto failed = state_.step("remove", child(name))) return std::move(*failed);
    folder_->change({std::string(name), {}, {}});
    return {};
  }

  Result<void> rename(std::string_view from, std::string_view to) override {
    if (!is_name(from) || !is_name(to)) return Error(Errc::invalid, path_);
    const auto at = folder_->live.find(from);
    if (at == folder_->live.end()) return Error(Errc::not_found, child(from));
    const auto replaced = folder_->live.find(to);
    if (replaced != folder_->live.end() && replaced->second.folder &&
        !replaced->second.folder->live.empty())
      return Error(Errc::not_empty, child(to));
    if (auto failed = state_.step("rename", child(from))) return std::move(*failed);
    const Entry entry = at->second;
    folder_->change({std::string(from), std::string(to), entry});
    return {};
  }

  Result<void> sync() override {
    if (auto failed = state_.step("sync", path_)) return std::move(*failed);
    folder_->durable = folder_->live;
    folder_->unsynced.clear();
    return {};
  }

  Result<DiskSpace> space() const override {
    DiskSpace space;
    space.free_bytes = state_.free_bytes();
    space.total_bytes = state_.limit == 0 ? std::uint64_t{1} << 41 : state_.limit;
    space.total_files = space.free_files = 1u << 20;
    return space;
  }

  Result<std::unique_ptr<File>> lock(std::string_view name) override {
    if (!is_name(name)) return Error(Errc::invalid, path_ + "/" + std::string(name));
    if (folder_->locks.contains(name)) return Error(Errc::busy, child(name) + " is locked");
    TRY_VOID(open(name, OpenMode::create));
    return std::unique_ptr<File>(std::make_unique<SimLock>(
        state_, folder_->live.find(name)->second.file, folder_, std::string(name), child(name)));
  }

  const std::string& path() const override { return path_; }

 private:
  std::string child(std::string_view name) const { return path_ + "/" + std::string(name); }

  SimState& state_;
  std::shared_ptr<Folder> folder_;
  std::string path_;
};

// ---- copies

class Copier {
 public:
  Copier(SimState& to, Loss loss, bool crash) : to_(to), loss_(loss), crash_(crash) {
    static constexpr double keeps[] = {0.1, 0.5, 0.9};
    keep_ = keeps[to_.random() % 3];
  }

  std::shared_ptr<Folder> copy(const Folder& from) {
    auto folder = std::make_shared<Folder>();
    if (!crash_) {
      folder->live = copy(from.live);
      folder->durable = copy(from.durable);
      for (const NameChange& change : from.unsynced)
        folder->unsynced.push_back({change.removed, change.added, copy(change.entry)});
      return folder;
    }
    Names names = from.durable;
    // File systems keep the order of names: some first part of the changes survives.
    std::size_t kept = loss_ == Loss::none ? from.unsynced.size() : 0;
    if (loss_ == Loss::random) kept = to_.random() % (from.unsynced.size() + 1);
    for (std::size_t i = 0; i < kept; ++i) from.unsynced[i].apply(names);
    folder->live = folder->durable = copy(names);
    return folder;
  }

 private:
  Names copy(const Names& from) {
    Names to;
    for (const auto& [name, entry] : from) to[name] = copy(entry);
    return to;
  }
  Entry copy(const Entry& from) {
    Entry to;
    if (from.file) to.file = copy(from.file);
    if (from.folder) {
      auto& slot = folders_[from.folder.get()];
      if (!slot) slot = copy(*from.folder);
      to.folder = slot;
    }
    return to;
  }
  std::shared_ptr<Inode> copy(const std::shared_ptr<Inode>& from) {
    auto& slot = inodes_[from.get()];
    if (slot) return slot;
    slot = std::make_shared<Inode>();
    slot->durable = from->durable;
    if (crash_) {
      for (const Change& change : from->unsynced) keep_part(change, slot->durable);
      slot->live = slot->durable;
    } else {
      slot->live = from->live;
      slot->unsynced = from->unsynced;
    }
    slot->used = &to_.used;
    to_.used += slot->live.blocks.size() * block_size;
    return slot;
  }

  void keep_part(const Change& change, Contents& to) {
    if (loss_ == Loss::all) return;
    if (loss_ == Loss::none) return change.apply(to);
    if (change.kind != Change::Kind::write) {
      if (to_.chance(keep_)) change.apply(to);
      return;
    }
    const std::uint64_t end = change.offset + change.bytes.size();
    for (std::uint64_t at = change.offset; at < end;) {
      const std::uint64_t next = std::min(end, round_down(at, sector_size) + sector_size);
      if (to_.chance(keep_))
        to.write(at, ByteView(change.bytes).subspan(at - change.offset, next - at));
      at = next;
    }
  }

  SimState& to_;
  Loss loss_;
  bool crash_;
  double keep_ = 0.5;
  std::map<const Inode*, std::shared_ptr<Inode>> inodes_;
  std::map<const Folder*, std::shared_ptr<Folder>> folders_;
};

std::shared_ptr<Inode> find_file(const SimState& state, const std::string& path) {
  const Folder* folder = state.root.get();
  std::string_view rest = path;
  while (true) {
    const auto slash = rest.find('/');
    const auto at = folder->live.find(rest.substr(0, slash));
    CHECK(at != folder->live.end());
    if (slash == rest.npos) {
      CHECK(at->second.file != nullptr);
      return at->second.file;
    }
    folder = at->second.folder.get();
    rest.remove_prefix(slash + 1);
  }
}

void list_files(const Folder& folder, const std::string& prefix, std::vector<std::string>& out) {
  for (const auto& [name, entry] : folder.live) {
    if (entry.file)
      out.push_back(prefix + name);
    else
      list_files(*entry.folder, prefix + name + "/", out);
  }
}

}  // namespace

SimDisk::SimDisk(std::uint64_t seed) : state_(std::make_unique<SimState>()) {
  state_->random.seed(seed);
}
SimDisk::SimDisk(std::unique_ptr<SimState> state) : state_(std::move(state)) {}
SimDisk::~SimDisk() = default;
SimDisk::SimDisk(SimDisk&&) noexcept = default;
SimDisk& SimDisk::operator=(SimDisk&&) noexcept = default;

std::unique_ptr<Directory> SimDisk::root() {
  return std::make_unique<SimDirectory>(*state_, state_->root, "sim");
}

SimDisk SimDisk::crashed(std::uint64_t seed, Loss loss) const {
  auto state = std::make_unique<SimState>();
  state->random.seed(seed);
  state->root = Copier(*state, loss, true).copy(*state_->root);
  return SimDisk(std::move(state));
}

SimDisk SimDisk::killed() const {
  auto state = std::make_unique<SimState>();
  state->random = state_->random;
  state->limit = state_->limit;
  state->root = Copier(*state, Loss::none, false).copy(*state_->root);
  return SimDisk(std::move(state));
}

void SimDisk::on_step(std::function<void()> hook) { state_->hook = std::move(hook); }
std::uint64_t SimDisk::steps() const { return state_->steps; }
void SimDisk::fail_step(std::uint64_t step, Errc code) {
  state_->fail_at = step;
  state_->failure = code;
}
void SimDisk::fail_from(std::uint64_t step, Errc code) {
  state_->fail_from = step;
  state_->failure = code;
}
void SimDisk::no_more_failures() {
  state_->fail_at.reset();
  state_->fail_from.reset();
}
void SimDisk::limit(std::uint64_t bytes) { state_->limit = bytes; }
std::uint64_t SimDisk::used_bytes() const { return state_->used; }
void SimDisk::slow_reads(double probability) { state_->slow = probability; }
std::uint64_t SimDisk::reads() const { return state_->reads; }

void SimDisk::flip(const std::string& path, std::uint64_t offset, int bit) {
  const auto inode = find_file(*state_, path);
  for (Contents* contents : {&inode->live, &inode->durable}) {
    if (contents->blocks.contains(offset / block_size))
      contents->writable(offset / block_size)[offset % block_size] ^=
          static_cast<std::byte>(1 << bit);
  }
}
void SimDisk::cut(const std::string& path, std::uint64_t size) {
  const auto inode = find_file(*state_, path);
  inode->change({Change::Kind::truncate, 0, size, {}});
  inode->durable = inode->live;
  inode->unsynced.clear();
}
std::vector<std::string> SimDisk::files() const {
  std::vector<std::string> paths;
  list_files(*state_->root, "", paths);
  return paths;
}
std::uint64_t SimDisk::file_size(const std::string& path) const {
  return find_file(*state_, path)->live.size;
}
bool SimDisk::has_block(const std::string& path, std::uint64_t offset) const {
  return find_file(*state_, path)->live.blocks.contains(offset / block_size);
}

}  // namespace rowan::test
