// Catch2 for tests of code that uses rpc/base/check.h, which has a CHECK of its own. Include this
// one after all of the project's headers: their inline functions must keep theirs.
#pragma once

#include "rpc/base/check.h"
#undef CHECK
#include <catch2/catch.hpp>
