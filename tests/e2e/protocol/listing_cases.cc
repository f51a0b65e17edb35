// READDIR and READDIRPLUS: every name once, whatever the page size and whatever happens in between.
#include <map>
#include <set>

#include "tests/e2e/protocol/cases.h"

namespace rowan::protocol {
namespace {

std::string numbered(int i) { return "name-" + std::to_string(i); }

void fill(Scene& s, const FileHandle& dir, int count) {
  for (int i = 0; i < count; ++i) {
    if (s.nfs.create(dir, numbered(i)).status != NFS3_OK)
      throw Unanswered("CREATE of " + numbered(i));
  }
}

std::map<std::string, int> counted(const Listing& listing) {
  std::map<std::string, int> names;
  for (const auto& entry : listing.entries) ++names[entry.name];
  return names;
}

void every_name_once(Scene& s) {
  constexpr int count = 300;
  fill(s, s.dir, count);
  for (bool plus : {false, true}) {
    for (std::uint32_t bytes : {512u, 1024u, 4096u, 65536u}) {
      auto what =
          std::string(plus ? "READDIRPLUS" : "READDIR") + " in " + std::to_string(bytes) + " bytes";
      auto listing = s.nfs.list(s.dir, bytes, plus);
      s.status(what, listing.status, {NFS3_OK});
      s.that(what + " ends", listing.eof);
      auto names = counted(listing);
      s.equal(what + ": names", names.size(), count + 2u);
      s.equal(what + ": entries", listing.entries.size(), count + 2u);
      s.that(what + " has . and ..", names.contains(".") && names.contains(".."));
    }
  }
}

void attributes_and_handles(Scene& s) {
  s.file("f", "12345", 0600);
  s.folder("d");
  s.nfs.symlink(s.dir, "l", "t");
  for (const auto& entry : s.nfs.list(s.dir, 8192, true).entries) {
    if (entry.name == "..") continue;
    auto found = entry.name == "." ? Found{NFS3_OK, s.dir, s.attr(s.dir), {}}
                                   : s.nfs.lookup(s.dir, entry.name);
    s.equal("fileid of " + entry.name, entry.fileid, found.attr->fileid);
    if (entry.attr) {
      s.equal("size of " + entry.name, entry.attr->size, found.attr->size);
      s.equal("type of " + entry.name, static_cast<int>(entry.attr->type),
              static_cast<int>(found.attr->type));
    }
    if (!entry.handle.empty()) {
      s.that("handle of " + entry.name, s.attr(entry.handle).fileid == found.attr->fileid);
    }
  }
}

void removing_while_listing(Scene& s) {
  constexpr int count = 200;
  fill(s, s.dir, count);
  std::set<std::string> seen;
  Position at;
  for (int page = 0; page < 1000; ++page) {
    auto listing = s.nfs.readdir(s.dir, at, 1024);
    if (listing.status != NFS3_OK) break;
    for (const auto& entry : listing.entries) {
      at.cookie = entry.cookie;
      s.that("not twice: " + entry.name, seen.insert(entry.name).second);
      if (entry.name.starts_with("name-")) s.nfs.remove(s.dir, entry.name);
    }
    at.verifier = listing.verifier;
    if (listing.eof || listing.entries.empty()) break;
  }
  s.equal("rm -r sees every name", seen.size(), count + 2u);
  s.equal("the directory is empty then", s.nfs.list(s.dir, 4096).entries.size(), 2u);
}

void creating_while_listing(Scene& s) {
  constexpr int count = 100;
  fill(s, s.dir, count);
  std::map<std::string, int> seen;
  Position at;
  for (int page = 0; page < 1000; ++page) {
    auto listing = s.nfs.readdirplus(s.dir, at, 2048);
    s.status("a page", listing.status, {NFS3_OK});
    if (listing.status != NFS3_OK) break;
    for (const auto& entry : listing.entries) {
      at.cookie = entry.cookie;
      ++seen[entry.name];
    }
    at.verifier = listing.verifier;
    if (listing.eof || listing.entries.empty()) break;
    s.nfs.create(s.dir, "new-" + std::to_string(page));
    s.nfs.rename(s.dir, "new-" + std::to_string(page), s.dir, "newer-" + std::to_string(page));
  }
  int old_names = 0;
  for (const auto& [name, times] : seen) {
    if (name.starts_with("name-")) ++old_names;
    s.that("not twice: " + name, times == 1);
  }
  s.equal("every name that was there throughout", old_names, count);
}

void listing_that_is_refused(Scene& s) {
  auto file = s.file("f");
  s.status("READDIR of a file", s.nfs.readdir(file, {}, 4096).status, {NFS3ERR_NOTDIR});
  s.status("READDIRPLUS of a file", s.nfs.readdirplus(file, {}, 4096).status, {NFS3ERR_NOTDIR});
  s.status("READDIR in 8 bytes", s.nfs.readdir(s.dir, {}, 8).status, {NFS3ERR_TOOSMALL});
  s.status("READDIRPLUS in 8 bytes", s.nfs.readdirplus(s.dir, {}, 8).status, {NFS3ERR_TOOSMALL});
  for (auto cookie : {std::uint64_t{0x7fff'ffff'ffff'fff0}, ~std::uint64_t{0}}) {
    auto odd = s.nfs.readdir(s.dir, {.cookie = cookie, .verifier = {}}, 4096);
    s.status("a cookie never given is refused, or at the end", odd.status,
             {NFS3ERR_BAD_COOKIE, NFS3_OK});
    s.that("a cookie never given leads to no name", odd.entries.empty());
  }
}

void pages_fit(Scene& s) {
  fill(s, s.dir, 100);
  constexpr std::uint32_t bytes = 1024;
  // RFC 1813, 3.3.16: count bounds the whole READDIR result. 24 bytes and the name, for each entry.
  auto page = s.nfs.readdir(s.dir, {}, bytes);
  std::size_t size = 0;
  for (const auto& entry : page.entries) size += 24 + (entry.name.size() + 3) / 4 * 4;
  s.that("a page is not larger than asked", size <= bytes, std::to_string(size));
  s.that("nor needlessly small", size >= bytes / 3, std::to_string(size));
}

void empty_directory(Scene& s) {
  auto listing = s.nfs.list(s.folder("d"), 4096);
  s.equal("an empty directory has . and ..", listing.entries.size(), 2u);
  s.that("and ends at once", listing.eof);
}

constexpr Case cases[] = {
    {"every name once", every_name_once},
    {"READDIRPLUS tells the truth", attributes_and_handles},
    {"removing while listing", removing_while_listing},
    {"creating while listing", creating_while_listing},
    {"listing that is refused", listing_that_is_refused},
    {"pages fit", pages_fit},
    {"an empty directory", empty_directory},
};

}  // namespace

std::span<const Case> listing_cases() { return cases; }

}  // namespace rowan::protocol
