// A second opinion on NFSv3 messages: libtirpc with routines that rpcgen makes of
// tests/golden/rpc/nfs3.x. Its names stay inside oracle_nfs3.cc.
#pragma once

#include <vector>

#include "rpc/base/bytes.h"
#include "rpc/nfs3.h"

namespace rowan::test {

struct OracleAnswer {
  bool decoded = false;               // libtirpc accepts the bytes; what follows is then filled
  std::size_t used = 0;               // bytes that it took
  std::vector<std::byte> by_oracle;   // encoded again by libtirpc
  std::vector<std::byte> by_us;  // turned into our structure field by field, encoded by our codec
};

OracleAnswer ask_about_args(nfs3::Procedure procedure, ByteView wire);
OracleAnswer ask_about_res(nfs3::Procedure procedure, ByteView wire);

}  // namespace rowan::test
