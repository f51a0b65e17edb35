// READ and READLINK.
//
// A changed file's bytes come from three places: extents of the store, the image, and holes. The
// local part is copied in one go together with the plan, because a plan does not survive other
// operations; what must be loaded from disk first makes the plan start over from where it stopped.
// The image's part never changes, so it is filled in afterwards, all runs at the same time,
// straight into the reply.
#include <algorithm>
#include <cstring>
#include <vector>

#include "proxy/merge.h"
#include "proxy/redirect_common.h"

namespace rowan::proxy::redirect {
namespace {

struct Run {
  std::uint64_t offset = 0;  // in the file
  ByteSpan into;
};

// A READ under way.
struct Reading {
  const Op& op;
  ObjectId file{};
  std::uint64_t offset = 0;
  std::uint32_t count = 0;
  std::uint32_t done = 0;  // bytes planned: copied, or in `base`
  std::vector<Run> base;   // to be filled by the image; parts of the one buffer there is
  bool has_buffer = false;
  nfs3::ReadRes res;
};

Status check_readable(const Op& op, const nfs3::Attributes& file) {
  if (file.type == FileType::directory) return Status::isdir;
  if (file.type != FileType::regular) return Status::inval;
  return may_read_data(op.caller, file) ? Status::ok : Status::acces;
}

Result<void> copy_extent(Reading& reading, const cache::Extent& extent) {
  ByteSpan into = reading.res.data.span().subspan(reading.done, extent.length);
  switch (extent.kind) {
    case cache::Extent::Kind::local: {
      TRY_VOID(reading.op.view.store().read(extent, into));
      break;
    }
    case cache::Extent::Kind::zero:
      std::memset(into.data(), 0, into.size());
      break;
    case cache::Extent::Kind::base:
      reading.base.push_back({extent.offset, into});
      break;
  }
  reading.done += static_cast<std::uint32_t>(extent.length);
  return {};
}

// One go at the rest of the range, against the file as it is now.
Result<Status> plan(Reading& reading, Facts& facts) {
  TRY(Node * node, reading.op.view.node(facts, reading.file));
  nfs3::ReadRes& res = reading.res;
  res.attributes = node->attributes;
  Status status = check_readable(reading.op, node->attributes);
  if (status != Status::ok) return status;
  ReadRange range = read_range(reading.offset, reading.count, node->attributes.size);
  res.eof = range.eof;
  if (!reading.has_buffer) {
    res.data = Buffer(range.length);
    reading.has_buffer = true;
  }
  // The file may have been cut, or have grown, since an earlier go.
  auto length = std::min<std::uint32_t>(range.length, static_cast<std::uint32_t>(res.data.size()));
  if (length < range.length) res.eof = false;
  res.data.resize_within(length);
  reading.done = std::min(reading.done, length);
  if (reading.done == length) return Status::ok;
  std::uint64_t from = reading.offset + reading.done;
  if (!node->record) {
    reading.base.push_back({from, res.data.span().subspan(reading.done)});
    return Status::ok;
  }
  TRY(std::vector<cache::Extent> extents,
      reading.op.view.store().extents(reading.file, *node->record, from, length - reading.done));
  for (const cache::Extent& extent : extents) TRY_VOID(copy_extent(reading, extent));
  CHECK_EQ(reading.done, length);
  return Status::ok;
}

Task<void> fill_run(Image& image, ObjectId file, Run run, std::optional<Error>& failure) {
  Result<void> filled = co_await image.read(file, run.offset, run.into);
  if (!filled && !failure) failure = std::move(filled).error();
}

// Fills what the image holds. The runs lie below the image's size: only truncation moves that
// limit, down.
Task<Result<void>> fill_base(Reading& reading) {
  // A later go may have found the file shorter.
  std::size_t length = reading.res.data.size();
  const std::byte* end = reading.res.data.data() + length;
  for (Run& run : reading.base) {
    std::size_t left = run.into.data() < end ? static_cast<std::size_t>(end - run.into.data()) : 0;
    run.into = run.into.first(std::min(run.into.size(), left));
  }
  Image& image = reading.op.view.image();
  std::optional<Error> failure;
  TaskGroup group;
  for (const Run& run : reading.base) {
    if (!run.into.empty()) group.start(fill_run(image, reading.file, run, failure));
  }
  co_await group.idle();
  if (failure) co_return std::move(*failure);
  co_return Result<void>();
}

}  // namespace

Task<nfs3::ReadRes> read(const Op& op, ObjectId file, std::uint64_t offset, std::uint32_t count) {
  Reading reading{op, file, offset, std::min(count, nfs3::max_transfer_size), 0, {}, false, {}};
  nfs3::ReadRes& res = reading.res;
  auto step = [&reading](Facts& facts) { return plan(reading, facts); };
  std::optional<Result<Status>> outcome = op.view.try_now(step);
  if (!outcome) outcome = co_await op.view.attempt(step);
  res.status = finish(op, file, *outcome);
  if (res.status == Status::ok && !reading.base.empty()) {
    Result<void> filled = co_await fill_base(reading);
    if (!filled) res.status = finish(op, file, filled.error());
  }
  if (res.status != Status::ok) res.data = Buffer();
  co_return std::move(reading.res);
}

Task<nfs3::ReadlinkRes> readlink(const Op& op, ObjectId symlink) {
  nfs3::ReadlinkRes res;
  Result<Node*> node = co_await op.view.load_node(symlink);
  if (!node) {
    res.status = finish(op, symlink, node.error());
    co_return res;
  }
  res.attributes = (*node)->attributes;
  if (!(*node)->is(FileType::symlink)) {
    res.status = Status::inval;
    co_return res;
  }
  if (cache::is_local(symlink)) {
    res.target = (*node)->record->target;
    co_return res;
  }
  Result<std::string> target = co_await op.view.image().readlink(symlink);
  if (target) {
    res.target = std::move(*target);
  } else {
    res.status = finish(op, symlink, target.error());
  }
  co_return res;
}

}  // namespace rowan::proxy::redirect
