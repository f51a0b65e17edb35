// LOOKUP, LINK, REMOVE, RMDIR.
#include "proxy/merge.h"
#include "proxy/redirect_common.h"

namespace rowan::proxy::redirect {
namespace {

// A name operation under way: where, and what will be told.
struct Naming {
  ObjectId directory{};
  std::string_view name;
  nfs3::WccData dir_wcc;
  cache::Ticket ticket = 0;
};

Result<Child> resolve(const Op& op, Facts& facts, ObjectId directory, std::string_view name) {
  if (!is_dots(name)) return op.view.child(facts, directory, name);
  ObjectId id = directory;
  if (name == "..") {
    TRY(id, op.view.parent(facts, directory));
  }
  TRY(Node * node, op.view.node(facts, id));
  return Child{id, node};
}

Result<Status> try_lookup(const Op& op, Facts& facts, const Naming& naming, nfs3::LookupRes& res) {
  TRY(Node * directory, op.view.directory(facts, naming.directory));
  res.dir_attributes = directory->attributes;
  if (!permitted(op.caller, directory->attributes, may_execute)) return Status::acces;
  Result<Child> child = resolve(op, facts, naming.directory, naming.name);
  if (child.failed_with(Errc::not_found)) return Status::noent;
  if (!child) return std::move(child).error();
  res.attributes = child->node->attributes;
  res.object = op.view.handle(child->id);
  return Status::ok;
}

// The directory, open to `caller` for searching.
Result<Node*> searchable(const Op& op, Facts& facts, Naming& naming) {
  TRY(Node * directory, op.view.directory(facts, naming.directory));
  naming.dir_wcc = unchanged(directory->attributes);
  if (!permitted(op.caller, directory->attributes, may_execute)) return Errc::access;
  return directory;
}

Result<Status> apply_naming(const Op& op, Facts& facts, Naming& naming, Change& change) {
  TRY(naming.ticket, op.view.apply(facts, change));
  naming.dir_wcc.after = op.view.known_node(naming.directory)->attributes;
  return Status::ok;
}

Result<Status> try_link(const Op& op, Facts& facts, ObjectId file, Naming& naming,
                        nfs3::PostOpAttributes& attributes) {
  TRY(Node * object, op.view.node(facts, file));
  attributes = object->attributes;
  if (object->is(FileType::directory)) return Status::isdir;
  TRY(Node * directory, searchable(op, facts, naming));
  Result<Child> existing = op.view.child(facts, naming.directory, naming.name);
  if (existing) return Status::exist;
  if (!existing.failed_with(Errc::not_found)) return std::move(existing).error();
  Status allowed = check_change_names(op.caller, directory->attributes);
  if (allowed != Status::ok) return allowed;
  if (object->attributes.nlink >= link_limit) return Status::mlink;

  Change change;
  cache::ObjectRecord record = op.view.record_for_change(*object);
  ++record.nlink;
  change.put(file, std::move(record));
  change.put_name(naming.directory, naming.name, {file, op.view.store().next_sequence()});
  put_directory(change, naming.directory, op.view.record_for_change(*directory));
  TRY(Status status, apply_naming(op, facts, naming, change));
  attributes = op.view.known_node(file)->attributes;
  return status;
}

Result<Status> try_remove(const Op& op, Facts& facts, Naming& naming) {
  TRY(Node * directory, searchable(op, facts, naming));
  TRY(Child child, op.view.child(facts, naming.directory, naming.name));
  Status allowed = check_delete(op.caller, directory->attributes, child.node->attributes);
  if (allowed != Status::ok) return allowed;
  if (child.node->is(FileType::directory)) return Status::isdir;

  Change change;
  RenameEnd at{naming.directory, naming.name};
  TRY_VOID(take_name(op, facts, change, at));
  drop_link(op, change, child.id, *child.node);
  put_directory(change, naming.directory, op.view.record_for_change(*directory));
  return apply_naming(op, facts, naming, change);
}

Result<Status> try_rmdir(const Op& op, Facts& facts, Naming& naming) {
  TRY(Node * directory, searchable(op, facts, naming));
  TRY(Child child, op.view.child(facts, naming.directory, naming.name));
  Status allowed = check_delete(op.caller, directory->attributes, child.node->attributes);
  if (allowed != Status::ok) return allowed;
  if (!child.node->is(FileType::directory)) return Status::notdir;
  TRY(bool empty, op.view.is_empty(facts, child.id));
  if (!empty) return Status::notempty;

  Change change;
  RenameEnd at{naming.directory, naming.name};
  TRY_VOID(take_name(op, facts, change, at));
  drop_link(op, change, child.id, *child.node);
  put_directory(change, naming.directory, op.view.record_for_change(*directory), -1);
  return apply_naming(op, facts, naming, change);
}

Status check_removable(std::string_view name, Status for_dot_dot) {
  if (name == ".") return Status::inval;
  return name == ".." ? for_dot_dot : check_name(name);
}

template <class Step>
Task<nfs3::RemoveRes> take_away(const Op& op, Naming& naming, Step step) {
  nfs3::RemoveRes res;
  Result<Status> outcome = co_await op.view.attempt(step);
  res.status = finish(op, naming.directory, outcome);
  res.status = co_await settle(op, naming.directory, res.status, naming.ticket);
  res.dir_wcc = naming.dir_wcc;
  co_return res;
}

nfs3::RemoveRes refused(Status status) {
  nfs3::RemoveRes res;
  res.status = status;
  return res;
}

}  // namespace

Task<nfs3::LookupRes> lookup(const Op& op, ObjectId directory, std::string_view name) {
  nfs3::LookupRes res;
  res.status = check_name(name);
  if (res.status != Status::ok) co_return res;
  Naming naming{directory, name, {}, 0};
  auto step = [&](Facts& facts) { return try_lookup(op, facts, naming, res); };
  std::optional<Result<Status>> outcome = op.view.try_now(step);
  if (!outcome) outcome = co_await op.view.attempt(step);
  res.status = finish(op, directory, *outcome);
  co_return res;
}

Task<nfs3::LinkRes> link(const Op& op, ObjectId file, ObjectId directory, std::string_view name) {
  nfs3::LinkRes res;
  res.status = is_dots(name) ? Status::exist : check_name(name);
  if (res.status != Status::ok) co_return res;
  Naming naming{directory, name, {}, 0};
  auto step = [&](Facts& facts) { return try_link(op, facts, file, naming, res.attributes); };
  Result<Status> outcome = co_await op.view.attempt(step);
  res.status = finish(op, file, outcome);
  res.status = co_await settle(op, file, res.status, naming.ticket);
  res.dir_wcc = naming.dir_wcc;
  co_return res;
}

Task<nfs3::RemoveRes> remove(const Op& op, ObjectId directory, std::string_view name) {
  Status valid = check_removable(name, Status::inval);
  if (valid != Status::ok) co_return refused(valid);
  Naming naming{directory, name, {}, 0};
  auto step = [&](Facts& facts) { return try_remove(op, facts, naming); };
  co_return co_await take_away(op, naming, step);
}

Task<nfs3::RemoveRes> rmdir(const Op& op, ObjectId directory, std::string_view name) {
  Status valid = check_removable(name, Status::exist);
  if (valid != Status::ok) co_return refused(valid);
  Naming naming{directory, name, {}, 0};
  auto step = [&](Facts& facts) { return try_rmdir(op, facts, naming); };
  co_return co_await take_away(op, naming, step);
}

}  // namespace rowan::proxy::redirect
