// From the words of an operator to a source: nfs://HOST/EXPORT?... or an absolute directory.
#pragma once

#include <memory>
#include <string>

#include "proxy/source.h"
#include "rpc/asio_loop.h"
#include "rpc/base/loop.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

// Does not ask the source for anything yet: one that is down can be opened, and answers once it is
// up. usage: not a source. `loop` and `disk` outlive it.
Result<std::unique_ptr<Source>> open_source(const std::string& text, AsioLoop& loop,
                                            DiskPool& disk);

// open_source() with these.
OpenSource real_sources(AsioLoop& loop, DiskPool& disk);

// Opens it, asks for its root, closes it. Errors say what to do.
Task<Result<void>> probe_source(std::string text, OpenSource open);

}  // namespace rowan::proxy
