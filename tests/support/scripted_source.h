// A source in memory that does as it is told: delays, hangs, errors, stale handles, changed files,
// lies.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "proxy/source.h"
#include "rpc/base/loop.h"
#include "tests/support/image_tree.h"

namespace rowan::test {

struct SourceScript {
  Duration delay{};                  // of every answer
  Duration delay_spread{};           // and up to so much more, at random
  std::size_t page_entries = 100;
  std::uint32_t read_size = 256u << 10;
  bool read_attributes = true;       // told with every read
  bool hang = false;                 // no answer before the deadline, then timed_out
  Duration deadline = std::chrono::seconds(30);
  double error_rate = 0;             // of answers that are an error of the kinds below
  std::vector<Errc> errors{Errc::timed_out, Errc::disconnected, Errc::try_later};
  std::optional<Errc> list_error;
  bool short_reads = false;          // half of what was asked, and no attributes
  bool forget_cursors = false;       // any cursor but the first is bad_cookie, once per list
  bool endless_listing = false;      // the first page again and again
};

struct SourceCounts {
  std::uint64_t root = 0, lookup = 0, list = 0, readlink = 0, read = 0, attributes = 0;
  std::uint64_t bytes = 0;           // of data
  std::uint64_t total() const { return root + lookup + list + readlink + read + attributes; }
};

class ScriptedSource final : public proxy::Source {
 public:
  ScriptedSource(Loop& loop, const std::vector<TreeEntry>& tree, std::uint64_t seed = 1);

  Task<Result<cache::SourceEntry>> root() override;
  Task<Result<cache::SourceEntry>> lookup(const proxy::SourceRef& directory,
                                          std::string_view name) override;
  Task<Result<proxy::SourcePage>> list(const proxy::SourceRef& directory,
                                       std::string_view cursor) override;
  Task<Result<std::string>> readlink(const proxy::SourceRef& symlink) override;
  Task<Result<proxy::SourceRead>> read(const proxy::SourceRef& file, std::uint64_t offset,
                                       ByteSpan into) override;
  Task<Result<cache::ImageAttributes>> attributes(const proxy::SourceRef& object) override;
  proxy::SourceLimits limits() const override { return {script.read_size, 16}; }
  std::string describe() const override { return "scripted"; }
  Task<void> close() override;

  SourceScript script;
  SourceCounts counts;
  std::vector<std::string> looked_up;    // paths

  // What it serves and the handles it gave are the other's: a server outlives its clients.
  void go_on_as(const ScriptedSource& other);
  // All handles given so far become stale.
  void forget_handles() { ++handle_life_; }
  cache::ImageAttributes& attributes_of(const std::string& path) {
    return nodes_.at(path).attributes;
  }
  // Another content under the same name, as a new file or in place.
  void replace_file(const std::string& path, std::uint64_t seed, std::uint64_t size,
                    bool same_fileid);
  void remove(const std::string& path);
  // Handles of files that were replaced lead to what has their name now, as user-space servers do.
  void follow_names() { by_fileid_.insert(replaced_.begin(), replaced_.end()); }
  // All as it was, on another disk: each object has another number, perhaps one that another had.
  void move_to_other_disk();
  void add(const TreeEntry& entry);
  std::size_t in_flight() const { return in_flight_; }

 private:
  struct Node {
    cache::ImageAttributes attributes;
    std::uint64_t seed = 0;
    std::string target;
    std::vector<std::string> children;   // names, in listing order
  };

  Task<Result<void>> arrive(std::uint64_t& count);
  Result<Node*> node(const proxy::SourceRef& ref);
  cache::SourceEntry entry(const std::string& name, const Node& node) const;
  std::string handle_of(const Node& node) const;

  Loop& loop_;
  std::mt19937_64 random_;
  std::map<std::string, Node> nodes_;              // by path
  std::map<std::uint64_t, std::string> by_fileid_; // paths
  std::map<std::uint64_t, std::string> replaced_;   // numbers that are no more
  std::uint64_t next_fileid_ = 2;
  std::uint64_t handle_life_ = 1;
  std::size_t in_flight_ = 0;
  bool closed_ = false;
};

}  // namespace rowan::test
