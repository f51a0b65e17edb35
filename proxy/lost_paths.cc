#include "proxy/lost_paths.h"

#include <algorithm>

namespace rowan::proxy {
namespace {

constexpr int deepest_path = 4096;

// Up from `id`, whose last parts are known already.
Task<std::string> path_above(cache::ObjectId id, std::string rest, LostPaths& paths) {
  for (int depth = 0; depth < deepest_path; ++depth) {
    if (id == cache::image_root) co_return rest.empty() ? "/" : rest;
    auto question = [&paths, id] { return paths.store.object(id); };
    Result<cache::ObjectRecord> record = co_await paths.jobs.with_loads(question);
    if (record && !record->name.empty()) {
      rest.insert(0, "/" + record->name);
      id = record->parent;
      continue;
    }
    if (cache::is_local(id)) break;
    std::string above = co_await paths.image(id);
    if (above.empty()) break;
    co_return above + rest;
  }
  co_return "object " + std::to_string(cache::to_number(id)) + rest;
}

Task<std::string> path_of(const cache::LostPart& part, LostPaths& paths) {
  if (part.name.empty()) co_return co_await path_above(part.object, "", paths);
  std::string name = "/" + part.name;
  co_return co_await path_above(part.parent, std::move(name), paths);
}

}  // namespace

Task<std::vector<std::string>> lost_lines(std::vector<cache::LostPart> lost, LostPaths paths) {
  using Kind = cache::LostPart::Kind;
  std::vector<std::string> lines;
  for (const cache::LostPart& part : lost) {
    std::string line = describe(part);
    const bool one =
        part.kind == Kind::changes || part.kind == Kind::object || part.kind == Kind::bytes;
    if (one) {
      std::string path = co_await path_of(part, paths);
      line.replace(0, std::min(line.find(':'), line.size()), path);
    }
    // The same in several states is told once.
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
  }
  co_return lines;
}

}  // namespace rowan::proxy
