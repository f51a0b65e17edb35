// Always-on assertions for programmer errors. Input from a peer or from disk must never reach one:
// it is answered with a Result.
#pragma once

#include <sstream>
#include <string>

namespace rowan {

[[noreturn]] void check_failed(const char* file, int line, const char* expression,
                               const std::string& operands);

template <class A, class B>
std::string describe_operands(const A& a, const B& b) {
  std::ostringstream out;
  out << a << " against " << b;
  return out.str();
}

}  // namespace rowan

#define CHECK(condition)                 \
  (static_cast<bool>(condition) ? void() \
                                : ::rowan::check_failed(__FILE__, __LINE__, #condition, {}))
#define ROWAN_CHECK_OP(a, op, b)                                           \
  ((a)op(b) ? void()                                                       \
            : ::rowan::check_failed(__FILE__, __LINE__, #a " " #op " " #b, \
                                    ::rowan::describe_operands(a, b)))
#define CHECK_EQ(a, b) ROWAN_CHECK_OP(a, ==, b)
#define CHECK_LE(a, b) ROWAN_CHECK_OP(a, <=, b)
#define CHECK_LT(a, b) ROWAN_CHECK_OP(a, <, b)
