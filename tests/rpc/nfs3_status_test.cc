#include "rpc/nfs3_status.h"

#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace rowan::nfs3 {
namespace {

std::vector<Status> all_statuses() {
  std::vector<Status> all;
  for (std::uint32_t value = 0; value <= 10'100; ++value) {
    auto status = static_cast<Status>(value);
    if (!to_string(status).empty()) all.push_back(status);
  }
  return all;
}

std::vector<Errc> all_errors() {
  std::vector<Errc> all;
  for (int value = 0; value < 256; ++value) {
    auto code = static_cast<Errc>(value);
    if (rowan::to_string(code) != "unknown error") all.push_back(code);
  }
  return all;
}

std::vector<Procedure> all_procedures() {
  std::vector<Procedure> all;
  for (std::uint32_t value = 1; value < procedure_count; ++value) all.push_back(Procedure{value});
  return all;
}

TEST_CASE("there are 28 errors in RFC 1813 and success") {
  CHECK(all_statuses().size() == 29);
}

TEST_CASE("every error has a status that is an error") {
  for (Errc code : all_errors()) {
    CAPTURE(rowan::to_string(code));
    Status status = status_of(code);
    CHECK(status != Status::ok);
    CHECK_FALSE(to_string(status).empty());
  }
}

TEST_CASE("every status of an image server comes back as itself, but for three") {
  for (Status status : all_statuses()) {
    if (status == Status::ok) continue;
    CAPTURE(to_string(status));
    Status again = status_of(errc_of(status));
    if (status == Status::nodev) {
      CHECK(again == Status::nxio);
    } else if (status == Status::remote) {
      CHECK(again == Status::notsupp);
    } else {
      CHECK(again == status);
    }
  }
}

TEST_CASE("what passes by waiting is JUKEBOX and damage is IO") {
  for (Errc code : {Errc::try_later, Errc::timed_out, Errc::disconnected, Errc::limit, Errc::busy,
                    Errc::malformed}) {
    CHECK(status_of(code) == Status::jukebox);
  }
  for (Errc code : {Errc::io, Errc::corrupt, Errc::drift}) CHECK(status_of(code) == Status::io);
  for (Errc code : {Errc::needs_load, Errc::usage}) CHECK(status_of(code) == Status::serverfault);
}

TEST_CASE("the errnos that file operations give have the status of the same name") {
  struct Row {
    int number;
    Status status;
  };
  for (Row row : {Row{EPERM, Status::perm},
                  Row{ENOENT, Status::noent},
                  Row{EIO, Status::io},
                  Row{ENXIO, Status::nxio},
                  Row{EACCES, Status::acces},
                  Row{EEXIST, Status::exist},
                  Row{EXDEV, Status::xdev},
                  Row{ENOTDIR, Status::notdir},
                  Row{EISDIR, Status::isdir},
                  Row{EINVAL, Status::inval},
                  Row{EFBIG, Status::fbig},
                  Row{ENOSPC, Status::nospc},
                  Row{EROFS, Status::rofs},
                  Row{EMLINK, Status::mlink},
                  Row{ENAMETOOLONG, Status::nametoolong},
                  Row{ENOTEMPTY, Status::notempty},
                  Row{EDQUOT, Status::dquot},
                  Row{ESTALE, Status::stale},
                  Row{EOPNOTSUPP, Status::notsupp},
                  Row{EMFILE, Status::jukebox},
                  Row{ENFILE, Status::jukebox},
                  Row{ENOMEM, Status::jukebox},
                  Row{ETIMEDOUT, Status::jukebox},
                  Row{ECONNRESET, Status::jukebox},
                  Row{EBUSY, Status::jukebox},
                  Row{9999, Status::io}}) {
    CAPTURE(row.number);
    CHECK(status_of(errc_of_errno(row.number)) == row.status);
  }
}

TEST_CASE("whatever the RFC lists for a procedure passes unchanged") {
  for (Procedure procedure : all_procedures()) {
    for (Status status : all_statuses()) {
      CAPTURE(to_string(procedure), to_string(status));
      Status answered = allowed_status(procedure, status);
      if (is_listed(procedure, status)) CHECK(answered == status);
      CHECK(allowed_status(procedure, answered) == answered);
      bool replaced = answered != status;
      if (replaced) CHECK((answered == Status::io || answered == Status::serverfault));
      if (replaced && answered == Status::io) CHECK(is_listed(procedure, Status::io));
    }
  }
}

TEST_CASE("every procedure may answer success and the five that are always allowed") {
  for (Procedure procedure : all_procedures()) {
    CAPTURE(to_string(procedure));
    for (Status status : {Status::ok, Status::stale, Status::badhandle, Status::serverfault,
                          Status::jukebox, Status::acces}) {
      CHECK(allowed_status(procedure, status) == status);
    }
  }
}

TEST_CASE("the lists are the RFC's at a few places that are easy to get wrong") {
  struct Row {
    Procedure procedure;
    Status status;
    bool listed;
  };
  using enum Procedure;
  for (Row row : {Row{setattr, Status::not_sync, true}, Row{write, Status::not_sync, false},
                  Row{lookup, Status::noent, true}, Row{getattr, Status::noent, false},
                  Row{read, Status::nxio, true}, Row{readlink, Status::notsupp, true},
                  Row{mknod, Status::badtype, true}, Row{create, Status::badtype, false},
                  Row{rename, Status::isdir, true}, Row{remove, Status::isdir, false},
                  Row{rmdir, Status::notempty, true}, Row{rmdir, Status::nospc, false},
                  Row{link, Status::mlink, true}, Row{readdir, Status::toosmall, true},
                  Row{readdir, Status::notsupp, false}, Row{readdirplus, Status::notsupp, true},
                  Row{fsinfo, Status::io, false}, Row{fsstat, Status::io, true},
                  Row{commit, Status::io, true}, Row{getattr, Status::jukebox, false}}) {
    CAPTURE(to_string(row.procedure), to_string(row.status));
    CHECK(is_listed(row.procedure, row.status) == row.listed);
  }
}

TEST_CASE("what no client expects of a procedure is replaced") {
  using enum Procedure;
  CHECK(allowed_status(read, Status::not_sync) == Status::io);
  CHECK(allowed_status(getattr, Status::noent) == Status::io);
  CHECK(allowed_status(fsinfo, Status::noent) == Status::serverfault);
  CHECK(allowed_status(write, Status::bad_cookie) == Status::io);
  CHECK(allowed_status(write, static_cast<Status>(12345)) == Status::io);
  // Beyond the lists, in use everywhere.
  CHECK(allowed_status(remove, Status::isdir) == Status::isdir);
  CHECK(allowed_status(rename, Status::perm) == Status::perm);
  CHECK(allowed_status(read, Status::isdir) == Status::isdir);
}

TEST_CASE("MOUNT's statuses are told apart as far as MOUNT can") {
  for (Errc code : all_errors()) {
    mount3::Status status = mount3::status_of(code);
    CHECK(status != mount3::Status::ok);
    CHECK_FALSE(mount3::to_string(status).empty());
  }
  std::set<std::string> names;
  for (std::uint32_t value = 1; value < 10'100; ++value) {
    auto status = static_cast<mount3::Status>(value);
    if (mount3::to_string(status).empty()) continue;
    names.insert(std::string(mount3::to_string(status)));
    CHECK(mount3::status_of(mount3::errc_of(status)) == status);
  }
  CHECK(names.size() == 9);
  CHECK(mount3::status_of(Errc::stale) == mount3::Status::noent);
  CHECK(mount3::status_of(Errc::try_later) == mount3::Status::serverfault);
}

}  // namespace
}  // namespace rowan::nfs3
