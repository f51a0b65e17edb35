// Arguments and results of every NFSv3 procedure. The first byte chooses: the low bit arguments or
// results, the rest the procedure.
// sources: rpc/nfs3.cc rpc/nfs3_codec_*.cc rpc/xdr_cursor.cc tests/support/random_nfs3.cc
#include "rpc/nfs3_codec.h"
#include "tests/fuzz/stable.h"
#include "tests/support/random_nfs3.h"

namespace {

using namespace rowan;
using nfs3::Codec;
using nfs3::Procedure;

template <Procedure P>
void check(bool results, ByteView input) {
  using Args = typename Codec<P>::Args;
  using Res = typename Codec<P>::Res;
  if (results) {
    fuzz::check_stable<Res>(input, Codec<P>::decode_res, Codec<P>::encode_res);
  } else {
    fuzz::check_stable<Args>(input, Codec<P>::decode_args, Codec<P>::encode_args);
  }
}

template <Procedure P>
void add_seeds(std::vector<std::string>& all) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    test::Nfs3Maker maker(seed);
    xdr::Writer out;
    if (seed % 2 == 0) {
      typename Codec<P>::Args args{};
      maker.make(args);
      Codec<P>::encode_args(out, args);
    } else {
      typename Codec<P>::Res res{};
      maker.make(res);
      Codec<P>::encode_res(out, res);
    }
    auto choice = static_cast<std::uint32_t>(P) << 1 | (seed % 2);
    all.push_back(static_cast<char>(choice) + std::string(as_text(out.view())));
  }
}

}  // namespace

std::vector<std::string> rowan::fuzz::seeds() {
  std::vector<std::string> all;
  nfs3::for_each_procedure([&](auto procedure) { add_seeds<procedure()>(all); });
  return all;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ByteView input = fuzz::view(data + 1, size - 1);
  nfs3::for_each_procedure([&](auto procedure) {
    if (static_cast<std::uint32_t>(procedure()) != data[0] >> 1) return;
    check<procedure()>((data[0] & 1) != 0, input);
  });
  return 0;
}
