#include "proxy/merge.h"

#include <algorithm>
#include <limits>

namespace rowan::proxy {
namespace {

// Local blocks and what of the image still shows. How the two overlap is not counted, and neither
// are the image's own holes; the size bounds both mistakes.
std::uint64_t used_bytes(const cache::ObjectRecord& record) {
  constexpr std::uint64_t block = cache::data_block_size;
  const std::uint64_t whole = round_up(std::min(record.size, max_file_size), block);
  if (record.kind != cache::FileKind::regular) return whole;
  const std::uint64_t base = round_up(std::min(record.base_size, max_file_size), block);
  return std::min(whole, base + record.data_blocks * block);
}

}  // namespace

nfs3::Time shown_time(WallTime time) {
  constexpr std::int64_t last = std::numeric_limits<std::uint32_t>::max();
  if (time.seconds < 0) return {0, 0};
  if (time.seconds > last) return {static_cast<std::uint32_t>(last), 999'999'999};
  return {static_cast<std::uint32_t>(time.seconds), time.nanoseconds};
}

WallTime wall_time(nfs3::Time time) { return {time.seconds, time.nseconds}; }

WallTime change_time(WallTime now, WallTime last_ctime) {
  WallTime next = last_ctime;
  if (++next.nanoseconds == 1'000'000'000) {
    next.nanoseconds = 0;
    ++next.seconds;
  }
  return std::max(now, next);
}

nfs3::Attributes shown(const cache::ImageAttributes& image, cache::ObjectId id,
                       std::uint64_t fsid) {
  nfs3::Attributes result;
  result.type = static_cast<nfs3::FileType>(image.kind);
  result.mode = image.mode & 07777;
  result.nlink = image.nlink;
  result.uid = image.uid;
  result.gid = image.gid;
  result.size = image.size;
  result.used = image.used;
  result.rdev = {image.rdev_major, image.rdev_minor};
  result.fsid = fsid;
  result.fileid = cache::to_number(id);
  result.atime = shown_time(image.atime);
  result.mtime = shown_time(image.mtime);
  result.ctime = shown_time(image.ctime);
  return result;
}

nfs3::Attributes shown(const cache::ObjectRecord& record, cache::ObjectId id, std::uint64_t fsid) {
  nfs3::Attributes result;
  result.type = static_cast<nfs3::FileType>(record.kind);
  result.mode = record.mode & 07777;
  result.nlink = record.nlink;
  result.uid = record.uid;
  result.gid = record.gid;
  result.size = record.size;
  result.used = used_bytes(record);
  result.rdev = {record.rdev_major, record.rdev_minor};
  result.fsid = fsid;
  result.fileid = cache::to_number(id);
  result.atime = shown_time(record.atime);
  result.mtime = shown_time(record.mtime);
  result.ctime = shown_time(record.ctime);
  return result;
}

nfs3::WccAttributes wcc_attributes(const nfs3::Attributes& attributes) {
  return {attributes.size, attributes.mtime, attributes.ctime};
}

cache::ObjectRecord copy_up(const nfs3::Attributes& image) {
  cache::ObjectRecord record;
  record.kind = static_cast<cache::FileKind>(image.type);
  record.mode = image.mode;
  record.nlink = image.nlink;
  record.uid = image.uid;
  record.gid = image.gid;
  record.size = image.size;
  record.rdev_major = image.rdev.major;
  record.rdev_minor = image.rdev.minor;
  record.atime = wall_time(image.atime);
  record.mtime = wall_time(image.mtime);
  record.ctime = wall_time(image.ctime);
  record.base_size = image.type == nfs3::FileType::regular ? image.size : 0;
  return record;
}

ReadRange read_range(std::uint64_t offset, std::uint32_t count, std::uint64_t size) {
  if (offset >= size) return {0, true};
  std::uint64_t rest = size - offset;
  if (rest <= count) return {static_cast<std::uint32_t>(rest), true};
  return {count, false};
}

nfs3::Status check_file_range(std::uint64_t offset, std::uint64_t length) {
  auto end = checked_add(offset, length);
  return end && *end <= max_file_size ? nfs3::Status::ok : nfs3::Status::fbig;
}

void set_size(cache::ObjectRecord& record, std::uint64_t size) {
  record.base_size = std::min(record.base_size, size);
  record.size = size;
}

}  // namespace rowan::proxy
