// Compares an NFS export with the local directory that it exports, through proxy/nfs_source. Not a
// test by itself, it needs a server:
//   nfs_walk nfs://HOST/EXPORT?... DIRECTORY
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <deque>
#include <fstream>
#include <iterator>
#include <vector>

#include "proxy/nfs_source.h"

namespace rowan::proxy {
namespace {

struct Totals {
  std::size_t objects = 0, bytes = 0, differences = 0;
};

void differs(Totals& totals, const std::string& path, const std::string& why) {
  std::printf("%s: %s\n", path.c_str(), why.c_str());
  ++totals.differences;
}

Task<std::string> read_all(Source& source, const SourceRef& file, std::uint64_t size) {
  std::string data(size, '\0');
  for (std::uint64_t at = 0; at < size;) {
    std::uint64_t piece = std::min<std::uint64_t>(source.limits().read_size, size - at);
    ByteSpan into(reinterpret_cast<std::byte*>(data.data()) + at, piece);
    auto got = co_await source.read(file, at, into);
    if (!got) co_return "error: " + to_string(got.error());
    at += got->count;
    if (got->eof && at < size) co_return "short file";
  }
  co_return data;
}

Task<void> compare(Source& source, const std::string& local, const SourceRef& ref,
                   const cache::ImageAttributes& attributes, Totals& totals) {
  ++totals.objects;
  struct stat info;
  if (::lstat(local.c_str(), &info) != 0) {
    differs(totals, local, "is not there locally");
    co_return;
  }
  bool directory = S_ISDIR(info.st_mode);
  if ((info.st_mode & 07777) != attributes.mode || info.st_uid != attributes.uid ||
      info.st_mtim.tv_sec != attributes.mtime.seconds ||
      (!directory && static_cast<std::uint64_t>(info.st_size) != attributes.size)) {
    differs(totals, local, "attributes differ");
  }
  if (S_ISLNK(info.st_mode)) {
    std::string target(4096, '\0');
    ssize_t size = ::readlink(local.c_str(), target.data(), target.size());
    target.resize(static_cast<std::size_t>(size));
    auto theirs = co_await source.readlink(ref);
    if (!theirs || *theirs != target) differs(totals, local, "target differs");
  } else if (S_ISREG(info.st_mode)) {
    std::ifstream file(local, std::ios::binary);
    std::string mine((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::string theirs = co_await read_all(source, ref, attributes.size);
    totals.bytes += theirs.size();
    if (mine != theirs) differs(totals, local, "contents differ");
  }
}

Task<void> walk(Source& source, std::string top, Totals& totals) {
  auto root = co_await source.root();
  if (!root) {
    differs(totals, top, to_string(root.error()));
    co_return;
  }
  SourceRef first{root->source_handle, ""};
  std::deque<SourceRef> directories{first};
  while (!directories.empty()) {
    SourceRef directory = directories.front();
    directories.pop_front();
    std::string cursor;
    for (bool last = false; !last;) {
      auto page = co_await source.list(directory, cursor);
      if (!page) {
        differs(totals, directory.path, to_string(page.error()));
        break;
      }
      cursor = page->cursor;
      last = page->last;
      for (const auto& entry : page->entries) {
        std::string path = directory.path.empty() ? entry.name : directory.path + '/' + entry.name;
        SourceRef ref{entry.source_handle, path};
        std::string local = top + '/' + path;
        co_await compare(source, local, ref, entry.attributes, totals);
        if (entry.attributes.kind == cache::FileKind::directory) directories.push_back(ref);
      }
    }
  }
}

int run(const char* url_text, const char* directory) {
  auto url = parse_nfs_url(url_text);
  if (!url) {
    std::printf("%s\n", to_string(url.error()).c_str());
    return 2;
  }
  AsioLoop loop;
  auto source = NfsSource::create(loop, *url);
  Totals totals;
  MonotonicTime start = real_clock().now();
  auto body = [](NfsSource& s, std::string top, Totals& t, AsioLoop& l) -> Task<void> {
    co_await walk(s, top, t);
    std::printf("%s, READ size %u\n", s.describe().c_str(), s.limits().read_size);
    co_await s.close();
    l.stop();
  };
  TaskGroup group;
  group.start(body(*source, directory, totals, loop));
  loop.run();
  double seconds = std::chrono::duration<double>(real_clock().now() - start).count();
  std::printf("%zu objects, %zu bytes, %zu differences, %.2f s\n", totals.objects, totals.bytes,
              totals.differences, seconds);
  return totals.differences == 0 ? 0 : 1;
}

}  // namespace
}  // namespace rowan::proxy

int main(int argc, char** argv) {
  if (argc != 3) {
    std::printf("usage: nfs_walk nfs://HOST/EXPORT?... DIRECTORY\n");
    return 2;
  }
  return rowan::proxy::run(argv[1], argv[2]);
}
