// MOUNT version 3 on the wire (RFC 1813, 5), both directions. The structures are in rpc/service.h.
// As in nfs3_codec.h, decoding is true only if the input followed the grammar to its last byte.
#pragma once

#include <string_view>
#include <vector>

#include "rpc/service.h"
#include "rpc/xdr_cursor.h"

namespace rowan::mount3 {

enum class Procedure : std::uint32_t { null = 0, mnt, dump, umnt, umntall, exports };
inline constexpr std::uint32_t procedure_count = 6;

// Longer paths than max_path_length decode, so that they can be answered MNT3ERR_NAMETOOLONG.
inline constexpr std::uint32_t path_decode_limit = 4096;
inline constexpr std::uint32_t max_name_length = 255;  // MNTNAMLEN, of host and group names
inline constexpr std::uint32_t max_flavors = 32;

// The argument of MNT and UMNT; it borrows from the reader's bytes.
bool decode_path(xdr::Reader& in, std::string_view& path);
void encode_path(xdr::Writer& out, std::string_view path);

bool decode(xdr::Reader& in, MntRes& res);
void encode(xdr::Writer& out, const MntRes& res);
// DUMP and EXPORT. Names of hosts and groups are cut to max_name_length by the service, not here.
bool decode(xdr::Reader& in, std::vector<MountEntry>& entries);
void encode(xdr::Writer& out, const std::vector<MountEntry>& entries);
bool decode(xdr::Reader& in, std::vector<ExportEntry>& entries);
void encode(xdr::Writer& out, const std::vector<ExportEntry>& entries);

}  // namespace rowan::mount3
