#include "tests/support/image_tree.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "rpc/base/check.h"
#include "rpc/base/unique_fd.h"

namespace rowan::test {
namespace {

using cache::FileKind;

void make_file(const TreeEntry& entry, const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  CHECK(fd.valid());
  CHECK_EQ(::ftruncate(fd.get(), static_cast<off_t>(entry.size)), 0);
  std::vector<std::byte> piece(1 << 16);
  for (std::uint64_t at = entry.hole; at < entry.size;) {
    std::size_t count = std::min<std::uint64_t>(piece.size(), entry.size - at);
    fill_content(entry.seed, at, ByteSpan(piece).first(count));
    CHECK_EQ(::pwrite(fd.get(), piece.data(), count, static_cast<off_t>(at)),
             static_cast<ssize_t>(count));
    at += count;
  }
}

void make_socket(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CHECK_LT(path.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  CHECK_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
}

void make_entry(const TreeEntry& entry, const std::string& root) {
  std::string path = root + "/" + entry.path;
  if (entry.kind == FileKind::regular && !entry.target.empty()) {
    CHECK_EQ(::link((root + "/" + entry.target).c_str(), path.c_str()), 0);
    return;
  }
  switch (entry.kind) {
    case FileKind::directory: CHECK_EQ(::mkdir(path.c_str(), 0700), 0); break;
    case FileKind::symlink: CHECK_EQ(::symlink(entry.target.c_str(), path.c_str()), 0); return;
    case FileKind::fifo: CHECK_EQ(::mkfifo(path.c_str(), 0600), 0); break;
    case FileKind::socket: make_socket(path); break;
    default: make_file(entry, path);
  }
  CHECK_EQ(::chmod(path.c_str(), entry.mode), 0);
}

}  // namespace

void fill_content(std::uint64_t seed, std::uint64_t offset, ByteSpan into) {
  for (std::size_t i = 0; i < into.size();) {
    std::uint64_t word = (offset + i) / 8;
    std::uint64_t value = (word + 1) * 0x9e3779b97f4a7c15u ^ seed * 0xd6e8feb86659fd93u;
    value = (value ^ value >> 31) * 0xbf58476d1ce4e5b9u;
    for (std::size_t lane = (offset + i) % 8; lane < 8 && i < into.size(); ++lane, ++i) {
      into[i] = static_cast<std::byte>(value >> (8 * lane));
    }
  }
}

void fill_content(const TreeEntry& file, std::uint64_t offset, ByteSpan into) {
  fill_content(file.seed, offset, into);
  if (offset >= file.hole) return;
  ByteSpan zeros = into.first(std::min<std::uint64_t>(into.size(), file.hole - offset));
  std::fill(zeros.begin(), zeros.end(), std::byte{0});
}

std::vector<TreeEntry> large_tree(std::size_t count) {
  constexpr std::uint64_t four_gibibytes = 1ull << 32;
  std::vector<TreeEntry> tree;
  tree.push_back({"sparse", FileKind::regular, four_gibibytes + 70'000, 7, ""});
  tree.back().hole = four_gibibytes - 1000;
  tree.push_back({"crowd", FileKind::directory, 0, 0, "", 0755});
  for (std::size_t i = 0; i < count; ++i) {
    char first = static_cast<char>(1 + i % 255);
    std::string name = (first == '/' ? '-' : first) + std::to_string(i);
    tree.push_back({"crowd/" + name, FileKind::regular, 0, 0, ""});
  }
  return tree;
}

std::vector<TreeEntry> standard_tree() {
  auto directory = [](std::string path) {
    return TreeEntry{std::move(path), FileKind::directory, 0, 0, "", 0755};
  };
  std::vector<TreeEntry> tree;
  tree.push_back(directory("etc"));
  tree.push_back({"etc/passwd", FileKind::regular, 1234, 1, ""});
  tree.push_back({"etc/empty", FileKind::regular, 0, 2, "", 0600});
  tree.push_back({"etc/one-unit", FileKind::regular, 16384, 3, ""});
  tree.push_back(directory("usr"));
  tree.push_back(directory("usr/bin"));
  tree.push_back({"usr/bin/cc", FileKind::regular, 1'000'003, 4, "", 0755});
  tree.push_back({"usr/bin/gcc", FileKind::regular, 1'000'003, 4, "usr/bin/cc", 0755});
  tree.push_back({"bin", FileKind::symlink, 0, 0, "usr/bin"});
  tree.push_back({"outside", FileKind::symlink, 0, 0, "/etc/shadow"});
  tree.push_back(directory("dev"));
  tree.push_back({"dev/pipe", FileKind::fifo, 0, 0, "", 0620});
  tree.push_back({"dev/log", FileKind::socket, 0, 0, "", 0666});
  tree.push_back(directory("empty-directory"));
  tree.push_back({"raw-\xff\xfe\n name", FileKind::regular, 5, 5, ""});
  tree.push_back({std::string(255, 'n'), FileKind::regular, 6, 6, ""});
  tree.push_back(directory("many"));
  for (int i = 0; i < 300; ++i) {
    tree.push_back({"many/f" + std::to_string(i), FileKind::regular, 10, 1000u + i, ""});
  }
  return tree;
}

void make_tree(const std::vector<TreeEntry>& tree, const std::string& root) {
  for (const TreeEntry& entry : tree) make_entry(entry, root);
  // From the deepest up: making a child changes its directory.
  for (auto entry = tree.rbegin(); entry != tree.rend(); ++entry) {
    timespec times[2] = {{entry->mtime, 0}, {entry->mtime, 0}};
    CHECK_EQ(::utimensat(AT_FDCWD, (root + "/" + entry->path).c_str(), times, AT_SYMLINK_NOFOLLOW),
             0);
  }
}

}  // namespace rowan::test
