// Random NFS operations that can be done to an appliance and to the model of a tree.
#pragma once

#include <map>
#include <optional>
#include <random>
#include <string>

#include "rpc/base/task.h"
#include "rpc/service.h"
#include "tests/support/model_fs.h"

namespace rowan::sim {

using Random = std::mt19937_64;
using Handles = std::map<test::ModelId, nfs3::Handle>;

struct Operation {
  enum class Kind {
    lookup,
    access,
    setattr,
    read,
    write,
    create,
    mkdir,
    symlink,
    mknod,
    remove,
    rmdir,
    rename,
    link,
    readlink,
    commit
  };
  Kind kind = Kind::lookup;
  test::ModelUser user;
  test::ModelId object = 0, other = 0;  // directory, or file; second directory
  std::string name, new_name, bytes;
  test::ModelSet set;
  nfs3::CreateMode how = nfs3::CreateMode::unchecked;
  nfs3::Verifier verifier{};
  nfs3::StableHow stable = nfs3::StableHow::file_sync;
  std::uint64_t offset = 0;
  std::uint32_t count = 0;
  test::ModelId made = 0;
};
std::string describe(const Operation& operation);

struct Outcome {
  nfs3::Status status = nfs3::Status::ok;
  std::string bytes;  // read, target
  bool eof = false;
  std::uint32_t access = 0;
  test::ModelId found = 0;  // of the model's lookup
  std::optional<nfs3::Handle> handle;
  nfs3::Verifier verifier{};  // write, commit
  bool replied = false;
};
// Same answer, as far as both say it.
bool agree(const Operation& operation, const Outcome& model, const Outcome& service,
           const std::map<test::ModelId, nfs3::Handle>& handles);

Outcome do_to_model(test::ModelFs& model, const Operation& operation);

// What operations are made from.
struct Scene {
  Random& random;
  const test::ModelFs& model;
  const Handles& handles;   // of objects that the model has, or had
  test::ModelId& next_id;
};
// A random operation on what the model has now.
Operation random_operation(const Scene& scene);

// Asks the service, as the operation's user.
Task<void> perform(nfs3::Service& service, const Handles& handles, Operation operation,
                   Outcome& outcome);

}  // namespace rowan::sim
