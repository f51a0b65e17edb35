#include "proxy/directory_source.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/directory_tree.h"
#include "rpc/base/check.h"

namespace rowan::proxy {
namespace {

constexpr std::size_t page_entries = 1024;

std::string child_path(const SourceRef& directory, std::string_view name) {
  std::string path = directory.path;
  if (!path.empty()) path += '/';
  return path.append(name);
}

// `work(root)` and its answer travel to the disk thread and back; so does the root, where it is not
// open yet.
template <class Answer, class Work>
class SourceJob final : public Job {
 public:
  SourceJob(int root, std::string path, Work work)
      : root_(root), path_(std::move(path)), work_(std::move(work)) {}
  void run() noexcept override {
    if (root_ < 0) {
      opened = UniqueFd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      root_ = opened.get();
    }
    if (root_ >= 0) answer = work_(root_);
    else answer = unreachable(path_, errno);
  }
  Result<Answer> answer = Errc::io;
  UniqueFd opened;

 private:
  // The whole source is missing: that says nothing about the tree.
  static Error unreachable(const std::string& path, int number) {
    return Error(Errc::disconnected, path + ": " + std::strerror(number) +
                                         "; it must be a directory that the proxy can read");
  }

  int root_;
  std::string path_;
  Work work_;
};

}  // namespace

Result<std::unique_ptr<Source>> make_directory_source(const std::string& path, Loop& loop,
                                                      DiskPool& disk) {
  if (!path.starts_with('/') || path.find('\0') != std::string::npos) {
    return Error(Errc::usage, "'" + path + "' is not an absolute directory");
  }
  return std::unique_ptr<Source>(std::make_unique<DirectorySource>(loop, disk, path));
}

DirectorySource::~DirectorySource() { CHECK_EQ(under_way_, 0u); }

template <class Answer, class Work>
Task<Result<Answer>> DirectorySource::on_disk(Work work) {
  if (closed_) co_return Errc::disconnected;
  ++under_way_;
  using ThisJob = SourceJob<Answer, Work>;
  std::unique_ptr<Job> job = std::make_unique<ThisJob>(root_.get(), path_, std::move(work));
  job = co_await run_job(disk_, loop_, std::move(job));
  auto& done = static_cast<ThisJob&>(*job);
  if (!root_.valid()) root_ = std::move(done.opened);
  --under_way_;
  if (idle_ != nullptr && under_way_ == 0) idle_->set();
  if (closed_) co_return Errc::disconnected;
  co_return std::move(done.answer);
}

Task<Result<cache::SourceEntry>> DirectorySource::root() {
  auto work = [](int fd) { return tree::stat(fd, ""); };
  co_return co_await on_disk<cache::SourceEntry>(work);
}

Task<Result<cache::SourceEntry>> DirectorySource::lookup(const SourceRef& directory,
                                                         std::string_view name) {
  auto work = [path = child_path(directory, name)](int fd) { return tree::stat(fd, path); };
  co_return co_await on_disk<cache::SourceEntry>(work);
}

Task<Result<SourcePage>> DirectorySource::list(const SourceRef& directory,
                                               std::string_view cursor) {
  auto work = [path = directory.path, after = std::string(cursor)](int fd) {
    // A page whose entries all vanished meanwhile says nothing: the next one does.
    std::string from = after;
    for (;;) {
      Result<SourcePage> page = tree::list(fd, path, from, page_entries);
      if (!page || page->last || !page->entries.empty()) return page;
      from = page->cursor;
    }
  };
  co_return co_await on_disk<SourcePage>(work);
}

Task<Result<std::string>> DirectorySource::readlink(const SourceRef& symlink) {
  auto work = [path = symlink.path](int fd) { return tree::readlink(fd, path); };
  co_return co_await on_disk<std::string>(work);
}

Task<Result<SourceRead>> DirectorySource::read(const SourceRef& file, std::uint64_t offset,
                                               ByteSpan into) {
  auto work = [path = file.path, offset, into](int fd) {
    return tree::read(fd, path, offset, into);
  };
  co_return co_await on_disk<SourceRead>(work);
}

Task<Result<cache::ImageAttributes>> DirectorySource::attributes(const SourceRef& object) {
  auto work = [path = object.path](int fd) -> Result<cache::ImageAttributes> {
    TRY(cache::SourceEntry entry, tree::stat(fd, path));
    return entry.attributes;
  };
  co_return co_await on_disk<cache::ImageAttributes>(work);
}

// The descriptor stays open for the jobs that are out; their answers are not given any more.
Task<void> DirectorySource::close() {
  closed_ = true;
  if (under_way_ == 0) co_return;
  Signal idle(loop_);
  idle_ = &idle;
  co_await idle.wait();
  idle_ = nullptr;
}

}  // namespace rowan::proxy
