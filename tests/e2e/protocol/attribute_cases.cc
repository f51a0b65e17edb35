// GETATTR, SETATTR, FSSTAT, FSINFO, PATHCONF.
#include "tests/e2e/protocol/cases.h"

namespace rowan::protocol {
namespace {

void root_attributes(Scene& s) {
  auto root = s.attr(s.nfs.root());
  s.equal("the root is a directory", static_cast<int>(root.type), static_cast<int>(NF3DIR));
  s.that("it has a fileid", root.fileid != 0);
  s.that("it has at least two links", root.nlink >= 2);
}

void file_attributes(Scene& s) {
  auto file = s.file("f", "hello", 0640);
  auto attr = s.attr(file);
  s.equal("type", static_cast<int>(attr.type), static_cast<int>(NF3REG));
  s.equal("mode", attr.mode & 07777u, 0640u);
  s.equal("size", attr.size, 5u);
  s.equal("links", attr.nlink, 1u);
  s.equal("owner", attr.uid, 0u);
  s.equal("fsid is the root's", attr.fsid, s.attr(s.nfs.root()).fsid);
  s.that("used counts bytes", attr.used >= attr.size || attr.used % 512 == 0);
}

void foreign_handles(Scene& s) {
  auto good = s.file("f").bytes();
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, good.size(), std::size_t{64}}) {
    FileHandle made_up(std::string(size, '\x5a'));
    s.status("GETATTR of " + std::to_string(size) + " made-up bytes", s.nfs.getattr(made_up).status,
             {NFS3ERR_BADHANDLE, NFS3ERR_STALE});
  }
  auto flipped = good;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  s.status("GETATTR of a flipped bit", s.nfs.getattr(FileHandle(flipped)).status,
           {NFS3ERR_BADHANDLE, NFS3ERR_STALE});
  auto longer = good + std::string(4, '\0');
  if (longer.size() <= 64) {
    s.status("GETATTR of a longer handle", s.nfs.getattr(FileHandle(longer)).status,
             {NFS3ERR_BADHANDLE, NFS3ERR_STALE});
  }
}

void stale_handle(Scene& s) {
  auto file = s.file("f", "x");
  s.status("REMOVE", s.nfs.remove(s.dir, "f").status, {NFS3_OK});
  s.status("GETATTR after the last link is gone", s.nfs.getattr(file).status, {NFS3ERR_STALE});
  s.status("READ after the last link is gone", s.nfs.read(file, 0, 1).status, {NFS3ERR_STALE});
  s.status("WRITE after the last link is gone", s.nfs.write(file, 0, "y").status, {NFS3ERR_STALE});
  auto dir = s.folder("d");
  s.status("RMDIR", s.nfs.rmdir(s.dir, "d").status, {NFS3_OK});
  s.status("LOOKUP in a removed directory", s.nfs.lookup(dir, "x").status, {NFS3ERR_STALE});
  s.status("CREATE in a removed directory", s.nfs.create(dir, "x").status, {NFS3ERR_STALE});
}

void set_mode_and_owner(Scene& s) {
  auto file = s.file("f");
  auto before = s.attr(file);
  auto set = s.nfs.setattr(file, {.mode = 04751, .uid = alice, .gid = staff});
  s.status("SETATTR by root", set.status, {NFS3_OK});
  auto after = s.attr(file);
  s.equal("owner", after.uid, alice);
  s.equal("group", after.gid, staff);
  s.equal("permissions", after.mode & 0777u, 0751u);
  s.equal("fileid stays", after.fileid, before.fileid);
  s.that("ctime moves on or stays", after.ctime.seconds >= before.ctime.seconds);
  s.status("SETATTR of the mode alone", s.nfs.setattr(file, {.mode = 06711}).status, {NFS3_OK});
  s.equal("set-id bits are kept for root", s.attr(file).mode & 07777u, 06711u);
}

void set_nothing(Scene& s) {
  auto file = s.file("f", "abc");
  auto before = s.attr(file);
  s.status("SETATTR of nothing", s.nfs.setattr(file, {}).status, {NFS3_OK});
  auto after = s.attr(file);
  s.equal("size stays", after.size, before.size);
  s.equal("mtime stays", after.mtime.nseconds, before.mtime.nseconds);
}

void set_size(Scene& s) {
  auto file = s.file("f", "0123456789");
  s.status("shrinking", s.nfs.setattr(file, {.size = 4}).status, {NFS3_OK});
  s.equal("size after shrinking", s.attr(file).size, 4u);
  s.status("growing", s.nfs.setattr(file, {.size = 8}).status, {NFS3_OK});
  auto read = s.nfs.read(file, 0, 100);
  s.that("what grew is zero, not the old bytes", read.data == std::string("0123\0\0\0\0", 8),
         read.data);
  constexpr std::uint64_t five_gigabytes = 5ull << 30;
  s.status("growing beyond 4 GiB", s.nfs.setattr(file, {.size = five_gigabytes}).status, {NFS3_OK});
  s.equal("size beyond 4 GiB", s.attr(file).size, five_gigabytes);
  s.that("the hole takes no room", s.attr(file).used < (1u << 20));
  s.status("size of a directory", s.nfs.setattr(s.folder("d"), {.size = 0}).status,
           {NFS3ERR_INVAL, NFS3ERR_ISDIR});
  s.status("size near 2^64", s.nfs.setattr(file, {.size = ~0ull}).status,
           {NFS3ERR_INVAL, NFS3ERR_FBIG});
}

void set_times(Scene& s) {
  auto file = s.file("f");
  nfstime3 moment{.seconds = 1'000'000'000, .nseconds = 123'456'789},
      other{.seconds = 5, .nseconds = 0};
  s.status("SETATTR of both times", s.nfs.setattr(file, {.atime = other, .mtime = moment}).status,
           {NFS3_OK});
  auto attr = s.attr(file);
  s.equal("mtime seconds", attr.mtime.seconds, moment.seconds);
  s.equal("mtime nanoseconds", attr.mtime.nseconds, moment.nseconds);
  s.equal("atime seconds", attr.atime.seconds, other.seconds);
  s.that("ctime is not settable", attr.ctime.seconds > moment.seconds);
  s.status("the server's time", s.nfs.setattr(file, {.mtime_now = true}).status, {NFS3_OK});
  s.that("mtime is recent", s.attr(file).mtime.seconds > moment.seconds);
}

void guarded(Scene& s) {
  auto file = s.file("f");
  auto ctime = s.attr(file).ctime;
  nfstime3 wrong{.seconds = ctime.seconds - 1, .nseconds = ctime.nseconds};
  s.status("a guard that does not match", s.nfs.setattr(file, {.mode = 0600}, wrong).status,
           {NFS3ERR_NOT_SYNC});
  s.equal("nothing was set", s.attr(file).mode & 07777u, 0644u);
  s.status("a guard that matches", s.nfs.setattr(file, {.mode = 0600}, ctime).status, {NFS3_OK});
  s.equal("the mode is set", s.attr(file).mode & 07777u, 0600u);
}

void weak_cache_consistency(Scene& s) {
  auto file = s.file("f", "abc");
  auto before = s.attr(file);
  auto written = s.nfs.write(file, 3, "def");
  s.that("WRITE tells the attributes after it", written.wcc.after && written.wcc.after->size == 6);
  if (written.wcc.before) {
    s.equal("size before the WRITE", written.wcc.before->size, 3u);
    s.equal("mtime before the WRITE", written.wcc.before->mtime.nseconds, before.mtime.nseconds);
  }
  auto dir_before = s.attr(s.dir);
  auto made = s.nfs.create(s.dir, "g");
  if (made.dir_wcc.before) {
    s.equal("directory's mtime before CREATE", made.dir_wcc.before->mtime.nseconds,
            dir_before.mtime.nseconds);
  }
  s.that("CREATE tells the directory after it", made.dir_wcc.after.has_value());
  auto dir_after = s.attr(s.dir);
  if (made.dir_wcc.after) {
    s.equal("and it is the directory", made.dir_wcc.after->fileid, dir_after.fileid);
    s.equal("with its new mtime", made.dir_wcc.after->mtime.nseconds, dir_after.mtime.nseconds);
  }
  s.that("the directory's mtime moved", dir_after.mtime.seconds != dir_before.mtime.seconds ||
                                            dir_after.mtime.nseconds != dir_before.mtime.nseconds);
}

void fsinfo(Scene& s) {
  FSINFO3resok info{};
  s.status("FSINFO", s.nfs.fsinfo(s.nfs.root(), info), {NFS3_OK});
  s.that("rtmax and rtpref", info.rtmax >= 65536 && info.rtpref > 0 && info.rtpref <= info.rtmax);
  s.that("wtmax and wtpref", info.wtmax >= 65536 && info.wtpref > 0 && info.wtpref <= info.wtmax);
  s.that("dtpref", info.dtpref >= 512);
  s.that("files of more than 4 GiB", info.maxfilesize > (1ull << 32));
  constexpr std::uint32_t all = FSF3_LINK | FSF3_SYMLINK | FSF3_HOMOGENEOUS | FSF3_CANSETTIME;
  s.equal("links, symlinks, homogeneous, settable times", info.properties & all, all);
  FSINFO3resok ignored{};
  s.status("FSINFO of a made-up handle", s.nfs.fsinfo(FileHandle(std::string(32, 'z')), ignored),
           {NFS3ERR_BADHANDLE, NFS3ERR_STALE});
}

void fsstat(Scene& s) {
  FSSTAT3resok stat{};
  s.status("FSSTAT", s.nfs.fsstat(s.nfs.root(), stat), {NFS3_OK});
  s.that("there is room in all", stat.tbytes > 0);
  s.that("free is at most all", stat.fbytes <= stat.tbytes);
  s.that("available is at most free", stat.abytes <= stat.fbytes);
  s.that("files likewise", stat.ffiles <= stat.tfiles && stat.afiles <= stat.ffiles);
}

void pathconf(Scene& s) {
  PATHCONF3resok conf{};
  s.status("PATHCONF", s.nfs.pathconf(s.dir, conf), {NFS3_OK});
  s.equal("names have 255 bytes", conf.name_max, 255u);
  s.that("long names are refused, not cut", conf.no_trunc != 0);
  s.that("only root gives files away", conf.chown_restricted != 0);
  s.that("case matters", conf.case_insensitive == 0 && conf.case_preserving != 0);
  s.that("there can be links", conf.linkmax >= 1000);
}

constexpr Case cases[] = {
    {"attributes of the root", root_attributes},
    {"attributes of a file", file_attributes},
    {"handles that the server did not give", foreign_handles},
    {"handles of what is gone", stale_handle},
    {"SETATTR of mode and owner", set_mode_and_owner},
    {"SETATTR of nothing", set_nothing},
    {"SETATTR of the size", set_size},
    {"SETATTR of times", set_times},
    {"SETATTR with a guard", guarded},
    {"weak cache consistency", weak_cache_consistency},
    {"FSINFO", fsinfo},
    {"FSSTAT", fsstat},
    {"PATHCONF", pathconf},
};

}  // namespace

std::span<const Case> attribute_cases() { return cases; }

}  // namespace rowan::protocol
