#include "tests/support/store_model.h"

#include "cache/checker.h"
#include "rpc/base/check.h"
#include "tests/support/run_jobs.h"

namespace rowan::test {

using namespace cache;

void StoreModel::write(std::uint64_t id, std::uint64_t offset, const std::string& bytes) {
  auto& local = files[id].bytes;
  if (local.size() < offset + bytes.size()) local.resize(offset + bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) local[offset + i] = bytes[i];
}

void StoreModel::truncate(std::uint64_t id, std::uint64_t size) {
  auto& local = files[id].bytes;
  if (local.size() > size) local.resize(size);
}

std::uint64_t StoreModel::data_blocks() const {
  std::uint64_t blocks = 0;
  for (const auto& [id, file] : files) {
    for (std::size_t at = 0; at < file.bytes.size(); at += data_block_size) {
      bool any = false;
      for (std::size_t i = at; i < file.bytes.size() && i < at + data_block_size; ++i)
        any = any || file.bytes[i].has_value();
      blocks += any ? 1 : 0;
    }
  }
  return blocks;
}

std::vector<std::optional<char>> local_bytes(Store& store, ObjectId id, std::uint64_t size,
                                             std::string& problem) {
  std::vector<std::optional<char>> bytes(size);
  auto runs = loading(store, [&] { return store.extents(id, ObjectRecord{}, 0, size); });
  if (!runs) {
    problem = to_string(runs.error());
    return {};
  }
  std::uint64_t at = 0;
  for (const Extent& run : *runs) {
    if (run.offset != at || run.length == 0) problem = "runs with gaps";
    at = run.offset + run.length;
    if (run.kind != Extent::Kind::local) continue;
    std::string into(run.length, '?');
    auto read = loading(store, [&] {
      return store.read(run, {reinterpret_cast<std::byte*>(into.data()), into.size()});
    });
    if (!read) {
      problem = to_string(read.error());
      return {};
    }
    for (std::size_t i = 0; i < into.size(); ++i) bytes[run.offset + i] = into[i];
  }
  if (at != size) problem = "runs end early";
  return bytes;
}

namespace {

std::string file_difference(Store& store, std::uint64_t id, const StoreModel& model,
                            std::uint64_t file_size) {
  const auto known = model.files.find(id);
  auto record = loading(store, [&] { return store.object(ObjectId{id}); });
  if (!record && !record.failed_with(Errc::not_found))
    return "object " + std::to_string(id) + ": " + to_string(record.error());
  if (record.has_value() != (known != model.files.end()))
    return "object " + std::to_string(id) + (record ? " is there" : " is missing");
  if (record &&
      (record->mtime != known->second.record.mtime || record->size != known->second.record.size))
    return "object " + std::to_string(id) + " has another record";
  std::string problem;
  auto bytes = local_bytes(store, ObjectId{id}, file_size, problem);
  if (!problem.empty()) return "object " + std::to_string(id) + ": " + problem;
  std::vector<std::optional<char>> expected(file_size);
  CHECK(known == model.files.end() || known->second.bytes.size() <= file_size);
  if (known != model.files.end())
    std::copy(known->second.bytes.begin(), known->second.bytes.end(), expected.begin());
  for (std::size_t i = 0; i < file_size; ++i) {
    if (bytes[i] == expected[i]) continue;
    return "object " + std::to_string(id) + " differs at byte " + std::to_string(i) + ": " +
           (bytes[i] ? std::string(1, *bytes[i]) : "not local") + " instead of " +
           (expected[i] ? std::string(1, *expected[i]) : "not local");
  }
  return {};
}

}  // namespace

std::string difference(Store& store, const StoreModel& model,
                       const std::vector<std::uint64_t>& objects, std::uint64_t file_size,
                       bool purging) {
  for (const std::uint64_t id : objects) {
    std::string found = file_difference(store, id, model, file_size);
    if (!found.empty()) return found;
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> listed;
    auto page = loading(store, [&] { return store.names_after(ObjectId{id}, 0, 1000); });
    if (!page) return "listing " + std::to_string(id) + ": " + to_string(page.error());
    for (const NamedEntry& entry : *page)
      listed[entry.name] = {to_number(entry.record.child), entry.record.sequence};
    for (const auto& [key, expected] : model.names) {
      if (key.first != id) continue;
      auto name = loading(store, [&] { return store.name(ObjectId{id}, key.second); });
      if (!name || name->child != expected.child || name->sequence != expected.sequence)
        return "name " + key.second + " in " + std::to_string(id) + " differs";
      const bool whiteout = expected.child == no_object;
      if (whiteout == listed.contains(key.second))
        return "name " + key.second + " in " + std::to_string(id) + " is listed wrongly";
      listed.erase(key.second);
    }
    if (!listed.empty()) return "a name too many: " + listed.begin()->first;
  }
  const std::uint64_t used = store.usage().data_bytes;
  const std::uint64_t expected = model.data_blocks() * data_block_size;
  if (used < expected || (used > expected && !purging))
    return "usage is " + std::to_string(used) + " instead of " + std::to_string(expected);
  if (store.usage().objects != model.files.size())
    return std::to_string(store.usage().objects) + " objects are counted instead of " +
           std::to_string(model.files.size());
  return {};
}

std::string check_whole(cache::Directory& directory) {
  auto report = cache::check_store(directory, {.data = true});
  if (!report) return "check: " + to_string(report.error());
  return report->healthy() ? "" : "check: " + report->findings.front();
}

}  // namespace rowan::test
