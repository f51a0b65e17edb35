// What the families of operations share.
#pragma once

#include <string_view>

#include "proxy/redirect.h"

namespace rowan::proxy::redirect {

using nfs3::FileType;
using nfs3::Status;

inline constexpr std::uint32_t link_limit = 65000;  // PATHCONF linkmax

// The status of an operation's outcome: its own, or that of the error, which is logged with the
// object's path where a person has to look (damage, drift, input/output errors).
Status finish(const Op& op, ObjectId object, const Result<Status>& outcome);
Status finish(const Op& op, ObjectId object, const Error& error);

// OK, or ACCES ("", '/', NUL) or NAMETOOLONG (RFC 1813, 3.2). "." and ".." pass: each procedure has
// its own answer.
Status check_name(std::string_view name);
inline bool is_dots(std::string_view name) { return name == "." || name == ".."; }

// Before and after alike: what a failing operation tells, and where a successful one starts.
nfs3::WccData unchanged(const nfs3::Attributes& attributes);

// Puts `record` back for a directory whose names change now: mtime goes with the ctime that
// record_for_change() has set; `links` is what the change does to its link count.
void put_directory(Change& change, ObjectId directory, cache::ObjectRecord record, int links = 0);

// Takes the name away: a whiteout where the image has it, else nothing is left.
Result<void> take_name(const Op& op, Facts& facts, Change& change, const RenameEnd& at);
// One link less; the last one takes the object along.
void drop_link(const Op& op, Change& change, ObjectId object, const Node& node);

// Waits until an applied change may be told: OK, or IO.
Task<Status> settle(const Op& op, ObjectId object, Status status, cache::Ticket ticket);

}  // namespace rowan::proxy::redirect
