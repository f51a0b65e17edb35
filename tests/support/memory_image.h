// An image in memory: a small tree made by the test. Answers come at once; or after a delay; or,
// held, when the test says so; or not at all (try_later). With a seed, each of that at random.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "proxy/image.h"
#include "rpc/base/loop.h"

namespace rowan::test {

class MemoryImage final : public proxy::Image {
 public:
  // An empty root directory, 0755 root root.
  explicit MemoryImage(Loop& loop);

  // --- Building, before use. Paths are "usr/bin/cc"; parents exist. Attributes not given are
  // plain.
  cache::ObjectId add_directory(const std::string& path, cache::ImageAttributes attributes = {});
  cache::ObjectId add_file(const std::string& path, std::string content,
                           cache::ImageAttributes attributes = {});
  cache::ObjectId add_symlink(const std::string& path, std::string target);
  cache::ObjectId add_device(const std::string& path, cache::FileKind kind, std::uint32_t major,
                             std::uint32_t minor);
  cache::ObjectId add_link(const std::string& path, const std::string& existing);
  cache::ObjectId find(const std::string& path) const;  // CHECKs that it is there
  void set_attributes(const std::string& path, std::uint32_t mode, std::uint32_t uid,
                      std::uint32_t gid);
  std::string content(cache::ObjectId id) const { return objects_.at(id).content; }

  // --- Behaviour
  void set_delay(Duration delay) { delay_ = delay; }
  void hold() { held_ = true; }  // reads of data wait for release()
  void release();
  void fail_with(std::optional<Errc> code) { failure_ = code; }  // everything not cached
  void forget_cached(bool forget) { forget_cached_ = forget; }  // cached_attributes() knows nothing
  void randomise(std::uint64_t seed, unsigned fail_percent);
  std::uint64_t reads() const { return reads_; }
  std::uint64_t questions() const { return questions_; }

  const cache::ImageAttributes* cached_attributes(cache::ObjectId id) override;
  Task<Result<cache::ImageAttributes>> attributes(cache::ObjectId id) override;
  Task<Result<cache::ObjectId>> lookup(cache::ObjectId directory, std::string_view name) override;
  Task<Result<cache::Listing>> list(cache::ObjectId directory, std::uint64_t after_position,
                                    std::size_t limit) override;
  Task<Result<std::string>> readlink(cache::ObjectId symlink) override;
  Task<Result<void>> read(cache::ObjectId file, std::uint64_t offset, ByteSpan into) override;
  Task<Result<cache::ObjectId>> parent(cache::ObjectId directory) override;
  Task<Result<proxy::ImagePlace>> place(cache::ObjectId id) override;
  std::string path(cache::ObjectId id) override;

 private:
  struct Object {
    cache::ImageAttributes attributes;
    cache::ObjectId parent{};
    std::string path, content, target;
    std::vector<std::pair<std::string, cache::ObjectId>> entries;  // position: index + 1
  };
  Object& add(const std::string& path, cache::ImageAttributes attributes);
  // Waits as told; an error if this question is to fail.
  Task<Result<void>> pause(bool data);
  Result<Object*> get(cache::ObjectId id);

  Loop& loop_;
  std::map<cache::ObjectId, Object> objects_;
  std::map<std::string, cache::ObjectId> ids_{{"", cache::image_root}};  // by path
  std::uint64_t next_id_ = 2;
  Duration delay_{};
  bool held_ = false;
  std::unique_ptr<Signal> released_;
  std::optional<Errc> failure_;
  bool forget_cached_ = false;
  std::optional<std::mt19937_64> random_;
  unsigned fail_percent_ = 0;
  std::uint64_t reads_ = 0, questions_ = 0;
};

}  // namespace rowan::test
