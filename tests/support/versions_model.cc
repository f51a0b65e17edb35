#include "tests/support/versions_model.h"

#include <cstring>
#include <utility>
#include <vector>

#include "cache/digest.h"
#include "tests/support/run_jobs.h"

// Key: "f0007/16", the run of a file's blocks that ends at 16. Value: a data pointer, then a sum
// for each block. A block begins with its mark.

namespace rowan::test {

using namespace cache;

namespace {

struct Run {
  int from = 0, to = 0;
  DataPointer data;
  std::vector<std::uint64_t> sums;
};

std::string digits(int number, int width) {
  std::string text = std::to_string(number);
  return std::string(static_cast<std::size_t>(width) - text.size(), '0') + text;
}

std::string prefix_of(int file) { return "f" + digits(file, 4) + "/"; }
std::string key_of(int file, int to) { return prefix_of(file) + digits(to, 2); }
std::string end_of(int file) { return "f" + digits(file, 4) + "0"; }   // '0' follows '/'

std::string encode(const Run& run) {
  std::string value(DataPointer::encoded_size + run.sums.size() * 8, '\0');
  auto* at = reinterpret_cast<std::byte*>(value.data());
  run.data.encode(at);
  for (std::size_t i = 0; i < run.sums.size(); ++i)
    store_le(at + DataPointer::encoded_size + i * 8, run.sums[i]);
  return value;
}

Result<Run> decode(std::string_view key, std::string_view value) {
  if (key.size() != 8 || value.size() < DataPointer::encoded_size || value.size() % 8 != 0)
    return Error(Errc::corrupt, "no run: " + std::string(key));
  const auto* at = reinterpret_cast<const std::byte*>(value.data());
  Run run;
  run.data = DataPointer::decode(at);
  for (std::size_t i = DataPointer::encoded_size; i < value.size(); i += 8)
    run.sums.push_back(load_le<std::uint64_t>(at + i));
  run.to = std::stoi(std::string(key.substr(6)));
  run.from = run.to - static_cast<int>(run.sums.size());
  return run;
}

Run part_of(const Run& run, int from, int to) {
  Run part{from, to, run.data, {}};
  part.data.block += static_cast<std::uint32_t>(from - run.from);
  part.sums.assign(run.sums.begin() + (from - run.from), run.sums.begin() + (to - run.from));
  return part;
}

bool is_run(std::string_view key) { return key.size() == 8 && key[0] == 'f'; }

Result<std::string> marks_of(Table& view, const Run& run) {
  std::string bytes(run.sums.size() * data_block_size, '\0');
  const ByteSpan into{reinterpret_cast<std::byte*>(bytes.data()), bytes.size()};
  TRY_VOID(loading(view, [&] { return view.read_data(run.data, run.sums, into); }));
  std::string marks;
  for (std::size_t at = 0; at < bytes.size(); at += data_block_size)
    marks += std::to_string(load_le<std::uint64_t>(into.data() + at)) + " ";
  return marks;
}

void put_run(Batch& batch, int file, const Run& run) {
  if (run.from < run.to) batch.put_pointing(key_of(file, run.to), encode(run), 0);
}

void release_run(Batch& batch, const Run& run) {
  if (run.from < run.to) batch.release(run.data, static_cast<std::uint32_t>(run.sums.size()));
}

}  // namespace

Result<RecordData> find_model_data(std::string_view key, std::string_view value) {
  if (!is_run(key)) return RecordData{};
  TRY(const Run run, decode(key, value));
  const int file = std::stoi(std::string(key.substr(1, 4)));
  return RecordData{run.data, static_cast<std::uint32_t>(run.sums.size()), prefix_of(file),
                    end_of(file)};
}

Result<TableContent> content_of(Table& view) {
  TableContent content;
  std::string from = "\1";
  while (true) {
    TRY(const auto entries, loading(view, [&] { return view.scan(from, "\xff", 50); }));
    for (const TableEntry& entry : entries) {
      std::string value = entry.value;
      if (is_run(entry.key)) {
        TRY(const Run run, decode(entry.key, entry.value));
        TRY(value, marks_of(view, run));
      }
      content.emplace(entry.key, std::move(value));
    }
    if (entries.size() < 50) return content;
    from = entries.back().key + '\0';
  }
}

Result<Ticket> ModelWriter::try_write(Table& view, int file, int from, int to) {
  TRY(const auto entries,
      loading(view, [&] { return view.scan(prefix_of(file), end_of(file), 100); }));
  Batch batch;
  std::string bytes(static_cast<std::size_t>(to - from) * data_block_size, '\0');
  Run fresh{from, to, {}, {}};
  for (std::size_t at = 0; at < bytes.size(); at += data_block_size) {
    store_le(reinterpret_cast<std::byte*>(bytes.data()) + at, next_mark_ + at / data_block_size);
    fresh.sums.push_back(checksum64(as_bytes(bytes).subspan(at, data_block_size)));
  }
  for (const TableEntry& entry : entries) {
    TRY(const Run run, decode(entry.key, entry.value));
    const int begin = std::max(run.from, from), end = std::min(run.to, to);
    if (begin >= end) continue;
    batch.erase(entry.key);
    release_run(batch, part_of(run, begin, end));
    put_run(batch, file, part_of(run, run.from, begin));
    put_run(batch, file, part_of(run, end, run.to));
  }
  fresh.data = batch.add_data(Batch::Data::of(Buffer::copy_of(as_bytes(bytes)), fresh.sums));
  put_run(batch, file, fresh);
  TRY(const Ticket ticket, view.apply(batch));
  last_mark_ = next_mark_;
  next_mark_ += static_cast<std::uint64_t>(to - from);
  return ticket;
}

void ModelWriter::write(VersionedTable& table, StateId state, int file, int from, int to) {
  auto view = table.view(state);
  auto ticket = try_write(*view, file, from, to);
  if (ticket.failed_with(Errc::try_later)) {
    make_durable(table, table.applied());
    ticket = try_write(*view, file, from, to);
  }
  CHECK(ticket.has_value());
}

void ModelWriter::model_write(TableContent& content, int file, int from, int to) const {
  std::vector<std::string> blocks(model_file_blocks);
  std::vector<bool> begins(model_file_blocks + 1, false);
  const auto first = content.lower_bound(prefix_of(file)), last = content.lower_bound(end_of(file));
  for (auto at = first; at != last; ++at) {
    std::vector<std::string> marks;
    for (std::size_t i = 0; i < at->second.size();) {
      const std::size_t end = at->second.find(' ', i);
      marks.push_back(at->second.substr(i, end - i));
      i = end + 1;
    }
    const int run_end = std::stoi(at->first.substr(6));
    const int run_from = run_end - static_cast<int>(marks.size());
    begins[static_cast<std::size_t>(run_from)] = begins[static_cast<std::size_t>(run_end)] = true;
    for (int i = run_from; i < run_end; ++i)
      blocks[static_cast<std::size_t>(i)] = marks[static_cast<std::size_t>(i - run_from)];
  }
  content.erase(first, last);
  for (int i = from; i < to; ++i) {
    begins[static_cast<std::size_t>(i)] = i == from;
    blocks[static_cast<std::size_t>(i)] =
        std::to_string(last_mark_ + static_cast<std::uint64_t>(i - from));
  }
  begins[static_cast<std::size_t>(from)] = begins[static_cast<std::size_t>(to)] = true;
  std::string run;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (!blocks[i].empty()) run += blocks[i] + " ";
    if ((begins[i + 1] || i + 1 == blocks.size()) && !run.empty())
      content[key_of(file, static_cast<int>(i) + 1)] = std::exchange(run, {});
  }
}

std::string name_of(StateId id) { return "state " + std::to_string(to_number(id)); }

std::string leftovers(const std::vector<StateInfo>& states) {
  std::map<StateId, int> children;
  for (const StateInfo& info : states) ++children[info.parent];
  for (const StateInfo& info : states) {
    if (info.dropped && children[info.id] < 2) return name_of(info.id) + " was not given back";
  }
  return "";
}

std::string check_versions(Directory& directory) {
  std::string first;
  TableCheckHooks hooks;
  hooks.finding = [&](std::string text) { first = first.empty() ? std::move(text) : first; };
  hooks.record = [](StateId, std::string_view, std::string_view) {};
  auto result = check_table(directory, {.find_data = find_model_data}, hooks);
  if (!result) return "check: " + to_string(result.error());
  return first;
}

}  // namespace rowan::test
