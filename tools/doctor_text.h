// Findings as text for the screen and as JSON: for `--json`, and between the examining child and
// its parent.
#pragma once

#include <string>

#include "proxy/json.h"
#include "tools/doctor.h"

namespace rowan::tools {

// "ok    MOUNT     answers at port 2049", and the remedy on a line of its own.
std::string finding_text(const Finding& finding);
proxy::Json finding_json(const Finding& finding);
// malformed: not such an object. What a crashing child wrote is not trusted.
Result<Finding> read_finding(const proxy::Json& object);

}  // namespace rowan::tools
