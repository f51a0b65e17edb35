// What a case of the protocol test can say, and the tables of cases.
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <set>
#include <span>
#include <sstream>
#include <string>

#include "tests/e2e/protocol/calls.h"

namespace rowan::protocol {

// Verdicts of one run. An expectation that a server is known to answer otherwise (deviations.cc) is
// counted apart and fails nothing.
class Verdicts {
 public:
  explicit Verdicts(std::string server) : server_(std::move(server)) {}
  void begin_case(std::string name) { case_ = std::move(name); }
  void record(const std::string& what, bool holds, const std::string& detail);
  unsigned held = 0, failed = 0, deviated = 0;
  std::set<int> met;  // statuses that calls of cases have had

 private:
  std::string server_, case_;
};

// One case's world: a client and an empty directory of its own.
class Scene {
 public:
  Scene(Calls& calls, const bench::Target& target, FileHandle dir, Verdicts& verdicts)
      : nfs(calls), target(target), dir(std::move(dir)), verdicts_(verdicts) {}

  Calls& nfs;
  const bench::Target& target;
  const FileHandle dir;

  // The status is one of those that RFC 1813 and POSIX leave open.
  void status(const std::string& what, int got, std::initializer_list<int> allowed);
  void that(const std::string& what, bool holds, const std::string& detail = "");
  template <class A, class B>
  void equal(const std::string& what, const A& got, const B& wanted) {
    std::ostringstream detail;
    detail << "got " << got << ", wanted " << wanted;
    that(what, got == wanted, detail.str());
  }

  // A file with content, a directory; both as root. A failure to make them ends the case.
  FileHandle file(const std::string& name, const std::string& content = "",
                  std::uint32_t mode = 0644);
  FileHandle folder(const std::string& name, std::uint32_t mode = 0755);
  fattr3 attr(const FileHandle& object);

 private:
  Verdicts& verdicts_;
};

struct Case {
  const char* name;
  void (*run)(Scene&);
};

std::span<const Case> attribute_cases();
std::span<const Case> permission_cases();
std::span<const Case> data_cases();
std::span<const Case> name_cases();
std::span<const Case> rename_cases();
std::span<const Case> listing_cases();
std::span<const Case> service_cases();

// Why this server answers this expectation otherwise; null: it does not.
const char* known_deviation(const std::string& server, const std::string& case_name,
                            const std::string& what);

// False, and says which, if the walk has not met an error that it should; errors.cc.
bool met_every_error(const std::set<int>& met);

// The calls inside a block come from another user; root again afterwards.
class As {
 public:
  As(Scene& scene, std::uint32_t uid, std::uint32_t gid, std::vector<std::uint32_t> groups = {})
      : nfs_(scene.nfs) {
    nfs_.as(uid, gid, std::move(groups));
  }
  ~As() { nfs_.as(0, 0); }
  As(const As&) = delete;
  As& operator=(const As&) = delete;

 private:
  Calls& nfs_;
};

inline constexpr std::uint32_t alice = 1001, bob = 1002, staff = 2001, guests = 2002;

}  // namespace rowan::protocol
