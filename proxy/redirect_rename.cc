// RENAME: one transaction that takes a name away, gives another, and lets go of what that one meant
// before.
#include "proxy/merge.h"
#include "proxy/redirect_common.h"

namespace rowan::proxy::redirect {
namespace {

constexpr int max_depth = 4096;  // of directories; deeper ones cannot be reached by any path

struct Renaming {
  const Op& op;
  RenameEnd from, to;
  nfs3::RenameRes res;
  cache::Ticket ticket = 0;
  bool same_directory() const { return from.directory == to.directory; }
};

// What the names stand for at the moment.
struct Ends {
  Node* from_directory = nullptr;
  Node* to_directory = nullptr;
  Child source;
  Child target;  // node is null: the name is free
};

Result<Ends> find_ends(Renaming& renaming, Facts& facts) {
  const Op& op = renaming.op;
  Ends ends;
  TRY(ends.from_directory, op.view.directory(facts, renaming.from.directory));
  TRY(ends.to_directory, op.view.directory(facts, renaming.to.directory));
  renaming.res.from_wcc = unchanged(ends.from_directory->attributes);
  renaming.res.to_wcc = unchanged(ends.to_directory->attributes);
  for (const Node* directory : {ends.from_directory, ends.to_directory}) {
    if (!permitted(op.caller, directory->attributes, may_execute)) return Errc::access;
  }
  TRY(ends.source, op.view.child(facts, renaming.from.directory, renaming.from.name));
  Result<Child> target = op.view.child(facts, renaming.to.directory, renaming.to.name);
  if (target) {
    ends.target = *target;
  } else if (!target.failed_with(Errc::not_found)) {
    return std::move(target).error();
  }
  return ends;
}

// True if `directory` is `ancestor` or lies below it.
Result<bool> lies_in(const Op& op, Facts& facts, ObjectId directory, ObjectId ancestor) {
  for (int depth = 0; depth < max_depth; ++depth) {
    if (directory == ancestor) return true;
    if (directory == cache::image_root) return false;
    TRY(directory, op.view.parent(facts, directory));
  }
  return Error(Errc::corrupt,
               "the directory tree above " + op.view.describe(directory) + " has no root");
}

Status check_permissions(const Renaming& renaming, const Ends& ends) {
  const Caller& caller = renaming.op.caller;
  const nfs3::Attributes& source = ends.source.node->attributes;
  Status status = check_delete(caller, ends.from_directory->attributes, source);
  if (status != Status::ok) return status;
  const nfs3::Attributes& to_directory = ends.to_directory->attributes;
  status = ends.target.node == nullptr
               ? check_change_names(caller, to_directory)
               : check_delete(caller, to_directory, ends.target.node->attributes);
  if (status != Status::ok) return status;
  // A directory that moves has its ".." changed.
  bool moves_directory = source.type == FileType::directory && !renaming.same_directory();
  return moves_directory && !permitted(caller, source, may_write) ? Status::acces : Status::ok;
}

Result<Status> check_target(const Renaming& renaming, Facts& facts, const Ends& ends) {
  bool moves_directory = ends.source.node->is(FileType::directory);
  if (moves_directory) {
    TRY(bool inside, lies_in(renaming.op, facts, renaming.to.directory, ends.source.id));
    if (inside) return Status::inval;
    bool one_more = !renaming.same_directory() && ends.target.node == nullptr;
    if (one_more && ends.to_directory->attributes.nlink >= link_limit) return Status::mlink;
  }
  if (ends.target.node == nullptr) return Status::ok;
  bool replaces_directory = ends.target.node->is(FileType::directory);
  if (moves_directory && !replaces_directory) return Status::notdir;
  if (!moves_directory && replaces_directory) return Status::isdir;
  if (!replaces_directory) return Status::ok;
  TRY(bool empty, renaming.op.view.is_empty(facts, ends.target.id));
  return empty ? Status::ok : Status::notempty;
}

// What happens to the two directories' link counts by their ".." entries.
void put_directories(const Renaming& renaming, Change& change, const Ends& ends) {
  const MergedView& view = renaming.op.view;
  bool moves_directory = ends.source.node->is(FileType::directory);
  int lost = ends.target.node != nullptr && ends.target.node->is(FileType::directory) ? 1 : 0;
  int moved = moves_directory && !renaming.same_directory() ? 1 : 0;
  put_directory(change, renaming.to.directory, view.record_for_change(*ends.to_directory),
                moved - lost);
  if (renaming.same_directory()) return;
  cache::ObjectRecord record = view.record_for_change(*ends.from_directory);
  put_directory(change, renaming.from.directory, std::move(record), -moved);
}

Result<Status> apply_rename(Renaming& renaming, Facts& facts, const Ends& ends) {
  const Op& op = renaming.op;
  Change change;
  TRY_VOID(take_name(op, facts, change, renaming.from));
  if (ends.target.node != nullptr) drop_link(op, change, ends.target.id, *ends.target.node);
  change.put_name(renaming.to.directory, renaming.to.name,
                  {ends.source.id, op.view.store().next_sequence()});
  cache::ObjectRecord record = op.view.record_for_change(*ends.source.node);
  record.parent = renaming.to.directory;
  record.name = renaming.to.name;
  change.put(ends.source.id, std::move(record));
  put_directories(renaming, change, ends);
  TRY(renaming.ticket, op.view.apply(facts, change));
  renaming.res.from_wcc.after = op.view.known_node(renaming.from.directory)->attributes;
  renaming.res.to_wcc.after = op.view.known_node(renaming.to.directory)->attributes;
  return Status::ok;
}

Result<Status> try_rename(Renaming& renaming, Facts& facts) {
  TRY(Ends ends, find_ends(renaming, facts));
  // Two names of one object, or a name onto itself: nothing happens (POSIX rename()).
  if (ends.source.id == ends.target.id) return Status::ok;
  Status allowed = check_permissions(renaming, ends);
  if (allowed != Status::ok) return allowed;
  TRY(Status status, check_target(renaming, facts, ends));
  if (status != Status::ok) return status;
  return apply_rename(renaming, facts, ends);
}

}  // namespace

Task<nfs3::RenameRes> rename(const Op& op, RenameEnd from, RenameEnd to) {
  Renaming renaming{op, from, to, {}, 0};
  Status status = is_dots(from.name) || is_dots(to.name) ? Status::inval : check_name(from.name);
  if (status == Status::ok) status = check_name(to.name);
  if (status == Status::ok) {
    auto step = [&](Facts& facts) { return try_rename(renaming, facts); };
    Result<Status> outcome = co_await op.view.attempt(step);
    status = finish(op, from.directory, outcome);
    status = co_await settle(op, from.directory, status, renaming.ticket);
  }
  renaming.res.status = status;
  co_return renaming.res;
}

}  // namespace rowan::proxy::redirect
