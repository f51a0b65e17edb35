#include "cache/table_recover.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "cache/digest.h"
#include "cache/layout.h"
#include "rpc/base/buffer.h"

// A group that is not there, or torn, is the end of the journal, unless something written later
// says that it had been durable: then it is damage, and skipping it would lose acknowledged
// changes. That something is a later group's durable_through, or the superblock's. Groups that
// nothing vouches for also have their data checked.
//
// Every life of a table begins a new segment and chains to the last group it found. So what an
// earlier life left behind a torn end is never mistaken for its continuation.

namespace rowan::cache {
namespace {

constexpr std::size_t read_step = 1u << 20;

std::string place(std::uint32_t segment, std::uint32_t block) {
  return layout::segment(segment) + ", offset " +
         std::to_string(std::uint64_t{block} * data_block_size);
}

bool matches(const GroupHeader& header, const ExpectedGroup& expected) {
  return header.epoch == expected.epoch && header.segment == expected.at.segment &&
         header.block == expected.at.block && header.previous == expected.at.chain &&
         header.first_ticket == expected.first;
}

Result<Buffer> read_bytes(const File& file, std::uint64_t offset, std::size_t size) {
  Buffer bytes(std::max<std::size_t>(size, 1));
  TRY(const std::size_t got, file.read_at(offset, {bytes.data(), size}));
  bytes.resize_within(got);
  return bytes;
}

std::uint64_t offset_of(std::uint32_t block) { return std::uint64_t{block} * data_block_size; }

bool edits_match(const GroupHeader& header, std::string_view edits) {
  return edits.size() == header.edits_bytes && checksum64(as_bytes(edits)) == header.edits_sum;
}

// The edits in the first place: behind the header and behind the data.
std::optional<std::string> first_edits(const File& file, const GroupHeader& header, ByteView head) {
  std::string edits(as_text(head.subspan(group_header_size, header.inline_bytes())));
  const std::size_t rest = header.edits_bytes - header.inline_bytes();
  if (rest > 0) {
    auto overflow = read_bytes(file, offset_of(header.overflow_block()), rest);
    if (!overflow) return {};
    edits += as_text(overflow->view());
  }
  if (!edits_match(header, edits)) return {};
  return edits;
}

// The copy at a known place.
std::optional<FoundGroup> copy_at(const File& file, std::uint32_t block,
                                  const ExpectedGroup& expected) {
  auto head = read_bytes(file, offset_of(block), group_header_size);
  if (!head) return {};
  auto header = decode_group_header(head->view());
  if (!header || !header->copy || !matches(*header, expected) || header->copy_block() != block)
    return {};
  auto bytes = read_bytes(file, offset_of(block) + group_header_size, header->edits_bytes);
  if (!bytes) return {};
  std::string edits(as_text(bytes->view()));
  if (!edits_match(*header, edits)) return {};
  return FoundGroup{*header, std::move(edits), true};
}

// Calls `see` for every valid group header from `block` to the end of the file; true stops the
// walk.
template <class See>
Result<void> scan_headers(const File& file, std::uint32_t block, See see) {
  TRY(const std::uint64_t size, file.size());
  for (std::uint64_t at = offset_of(block); at < size; at += read_step) {
    auto bytes = read_bytes(file, at, read_step);
    if (!bytes) continue;  // an unreadable stretch vouches for nothing
    for (std::size_t i = 0; i + group_header_size <= bytes->size(); i += data_block_size) {
      auto header = decode_group_header(bytes->view().subspan(i, group_header_size));
      const auto found_at = static_cast<std::uint32_t>((at + i) / data_block_size);
      if (header && see(*header, found_at)) return {};
    }
  }
  return {};
}

class Recovery {
 public:
  // `lost`: null if damage is to be an error.
  Recovery(Directory& directory, const Superblock& superblock, StateSet& states,
           LostBatches* lost)
      : directory_(directory), superblock_(superblock), states_(states), lost_(lost) {
    next_ = {superblock.epoch, superblock.replay, superblock.merged_through + 1};
  }

  Result<Recovered> run() {
    TRY_VOID(list_segments());
    TRY_VOID(walk());
    TRY_VOID(check_end());
    TRY_VOID(drop_torn());
    return finish();
  }

 private:
  Result<void> list_segments() {
    TRY(const std::vector<std::string> names, directory_.list());
    for (const std::string& name : names) {
      if (const auto number = layout::parse_segment(name)) existing_.push_back(*number);
    }
    return {};
  }

  Result<File*> file(std::uint32_t segment) {
    auto& slot = files_[segment];
    if (!slot) {
      TRY(slot, directory_.open(layout::segment(segment), OpenMode::read));
    }
    return slot.get();
  }

  Result<bool> take_group_at(const ExpectedGroup& expected) {
    auto opened = file(expected.at.segment);
    if (opened.failed_with(Errc::not_found)) return false;
    TRY(File * segment, std::move(opened));
    auto group = read_group(*segment, expected);
    if (group.failed_with(Errc::not_found)) return false;
    if (!group) return std::move(group).error();
    next_.at = {expected.at.segment, group->header.end_block(), chain_of(group->header)};
    next_.first = group->header.last_ticket + 1;
    vouched_ = std::max(vouched_, group->header.durable_through);
    groups_.push_back(std::move(*group));
    return true;
  }

  Result<void> walk() {
    vouched_ = superblock_.durable_through;
    while (true) {
      if (next_.at.segment != 0) {
        TRY(const bool more, take_group_at(next_));
        if (more) continue;
      }
      TRY(const bool more, continue_in_later_segment());
      if (!more) return {};
    }
  }

  Result<bool> continue_in_later_segment() {
    for (const std::uint32_t segment : existing_) {
      if (segment <= next_.at.segment) continue;
      ExpectedGroup expected = next_;
      expected.at = {segment, 0, next_.at.chain};
      TRY(const bool more, take_group_at(expected));
      if (more) return true;
    }
    return false;
  }

  // Nothing may vouch for the group that was not found.
  Result<void> check_end() {
    TRY_VOID(look_for_vouchers());
    if (vouched_ < next_.first) return {};
    if (lost_ != nullptr) return note_lost();
    return Error(Errc::corrupt, directory_.path() + "/" + place(next_.at.segment, next_.at.block) +
                                    ": the journal ends before batch " +
                                    std::to_string(next_.first) + ", but batches up to " +
                                    std::to_string(vouched_) +
                                    " were durable; what follows there, or " + later_segment() +
                                    ", is damaged or missing: restore it");
  }

  Result<void> note_lost() {
    lost_->first = next_.first;
    lost_->through = vouched_;
    lost_->place = place(next_.at.segment, next_.at.block);
    for (const std::uint32_t segment : existing_) {
      if (segment < next_.at.segment) continue;
      TRY(File * opened, file(segment));
      auto see = [&](const GroupHeader& header, std::uint32_t) {
        if (header.epoch == superblock_.epoch && header.first_ticket > next_.first && !header.copy)
          take_lost_keys(*opened, header);
        return false;
      };
      TRY_VOID(scan_headers(*opened, segment == next_.at.segment ? next_.at.block : 0, see));
    }
    return {};
  }

  void take_lost_keys(const File& segment, const GroupHeader& header) {
    lost_->through = std::max(lost_->through, header.last_ticket);
    const ExpectedGroup itself{header.epoch, {header.segment, header.block, header.previous},
                               header.first_ticket};
    auto group = read_group(segment, itself);
    if (!group) return;
    EditReader reader(group->edits);
    while (!reader.at_end()) {
      auto edit = reader.next();
      if (!edit) return;
      if (!edit->key.empty()) lost_->keys.push_back(std::move(edit->key));
    }
  }

  // Where the journal may have gone on, if not in the same segment.
  std::string later_segment() const {
    const auto later = std::upper_bound(existing_.begin(), existing_.end(), next_.at.segment);
    return later == existing_.end() ? "a later segment" : layout::segment(*later);
  }

  Result<void> look_for_vouchers() {
    auto see = [&](const GroupHeader& header, std::uint32_t) {
      if (header.epoch == superblock_.epoch && header.first_ticket > next_.first)
        vouched_ = std::max(vouched_, header.durable_through);
      return vouched_ >= next_.first;
    };
    for (const std::uint32_t segment : existing_) {
      if (segment < next_.at.segment) continue;
      TRY(File * opened, file(segment));
      TRY_VOID(scan_headers(*opened, segment == next_.at.segment ? next_.at.block : 0, see));
    }
    return {};
  }

  // Without a voucher a group must also have its data.
  Result<void> drop_torn() {
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      const GroupHeader& header = groups_[i].header;
      if (header.last_ticket <= vouched_) continue;
      TRY(File * segment, file(header.segment));
      TRY(const bool whole, data_is_whole(*segment, header));
      if (whole) continue;
      next_ = {
          superblock_.epoch, {header.segment, header.block, header.previous}, header.first_ticket};
      groups_.resize(i);
      return {};
    }
    return {};
  }

  Result<Recovered> finish() {
    Recovered out;
    for (FoundGroup& group : groups_) {
      auto replayed = replay_group(group, states_, out.ledger);
      if (!replayed)
        return Error(Errc::corrupt, directory_.path() + "/" +
                                        place(group.header.segment, group.header.block) + ": " +
                                        replayed.error().detail);
      if (group.repaired) out.repaired.push_back(std::move(group));
      else group.edits = {};
    }
    out.end = next_.at;
    out.last = next_.first - 1;
    out.next_segment = superblock_.next_segment;
    for (const std::uint32_t segment : existing_) {
      (segment > next_.at.segment ? out.garbage : out.segments).push_back(segment);
      out.next_segment = std::max(out.next_segment, segment + 1);
    }
    if (files_.contains(next_.at.segment) && files_[next_.at.segment]) {
      TRY(const std::uint64_t size, files_[next_.at.segment]->size());
      out.torn_tail = size > offset_of(next_.at.block);
    }
    return out;
  }

  Directory& directory_;
  const Superblock& superblock_;
  StateSet& states_;
  LostBatches* lost_;
  std::vector<std::uint32_t> existing_;  // ascending: list() is sorted and names have fixed width
  std::map<std::uint32_t, std::unique_ptr<File>> files_;
  std::vector<FoundGroup> groups_;
  ExpectedGroup next_;
  Ticket vouched_ = 0;
};

}  // namespace

Result<Recovered> recover_journal(Directory& directory, const Superblock& superblock,
                                  StateSet& states) {
  return Recovery(directory, superblock, states, nullptr).run();
}

Result<Recovered> recover_what_is_left(Directory& directory, const Superblock& superblock,
                                       StateSet& states, LostBatches& lost) {
  return Recovery(directory, superblock, states, &lost).run();
}

Result<FoundGroup> read_group(const File& segment, const ExpectedGroup& expected) {
  auto head = read_bytes(segment, offset_of(expected.at.block), data_block_size);
  if (head && head->size() == data_block_size) {
    auto header = decode_group_header(head->view());
    if (header && !header->copy && matches(*header, expected)) {
      if (auto edits = first_edits(segment, *header, head->view()))
        return FoundGroup{*header, std::move(*edits), false};
      if (auto copy = copy_at(segment, header->copy_block(), expected)) return std::move(*copy);
      return Errc::not_found;
    }
  }
  // No head: the copy, wherever it is. At a clean end there is nothing to walk over.
  std::optional<FoundGroup> found;
  TRY_VOID(
      scan_headers(segment, expected.at.block, [&](const GroupHeader& header, std::uint32_t at) {
        if (!header.copy || !matches(header, expected)) return false;
        found = copy_at(segment, at, expected);
        return true;
      }));
  if (!found) return Errc::not_found;
  return std::move(*found);
}

Result<void> heal_group(File& segment, const FoundGroup& group) {
  const GroupHeader& header = group.header;
  GroupHeader first = header;
  first.copy = false;
  const std::string_view edits = group.edits;
  std::string head = encode(first);
  head += edits.substr(0, header.inline_bytes());
  head.resize(data_block_size, '\0');
  TRY_VOID(segment.write_at(offset_of(header.block), as_bytes(head)));
  std::string rest(edits.substr(header.inline_bytes()));
  rest.resize(std::size_t{header.overflow_blocks()} * data_block_size, '\0');
  return segment.write_at(offset_of(header.overflow_block()), as_bytes(rest));
}

Result<bool> data_is_whole(const File& segment, const GroupHeader& header) {
  DataSum sum;
  const std::uint64_t end = offset_of(header.block + 1 + header.data_blocks);
  for (std::uint64_t at = offset_of(header.block + 1); at < end; at += read_step) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(read_step, end - at));
    auto bytes = read_bytes(segment, at, size);
    if (!bytes || bytes->size() != size) return false;
    sum.add(bytes->view());
  }
  return sum.finish() == header.data_sum;
}

namespace {

Result<void> replay_operation(const EditReader& reader, Batch::Edit& edit, Ticket ticket,
                              StateSet& states) {
  if (edit.operation < static_cast<std::uint8_t>(StateOperation::Kind::checkpoint) ||
      edit.operation > static_cast<std::uint8_t>(StateOperation::Kind::set_label))
    return Error(Errc::corrupt, "an unknown operation");
  const StateOperation operation{static_cast<StateOperation::Kind>(edit.operation), reader.state(),
                                 edit.other, std::move(edit.value)};
  auto possible = states.check(operation);
  const bool branch = operation.kind == StateOperation::Kind::branch;
  if (!possible) return Error(Errc::corrupt, possible.error().detail);
  if (branch != (operation.state == made_by(ticket)) || states.all().contains(made_by(ticket)))
    return Error(Errc::corrupt, "an operation on the wrong state");
  states.apply(operation, ticket);
  return {};
}

Result<void> replay_edit(const EditReader& reader, Batch::Edit& edit, Ticket ticket,
                         StateSet& states, BlockLedger& ledger) {
  if (edit.kind == Batch::Edit::Kind::operation)
    return replay_operation(reader, edit, ticket, states);
  const State* head = states.find(reader.state());
  if (head == nullptr || !head->info.head) return Error(Errc::corrupt, "a change of no head");
  if (edit.kind == Batch::Edit::Kind::release) {
    if (!states.is_held(reader.state(), edit.released.birth))
      ledger.release(edit.released, edit.released_blocks);
    return {};
  }
  if (edit.key.empty() || edit.key[0] == '\0') return Error(Errc::corrupt, "a reserved key");
  const bool put = edit.kind == Batch::Edit::Kind::put;
  states.set(reader.state(), ticket, std::move(edit.key),
             put ? MemoryTable::Value(std::move(edit.value)) : MemoryTable::Value());
  return {};
}

}  // namespace

Result<void> replay_group(const FoundGroup& group, StateSet& states, BlockLedger& ledger) {
  const GroupHeader& header = group.header;
  EditReader reader(group.edits);
  while (!reader.at_end()) {
    TRY(Batch::Edit edit, reader.next());
    const Ticket ticket = header.first_ticket + reader.batches_begun() - 1;
    TRY_VOID(replay_edit(reader, edit, ticket, states, ledger));
  }
  if (reader.batches_begun() != header.last_ticket - header.first_ticket + 1)
    return Error(Errc::corrupt, "the number of batches is wrong");
  ledger.add_written(header.segment, header.data_blocks);
  ledger.add_spent({header.segment, header.block, 1});
  ledger.add_spent(
      {header.segment, header.overflow_block(), header.overflow_blocks() + header.copy_blocks()});
  return {};
}

}  // namespace rowan::cache
