// RENAME: what it may replace, what it must refuse, what stays the same.
#include "tests/e2e/protocol/cases.h"

namespace rowan::protocol {
namespace {

void files(Scene& s) {
  auto file = s.file("a", "content");
  auto id = s.attr(file).fileid;
  auto sub = s.folder("sub");
  auto moved = s.nfs.rename(s.dir, "a", sub, "b");
  s.status("RENAME", moved.status, {NFS3_OK});
  s.that("tells both directories", moved.from.after && moved.to.after);
  s.status("the old name is gone", s.nfs.lookup(s.dir, "a").status, {NFS3ERR_NOENT});
  auto found = s.nfs.lookup(sub, "b");
  s.that("the new name has the same handle", found.handle == file);
  s.equal("and fileid", s.attr(file).fileid, id);
  s.equal("and content", s.nfs.read(file, 0, 20).data, std::string("content"));
  auto victim = s.file("c", "victim");
  s.status("RENAME over a file", s.nfs.rename(sub, "b", s.dir, "c").status, {NFS3_OK});
  s.equal("replaces it", s.nfs.read(s.nfs.lookup(s.dir, "c").handle, 0, 20).data,
          std::string("content"));
  s.status("the replaced one is gone", s.nfs.getattr(victim).status, {NFS3ERR_STALE});
}

void same_object(Scene& s) {
  auto file = s.file("a", "x");
  s.nfs.link(file, s.dir, "b");
  s.status("onto itself", s.nfs.rename(s.dir, "a", s.dir, "a").status, {NFS3_OK});
  s.status("it is still there", s.nfs.lookup(s.dir, "a").status, {NFS3_OK});
  s.status("onto another link of the same file", s.nfs.rename(s.dir, "a", s.dir, "b").status,
           {NFS3_OK});
  s.status("does nothing: the old name", s.nfs.lookup(s.dir, "a").status, {NFS3_OK});
  s.status("does nothing: the new name", s.nfs.lookup(s.dir, "b").status, {NFS3_OK});
  s.equal("does nothing: links", s.attr(file).nlink, 2u);
}

void directories(Scene& s) {
  auto a = s.folder("a"), b = s.folder("b");
  s.nfs.create(a, "inside");
  auto links = s.attr(s.dir).nlink;
  s.status("a directory into another", s.nfs.rename(s.dir, "a", b, "a").status, {NFS3_OK});
  s.equal("the old parent loses a link", s.attr(s.dir).nlink, links - 1);
  s.equal("the new parent gains one", s.attr(b).nlink, 3u);
  auto parent = s.nfs.lookup(a, "..");
  s.that("'..' follows",
         parent.status == NFS3_OK && s.attr(parent.handle).fileid == s.attr(b).fileid);
  s.status("what is inside moves along", s.nfs.lookup(a, "inside").status, {NFS3_OK});
  s.folder("empty");
  s.status("over an empty directory", s.nfs.rename(b, "a", s.dir, "empty").status, {NFS3_OK});
  s.that("it is the moved one", s.nfs.lookup(s.dir, "empty").handle == a);
  auto full = s.folder("full");
  s.nfs.create(full, "x");
  s.status("over a full directory", s.nfs.rename(s.dir, "b", s.dir, "full").status,
           {NFS3ERR_NOTEMPTY, NFS3ERR_EXIST});
  s.status("nothing moved", s.nfs.lookup(s.dir, "b").status, {NFS3_OK});
}

void loops(Scene& s) {
  auto a = s.folder("a");
  auto b = s.nfs.mkdir(a, "b");
  auto inner = s.nfs.lookup(a, "b").handle;
  s.status("MKDIR", b.status, {NFS3_OK});
  s.status("into itself", s.nfs.rename(s.dir, "a", a, "x").status, {NFS3ERR_INVAL});
  s.status("into its child", s.nfs.rename(s.dir, "a", inner, "x").status, {NFS3ERR_INVAL});
  s.status("onto its parent", s.nfs.rename(inner, "..", s.dir, "x").status,
           {NFS3ERR_INVAL, NFS3ERR_EXIST, NFS3ERR_ACCES, NFS3ERR_NOTEMPTY, NFS3ERR_ISDIR});
  s.status("nothing moved", s.nfs.lookup(s.dir, "a").status, {NFS3_OK});
}

void kinds(Scene& s) {
  s.file("file", "x");
  s.folder("dir");
  s.status("a file over a directory", s.nfs.rename(s.dir, "file", s.dir, "dir").status,
           {NFS3ERR_EXIST, NFS3ERR_ISDIR});
  s.status("a directory over a file", s.nfs.rename(s.dir, "dir", s.dir, "file").status,
           {NFS3ERR_EXIST, NFS3ERR_NOTDIR});
  s.nfs.symlink(s.dir, "link", "file");
  s.status("a symlink over a file", s.nfs.rename(s.dir, "link", s.dir, "file").status, {NFS3_OK});
  s.equal("the symlink itself moved", s.nfs.readlink(s.nfs.lookup(s.dir, "file").handle).target,
          std::string("file"));
}

void refusals(Scene& s) {
  auto file = s.file("f");
  s.status("a missing name", s.nfs.rename(s.dir, "no", s.dir, "x").status, {NFS3ERR_NOENT});
  s.status("from below a file", s.nfs.rename(file, "x", s.dir, "y").status, {NFS3ERR_NOTDIR});
  s.status("to below a file", s.nfs.rename(s.dir, "f", file, "y").status, {NFS3ERR_NOTDIR});
  s.status("to 256 bytes", s.nfs.rename(s.dir, "f", s.dir, std::string(256, 'x')).status,
           {NFS3ERR_NAMETOOLONG});
  for (const char* name : {".", ".."}) {
    s.status(std::string("from ") + name, s.nfs.rename(s.dir, name, s.dir, "x").status,
             {NFS3ERR_INVAL, NFS3ERR_EXIST, NFS3ERR_ACCES, NFS3ERR_ISDIR, NFS3ERR_NOTEMPTY});
    s.status(std::string("to ") + name, s.nfs.rename(s.dir, "f", s.dir, name).status,
             {NFS3ERR_INVAL, NFS3ERR_EXIST, NFS3ERR_ACCES, NFS3ERR_ISDIR, NFS3ERR_NOTEMPTY});
  }
  s.status("an empty name", s.nfs.rename(s.dir, "f", s.dir, "").status,
           {NFS3ERR_ACCES, NFS3ERR_INVAL, NFS3ERR_NOENT});
  s.status("nothing moved", s.nfs.lookup(s.dir, "f").status, {NFS3_OK});
}

void silly_rename(Scene& s) {
  auto file = s.file("f", "still open");
  s.status("RENAME to .nfs...", s.nfs.rename(s.dir, "f", s.dir, ".nfs00000001").status, {NFS3_OK});
  s.equal("the open file is readable", s.nfs.read(file, 0, 20).data, std::string("still open"));
  s.status("and writable", s.nfs.write(file, 0, "S").status, {NFS3_OK});
  s.status("CREATE under the old name", s.nfs.create(s.dir, "f").status, {NFS3_OK});
  s.status("REMOVE at the last close", s.nfs.remove(s.dir, ".nfs00000001").status, {NFS3_OK});
}

constexpr Case cases[] = {
    {"RENAME of files", files},
    {"RENAME onto the same object", same_object},
    {"RENAME of directories", directories},
    {"RENAME into itself", loops},
    {"RENAME over another kind", kinds},
    {"RENAME that is refused", refusals},
    {"silly rename", silly_rename},
};

}  // namespace

std::span<const Case> rename_cases() { return cases; }

}  // namespace rowan::protocol
