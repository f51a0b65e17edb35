// The one door to Boost.Asio: <utility> must come first, or Boost 1.74 misses std::exchange with
// g++ 12. Include it from .cc files only; it costs seconds to compile.
#pragma once

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace rowan {
namespace asio = boost::asio;
}  // namespace rowan
