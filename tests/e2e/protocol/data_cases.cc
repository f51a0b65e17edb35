// READ, WRITE, COMMIT.
#include <algorithm>
#include <limits>

#include "tests/e2e/protocol/cases.h"

namespace rowan::protocol {
namespace {

constexpr std::uint64_t signed_limit = std::numeric_limits<std::int64_t>::max();

void end_of_file(Scene& s) {
  struct Line {
    std::uint64_t offset;
    std::uint32_t count, length;
    bool eof;
  };
  // Of a file of ten bytes: RFC 1813, 3.3.6, READ.
  constexpr Line table[] = {{0, 10, 10, true},  {0, 9, 9, false},      {9, 1, 1, true},
                            {9, 2, 1, true},    {10, 1, 0, true},      {11, 1, 0, true},
                            {0, 100, 10, true}, {5, 5, 5, true},       {5, 4, 4, false},
                            {10, 100, 0, true}, {1u << 30, 1, 0, true}};
  auto file = s.file("f", "0123456789");
  for (const auto& line : table) {
    auto name = "READ of " + std::to_string(line.count) + " at " + std::to_string(line.offset);
    auto read = s.nfs.read(file, line.offset, line.count);
    s.status(name, read.status, {NFS3_OK});
    s.equal(name + ": length", read.data.size(), line.length);
    s.equal(name + ": count", read.count, line.length);
    s.equal(name + ": eof", read.eof, line.eof);
  }
  auto nothing = s.nfs.read(file, 3, 0);
  s.status("READ of nothing", nothing.status, {NFS3_OK});
  s.equal("READ of nothing: length", nothing.data.size(), 0u);
  auto empty = s.nfs.read(s.file("empty"), 0, 10);
  s.that("an empty file is at its end", empty.status == NFS3_OK && empty.eof && empty.data.empty());
}

void read_refusals(Scene& s) {
  s.status("READ of a directory", s.nfs.read(s.dir, 0, 10).status, {NFS3ERR_ISDIR, NFS3ERR_INVAL});
  s.nfs.symlink(s.dir, "l", "t");
  auto link = s.nfs.lookup(s.dir, "l").handle;
  s.status("READ of a symlink", s.nfs.read(link, 0, 10).status, {NFS3ERR_INVAL});
  auto file = s.file("f", "x");
  auto far = s.nfs.read(file, signed_limit, 1);
  s.that("READ near 2^63 is empty or refused", far.status == NFS3ERR_INVAL ||
                                                   far.status == NFS3ERR_FBIG ||
                                                   (far.status == NFS3_OK && far.eof));
  auto farther = s.nfs.read(file, ~0ull, 1);
  s.that("READ near 2^64 is empty or refused", farther.status == NFS3ERR_INVAL ||
                                                   farther.status == NFS3ERR_FBIG ||
                                                   (farther.status == NFS3_OK && farther.eof));
}

void stability(Scene& s) {
  auto file = s.file("f");
  auto unstable = s.nfs.write(file, 0, "abc", UNSTABLE);
  s.status("UNSTABLE", unstable.status, {NFS3_OK});
  auto data_sync = s.nfs.write(file, 3, "def", DATA_SYNC);
  s.status("DATA_SYNC", data_sync.status, {NFS3_OK});
  s.that("DATA_SYNC is at least that", data_sync.committed >= DATA_SYNC);
  auto file_sync = s.nfs.write(file, 6, "ghi", FILE_SYNC);
  s.status("FILE_SYNC", file_sync.status, {NFS3_OK});
  s.equal("FILE_SYNC is that", file_sync.committed, static_cast<int>(FILE_SYNC));
  auto committed = s.nfs.commit(file);
  s.status("COMMIT", committed.status, {NFS3_OK});
  s.that("one verifier for all", unstable.verifier == file_sync.verifier &&
                                     unstable.verifier == data_sync.verifier &&
                                     unstable.verifier == committed.verifier);
  s.status("COMMIT of a range", s.nfs.commit(file, 3, 3).status, {NFS3_OK});
  s.equal("all of it is there", s.nfs.read(file, 0, 20).data, std::string("abcdefghi"));
}

void overwriting(Scene& s) {
  auto file = s.file("f", std::string(100'000, 'a'));
  for (std::uint64_t offset : {0ull, 1ull, 4095ull, 4096ull, 16383ull, 65535ull, 99'990ull}) {
    s.status("WRITE at " + std::to_string(offset),
             s.nfs.write(file, offset, "0123456789", UNSTABLE).status, {NFS3_OK});
  }
  std::string wanted(100'000, 'a');
  for (std::size_t offset : {0, 1, 4095, 4096, 16383, 65535, 99'990})
    wanted.replace(offset, 10, "0123456789");
  s.that("every byte is the last one written", s.nfs.read(file, 0, 100'000).data == wanted);
  s.equal("the size stays", s.attr(file).size, 100'000u);
}

void holes(Scene& s) {
  auto file = s.file("f", "begin");
  constexpr std::uint64_t far = (5ull << 30) + 7;
  s.status("WRITE beyond 4 GiB", s.nfs.write(file, far, "end").status, {NFS3_OK});
  s.equal("size", s.attr(file).size, far + 3);
  auto gap = s.nfs.read(file, 5, 4096);
  s.that("the hole reads as zeros", gap.data == std::string(4096, '\0'));
  s.that("the hole does not end the file", !gap.eof);
  auto end = s.nfs.read(file, far - 2, 100);
  s.that("the far end", end.data == std::string("\0\0end", 5) && end.eof);
  s.that("the hole takes no room", s.attr(file).used < (4u << 20),
         std::to_string(s.attr(file).used));
}

void large_transfers(Scene& s) {
  FSINFO3resok info{};
  s.nfs.fsinfo(s.nfs.root(), info);
  std::string data(std::min(info.wtmax, 1u << 20), '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 131 + i / 251);
  auto file = s.file("f");
  auto written = s.nfs.write(file, 0, data, UNSTABLE);
  s.status("WRITE of wtmax", written.status, {NFS3_OK});
  s.equal("all of it", written.count, data.size());
  auto read = s.nfs.read(file, 0, std::min<std::uint32_t>(info.rtmax, data.size()));
  s.that("READ of rtmax gives it back",
         read.data == data.substr(0, read.data.size()) && !read.data.empty());
}

void write_refusals(Scene& s) {
  s.status("WRITE to a directory", s.nfs.write(s.dir, 0, "x").status,
           {NFS3ERR_ISDIR, NFS3ERR_INVAL});
  s.nfs.symlink(s.dir, "l", "t");
  s.status("WRITE to a symlink", s.nfs.write(s.nfs.lookup(s.dir, "l").handle, 0, "x").status,
           {NFS3ERR_INVAL});
  auto file = s.file("f", "x");
  for (auto offset : {signed_limit, signed_limit - 1, ~signed_limit, ~std::uint64_t{0}}) {
    s.status("WRITE at " + std::to_string(offset), s.nfs.write(file, offset, "xyz").status,
             {NFS3ERR_FBIG, NFS3ERR_INVAL});
  }
  s.equal("the size stays", s.attr(file).size, 1u);
  auto nothing = s.nfs.write(file, 100, "");
  s.status("WRITE of nothing", nothing.status, {NFS3_OK});
  s.equal("WRITE of nothing leaves the size", s.attr(file).size, 1u);
  s.status("COMMIT of a made-up handle", s.nfs.commit(FileHandle(std::string(40, 'q'))).status,
           {NFS3ERR_BADHANDLE, NFS3ERR_STALE});
}

void times_of_data(Scene& s) {
  auto file = s.file("f", "x");
  nfstime3 old{.seconds = 1000, .nseconds = 0};
  s.nfs.setattr(file, {.atime = old, .mtime = old});
  s.nfs.write(file, 0, "y");
  s.that("WRITE moves mtime", s.attr(file).mtime.seconds > old.seconds);
  s.nfs.setattr(file, {.mtime = old});
  s.nfs.setattr(file, {.size = 0});
  s.that("SETATTR of the size moves mtime", s.attr(file).mtime.seconds > old.seconds);
  s.nfs.setattr(file, {.mtime = old});
  auto before = s.attr(file).mtime;
  s.nfs.read(file, 0, 10);
  s.equal("READ leaves mtime", s.attr(file).mtime.seconds, before.seconds);
}

void truncated_while_unstable(Scene& s) {
  auto file = s.file("f");
  s.nfs.write(file, 0, std::string(50'000, 'a'), UNSTABLE);
  s.nfs.setattr(file, {.size = 10'000});
  s.nfs.write(file, 30'000, "b", UNSTABLE);
  s.nfs.commit(file);
  auto read = s.nfs.read(file, 0, 60'000);
  auto wanted = std::string(10'000, 'a') + std::string(20'000, '\0') + "b";
  s.that("what was cut off does not come back", read.data == wanted && read.eof);
}

constexpr Case cases[] = {
    {"READ at the end of file", end_of_file},
    {"READ that is refused", read_refusals},
    {"WRITE and its stability", stability},
    {"WRITE over data, unaligned", overwriting},
    {"WRITE far away leaves a hole", holes},
    {"transfers as large as FSINFO allows", large_transfers},
    {"WRITE that is refused", write_refusals},
    {"times of data", times_of_data},
    {"a size cut while writes are unstable", truncated_while_unstable},
};

}  // namespace

std::span<const Case> data_cases() { return cases; }

}  // namespace rowan::protocol
