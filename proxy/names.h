// Names that operators give: images, versions, appliances. They become directory names, mount paths
// and words of a command line, so their alphabet is small. '@' separates a name from a version and
// is in no name.
#pragma once

#include <string>
#include <string_view>

#include "rpc/base/result.h"

namespace rowan::proxy {

inline constexpr std::size_t max_name_length = 64;

// 1 to 64 of A-Z a-z 0-9 . _ -, not starting with '.' or '-'.
bool is_valid_name(std::string_view name);

// usage, saying what is wrong: `what` is "image", "appliance" or "version".
Result<void> check_name(std::string_view what, std::string_view name);

struct ImageName {
  std::string name;
  std::string version;  // empty: the newest
};
// "debian" or "debian@2".
Result<ImageName> parse_image_name(std::string_view text);

// A name for an image that was only given as a source: the last part of the path, reduced to the
// alphabet.
std::string name_from_source(std::string_view source);

}  // namespace rowan::proxy
