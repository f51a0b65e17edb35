#include "cache/catalog_records.h"

#include "cache/digest.h"
#include "cache/disk_codec.h"

namespace rowan::cache::catalog {
namespace {

constexpr std::uint64_t id_seed =
    0x726f77616e2d6964u;  // "rowan-id"; changing it changes every fileid
constexpr std::uint8_t flag_drifted = 1;
constexpr std::uint8_t flag_complete = 1;

std::uint64_t number(VersionId version) { return static_cast<std::uint64_t>(version); }

std::string versioned(char kind, VersionId version, std::uint64_t rest) {
  std::string key(1, kind);
  append_be64(key, number(version));
  append_be64(key, rest);
  return key;
}

void write_time(DiskWriter& out, const WallTime& time) {
  out.u64(static_cast<std::uint64_t>(time.seconds));
  out.u32(time.nanoseconds);
}
WallTime read_time(DiskReader& in) {
  WallTime time;
  time.seconds = static_cast<std::int64_t>(in.u64());
  time.nanoseconds = in.u32();
  return time;
}

}  // namespace

std::string identity_key(ObjectId id) {
  std::string key = "o";
  append_be64(key, to_number(id));
  return key;
}
std::string alias_key(ObjectId natural) {
  std::string key = "p";
  append_be64(key, to_number(natural));
  return key;
}
std::string kind_start(char kind, VersionId version) {
  std::string key(1, kind);
  append_be64(key, number(version));
  return key;
}
std::string version_key(VersionId version) { return kind_start('v', version); }
std::string attributes_key(VersionId version, ObjectId id) {
  return versioned('a', version, to_number(id));
}
std::string target_key(VersionId version, ObjectId id) {
  return versioned('t', version, to_number(id));
}
std::string directory_key(VersionId version, ObjectId directory) {
  return versioned('d', version, to_number(directory));
}
std::string name_key(VersionId version, ObjectId directory, std::string_view name) {
  return versioned('n', version, to_number(directory)).append(name);
}
std::string listing_key(VersionId version, ObjectId directory, std::uint64_t position) {
  std::string key = versioned('l', version, to_number(directory));
  append_be64(key, position);
  return key;
}
std::string unlisted_key(VersionId version, ObjectId directory, std::string_view name) {
  return versioned('u', version, to_number(directory)).append(name);
}
std::string link_key(VersionId version, std::uint64_t source_fileid) {
  return versioned('h', version, source_fileid);
}
std::string drifted_key(VersionId version, ObjectId id) {
  return versioned('m', version, to_number(id));
}

std::string prefix_end(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

ObjectId natural_id(ObjectId parent, std::string_view name, std::uint32_t counter) {
  std::string input;
  DiskWriter out(input);
  out.u64(to_number(parent));
  out.u32(counter);
  out.raw(name);
  return ObjectId{checksum64(as_bytes(input), id_seed) & ~local_object_bit};
}

std::string Identity::encode() const {
  std::string value;
  DiskWriter out(value);
  out.u64(to_number(parent));
  out.text(name);
  return value;
}
std::optional<Identity> Identity::decode(std::string_view value) {
  DiskReader in(value);
  Identity identity;
  identity.parent = ObjectId{in.u64()};
  identity.name = in.text();
  if (!in.finished()) return std::nullopt;
  return identity;
}

std::string Counters::encode() const {
  std::string value;
  DiskWriter out(value);
  out.u64(objects);
  out.u64(bytes);
  return value;
}
std::optional<Counters> Counters::decode(std::string_view value) {
  DiskReader in(value);
  Counters counters;
  counters.objects = in.u64();
  counters.bytes = in.u64();
  if (!in.finished()) return std::nullopt;
  return counters;
}

std::string encode_attributes(const ImageObject& object) {
  const ImageAttributes& from = object.attributes;
  std::string value;
  DiskWriter out(value);
  out.u8(static_cast<std::uint8_t>(from.kind));
  out.u8(object.drifted ? flag_drifted : 0);
  for (std::uint32_t word : {from.mode, from.nlink, from.uid, from.gid}) out.u32(word);
  out.u64(from.size);
  out.u64(from.used);
  out.u32(from.rdev_major);
  out.u32(from.rdev_minor);
  write_time(out, from.atime);
  write_time(out, from.mtime);
  write_time(out, from.ctime);
  out.u64(from.source_fileid);
  out.text(object.source_handle);
  return value;
}

bool decode_attributes(std::string_view value, ImageObject& object) {
  DiskReader in(value);
  ImageAttributes& to = object.attributes;
  std::uint8_t kind = in.u8();
  object.drifted = (in.u8() & flag_drifted) != 0;
  for (std::uint32_t* word : {&to.mode, &to.nlink, &to.uid, &to.gid}) *word = in.u32();
  to.size = in.u64();
  to.used = in.u64();
  to.rdev_major = in.u32();
  to.rdev_minor = in.u32();
  to.atime = read_time(in);
  to.mtime = read_time(in);
  to.ctime = read_time(in);
  to.source_fileid = in.u64();
  object.source_handle = in.text();
  if (!in.finished() || kind < 1 || kind > 7) return false;
  to.kind = static_cast<FileKind>(kind);
  return true;
}

std::string DirectoryState::encode() const {
  std::string value;
  DiskWriter out(value);
  out.u64(next_position);
  out.u32(absent_names);
  out.u8(complete ? flag_complete : 0);
  out.text(cursor);
  return value;
}
std::optional<DirectoryState> DirectoryState::decode(std::string_view value) {
  DiskReader in(value);
  DirectoryState state;
  state.next_position = in.u64();
  state.absent_names = in.u32();
  state.complete = (in.u8() & flag_complete) != 0;
  state.cursor = in.text();
  if (!in.finished()) return std::nullopt;
  return state;
}

std::string NameValue::encode() const {
  std::string value;
  DiskWriter out(value);
  out.u64(to_number(child));
  out.u64(position);
  return value;
}
std::optional<NameValue> NameValue::decode(std::string_view value) {
  DiskReader in(value);
  NameValue result;
  result.child = ObjectId{in.u64()};
  result.position = in.u64();
  if (!in.finished()) return std::nullopt;
  return result;
}

std::string encode_listed(ObjectId child, std::string_view name) {
  std::string value;
  DiskWriter out(value);
  out.u64(to_number(child));
  out.raw(name);
  return value;
}
bool decode_listed(std::string_view value, Listing::Entry& entry) {
  DiskReader in(value);
  entry.child = ObjectId{in.u64()};
  entry.name = in.raw(in.left());
  return in.finished() && !entry.name.empty();
}

std::string encode_id(ObjectId id) {
  std::string value;
  DiskWriter(value).u64(to_number(id));
  return value;
}
std::optional<ObjectId> decode_id(std::string_view value) {
  DiskReader in(value);
  ObjectId id{in.u64()};
  if (!in.finished()) return std::nullopt;
  return id;
}

}  // namespace rowan::cache::catalog
