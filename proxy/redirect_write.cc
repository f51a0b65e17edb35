// WRITE and COMMIT. A write stores the bytes it brings and needs nothing of the image but
// attributes.
#include <algorithm>

#include "proxy/merge.h"
#include "proxy/redirect_common.h"

namespace rowan::proxy::redirect {
namespace {

Status check_writable(const Op& op, const nfs3::Attributes& file) {
  if (file.type == FileType::directory) return Status::isdir;
  if (file.type != FileType::regular) return Status::inval;
  return may_write_data(op.caller, file) ? Status::ok : Status::acces;
}

struct Writing {
  ObjectId file{};
  std::uint64_t offset = 0;
  ByteView data;
  std::shared_ptr<const Buffer> data_owner;  // null: it must be copied
  cache::Ticket ticket = 0;
};

Result<Status> try_write(const Op& op, Facts& facts, Writing& writing, nfs3::WriteRes& res) {
  TRY(Node * node, op.view.node(facts, writing.file));
  res.wcc = unchanged(node->attributes);
  Status status = check_writable(op, node->attributes);
  if (status == Status::ok) status = check_file_range(writing.offset, writing.data.size());
  if (status != Status::ok || writing.data.empty()) return status;

  Change change;
  cache::ObjectRecord record = op.view.record_for_change(*node);
  record.size = std::max(record.size, writing.offset + writing.data.size());
  record.mode = mode_after_write(op.caller, record.mode);
  record.mtime = record.ctime;
  change.put(writing.file, std::move(record));
  change.write(writing.file, writing.offset, writing.data, writing.data_owner);
  TRY(writing.ticket, op.view.apply(facts, change));
  res.wcc.after = op.view.known_node(writing.file)->attributes;
  return Status::ok;
}

}  // namespace

Task<nfs3::WriteRes> write(const Op& op, ObjectId file, const nfs3::WriteArgs& args) {
  nfs3::WriteRes res;
  std::size_t length =
      std::min<std::size_t>({args.count, args.data.size(), nfs3::max_transfer_size});
  Writing writing{file, args.offset, args.data.first(length), args.data_owner, 0};
  auto step = [&](Facts& facts) { return try_write(op, facts, writing, res); };
  std::optional<Result<Status>> outcome = op.view.try_now(step);
  if (!outcome) outcome = co_await op.view.attempt(step);
  res.status = finish(op, file, *outcome);
  if (res.status != Status::ok) co_return res;
  res.count = static_cast<std::uint32_t>(length);
  // Of the moment of apply(): if these bytes are lost later, the store has another one by then.
  res.verifier = op.view.store().write_verifier();
  if (args.stable != nfs3::StableHow::unstable) {
    res.status = co_await settle(op, file, Status::ok, writing.ticket);
    res.committed = nfs3::StableHow::file_sync;
  }
  co_return res;
}

Task<nfs3::CommitRes> commit(const Op& op, ObjectId file) {
  nfs3::CommitRes res;
  Result<Node*> node = co_await op.view.load_node(file);
  if (!node) {
    res.status = finish(op, file, node.error());
    co_return res;
  }
  res.wcc = unchanged((*node)->attributes);
  if (!(*node)->is(FileType::regular)) {
    res.status = (*node)->is(FileType::directory) ? Status::isdir : Status::inval;
    co_return res;
  }
  // Before waiting: what is lost while it waits was under this one.
  res.verifier = op.view.store().write_verifier();
  res.status = co_await settle(op, file, Status::ok, op.view.store().applied());
  co_return res;
}

}  // namespace rowan::proxy::redirect
