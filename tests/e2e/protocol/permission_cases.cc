// Who may do what: mode bits, owners, groups, the sticky bit, ACCESS.
#include "tests/e2e/protocol/cases.h"

namespace rowan::protocol {
namespace {

constexpr std::uint32_t every_right = ACCESS3_READ | ACCESS3_LOOKUP | ACCESS3_MODIFY |
                                      ACCESS3_EXTEND | ACCESS3_DELETE | ACCESS3_EXECUTE;
constexpr std::uint32_t write_rights = ACCESS3_MODIFY | ACCESS3_EXTEND;

void reading(Scene& s) {
  auto file = s.file("f", "secret", 0640);
  s.status("chown", s.nfs.setattr(file, {.uid = alice, .gid = staff}).status, {NFS3_OK});
  {
    As user(s, alice, guests);
    s.status("the owner reads", s.nfs.read(file, 0, 6).status, {NFS3_OK});
    s.status("the owner writes", s.nfs.write(file, 0, "S").status, {NFS3_OK});
  }
  {
    As user(s, bob, staff);
    s.status("the group reads", s.nfs.read(file, 0, 6).status, {NFS3_OK});
    s.status("the group does not write", s.nfs.write(file, 0, "x").status, {NFS3ERR_ACCES});
  }
  {
    As user(s, bob, guests, {5, 6, staff});
    s.status("a further group reads", s.nfs.read(file, 0, 6).status, {NFS3_OK});
  }
  {
    As user(s, bob, guests);
    s.status("others do not read", s.nfs.read(file, 0, 6).status, {NFS3ERR_ACCES});
    s.status("others do not write", s.nfs.write(file, 0, "x").status, {NFS3ERR_ACCES});
    s.status("others may ask for attributes", s.nfs.getattr(file).status, {NFS3_OK});
  }
  s.equal("nobody else changed it", s.nfs.read(file, 0, 6).data, std::string("Secret"));
}

void access_of_files(Scene& s) {
  auto file = s.file("f", "x", 0640);
  s.nfs.setattr(file, {.uid = alice, .gid = staff});
  auto root = s.nfs.access(file, every_right).granted;
  s.equal("root reads and writes", root & (ACCESS3_READ | write_rights),
          ACCESS3_READ | write_rights);
  s.equal("root does not execute without any x", root & ACCESS3_EXECUTE, 0u);
  s.equal("LOOKUP is no right of files", root & ACCESS3_LOOKUP, 0u);
  {
    As user(s, alice, guests);
    auto granted = s.nfs.access(file, every_right).granted;
    s.equal("the owner", granted & (ACCESS3_READ | write_rights | ACCESS3_EXECUTE),
            ACCESS3_READ | write_rights);
    s.equal("only what was asked", s.nfs.access(file, ACCESS3_READ).granted, ACCESS3_READ + 0u);
  }
  {
    As user(s, bob, staff);
    auto granted = s.nfs.access(file, every_right).granted;
    s.equal("the group", granted & (ACCESS3_READ | write_rights | ACCESS3_EXECUTE),
            ACCESS3_READ + 0u);
  }
  {
    As user(s, bob, guests);
    auto granted = s.nfs.access(file, every_right).granted;
    s.equal("others", granted & (ACCESS3_READ | write_rights | ACCESS3_EXECUTE), 0u);
  }
  s.nfs.setattr(file, {.mode = 0111});
  As user(s, bob, guests);
  s.equal("x lets execute", s.nfs.access(file, every_right).granted & ACCESS3_EXECUTE,
          ACCESS3_EXECUTE + 0u);
}

void access_of_directories(Scene& s) {
  auto dir = s.folder("d", 0755);
  auto root = s.nfs.access(dir, every_right).granted;
  constexpr std::uint32_t directory_rights =
      ACCESS3_READ | ACCESS3_LOOKUP | write_rights | ACCESS3_DELETE;
  s.equal("root may all", root & directory_rights, directory_rights);
  s.equal("EXECUTE is no right of directories", root & ACCESS3_EXECUTE, 0u);
  As user(s, bob, guests);
  s.equal("others look only", s.nfs.access(dir, every_right).granted & directory_rights,
          ACCESS3_READ | ACCESS3_LOOKUP);
}

void searching(Scene& s) {
  auto dir = s.folder("d", 0700);
  s.nfs.create(dir, "f");
  As user(s, bob, guests);
  s.status("LOOKUP without x", s.nfs.lookup(dir, "f").status, {NFS3ERR_ACCES});
  s.status("READDIR without r", s.nfs.readdir(dir, {}, 4096).status, {NFS3ERR_ACCES});
  s.status("READDIRPLUS without r", s.nfs.readdirplus(dir, {}, 4096).status, {NFS3ERR_ACCES});
  s.status("the name of a missing file stays secret", s.nfs.lookup(dir, "no").status,
           {NFS3ERR_ACCES});
}

void changing_directories(Scene& s) {
  auto dir = s.folder("d", 0755);
  s.nfs.create(dir, "f");
  s.nfs.mkdir(dir, "sub");
  auto file = s.nfs.lookup(dir, "f").handle;
  As user(s, bob, guests);
  s.status("CREATE", s.nfs.create(dir, "x").status, {NFS3ERR_ACCES});
  s.status("exclusive CREATE", s.nfs.create_exclusive(dir, "x", {1}).status, {NFS3ERR_ACCES});
  s.status("MKDIR", s.nfs.mkdir(dir, "x").status, {NFS3ERR_ACCES});
  s.status("SYMLINK", s.nfs.symlink(dir, "x", "t").status, {NFS3ERR_ACCES});
  s.status("MKNOD", s.nfs.mknod(dir, "x", NF3FIFO).status, {NFS3ERR_ACCES});
  s.status("REMOVE", s.nfs.remove(dir, "f").status, {NFS3ERR_ACCES});
  s.status("RMDIR", s.nfs.rmdir(dir, "sub").status, {NFS3ERR_ACCES});
  s.status("RENAME", s.nfs.rename(dir, "f", dir, "g").status, {NFS3ERR_ACCES});
  s.status("LINK", s.nfs.link(file, dir, "g").status, {NFS3ERR_ACCES});
}

void changing_attributes(Scene& s) {
  auto file = s.file("f", "x", 0666);
  s.nfs.setattr(file, {.uid = alice, .gid = staff});
  nfstime3 moment{.seconds = 77, .nseconds = 0};
  {
    As user(s, bob, guests);
    s.status("chmod by another", s.nfs.setattr(file, {.mode = 0777}).status, {NFS3ERR_PERM});
    s.status("chown by another", s.nfs.setattr(file, {.uid = bob}).status, {NFS3ERR_PERM});
    s.status("a chosen time by another", s.nfs.setattr(file, {.mtime = moment}).status,
             {NFS3ERR_PERM});
    s.status("the server's time by who may write", s.nfs.setattr(file, {.mtime_now = true}).status,
             {NFS3_OK});
    s.status("the size by who may write", s.nfs.setattr(file, {.size = 0}).status, {NFS3_OK});
  }
  {
    As user(s, alice, staff, {guests});
    s.status("the owner gives the file away", s.nfs.setattr(file, {.uid = bob}).status,
             {NFS3ERR_PERM});
    s.status("the owner's other group", s.nfs.setattr(file, {.gid = guests}).status, {NFS3_OK});
    s.status("a group the owner is not in", s.nfs.setattr(file, {.gid = 9999}).status,
             {NFS3ERR_PERM});
    s.status("chmod by the owner", s.nfs.setattr(file, {.mode = 0600}).status, {NFS3_OK});
    s.status("a chosen time by the owner", s.nfs.setattr(file, {.mtime = moment}).status,
             {NFS3_OK});
  }
  As user(s, bob, guests);
  s.status("the size by who may not write", s.nfs.setattr(file, {.size = 0}).status,
           {NFS3ERR_ACCES});
  s.status("the server's time by who may not write",
           s.nfs.setattr(file, {.mtime_now = true}).status, {NFS3ERR_ACCES, NFS3ERR_PERM});
}

void new_objects_belong_to_the_caller(Scene& s) {
  auto dir = s.folder("d", 0777);
  {
    As user(s, alice, staff);
    s.status("CREATE", s.nfs.create(dir, "f").status, {NFS3_OK});
    s.status("MKDIR", s.nfs.mkdir(dir, "m").status, {NFS3_OK});
    s.status("SYMLINK", s.nfs.symlink(dir, "l", "t").status, {NFS3_OK});
    s.status("a device needs root", s.nfs.mknod(dir, "c", NF3CHR, {1, 3}).status, {NFS3ERR_PERM});
    s.status("a fifo does not", s.nfs.mknod(dir, "p", NF3FIFO).status, {NFS3_OK});
  }
  for (const char* name : {"f", "m", "l", "p"}) {
    auto attr = s.attr(s.nfs.lookup(dir, name).handle);
    s.equal(std::string("owner of ") + name, attr.uid, alice);
    s.equal(std::string("group of ") + name, attr.gid, staff);
  }
}

void set_group_id_directory(Scene& s) {
  auto dir = s.folder("d", 0777);
  s.status("chgrp and g+s", s.nfs.setattr(dir, {.mode = 02777, .gid = guests}).status, {NFS3_OK});
  As user(s, alice, staff);
  auto file = s.nfs.create(dir, "f");
  auto sub = s.nfs.mkdir(dir, "m");
  s.equal("a file takes the directory's group", s.attr(file.handle).gid, guests);
  s.equal("so does a directory", s.attr(sub.handle).gid, guests);
  s.equal("which passes it on", s.attr(sub.handle).mode & 02000u, 02000u);
}

void sticky_directory(Scene& s) {
  auto dir = s.folder("tmp", 01777);
  {
    As user(s, alice, staff);
    s.nfs.create(dir, "hers", {.mode = 0666});
  }
  {
    As user(s, bob, guests);
    s.nfs.create(dir, "his");
    s.status("REMOVE of another's", s.nfs.remove(dir, "hers").status,
             {NFS3ERR_ACCES, NFS3ERR_PERM});
    s.status("RENAME of another's", s.nfs.rename(dir, "hers", dir, "x").status,
             {NFS3ERR_ACCES, NFS3ERR_PERM});
    s.status("RENAME over another's", s.nfs.rename(dir, "his", dir, "hers").status,
             {NFS3ERR_ACCES, NFS3ERR_PERM});
    s.status("REMOVE of one's own", s.nfs.remove(dir, "his").status, {NFS3_OK});
  }
  s.status("root removes", s.nfs.remove(dir, "hers").status, {NFS3_OK});
}

void owner_of_a_closed_file(Scene& s) {
  auto dir = s.folder("d", 0777);
  As user(s, alice, staff);
  auto made = s.nfs.create(dir, "f", {.mode = 0400});
  s.status("CREATE 0400", made.status, {NFS3_OK});
  s.status("its owner writes, having it open", s.nfs.write(made.handle, 0, "x").status, {NFS3_OK});
  s.status("chmod 0", s.nfs.setattr(made.handle, {.mode = 0}).status, {NFS3_OK});
  s.status("its owner reads, having it open", s.nfs.read(made.handle, 0, 1).status, {NFS3_OK});
}

void executables_are_readable(Scene& s) {
  auto file = s.file("f", "program", 0711);
  As user(s, bob, guests);
  s.status("READ of what one may execute", s.nfs.read(file, 0, 7).status, {NFS3_OK});
}

void set_id_bits_fall(Scene& s) {
  auto file = s.file("f", "x", 0666);
  s.nfs.setattr(file, {.mode = 06777, .uid = alice, .gid = staff});
  {
    As user(s, bob, guests);
    s.status("another writes", s.nfs.write(file, 0, "y").status, {NFS3_OK});
  }
  s.equal("set-user-id is gone", s.attr(file).mode & 04000u, 0u);
}

constexpr Case cases[] = {
    {"reading and writing by mode", reading},
    {"ACCESS of files", access_of_files},
    {"ACCESS of directories", access_of_directories},
    {"searching directories", searching},
    {"changing directories of others", changing_directories},
    {"changing attributes of others", changing_attributes},
    {"new objects belong to the caller", new_objects_belong_to_the_caller},
    {"a set-group-id directory", set_group_id_directory},
    {"a sticky directory", sticky_directory},
    {"the owner of a closed file", owner_of_a_closed_file},
    {"executables are readable for paging", executables_are_readable},
    {"set-id bits fall when another writes", set_id_bits_fall},
};

}  // namespace

std::span<const Case> permission_cases() { return cases; }

}  // namespace rowan::protocol
