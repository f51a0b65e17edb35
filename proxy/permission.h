// Who may do what: pure rules of a POSIX server over merged attributes, with the exceptions that
// NFS needs because it has no open(): an owner may always read and write its file, and who may
// execute a file may read it (its pages have to come from somewhere).
#pragma once

#include <cstdint>

#include "rpc/nfs3.h"
#include "rpc/service.h"

namespace rowan::proxy {

inline constexpr std::uint32_t mode_setuid = 04000, mode_setgid = 02000, mode_sticky = 01000;
inline constexpr std::uint32_t may_read = 4, may_write = 2, may_execute = 1;

// The caller as the rules see it, after root squash.
struct Caller {
  std::uint32_t uid = nobody_id;
  std::uint32_t gid = nobody_id;
  GroupList groups;
  bool is_root() const { return uid == 0; }
  bool in_group(std::uint32_t group) const;
};
Caller make_caller(const Credentials& credentials, bool root_squash);

// All bits of `wanted` (may_read and so on) by the mode alone. Root may everything, except execute
// a file that nobody may.
bool permitted(const Caller& caller, const nfs3::Attributes& object, std::uint32_t wanted);

// The part of `asked` (access_read and so on, RFC 1813, 3.3.4) that the caller has.
std::uint32_t granted_access(const Caller& caller, const nfs3::Attributes& object,
                             std::uint32_t asked);

bool may_read_data(const Caller& caller, const nfs3::Attributes& file);
bool may_write_data(const Caller& caller, const nfs3::Attributes& file);

// OK, or why no name may be added to or taken from a directory: ACCES.
nfs3::Status check_change_names(const Caller& caller, const nfs3::Attributes& directory);
// The same for taking away the name of `victim`: PERM where the sticky bit forbids.
nfs3::Status check_delete(const Caller& caller, const nfs3::Attributes& directory,
                          const nfs3::Attributes& victim);

// OK, or PERM (mode, owner, times of somebody else), ACCES (size, times to now), INVAL, ISDIR.
nfs3::Status check_set_attributes(const Caller& caller, const nfs3::Attributes& object,
                                  const nfs3::SetAttributes& set);

struct Ownership {
  std::uint32_t mode = 0, uid = 0, gid = 0;
};
// The outcome of a permitted SETATTR: set-id bits fall when the owner, the group or the size
// changes.
Ownership apply_ownership(const Caller& caller, const nfs3::Attributes& object,
                          const nfs3::SetAttributes& set);
// Mode after a write by the caller: set-id bits fall unless root writes.
std::uint32_t mode_after_write(const Caller& caller, std::uint32_t mode);
// Of a new object: the caller's, or what root asked for; the group of a set-gid directory; a new
// directory hands the bit down.
Ownership new_ownership(const Caller& caller, const nfs3::Attributes& directory,
                        const nfs3::SetAttributes& set, nfs3::FileType type,
                        std::uint32_t default_mode);

}  // namespace rowan::proxy
