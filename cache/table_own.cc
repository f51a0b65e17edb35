#include "cache/table_own.h"

#include <utility>

#include "cache/disk_codec.h"
#include "cache/table_tree.h"

namespace rowan::cache::own {
namespace {

constexpr char live_kind = 'S';
constexpr char dead_kind = 'D';
constexpr char state_kind = 'T';
constexpr std::uint8_t state_format = 1;
constexpr std::uint8_t head_flag = 1, dropped_flag = 2;
constexpr std::size_t range_size = 12;
constexpr std::size_t ranges_per_record = 512;

std::string key_of(char kind) { return std::string("\0", 1) + kind; }

}  // namespace

std::string segment_key(std::uint32_t segment) {
  std::string key = key_of(live_kind);
  append_be32(key, segment);
  return key;
}

std::string encode_live(std::uint64_t blocks) {
  std::string value;
  DiskWriter(value).u64(blocks);
  return value;
}

std::vector<std::pair<std::string, std::string>> encode_dead(Ticket merged_through,
                                                             const std::vector<DeadRange>& ranges) {
  std::vector<std::pair<std::string, std::string>> records;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (i % ranges_per_record == 0) {
      std::string key = key_of(dead_kind);
      append_be64(key, merged_through);
      append_be32(key, static_cast<std::uint32_t>(i / ranges_per_record));
      records.emplace_back(std::move(key), std::string());
    }
    DiskWriter out(records.back().second);
    out.u32(ranges[i].segment);
    out.u32(ranges[i].block);
    out.u32(ranges[i].count);
  }
  return records;
}

std::string state_key(StateId state) {
  std::string key = key_of(state_kind);
  append_be64(key, to_number(state));
  return key;
}

std::string encode_state(const StateInfo& info, const TreeRoot& root) {
  std::string value;
  DiskWriter out(value);
  out.u8(state_format);
  out.u8(static_cast<std::uint8_t>((info.head ? head_flag : 0) |
                                   (info.dropped ? dropped_flag : 0)));
  out.u64(to_number(info.parent));
  out.u64(info.frozen_at);
  out.u8(root.level);
  std::byte pointer[PagePointer::encoded_size];
  root.pointer.encode(pointer);
  out.raw(as_text(pointer));
  out.text(info.label);
  return value;
}

namespace {

Result<StoredState> decode_state(StateId id, std::string_view value) {
  DiskReader in(value);
  StoredState state;
  const std::uint8_t format = in.u8();
  const std::uint8_t flags = in.u8();
  state.info.id = id;
  state.info.head = (flags & head_flag) != 0;
  state.info.dropped = (flags & dropped_flag) != 0;
  state.info.parent = StateId{in.u64()};
  state.info.frozen_at = in.u64();
  state.root.level = in.u8();
  const std::string_view pointer = in.raw(PagePointer::encoded_size);
  if (!in.failed())
    state.root.pointer = PagePointer::decode(reinterpret_cast<const std::byte*>(pointer.data()));
  state.info.label = in.text();
  const bool frozen = state.info.frozen_at != 0;
  if (!in.finished() || format != state_format || flags > (head_flag | dropped_flag) ||
      state.info.label.size() > max_label_bytes || state.root.level > max_tree_level ||
      frozen == state.info.head || (state.info.head && state.info.dropped))
    return Error(Errc::corrupt, "an unreadable record of state " + std::to_string(to_number(id)));
  state.record = value;
  return state;
}

// Parents are there, are checkpoints and are older; so there is no circle either.
Result<void> check_states(const std::map<StateId, StoredState>& states) {
  bool visible = false;
  for (const auto& [id, state] : states) {
    visible = visible || !state.info.dropped;
    if (state.info.parent == no_state) continue;
    const auto parent = states.find(state.info.parent);
    if (parent == states.end() || parent->second.info.head ||
        (!state.info.head && parent->second.info.frozen_at >= state.info.frozen_at))
      return Error(Errc::corrupt,
                   "state " + std::to_string(to_number(id)) + " is above what is no checkpoint");
  }
  if (!visible) return Error(Errc::corrupt, "the table has no state");
  return {};
}

Result<void> load_page_of(const File& tree, const PagePointer& pointer, std::uint8_t level,
                          std::uint64_t epoch, Records& into) {
  TRY(const LoadedPage loaded, load_page(tree, pointer, level, epoch));
  const PageView page(loaded.bytes.view());
  if (page.lost_base()) return lost_base_error(pointer);
  for (std::size_t i = 0; i < page.count(); ++i) {
    if (level > 0) {
      TRY_VOID(load_page_of(tree, page.child(i), level - 1, epoch, into));
      continue;
    }
    const LeafEntry entry = page.leaf_entry(i);
    if (entry.value) TRY_VOID(decode(entry.key, *entry.value, into));
  }
  return {};
}

}  // namespace

Result<void> decode(std::string_view key, std::string_view value, Records& into) {
  DiskReader in(value);
  if (key.size() == 6 && key[1] == live_kind) {
    into.live[be32_at(key, 2)] = in.u64();
    if (in.finished()) return {};
  } else if (key.size() == 14 && key[1] == dead_kind && value.size() % range_size == 0) {
    into.dead_keys.emplace_back(key);
    while (in.left() > 0) {
      DeadRange range;
      range.segment = in.u32();
      range.block = in.u32();
      range.count = in.u32();
      into.dead.push_back(range);
    }
    return {};
  } else if (key.size() == 10 && key[1] == state_kind) {
    const StateId id{be64_at(key, 2)};
    TRY(into.states[id], decode_state(id, value));
    return {};
  }
  return Error(Errc::corrupt, "an unknown record of the table's own");
}

Result<Records> load(const File& tree, const TreeRoot& meta, std::uint64_t epoch) {
  Records records;
  if (meta.pointer.absent()) {
    records.states[first_state].info.id = first_state;
    return records;
  }
  TRY_VOID(load_page_of(tree, meta.pointer, meta.level, epoch, records));
  TRY_VOID(check_states(records.states));
  return records;
}

StateSet make_states(const Records& records) {
  StateSet states;
  for (const auto& [id, stored] : records.states) states.insert(stored.info, stored.root);
  return states;
}

}  // namespace rowan::cache::own
