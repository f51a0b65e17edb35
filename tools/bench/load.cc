#include "tools/bench/load.h"

#include <algorithm>

namespace rowan::bench {

const std::vector<std::string_view>& load_names() {
  static const std::vector<std::string_view> names = {
      "null",      "getattr",  "lookup",   "access",       "readdirplus", "read", "randread",
      "write",     "randwrite", "writenew", "readback", "randreadback", "create",
  };
  return names;
}

bool moves_data(std::string_view work) {
  return work.find("read") != work.npos ? work != "readdirplus" : work.find("write") != work.npos;
}

Result<std::unique_ptr<Load>> make_load(const LoadOptions& options) {
  const auto& names = load_names();
  if (std::find(names.begin(), names.end(), options.work) == names.end()) {
    std::string known;
    for (auto name : names) known += (known.empty() ? "" : ", ") + std::string(name);
    return Error(Errc::usage, "no such work '" + options.work + "'; there are: " + known);
  }
  if (options.size == 0 || options.size > max_io_size || options.size > options.tree.file_size) {
    return Error(Errc::usage, "the size of one call must be from 1 byte to 1 MiB and fit the file");
  }
  if (options.tree.file_size > max_file_size || options.tree.object_count == 0 ||
      options.tree.object_count > max_object_count) {
    return Error(Errc::usage, "the tree must have 1 to 1000000 objects and files of at most 1 TiB");
  }
  if (options.work == "create") return make_create_load(options);
  return moves_data(options.work) ? make_data_load(options) : make_name_load(options);
}

}  // namespace rowan::bench
