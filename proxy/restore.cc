#include "proxy/restore.h"

#include <algorithm>
#include <utility>

#include "rpc/base/random.h"
#include "rpc/nfs3_status.h"

namespace rowan::proxy {
namespace {

using nfs3::FileType;
using nfs3::Status;

constexpr std::uint32_t piece_bytes = 1u << 20;
constexpr std::uint64_t hole_unit = 64u << 10;  // zeros of this size are not written

bool is_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

nfs3::SetAttributes owner_of(const nfs3::Attributes& old) {
  nfs3::SetAttributes set;
  set.uid = old.uid;
  set.gid = old.gid;
  return set;
}

nfs3::SetAttributes mode_and_times_of(const nfs3::Attributes& old) {
  nfs3::SetAttributes set;
  set.mode = old.mode;
  set.atime = {nfs3::TimeHow::client_time, old.atime};
  set.mtime = {nfs3::TimeHow::client_time, old.mtime};
  return set;
}

std::string join(const std::string& directory, const std::string& name) {
  return (directory == "/" ? "/" : directory + "/") + name;
}

}  // namespace

Restore::Restore(StateTree& from, StateTree& to, const RestoreOptions& options)
    : from_(from), to_(to), options_(options), salt_(static_cast<std::uint32_t>(random_number())) {}

Task<Result<std::string>> Restore::run(std::string path, std::string target) {
  Result<Found> old = co_await from_.find(path, false);
  if (!old) co_return std::move(old).error();
  const bool same_place = target.empty();
  if (same_place) target = old->path;
  if (target == "/") {
    if (!old->is(FileType::directory))
      co_return Error(Errc::invalid, "'/' is a directory; name a file to restore to");
    Result<Found> root = co_await to_.find("/", false);
    if (!root) co_return std::move(root).error();
    Result<void> done = co_await put_entries(*old, *root);
    if (done) done = co_await set_attributes(*old, root->id);
    if (!done) co_return std::move(done).error();
    co_return target;
  }
  if (same_place) {
    Result<Found> directory = co_await directories_above(*old);
    if (!directory) co_return std::move(directory).error();
  }
  Result<Spot> spot = co_await spot_of(target);
  if (!spot) co_return std::move(spot).error();
  std::string where = spot->path;
  Result<void> done = co_await put(std::move(*old), std::move(*spot));
  if (!done) co_return std::move(done).error();
  co_return where;
}

Task<Result<Restore::Spot>> Restore::spot_of(std::string target) {
  std::vector<std::string> parts = path_parts(target);
  if (parts.empty() || parts.back() == "." || parts.back() == "..")
    co_return Error(Errc::invalid, "'" + target + "' is no name to restore to");
  Spot spot;
  spot.name = std::move(parts.back());
  parts.pop_back();
  std::string above;
  for (const std::string& part : parts) above += "/" + part;
  Result<Found> directory = co_await to_.find(above, true);
  if (directory.failed_with(Errc::not_found))
    co_return Error(Errc::not_found, directory.error().detail + "; make that directory first");
  if (!directory) co_return std::move(directory).error();
  if (!directory->is(FileType::directory))
    co_return Error(Errc::not_directory, "'" + above + "' is not a directory");
  spot.path = join(directory->path, spot.name);
  spot.directory = std::move(*directory);
  co_return spot;
}

// The old one's directories, where they are missing; only they themselves, not what is in them.
Task<Result<Restore::Found>> Restore::directories_above(const Found& old) {
  std::vector<std::string> parts = path_parts(old.path);
  parts.pop_back();
  Result<Found> was = co_await from_.find("/", false);
  Result<Found> is = co_await to_.find("/", false);
  std::string path;
  for (const std::string& part : parts) {
    if (!was) co_return was;
    if (!is) co_return is;
    path += "/" + part;
    was = co_await from_.child(*was, part);
    Result<Found> next = co_await to_.find(path, true);
    if (was && next.failed_with(Errc::not_found)) {
      Spot spot;
      spot.directory = std::move(*is);
      spot.name = part;
      spot.path = path;
      CO_TRY(ObjectId made, co_await make_directory(*was, spot));
      CO_TRY_VOID(co_await set_attributes(*was, made));
      next = co_await to_.find(path, true);
    }
    is = std::move(next);
  }
  co_return is;
}

Task<Result<void>> Restore::put(Found old, Spot spot) {
  if (stopped_) co_return Error(Errc::timed_out, "stopped before " + spot.path);
  Result<Found> existing = co_await to_.child(spot.directory, spot.name);
  if (!existing && !existing.failed_with(Errc::not_found)) co_return std::move(existing).error();
  const bool is_directory = old.is(FileType::directory);
  const bool there = existing.has_value();
  const bool other_kind = there && existing->is(FileType::directory) != is_directory;
  if (other_kind && !options_.force) {
    co_return Error(Errc::exists, "'" + spot.path + "' is " + (is_directory ? "no" : "a") +
                                      " directory in " + to_.label() + " and " +
                                      (is_directory ? "a" : "no") + " directory in " +
                                      from_.label() +
                                      "; move it away, or replace it with --force");
  }
  const Found* at = there ? &*existing : nullptr;
  if (is_directory) co_return co_await put_directory(old, spot, at);
  co_return co_await put_other(old, spot, at);
}

// ---- directories

Task<Result<void>> Restore::put_directory(const Found& old, const Spot& spot,
                                          const Found* existing) {
  if (existing != nullptr && !existing->is(FileType::directory))
    CO_TRY_VOID(co_await remove_all(spot.directory, spot.name));
  Found made;
  if (existing != nullptr && existing->is(FileType::directory)) {
    made = *existing;
  } else {
    CO_TRY(made.id, co_await make_directory(old, spot));
    made.attributes = old.attributes;
    made.path = spot.path;
  }
  count(FileType::directory);
  CO_TRY_VOID(co_await put_entries(old, made));
  // Last: each name put into it moved its times.
  co_return co_await set_attributes(old, made.id);
}

Task<Result<void>> Restore::put_entries(const Found& old, const Found& made) {
  nfs3::Cookie next = 0;
  do {
    Result<StateTree::Page> page = co_await from_.list(old, next);
    if (!page) co_return std::move(page).error();
    for (StateTree::Entry& entry : page->entries) {
      Found inner;
      inner.id = entry.id;
      inner.attributes = entry.attributes;
      inner.directory = old.id;
      inner.path = join(old.path, entry.name);
      inner.name = entry.name;
      Spot spot;
      spot.directory = made;
      spot.path = join(made.path, entry.name);
      spot.name = std::move(entry.name);
      CO_TRY_VOID(co_await put(std::move(inner), std::move(spot)));
    }
    next = page->next;
  } while (next != 0);
  co_return Result<void>();
}

Task<Result<cache::ObjectId>> Restore::make_directory(const Found& old, const Spot& at) {
  const redirect::Op op = to_.op();
  nfs3::MkdirArgs args;
  args.where.name = at.name;
  args.attributes.mode = old.attributes.mode;
  nfs3::CreateRes res = co_await redirect::mkdir(op, at.directory.id, args);
  if (res.status != Status::ok) co_return to_.error(res.status, at.path);
  co_return ObjectId{res.attributes->fileid};
}

// ---- everything else

Restore::Spot Restore::temporary(const Spot& spot) {
  Spot made;
  made.directory = spot.directory;
  // A long name is cut: the suffix tells them apart, and is nobody else's.
  made.name = spot.name.substr(0, 200) + ".rowan-restore-" + std::to_string(salt_) + "-" +
              std::to_string(next_name_++);
  made.path = join(spot.directory.path, made.name);
  return made;
}

Task<Result<void>> Restore::put_other(const Found& old, const Spot& spot, const Found* existing) {
  const Spot part = temporary(spot);
  Result<ObjectId> made = co_await make(old, part);
  Result<void> done;
  if (!made) done = std::move(made).error();
  // A directory cannot be renamed over: it steps aside, and goes once the new one is there.
  Spot aside;
  const bool replaces_directory = existing != nullptr && existing->is(FileType::directory);
  if (replaces_directory) aside = temporary(spot);
  if (done && replaces_directory) done = co_await rename(spot, aside);
  if (done) {
    done = co_await rename(part, spot);
    if (!done && replaces_directory) {
      Result<void> back = co_await rename(aside, spot);
      if (!back) done = std::move(back).error();
    }
  }
  if (!done) co_await remove_quietly(part);
  if (done && replaces_directory) done = co_await remove_all(aside.directory, aside.name);
  co_return done;
}

Task<Result<cache::ObjectId>> Restore::make(const Found& old, const Spot& at) {
  const redirect::Op op = to_.op();
  if (auto first = linked_.find(old.id); first != linked_.end()) {
    nfs3::LinkRes res = co_await redirect::link(op, first->second, at.directory.id, at.name);
    if (res.status != Status::ok) co_return to_.error(res.status, at.path);
    ++counts_.links;
    co_return first->second;
  }
  CO_TRY(ObjectId made, co_await make_special(old, at));
  if (old.is(FileType::regular)) CO_TRY_VOID(co_await copy_content(old, made));
  CO_TRY_VOID(co_await set_attributes(old, made));
  if (old.attributes.nlink > 1) linked_[old.id] = made;
  count(old.attributes.type);
  co_return made;
}

Task<Result<cache::ObjectId>> Restore::make_special(const Found& old, const Spot& at) {
  const redirect::Op op = to_.op();
  const ObjectId directory = at.directory.id;
  nfs3::SetAttributes set;
  set.mode = 0600;  // until it is complete
  nfs3::CreateRes res;
  if (old.is(FileType::symlink)) {
    CO_TRY(std::string target, co_await from_.target(old.id));
    nfs3::SymlinkArgs args;
    args.where.name = at.name;
    args.target = target;
    res = co_await redirect::symlink(op, directory, args);
  } else if (old.is(FileType::regular)) {
    nfs3::CreateArgs args;
    args.where.name = at.name;
    args.how = nfs3::CreateMode::guarded;
    args.attributes = set;
    args.attributes.size = old.attributes.size;
    res = co_await redirect::create(op, directory, args);
  } else {
    nfs3::MknodArgs args;
    args.where.name = at.name;
    args.type = old.attributes.type;
    args.attributes = set;
    args.device = old.attributes.rdev;
    res = co_await redirect::mknod(op, directory, args);
  }
  if (res.status != Status::ok) co_return to_.error(res.status, at.path);
  co_return ObjectId{res.attributes->fileid};
}

Task<Result<void>> Restore::copy_content(const Found& old, ObjectId made) {
  std::uint64_t offset = 0;
  while (offset < old.attributes.size) {
    Result<Buffer> piece = co_await from_.read(old.id, offset, piece_bytes);
    if (!piece) co_return from_.error(piece.error(), old.path);
    const ByteView bytes = piece->view();
    if (bytes.empty()) co_return from_.error(Error(Errc::io, "shorter than its size"), old.path);
    for (std::size_t at = 0; at < bytes.size(); at += hole_unit) {
      const ByteView unit = bytes.subspan(at, std::min(hole_unit, bytes.size() - at));
      if (!is_zero(unit)) CO_TRY_VOID(co_await write(made, offset + at, unit));
    }
    offset += bytes.size();
    counts_.bytes += bytes.size();
  }
  const redirect::Op op = to_.op();
  nfs3::CommitRes res = co_await redirect::commit(op, made);
  if (res.status != Status::ok) co_return to_.error(res.status, old.path);
  co_return Result<void>();
}

Task<Result<void>> Restore::write(ObjectId made, std::uint64_t offset, ByteView bytes) {
  const redirect::Op op = to_.op();
  nfs3::WriteArgs args;
  args.offset = offset;
  args.count = static_cast<std::uint32_t>(bytes.size());
  args.data = bytes;
  nfs3::WriteRes res = co_await redirect::write(op, made, args);
  if (res.status != Status::ok) co_return to_.error(res.status, "a file being restored");
  co_return Result<void>();
}

Task<Result<void>> Restore::set_attributes(const Found& old, ObjectId made) {
  const redirect::Op op = to_.op();
  // A new owner takes the set-user-id bits away: the mode comes after it.
  for (const nfs3::SetAttributes& set :
       {owner_of(old.attributes), mode_and_times_of(old.attributes)}) {
    nfs3::SetattrArgs args;
    args.attributes = set;
    nfs3::SetattrRes res = co_await redirect::setattr(op, made, args);
    if (res.status != Status::ok) co_return to_.error(res.status, old.path);
  }
  co_return Result<void>();
}

Task<Result<void>> Restore::rename(const Spot& from, const Spot& to) {
  const redirect::Op op = to_.op();
  const redirect::RenameEnd from_end{from.directory.id, from.name};
  const redirect::RenameEnd to_end{to.directory.id, to.name};
  nfs3::RenameRes res = co_await redirect::rename(op, from_end, to_end);
  if (res.status != Status::ok) co_return to_.error(res.status, to.path);
  co_return Result<void>();
}

// ---- taking away

// Nothing there is fine.
Task<Result<void>> Restore::remove_all(const Found& directory, std::string name) {
  Result<Found> found = co_await to_.child(directory, name);
  if (found.failed_with(Errc::not_found)) co_return Result<void>();
  if (!found) co_return std::move(found).error();
  const redirect::Op op = to_.op();
  nfs3::RemoveRes res;
  if (found->is(FileType::directory)) {
    while (true) {
      Result<StateTree::Page> page = co_await to_.list(*found, 0);
      if (!page) co_return std::move(page).error();
      if (page->entries.empty()) break;
      for (StateTree::Entry& entry : page->entries)
        CO_TRY_VOID(co_await remove_all(*found, entry.name));
    }
    res = co_await redirect::rmdir(op, directory.id, name);
  } else {
    res = co_await redirect::remove(op, directory.id, name);
  }
  if (res.status != Status::ok) co_return to_.error(res.status, found->path);
  co_return Result<void>();
}

// After an error that is told anyway.
Task<void> Restore::remove_quietly(Spot spot) {
  Result<void> removed = co_await remove_all(spot.directory, spot.name);
  static_cast<void>(removed);
}

void Restore::count(FileType type) {
  if (type == FileType::regular) ++counts_.files;
  else if (type == FileType::directory) ++counts_.directories;
  else if (type == FileType::symlink) ++counts_.symlinks;
  else ++counts_.others;
}

}  // namespace rowan::proxy
