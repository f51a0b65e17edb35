#include "tests/support/random_nfs3.h"

#include <vector>

namespace rowan::test {

using namespace nfs3;

std::string_view Nfs3Maker::text(std::size_t longest) {
  std::string& text = texts_.emplace_back(below(longest + 1), '\0');
  for (char& c : text) c = static_cast<char>(1 + below(255));
  return text;
}

void Nfs3Maker::make(Verifier& verifier) {
  for (auto& byte : verifier) byte = static_cast<std::byte>(random_());
}

void Nfs3Maker::make(Handle& handle) {
  handle.size = static_cast<std::uint8_t>(below(max_handle_size + 1));
  for (std::size_t i = 0; i < handle.size; ++i) handle.bytes[i] = static_cast<std::byte>(random_());
}

void Nfs3Maker::make(Time& time) { all(time.seconds, time.nseconds); }

void Nfs3Maker::make(Attributes& a) {
  a.type = static_cast<FileType>(1 + below(7));
  all(a.mode, a.nlink, a.uid, a.gid, a.size, a.used, a.rdev.major, a.rdev.minor, a.fsid, a.fileid);
  all(a.atime, a.mtime, a.ctime);
}

void Nfs3Maker::make(WccAttributes& a) { all(a.size, a.mtime, a.ctime); }
void Nfs3Maker::make(WccData& wcc) { all(wcc.before, wcc.after); }

void Nfs3Maker::make(SetTime& set) {
  set.how = static_cast<TimeHow>(below(3));
  if (set.how == TimeHow::client_time) make(set.time);
}

void Nfs3Maker::make(SetAttributes& s) { all(s.mode, s.uid, s.gid, s.size, s.atime, s.mtime); }

void Nfs3Maker::make(DirOpArgs& where) {
  make(where.dir);
  where.name = text(40);
}

void Nfs3Maker::make(Status& status) {
  status = Status::ok;
  if (coin()) return;
  static const auto statuses = [] {
    std::vector<Status> all;
    for (std::uint32_t value = 1; value < 10'100; ++value) {
      if (!to_string(static_cast<Status>(value)).empty()) all.push_back(static_cast<Status>(value));
    }
    return all;
  }();
  status = statuses[below(statuses.size())];
}

void Nfs3Maker::make(GetattrArgs& args) { make(args.object); }
void Nfs3Maker::make(SetattrArgs& args) { all(args.object, args.attributes, args.guard); }
void Nfs3Maker::make(LookupArgs& args) { make(args.what); }
void Nfs3Maker::make(AccessArgs& args) { all(args.object, args.access); }
void Nfs3Maker::make(ReadlinkArgs& args) { make(args.symlink); }
void Nfs3Maker::make(ReadArgs& args) { all(args.file, args.offset, args.count); }

void Nfs3Maker::make(WriteArgs& args) {
  all(args.file, args.offset, args.count);
  args.stable = static_cast<StableHow>(below(3));
  args.data = as_bytes(text(70));
}

void Nfs3Maker::make(CreateArgs& args) {
  make(args.where);
  args.how = static_cast<CreateMode>(below(3));
  if (args.how == CreateMode::exclusive) {
    make(args.verifier);
  } else {
    make(args.attributes);
  }
}

void Nfs3Maker::make(MkdirArgs& args) { all(args.where, args.attributes); }

void Nfs3Maker::make(SymlinkArgs& args) {
  all(args.where, args.attributes);
  args.target = text(60);
}

void Nfs3Maker::make(MknodArgs& args) {
  make(args.where);
  args.type = static_cast<FileType>(1 + below(7));
  bool device = args.type == FileType::block || args.type == FileType::character;
  if (device || args.type == FileType::socket || args.type == FileType::fifo) make(args.attributes);
  if (device) all(args.device.major, args.device.minor);
}

void Nfs3Maker::make(RemoveArgs& args) { make(args.what); }
void Nfs3Maker::make(RenameArgs& args) { all(args.from, args.to); }
void Nfs3Maker::make(LinkArgs& args) { all(args.file, args.link); }
void Nfs3Maker::make(ReaddirArgs& a) { all(a.dir, a.cookie, a.verifier, a.count); }
void Nfs3Maker::make(ReaddirplusArgs& a) {
  all(a.dir, a.cookie, a.verifier, a.dircount, a.maxcount);
}
void Nfs3Maker::make(FsstatArgs& args) { make(args.root); }
void Nfs3Maker::make(FsinfoArgs& args) { make(args.root); }
void Nfs3Maker::make(PathconfArgs& args) { make(args.object); }
void Nfs3Maker::make(CommitArgs& args) { all(args.file, args.offset, args.count); }

void Nfs3Maker::make(GetattrRes& res) { all(res.status, res.attributes); }
void Nfs3Maker::make(SetattrRes& res) { all(res.status, res.wcc); }
void Nfs3Maker::make(LookupRes& r) { all(r.status, r.object, r.attributes, r.dir_attributes); }
void Nfs3Maker::make(AccessRes& res) { all(res.status, res.attributes, res.access); }

void Nfs3Maker::make(ReadlinkRes& res) {
  all(res.status, res.attributes);
  res.target = text(60);
}

void Nfs3Maker::make(ReadRes& res) {
  all(res.status, res.attributes);
  res.eof = coin();
  res.data = Buffer::copy_of(as_bytes(text(70)));
}

void Nfs3Maker::make(WriteRes& res) {
  all(res.status, res.wcc, res.count, res.verifier);
  res.committed = static_cast<StableHow>(below(3));
}

void Nfs3Maker::make(CreateRes& res) { all(res.status, res.object, res.attributes, res.dir_wcc); }
void Nfs3Maker::make(RemoveRes& res) { all(res.status, res.dir_wcc); }
void Nfs3Maker::make(RenameRes& res) { all(res.status, res.from_wcc, res.to_wcc); }
void Nfs3Maker::make(LinkRes& res) { all(res.status, res.attributes, res.dir_wcc); }

void Nfs3Maker::make(ReaddirRes& res) {
  all(res.status, res.dir_attributes, res.verifier);
  res.eof = coin();
  res.entries.resize(below(4));
  for (DirEntry& entry : res.entries) {
    all(entry.fileid, entry.cookie, entry.attributes, entry.object);
    entry.name = text(20);
  }
}

void Nfs3Maker::make(FsstatRes& r) {
  all(r.status, r.attributes, r.tbytes, r.fbytes, r.abytes, r.tfiles, r.ffiles, r.afiles,
      r.invarsec);
}

void Nfs3Maker::make(FsinfoRes& r) {
  all(r.status, r.attributes, r.rtmax, r.rtpref, r.rtmult, r.wtmax, r.wtpref, r.wtmult, r.dtpref);
  all(r.maxfilesize, r.time_delta, r.properties);
}

void Nfs3Maker::make(PathconfRes& r) {
  all(r.status, r.attributes, r.linkmax, r.name_max);
  r.no_trunc = coin();
  r.chown_restricted = coin();
  r.case_insensitive = coin();
  r.case_preserving = coin();
}

void Nfs3Maker::make(CommitRes& res) { all(res.status, res.wcc, res.verifier); }

}  // namespace rowan::test
