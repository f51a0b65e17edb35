// The one table between the project's errors, errno and nfsstat3, and which statuses each procedure
// may answer (RFC 1813, 3.3).
#pragma once

#include <string_view>

#include "rpc/base/result.h"
#include "rpc/nfs3.h"
#include "rpc/service.h"

namespace rowan::nfs3 {

// What a client is told about an error. Total: every Errc has a status. What may pass by itself (a
// source that is away, a limit that is met) is JUKEBOX, never IO, so that a hard mount waits.
Status status_of(Errc code);
inline Status status_of(const Error& error) { return status_of(error.code); }

// What an image server's status means here. Status::ok is no error and must not be asked about.
Errc errc_of(Status status);

// What an errno of the host means; unknown ones are Errc::io.
Errc errc_of_errno(int number);

// The status itself if `procedure` may answer it: what RFC 1813 lists for it, what Linux' and other
// servers answer beyond the list and clients expect (PERM of a sticky directory, ISDIR for REMOVE,
// ...), and always STALE, BADHANDLE, SERVERFAULT, JUKEBOX and ACCES. Else IO where that is listed,
// or SERVERFAULT.
Status allowed_status(Procedure procedure, Status status);
// True if RFC 1813 itself lists it.
bool is_listed(Procedure procedure, Status status);

}  // namespace rowan::nfs3

namespace rowan::mount3 {

// The same for MOUNT (RFC 1813, 5.1.4), which knows fewer statuses.
Status status_of(Errc code);
Errc errc_of(Status status);
std::string_view to_string(Status status);  // "MNT3ERR_NOENT"; empty for a number without a name

}  // namespace rowan::mount3
