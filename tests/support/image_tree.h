// A file tree as a plain list: what sources are made from in tests, and what their answers are
// compared with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache/catalog.h"
#include "rpc/base/bytes.h"

namespace rowan::test {

struct TreeEntry {
  std::string path;                       // "usr/bin/cc"; parents come before their children
  cache::FileKind kind = cache::FileKind::regular;
  std::uint64_t size = 0;                 // regular: bytes of content_byte(seed, offset)
  std::uint64_t seed = 0;
  // symlink; regular: the path of which this is another link
  std::string target;
  std::uint32_t mode = 0644;
  std::int64_t mtime = 1'600'000'000;
  std::uint64_t hole = 0;  // regular: so many bytes at its start are zeros, without disk space
};

// The content of a file, anywhere in it.
void fill_content(std::uint64_t seed, std::uint64_t offset, ByteSpan into);

// Every kind that a directory can hold without privilege, raw-byte and 255-byte names, hard links,
// an empty file, one that ends on a unit, a directory of 300 entries.
std::vector<TreeEntry> standard_tree();

// A directory "crowd" of `count` names, which begin with every byte that a name may have, and
// "sparse", a file of more than 4 GiB with data at its end.
std::vector<TreeEntry> large_tree(std::size_t count);

// What a read of a file in a tree gives.
void fill_content(const TreeEntry& file, std::uint64_t offset, ByteSpan into);

// Makes the tree below `root`, which exists.
void make_tree(const std::vector<TreeEntry>& tree, const std::string& root);

}  // namespace rowan::test
