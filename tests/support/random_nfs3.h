// Random but well-formed NFSv3 values, the same on every machine for a seed: for round trips, the
// oracle, golden bytes and the fuzzers' first inputs. Text lives in the maker, so it outlives what
// borrows from it.
#pragma once

#include <deque>
#include <random>
#include <string>

#include "rpc/nfs3.h"

namespace rowan::test {

class Nfs3Maker {
 public:
  explicit Nfs3Maker(std::uint64_t seed) : random_(seed) {}

  // std::uniform_int_distribution differs between libraries; this does not.
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool coin() { return below(2) == 1; }
  std::string_view text(std::size_t longest);

  void make(std::uint32_t& value) { value = static_cast<std::uint32_t>(random_()); }
  void make(std::uint64_t& value) { value = random_(); }
  void make(nfs3::Verifier& verifier);
  void make(nfs3::Handle& handle);
  void make(nfs3::Time& time);
  void make(nfs3::Attributes& attributes);
  void make(nfs3::WccAttributes& attributes);
  void make(nfs3::WccData& wcc);
  void make(nfs3::SetTime& set);
  void make(nfs3::SetAttributes& set);
  void make(nfs3::DirOpArgs& where);
  template <class T>
  void make(std::optional<T>& value) {
    value.reset();
    if (coin()) make(value.emplace());
  }

  void make(nfs3::GetattrArgs& args);
  void make(nfs3::SetattrArgs& args);
  void make(nfs3::LookupArgs& args);
  void make(nfs3::AccessArgs& args);
  void make(nfs3::ReadlinkArgs& args);
  void make(nfs3::ReadArgs& args);
  void make(nfs3::WriteArgs& args);
  void make(nfs3::CreateArgs& args);
  void make(nfs3::MkdirArgs& args);
  void make(nfs3::SymlinkArgs& args);
  void make(nfs3::MknodArgs& args);
  void make(nfs3::RemoveArgs& args);
  void make(nfs3::RenameArgs& args);
  void make(nfs3::LinkArgs& args);
  void make(nfs3::ReaddirArgs& args);
  void make(nfs3::ReaddirplusArgs& args);
  void make(nfs3::FsstatArgs& args);
  void make(nfs3::FsinfoArgs& args);
  void make(nfs3::PathconfArgs& args);
  void make(nfs3::CommitArgs& args);

  void make(nfs3::GetattrRes& res);
  void make(nfs3::SetattrRes& res);
  void make(nfs3::LookupRes& res);
  void make(nfs3::AccessRes& res);
  void make(nfs3::ReadlinkRes& res);
  void make(nfs3::ReadRes& res);
  void make(nfs3::WriteRes& res);
  void make(nfs3::CreateRes& res);
  void make(nfs3::RemoveRes& res);
  void make(nfs3::RenameRes& res);
  void make(nfs3::LinkRes& res);
  void make(nfs3::ReaddirRes& res);
  void make(nfs3::FsstatRes& res);
  void make(nfs3::FsinfoRes& res);
  void make(nfs3::PathconfRes& res);
  void make(nfs3::CommitRes& res);

  // Success half of the time, else any other status.
  void make(nfs3::Status& status);

 private:
  template <class... T>
  void all(T&... values) {
    (make(values), ...);
  }

  std::mt19937_64 random_;
  std::deque<std::string> texts_;
};

}  // namespace rowan::test
