#include "rpc/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace rowan {

void check_failed(const char* file, int line, const char* expression, const std::string& operands) {
  std::fprintf(stderr, "rowan: %s:%d: check failed: %s%s%s\n", file, line, expression,
               operands.empty() ? "" : ": ", operands.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace rowan
