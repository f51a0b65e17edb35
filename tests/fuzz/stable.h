// The property of every codec: what decodes is encoded to bytes that decode to the same bytes
// again.
#pragma once

#include "rpc/xdr_cursor.h"
#include "tests/fuzz/fuzz.h"

namespace rowan::fuzz {

// `decode(xdr::Reader&, T&) -> bool`, `encode(xdr::Writer&, const T&)`.
template <class T, class Decode, class Encode>
void check_stable(ByteView input, Decode decode, Encode encode) {
  T value{};
  xdr::Reader in(input);
  if (!decode(in, value)) {
    FUZZ_CHECK(in.failure() != nullptr);
    return;
  }
  xdr::Writer first;
  encode(first, value);
  FUZZ_CHECK(first.size() <= input.size());  // padding is the only freedom, and it has one size
  T again{};
  xdr::Reader back(first.view());
  FUZZ_CHECK(decode(back, again));
  xdr::Writer second;
  encode(second, again);
  FUZZ_CHECK(as_text(first.view()) == as_text(second.view()));
}

// The same of texts: `decode(std::string_view)` gives a Result or an optional,
// `encode(const T&) -> std::string`.
template <class Decode, class Encode>
void check_stable_text(std::string_view input, Decode decode, Encode encode) {
  const auto value = decode(input);
  if (!value) return;
  const std::string first = encode(*value);
  const auto again = decode(first);
  FUZZ_CHECK(again);
  FUZZ_CHECK(encode(*again) == first);
}

}  // namespace rowan::fuzz
