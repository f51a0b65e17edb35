// ONC RPC version 2 headers (RFC 5531, sections 8 and 9), both directions: a server decodes calls
// and encodes replies, our client for image servers encodes calls and decodes replies.
#pragma once

#include <cstdint>
#include <string_view>

#include "rpc/base/result.h"
#include "rpc/service.h"
#include "rpc/xdr_cursor.h"

namespace rowan::rpc {

inline constexpr std::uint32_t rpc_version = 2;
inline constexpr std::size_t max_auth_body = 400;      // RFC 5531, 8.2
inline constexpr std::size_t max_machine_name = 255;   // RFC 5531, appendix A

enum class MessageType : std::uint32_t { call = 0, reply = 1 };
// Flavors that this project can name; others are numbers (AUTH_DH 3, RPCSEC_GSS 6, AUTH_TLS 7).
enum class AuthFlavor : std::uint32_t { none = 0, sys = 1 };
enum class AcceptStatus : std::uint32_t {
  success = 0,
  prog_unavail = 1,
  prog_mismatch = 2,
  proc_unavail = 3,
  garbage_args = 4,
  system_err = 5,
};
enum class AuthStatus : std::uint32_t {
  ok = 0, bad_cred = 1, rejected_cred = 2, bad_verf = 3, rejected_verf = 4, too_weak = 5,
  invalid_resp = 6, failed = 7,
};
std::string_view to_string(AcceptStatus status);  // "GARBAGE_ARGS"
std::string_view to_string(AuthStatus status);    // "AUTH_BADCRED"

// opaque_auth; `body` borrows.
struct OpaqueAuth {
  AuthFlavor flavor = AuthFlavor::none;
  ByteView body;
};

// authsys_parms (RFC 5531, appendix A); `machine` borrows.
struct AuthSys {
  std::uint32_t stamp = 0;
  std::string_view machine;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  GroupList groups;
};
// The body alone, as it stands inside opaque_auth. False: it does not follow the grammar.
bool decode_auth_sys(ByteView body, AuthSys& auth);
void encode_auth_sys(xdr::Writer& out, const AuthSys& auth);

struct CallHeader {
  std::uint32_t xid = 0;
  std::uint32_t program = 0;
  std::uint32_t version = 0;
  std::uint32_t procedure = 0;
  OpaqueAuth credential;
  OpaqueAuth verifier;
};

// What became of a call's header. Everything but `not_a_call` leaves a valid xid, so it can be
// answered.
enum class CallState : std::uint8_t {
  ok,            // the reader stands at the arguments
  not_a_call,    // too short for an xid and a type, or a reply: nothing can be answered
  rpc_mismatch,  // another RPC version
  truncated,     // ends before the credential: GARBAGE_ARGS
  bad_cred,      // the credential is cut or longer than 400 bytes
  bad_verf,      // the verifier is
};
CallState decode_call(xdr::Reader& in, CallHeader& call);
void encode_call(xdr::Writer& out, const CallHeader& call);

// Turns a call's credential into who asks: AUTH_SYS as its ids, AUTH_NONE as nobody.
// AuthStatus::bad_cred: the body is malformed or the flavor unknown (what Linux' server answers to
// an unknown one, too).
AuthStatus authenticate(const OpaqueAuth& credential, Credentials& who);

// --- Replies. Results follow encode_success() in the same writer.
inline constexpr std::size_t success_header_size = 24;
void encode_success(xdr::Writer& out, std::uint32_t xid);
// Any accepted status but success and prog_mismatch.
void encode_accepted(xdr::Writer& out, std::uint32_t xid, AcceptStatus status);
void encode_prog_mismatch(xdr::Writer& out, std::uint32_t xid, std::uint32_t low,
                          std::uint32_t high);
void encode_rpc_mismatch(xdr::Writer& out, std::uint32_t xid);
void encode_auth_error(xdr::Writer& out, std::uint32_t xid, AuthStatus status);

struct ReplyHeader {
  enum class Outcome : std::uint8_t { accepted, rpc_mismatch, auth_error };
  std::uint32_t xid = 0;
  Outcome outcome = Outcome::accepted;
  AcceptStatus status = AcceptStatus::success;  // accepted
  AuthStatus why = AuthStatus::ok;              // auth_error
  std::uint32_t low = 0, high = 0;  // prog_mismatch, rpc_mismatch: versions the server speaks
  OpaqueAuth verifier;                          // accepted
};
// The reader then stands at the results of an accepted, successful call; for all other outcomes
// nothing may be left over. False: this is not a reply in RFC 5531's grammar, and the connection
// cannot be trusted.
bool decode_reply(xdr::Reader& in, ReplyHeader& reply);
// Success, or the refusal in words: Errc::access for authentication, not_supported for a program,
// version or procedure that the server has not, malformed for GARBAGE_ARGS, server_fault for
// SYSTEM_ERR.
Result<void> to_result(const ReplyHeader& reply);

}  // namespace rowan::rpc
