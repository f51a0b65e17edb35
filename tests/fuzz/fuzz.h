// Fuzz targets. Each is one file NAME_fuzz.cc here, which includes this header, defines the two
// functions below and gets one line in meson.build. To add one:
//
//   1. Write NAME_fuzz.cc. A first-screen comment line `// sources: GLOB...` lists the sources that
//      it needs besides rpc/base, for tests/fuzz/build-fuzzers.
//   2. Add 'NAME': [dependencies] to fuzz_targets in meson.build.
//   3. Put inputs that once failed into corpus/NAME/ (any file names). They are replayed for ever.
//
// `meson test --suite fuzz` replays corpus/NAME, then the target's own seeds, then mutations of
// both from a printed seed, each input against a guard page, so that a read past its end is caught
// without a sanitizer. `tests/fuzz/build-fuzzers OUT` builds the same files with clang's libFuzzer
// and AddressSanitizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "rpc/base/bytes.h"

// Runs one input; returns 0. What must hold is checked with FUZZ_CHECK.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace rowan::fuzz {

// Well-formed inputs to start from; the same on every run.
std::vector<std::string> seeds();

inline ByteView view(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

}  // namespace rowan::fuzz

// A macro, so that the message names the line; in every build, whatever NDEBUG says.
#define FUZZ_CHECK(condition)                                                               \
  ((condition) ? void()                                                                     \
               : (std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,    \
                               #condition),                                                 \
                  std::abort()))
