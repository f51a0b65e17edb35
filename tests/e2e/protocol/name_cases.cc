// LOOKUP, CREATE, MKDIR, SYMLINK, READLINK, MKNOD, REMOVE, RMDIR, LINK.
#include "tests/e2e/protocol/cases.h"

namespace rowan::protocol {
namespace {

const std::string longest(255, 'n');
const std::string too_long(256, 'n');

void looking_up(Scene& s) {
  auto file = s.file("f", "x");
  auto found = s.nfs.lookup(s.dir, "f");
  s.status("LOOKUP", found.status, {NFS3_OK});
  s.that("the same handle each time", found.handle == file);
  s.that("with attributes", found.attr && found.attr->fileid == s.attr(file).fileid);
  s.that("of the directory too", found.dir_attr && found.dir_attr->fileid == s.attr(s.dir).fileid);
  auto missing = s.nfs.lookup(s.dir, "no");
  s.status("a missing name", missing.status, {NFS3ERR_NOENT});
  s.status("case matters", s.nfs.lookup(s.dir, "F").status, {NFS3ERR_NOENT});
  s.status("below a file", s.nfs.lookup(file, "x").status, {NFS3ERR_NOTDIR});
  s.status("256 bytes", s.nfs.lookup(s.dir, too_long).status, {NFS3ERR_NAMETOOLONG});
  s.status("an empty name", s.nfs.lookup(s.dir, "").status,
           {NFS3ERR_ACCES, NFS3ERR_INVAL, NFS3ERR_NOENT});
}

void dots(Scene& s) {
  auto sub = s.folder("sub");
  auto self = s.nfs.lookup(sub, ".");
  s.that("'.' is the directory", self.status == NFS3_OK && self.attr->fileid == s.attr(sub).fileid);
  auto parent = s.nfs.lookup(sub, "..");
  s.that("'..' is its parent",
         parent.status == NFS3_OK && parent.attr->fileid == s.attr(s.dir).fileid);
  auto above = s.nfs.lookup(s.nfs.root(), "..");
  bool closed = above.status == NFS3_OK
                    ? s.attr(above.handle).fileid == s.attr(s.nfs.root()).fileid
                    : above.status == NFS3ERR_NOENT || above.status == NFS3ERR_ACCES;
  s.that("'..' of the root leads nowhere else", closed, "status " + std::to_string(above.status));
}

// Some servers hand such names to the host's file system as they are. So whatever is created,
// removed or renamed here lies inside the case's own directory or cannot exist; only LOOKUP names
// real host files.
void paths_are_no_names(Scene& s) {
  auto sub = s.folder("sub");
  s.nfs.create(sub, "f");
  const std::initializer_list<int> refused = {NFS3ERR_ACCES, NFS3ERR_INVAL, NFS3ERR_NOENT};
  for (const char* name : {"sub/f", "/etc/passwd", "/", "sub/", "../..", "sub/../sub"}) {
    s.status(std::string("LOOKUP of '") + name + "'", s.nfs.lookup(s.dir, name).status, refused);
  }
  auto own_name = "protocol-test-" + std::to_string(s.attr(s.dir).fileid);
  for (const std::string& name : {std::string("sub/new"), std::string("sub/"), "sub/../" + own_name,
                                  "/" + own_name + "/no-such-directory/x"}) {
    auto what = " of '" + name + "'";
    s.status("CREATE" + what, s.nfs.create(s.dir, name).status, refused);
    s.status("MKDIR" + what, s.nfs.mkdir(s.dir, name).status, refused);
    s.status("SYMLINK" + what, s.nfs.symlink(s.dir, name, "t").status, refused);
    s.status("RENAME to" + what, s.nfs.rename(sub, "f", s.dir, name).status, refused);
    s.status("LINK to" + what, s.nfs.link(s.nfs.lookup(sub, "f").handle, s.dir, name).status,
             refused);
    s.status("REMOVE" + what, s.nfs.remove(s.dir, name).status, refused);
    s.status("RMDIR" + what, s.nfs.rmdir(s.dir, name).status, refused);
  }
  s.status("REMOVE of 'sub/f'", s.nfs.remove(s.dir, "sub/f").status, refused);
  s.status("nothing moved", s.nfs.lookup(sub, "f").status, {NFS3_OK});
}

void any_bytes(Scene& s) {
  for (const std::string name :
       {std::string("\xff\xfe\x80 raw"), std::string("new\nline"), std::string("\x01\x7f"),
        std::string("日本語"), std::string("..."), std::string("a b\\c*?\"'"), longest}) {
    auto made = s.nfs.create(s.dir, name);
    s.status("CREATE of '" + name + "'", made.status, {NFS3_OK});
    s.that("found again: '" + name + "'", s.nfs.lookup(s.dir, name).handle == made.handle);
  }
  auto listed = s.nfs.list(s.dir, 4096).entries;
  s.equal("all listed, with . and ..", listed.size(), 9u);
  bool there = false;
  for (const auto& entry : listed) there = there || entry.name == longest;
  s.that("the longest name is listed whole", there);
}

void creating(Scene& s) {
  auto made = s.nfs.create(s.dir, "f", {.mode = 0604});
  s.status("GUARDED", made.status, {NFS3_OK});
  s.equal("mode", s.attr(s.nfs.lookup(s.dir, "f").handle).mode & 07777u, 0604u);
  s.nfs.write(s.nfs.lookup(s.dir, "f").handle, 0, "content");
  s.status("GUARDED again", s.nfs.create(s.dir, "f").status, {NFS3ERR_EXIST});
  auto unchecked = s.nfs.create(s.dir, "f", {.mode = 0604}, UNCHECKED);
  s.status("UNCHECKED on a file", unchecked.status, {NFS3_OK});
  s.that("is the same file",
         s.nfs.lookup(s.dir, "f").handle == unchecked.handle || unchecked.handle.empty());
  s.equal("and leaves its content", s.attr(s.nfs.lookup(s.dir, "f").handle).size, 7u);
  s.status("UNCHECKED with size 0",
           s.nfs.create(s.dir, "f", {.mode = 0604, .size = 0}, UNCHECKED).status, {NFS3_OK});
  s.equal("empties it", s.attr(s.nfs.lookup(s.dir, "f").handle).size, 0u);
  s.folder("d");
  s.status("GUARDED on a directory", s.nfs.create(s.dir, "d").status, {NFS3ERR_EXIST});
  s.status("UNCHECKED on a directory", s.nfs.create(s.dir, "d", {}, UNCHECKED).status,
           {NFS3ERR_EXIST, NFS3ERR_ISDIR});
  s.status("below a file", s.nfs.create(s.nfs.lookup(s.dir, "f").handle, "x").status,
           {NFS3ERR_NOTDIR});
  s.status("256 bytes", s.nfs.create(s.dir, too_long).status, {NFS3ERR_NAMETOOLONG});
  for (const char* name : {".", ".."}) {
    s.status(std::string("CREATE of ") + name, s.nfs.create(s.dir, name).status,
             {NFS3ERR_EXIST, NFS3ERR_INVAL, NFS3ERR_ACCES, NFS3ERR_ISDIR});
  }
  s.status("an empty name", s.nfs.create(s.dir, "").status,
           {NFS3ERR_ACCES, NFS3ERR_INVAL, NFS3ERR_NOENT});
}

void exclusive(Scene& s) {
  Verifier first{'\x01', '\xff', 3, 4, '\x80', 6, 7, 8}, second = first;
  second[7] = 9;  // the whole verifier counts
  auto made = s.nfs.create_exclusive(s.dir, "f", first);
  s.status("EXCLUSIVE", made.status, {NFS3_OK});
  auto again = s.nfs.create_exclusive(s.dir, "f", first);
  s.status("the same verifier again", again.status, {NFS3_OK});
  s.that("is the same file", again.handle == made.handle);
  s.status("another verifier", s.nfs.create_exclusive(s.dir, "f", second).status, {NFS3ERR_EXIST});
  second = first;
  second[0] = 0;
  s.status("a verifier of another first byte", s.nfs.create_exclusive(s.dir, "f", second).status,
           {NFS3ERR_EXIST});
  s.file("plain");
  s.status("EXCLUSIVE on an older file", s.nfs.create_exclusive(s.dir, "plain", first).status,
           {NFS3ERR_EXIST});
  s.status("SETATTR after it, as clients do", s.nfs.setattr(made.handle, {.mode = 0640}).status,
           {NFS3_OK});
  s.equal("mode", s.attr(made.handle).mode & 07777u, 0640u);
}

void directories(Scene& s) {
  auto links = s.attr(s.dir).nlink;
  auto made = s.nfs.mkdir(s.dir, "d", {.mode = 0711});
  s.status("MKDIR", made.status, {NFS3_OK});
  s.equal("mode", s.attr(made.handle).mode & 07777u, 0711u);
  s.equal("links of a new directory", s.attr(made.handle).nlink, 2u);
  s.equal("the parent has one more", s.attr(s.dir).nlink, links + 1);
  s.status("MKDIR again", s.nfs.mkdir(s.dir, "d").status, {NFS3ERR_EXIST});
  s.file("f");
  s.status("MKDIR over a file", s.nfs.mkdir(s.dir, "f").status, {NFS3ERR_EXIST});
  s.status("MKDIR of .", s.nfs.mkdir(s.dir, ".").status,
           {NFS3ERR_EXIST, NFS3ERR_INVAL, NFS3ERR_ACCES});
  s.status("MKDIR of 256 bytes", s.nfs.mkdir(s.dir, too_long).status, {NFS3ERR_NAMETOOLONG});
  s.nfs.create(made.handle, "x");
  s.status("RMDIR of a full one", s.nfs.rmdir(s.dir, "d").status,
           {NFS3ERR_NOTEMPTY, NFS3ERR_EXIST});
  s.nfs.remove(made.handle, "x");
  s.status("RMDIR", s.nfs.rmdir(s.dir, "d").status, {NFS3_OK});
  s.equal("the parent has one less", s.attr(s.dir).nlink, links);
  s.status("RMDIR again", s.nfs.rmdir(s.dir, "d").status, {NFS3ERR_NOENT});
  s.status("RMDIR of a file", s.nfs.rmdir(s.dir, "f").status, {NFS3ERR_NOTDIR});
  s.status("RMDIR of .", s.nfs.rmdir(s.dir, ".").status,
           {NFS3ERR_INVAL, NFS3ERR_ACCES, NFS3ERR_EXIST});
  s.status("RMDIR of ..", s.nfs.rmdir(s.dir, "..").status,
           {NFS3ERR_EXIST, NFS3ERR_INVAL, NFS3ERR_NOTEMPTY, NFS3ERR_ACCES});
}

void symlinks(Scene& s) {
  const std::string target = "../some where/\xff" + std::string(500, 't');
  auto made = s.nfs.symlink(s.dir, "l", target);
  s.status("SYMLINK", made.status, {NFS3_OK});
  auto link = s.nfs.lookup(s.dir, "l").handle;
  s.equal("READLINK gives the target's bytes", s.nfs.readlink(link).target, target);
  auto attr = s.attr(link);
  s.equal("type", static_cast<int>(attr.type), static_cast<int>(NF3LNK));
  s.equal("size is the target's length", attr.size, target.size());
  s.status("SYMLINK again", s.nfs.symlink(s.dir, "l", "x").status, {NFS3ERR_EXIST});
  s.status("READLINK of a file", s.nfs.readlink(s.file("f")).status, {NFS3ERR_INVAL});
  s.status("READLINK of a directory", s.nfs.readlink(s.dir).status, {NFS3ERR_INVAL});
  s.status("LOOKUP below a symlink", s.nfs.lookup(link, "x").status, {NFS3ERR_NOTDIR});
  s.status("a dangling absolute target", s.nfs.symlink(s.dir, "abs", "/no/such").status, {NFS3_OK});
  s.status("REMOVE of a symlink", s.nfs.remove(s.dir, "l").status, {NFS3_OK});
}

void devices(Scene& s) {
  struct Line {
    const char* name;
    ftype3 type;
  };
  for (auto line :
       {Line{"chr", NF3CHR}, Line{"blk", NF3BLK}, Line{"sock", NF3SOCK}, Line{"fifo", NF3FIFO}}) {
    auto made = s.nfs.mknod(s.dir, line.name, line.type, {.specdata1 = 7, .specdata2 = 300});
    s.status(std::string("MKNOD of ") + line.name, made.status, {NFS3_OK});
    auto attr = s.attr(s.nfs.lookup(s.dir, line.name).handle);
    s.equal(std::string("type of ") + line.name, static_cast<int>(attr.type),
            static_cast<int>(line.type));
    s.equal(std::string("mode of ") + line.name, attr.mode & 07777u, 0640u);
    if (line.type == NF3CHR || line.type == NF3BLK) {
      s.equal("major", attr.rdev.specdata1, 7u);
      s.equal("minor", attr.rdev.specdata2, 300u);
    }
  }
  s.status("MKNOD again", s.nfs.mknod(s.dir, "fifo", NF3FIFO).status, {NFS3ERR_EXIST});
  for (auto type : {NF3REG, NF3DIR, NF3LNK}) {
    s.status("MKNOD of type " + std::to_string(type), s.nfs.mknod(s.dir, "x", type).status,
             {NFS3ERR_BADTYPE, NFS3ERR_INVAL});
  }
  auto fifo = s.nfs.lookup(s.dir, "fifo").handle;
  s.status("READ of a fifo", s.nfs.read(fifo, 0, 1).status, {NFS3ERR_INVAL});
  s.status("REMOVE of a device", s.nfs.remove(s.dir, "chr").status, {NFS3_OK});
}

void removing(Scene& s) {
  auto file = s.file("f");
  s.folder("d");
  s.status("REMOVE", s.nfs.remove(s.dir, "f").status, {NFS3_OK});
  s.status("REMOVE again", s.nfs.remove(s.dir, "f").status, {NFS3ERR_NOENT});
  s.status("LOOKUP after it", s.nfs.lookup(s.dir, "f").status, {NFS3ERR_NOENT});
  s.status("REMOVE of a directory", s.nfs.remove(s.dir, "d").status, {NFS3ERR_ISDIR, NFS3ERR_PERM});
  s.status("it is still there", s.nfs.lookup(s.dir, "d").status, {NFS3_OK});
  s.status("REMOVE of 256 bytes", s.nfs.remove(s.dir, too_long).status, {NFS3ERR_NAMETOOLONG});
  s.status("REMOVE below a file", s.nfs.remove(s.file("g"), "x").status, {NFS3ERR_NOTDIR});
  s.status("REMOVE of .", s.nfs.remove(s.dir, ".").status,
           {NFS3ERR_ISDIR, NFS3ERR_INVAL, NFS3ERR_ACCES, NFS3ERR_PERM, NFS3ERR_EXIST});
  auto again = s.file("f", "new");
  s.that("a name made anew is a new object", again != file);
  s.equal("whose content is its own", s.nfs.read(again, 0, 10).data, std::string("new"));
}

void hard_links(Scene& s) {
  auto file = s.file("a", "shared");
  auto sub = s.folder("sub");
  auto linked = s.nfs.link(file, sub, "b");
  s.status("LINK", linked.status, {NFS3_OK});
  if (linked.attr) s.equal("its reply counts two", linked.attr->nlink, 2u);
  auto other = s.nfs.lookup(sub, "b");
  s.equal("one fileid", s.attr(other.handle).fileid, s.attr(file).fileid);
  s.equal("two links", s.attr(other.handle).nlink, 2u);
  s.nfs.write(other.handle, 0, "SHARED");
  s.equal("one content", s.nfs.read(file, 0, 10).data, std::string("SHARED"));
  s.status("LINK onto a name", s.nfs.link(file, sub, "b").status, {NFS3ERR_EXIST});
  s.status("LINK of a directory", s.nfs.link(sub, s.dir, "x").status,
           {NFS3ERR_ISDIR, NFS3ERR_PERM, NFS3ERR_INVAL});
  s.status("LINK below a file", s.nfs.link(file, file, "x").status, {NFS3ERR_NOTDIR});
  s.status("LINK with 256 bytes", s.nfs.link(file, sub, too_long).status, {NFS3ERR_NAMETOOLONG});
  s.status("the first name goes", s.nfs.remove(s.dir, "a").status, {NFS3_OK});
  s.status("the handle lives", s.nfs.getattr(file).status, {NFS3_OK});
  s.equal("one link", s.attr(file).nlink, 1u);
  s.status("the second name goes", s.nfs.remove(sub, "b").status, {NFS3_OK});
  s.status("the object is gone", s.nfs.getattr(file).status, {NFS3ERR_STALE});
}

constexpr Case cases[] = {
    {"LOOKUP", looking_up},
    {"LOOKUP of . and ..", dots},
    {"paths are no names", paths_are_no_names},
    {"names of any bytes", any_bytes},
    {"CREATE", creating},
    {"exclusive CREATE", exclusive},
    {"MKDIR and RMDIR", directories},
    {"SYMLINK and READLINK", symlinks},
    {"MKNOD", devices},
    {"REMOVE", removing},
    {"LINK", hard_links},
};

}  // namespace

std::span<const Case> name_cases() { return cases; }

}  // namespace rowan::protocol
