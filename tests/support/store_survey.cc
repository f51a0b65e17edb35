#include "tests/support/store_survey.h"

#include <set>

#include "tests/support/run_jobs.h"

namespace rowan::test {

using namespace cache;

namespace {

class Surveyor {
 public:
  Surveyor(Store& store, const StoreModel& model, std::uint64_t size)
      : store_(store), model_(model), size_(size) {}

  Survey run() {
    for (const auto& [id, file] : model_.files) visit(id, [&, id = id] { return object(id); });
    std::set<std::uint64_t> directories;
    for (const auto& [key, record] : model_.names) directories.insert(key.first);
    for (const std::uint64_t id : directories) visit(id, [&] { return directory(id); });
    return survey_;
  }

 private:
  template <class Look>
  void visit(std::uint64_t id, Look look) {
    const Result<void> seen = look();
    if (seen) {
      ++survey_.whole;
      return;
    }
    const bool named = seen.error().detail.find(std::to_string(id)) != std::string::npos;
    if (seen.failed_with(Errc::corrupt) && named) {
      ++survey_.damaged;
    } else if (survey_.wrong.empty()) {
      survey_.wrong = "object " + std::to_string(id) + ": " + to_string(seen.error());
    }
  }

  static Error other(const std::string& what) { return Error(Errc::server_fault, what); }

  Result<void> object(std::uint64_t id) {
    const ModelFile& file = model_.files.at(id);
    TRY(const ObjectRecord record, loading(store_, [&] { return store_.object(ObjectId{id}); }));
    if (record.size != file.record.size || record.mtime != file.record.mtime ||
        record.target != file.record.target || record.mode != file.record.mode)
      return other("another record");
    TRY(const auto runs, loading(store_, [&] {
          return store_.extents(ObjectId{id}, record, 0, size_);
        }));
    std::uint64_t covered = 0;
    for (const Extent& run : runs) {
      TRY_VOID(compare(run, file.bytes));
      covered += run.kind == Extent::Kind::local ? run.length : 0;
    }
    std::uint64_t expected = 0;
    for (const auto& byte : file.bytes) expected += byte ? 1 : 0;
    if (covered != expected) return other(std::to_string(covered) + " local bytes");
    return {};
  }

  Result<void> compare(const Extent& run, const std::vector<std::optional<char>>& bytes) {
    if (run.kind != Extent::Kind::local) return {};
    std::string into(run.length, '?');
    TRY_VOID(loading(store_, [&] {
      return store_.read(run, {reinterpret_cast<std::byte*>(into.data()), into.size()});
    }));
    for (std::size_t i = 0; i < into.size(); ++i) {
      const std::uint64_t at = run.offset + i;
      if (at >= bytes.size() || bytes[at] != into[i])
        return other("another byte at " + std::to_string(at));
    }
    return {};
  }

  Result<void> directory(std::uint64_t id) {
    TRY(const auto listed, loading(store_, [&] {
          return store_.names_after(ObjectId{id}, 0, 10'000);
        }));
    std::set<std::string> names;
    for (const NamedEntry& entry : listed) names.insert(entry.name);
    for (const auto& [key, expected] : model_.names) {
      if (key.first != id) continue;
      auto name = loading(store_, [&] { return store_.name(ObjectId{id}, key.second); });
      if (name.failed_with(Errc::not_found)) return other("no name " + key.second);
      if (!name) return std::move(name).error();
      if (name->child != expected.child) return other("name " + key.second + " is of another");
      if (names.erase(key.second) != (expected.child == no_object ? 0u : 1u))
        return other("name " + key.second + " is listed wrongly");
    }
    if (!names.empty()) return other("a name too many");
    return {};
  }

  Store& store_;
  const StoreModel& model_;
  std::uint64_t size_;
  Survey survey_;
};

}  // namespace

Survey survey(Store& store, const StoreModel& model, std::uint64_t size_of_all) {
  return Surveyor(store, model, size_of_all).run();
}

}  // namespace rowan::test
