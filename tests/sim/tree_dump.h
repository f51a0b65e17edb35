// What a client that walks a whole tree sees, and the same of the model.
#pragma once

#include <map>
#include <string>

#include "rpc/base/task.h"
#include "rpc/service.h"
#include "tests/support/model_fs.h"

namespace rowan::sim {

struct SeenTree {
  std::map<std::string, std::string> lines;     // path to description
  std::map<std::string, nfs3::Handle> handles;  // by path
};
// From READDIRPLUS, READ and READLINK as root; all must succeed.
Task<SeenTree> dump_tree(nfs3::Service& service, nfs3::Handle root);

// The same lines of the model, and what id each path has.
std::map<std::string, std::string> dump_model(const test::ModelFs& model,
                                              std::map<std::string, test::ModelId>& by_path);

}  // namespace rowan::sim
