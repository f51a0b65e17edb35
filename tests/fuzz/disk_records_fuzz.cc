// Everything that is decoded from disk: no input crashes a decoder, and what decodes also encodes
// to the same bytes where the format has one form. The first byte chooses the decoder. sources:
// cache/table_group.cc cache/table_page.cc cache/table_superblock.cc cache/store_records.cc
#include <string>

#include "cache/digest.h"
#include "cache/disk_codec.h"
#include "cache/store_records.h"
#include "cache/table_group.h"
#include "cache/table_own.h"
#include "cache/table_page.h"
#include "cache/table_superblock.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace rowan;
using namespace rowan::cache;

// Checksums would stop every mutation at the door, so they are made right first.
void set_sum(std::string& bytes, std::size_t at) {
  store_le(reinterpret_cast<std::byte*>(bytes.data()) + at, checksum64(as_bytes(bytes).first(at)));
}

void try_superblock(std::string bytes) {
  bytes.resize(superblock_size);
  set_sum(bytes, superblock_size - 8);
  auto decoded = decode_superblock(bytes);
  if (!decoded) return;
  auto again = decode_superblock(encode(*decoded));
  FUZZ_CHECK(again.has_value());
  FUZZ_CHECK(describe(*again) == describe(*decoded));
}

void try_group(std::string bytes) {
  bytes.resize(group_header_size);
  set_sum(bytes, group_header_size - 8);
  auto decoded = decode_group_header(as_bytes(bytes));
  if (!decoded) return;
  auto again = decode_group_header(as_bytes(encode(*decoded)));
  FUZZ_CHECK(again.has_value());
  FUZZ_CHECK(chain_of(*again) == chain_of(*decoded));
  FUZZ_CHECK(again->total_blocks() == decoded->total_blocks());
}

void try_edits(const std::string& bytes) {
  EditReader reader(bytes);
  std::size_t total = 0;
  while (!reader.at_end()) {
    auto edit = reader.next();
    if (!edit) return;
    total += encoded_size(*edit);
    FUZZ_CHECK(total <= bytes.size());
  }
}

void try_page(std::string bytes) {
  const auto level = static_cast<std::uint8_t>(bytes.empty() ? 0 : bytes[0] & 1);
  const PageIdentity identity{7, 8, 9};
  Buffer page = build_leaf({}, 0, identity);
  store_le(page.data() + 6, level);
  for (std::size_t i = 1; i < bytes.size() && 27 + i < page_size; ++i)
    page.data()[27 + i] = static_cast<std::byte>(bytes[i]);
  const PagePointer pointer{7, 0, 8, checksum64(page.view())};
  if (!check_page(page.view(), pointer, level, 9)) return;
  const PageView view(page.view());
  for (std::size_t i = 0; i < view.count(); ++i) {
    FUZZ_CHECK(view.key(i).size() < page_size);
    if (level == 0)
      (void)view.leaf_entry(i);
    else
      (void)view.child(i);
  }
  (void)view.lower_bound("key");
  (void)view.child_for("key");
  (void)check_order(view);
}

void try_values(const std::string& bytes) {
  if (auto object = decode_object(bytes)) FUZZ_CHECK(encode(*object).size() == bytes.size());
  if (auto name = decode_name(bytes)) FUZZ_CHECK(encode(*name) == bytes);
  if (auto sequence = decode_sequence(bytes)) FUZZ_CHECK(encode(*sequence) == bytes);
  if (auto marks = decode_purge(bytes)) FUZZ_CHECK(encode(*marks) == bytes);
  if (auto counters = decode_counters(bytes)) FUZZ_CHECK(encode(*counters) == bytes);
  own::Records records;
  (void)own::decode(std::string("\0S1234", 6), bytes, records);
  (void)own::decode(std::string("\0D123456789012", 14), bytes, records);
  if (own::decode(std::string("\0T12345678", 10), bytes, records)) {
    const own::StoredState& state = records.states.begin()->second;
    FUZZ_CHECK(own::encode_state(state.info, state.root) == bytes);
  }
}

void try_extent(const std::string& bytes) {
  if (bytes.size() < 8) return;
  std::string key = "E12345678" + bytes.substr(0, 8);
  auto parsed = parse_key(key);
  FUZZ_CHECK(parsed.has_value());
  auto extent = decode_extent(*parsed, std::string_view(bytes).substr(8));
  if (!extent) return;
  // Ranges may be listed or masked; both must say the same once encoded anew.
  auto again = decode_extent(*parsed, encode(*extent));
  FUZZ_CHECK(again.has_value());
  FUZZ_CHECK(again->ranges == extent->ranges && again->sums == extent->sums);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string bytes(as_text(rowan::fuzz::view(data + 1, size - 1)));
  switch (data[0] % 7) {
    case 0:
      try_superblock(bytes);
      break;
    case 1:
      try_group(bytes);
      break;
    case 2:
      try_edits(bytes);
      break;
    case 3:
      try_page(bytes);
      break;
    case 4:
      try_values(bytes);
      break;
    case 5:
      try_extent(bytes);
      break;
    default:
      (void)parse_key(bytes);
  }
  return 0;
}

std::vector<std::string> rowan::fuzz::seeds() {
  auto seed = [](char kind, const std::string& bytes) { return kind + bytes; };
  Superblock superblock;
  superblock.bitmap.push_back({1, 2, 3, 4});
  GroupHeader header;
  header.first_ticket = header.last_ticket = 5;
  header.edits_bytes = 5000;
  std::string edits;
  encode_batch_start(edits, made_by(4), 3);
  encode_edit(edits, {.kind = Batch::Edit::Kind::operation,
                      .value = "label",
                      .operation = 2,
                      .other = first_state});
  encode_edit(edits, {.kind = Batch::Edit::Kind::put, .key = "key", .value = "value"});
  encode_edit(edits,
              {.kind = Batch::Edit::Kind::release, .released = {1, 2, 3}, .released_blocks = 4});
  const PageIdentity identity{7, 8, 9};
  const std::vector<LeafEntry> entries{{"key", "value"}, {"other", {}}};
  const Buffer leaf = build_leaf(entries, 0, identity);
  const std::vector<InnerEntry> children{{"", {1, 2, 3, 4}}, {"key", {5, 6, 7, 8}}};
  const Buffer inner = build_inner(children, 1, identity);
  ObjectRecord record;
  record.name = "name";
  record.exclusive_verifier.emplace();
  StoredExtent run{4000, 12000, {1, 2, 3}, {4, 5, 6}, {}};
  StoredExtent holes{4100, 5000, {1, 2, 3}, {4}, {{4100, 4200}, {4300, 5000}}};
  std::string run_end, holes_end;
  append_be64(run_end, run.end);
  append_be64(holes_end, holes.end);
  return {seed(0, encode(superblock)),
          seed(1, encode(header)),
          seed(2, edits),
          seed(3, std::string(1, 0) + std::string(as_text(leaf.view().subspan(28, 120)))),
          seed(3, std::string(1, 1) + std::string(as_text(inner.view().subspan(28, 120)))),
          seed(4, encode(record)),
          seed(4, encode(NameRecord{ObjectId{5}, 6})),
          seed(4, encode(Counters{})),
          seed(4, own::encode_state({.id = first_state, .label = "label"}, {{1, 2, 3, 4}, 1})),
          seed(4, encode(std::vector<PurgeMark>{{1, 2}})),
          seed(5, run_end + encode(run)),
          seed(5, holes_end + encode(holes)),
          seed(6, extent_key(ObjectId{5}, 6)),
          seed(6, name_key(ObjectId{5}, "name"))};
}
