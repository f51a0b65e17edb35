#include "proxy/redirect_common.h"

#include "proxy/merge.h"
#include "rpc/base/log.h"
#include "rpc/nfs3_status.h"

namespace rowan::proxy::redirect {
namespace {

bool needs_a_person(Errc code) {
  return code == Errc::corrupt || code == Errc::drift || code == Errc::io ||
         code == Errc::server_fault;
}

}  // namespace

Status finish(const Op& op, ObjectId object, const Error& error) {
  if (needs_a_person(error.code) && op.view.may_log()) {
    log(Level::error, "appliance.error",
        {{"appliance", op.view.settings().name},
         {"path", op.view.describe(object)},
         {"error", to_string(error)}});
  }
  return nfs3::status_of(error.code);
}

Status finish(const Op& op, ObjectId object, const Result<Status>& outcome) {
  return outcome ? *outcome : finish(op, object, outcome.error());
}

Status check_name(std::string_view name) {
  if (name.empty()) return Status::acces;
  if (name.size() > nfs3::max_name_length) return Status::nametoolong;
  bool bad = name.find('/') != std::string_view::npos || name.find('\0') != std::string_view::npos;
  return bad ? Status::acces : Status::ok;
}

nfs3::WccData unchanged(const nfs3::Attributes& attributes) {
  return {wcc_attributes(attributes), attributes};
}

void put_directory(Change& change, ObjectId directory, cache::ObjectRecord record, int links) {
  record.mtime = record.ctime;
  // Some file systems give every directory one link: then there is nothing to count.
  bool counted = record.nlink >= 2;
  if (counted) record.nlink = std::max(2u, record.nlink + static_cast<std::uint32_t>(links));
  change.put(directory, std::move(record));
}

Result<void> take_name(const Op& op, Facts& facts, Change& change, const RenameEnd& at) {
  Result<cache::NameRecord> local = op.view.store().name(at.directory, at.name);
  bool has_record = local.has_value();
  if (!has_record && !local.failed_with(Errc::not_found)) return std::move(local).error();
  bool in_image = !has_record;
  if (has_record) {
    TRY(in_image, op.view.image_has_name(facts, at.directory, at.name));
  }
  if (in_image) {
    change.hide_name(at.directory, at.name);
  } else {
    change.erase_name(at.directory, at.name);
  }
  return {};
}

void drop_link(const Op& op, Change& change, ObjectId object, const Node& node) {
  cache::ObjectRecord record = op.view.record_for_change(node);
  bool last = record.nlink <= 1 || record.kind == cache::FileKind::directory;
  record.nlink = last ? 0 : record.nlink - 1;
  if (last) {
    change.remove(object, std::move(record));
  } else {
    change.put(object, std::move(record));
  }
}

Task<Status> settle(const Op& op, ObjectId object, Status status, cache::Ticket ticket) {
  if (status != Status::ok) co_return status;
  Result<void> stable = co_await op.view.stable(ticket);
  if (!stable) co_return finish(op, object, stable.error());
  co_return Status::ok;
}

}  // namespace rowan::proxy::redirect
