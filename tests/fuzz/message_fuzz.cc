// Call headers with their credentials, and reply headers. The first byte's low bit chooses.
// sources: rpc/message.cc rpc/xdr_cursor.cc
#include "rpc/message.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace rowan;
using namespace rowan::rpc;

void call(ByteView input) {
  xdr::Reader in(input);
  CallHeader header;
  CallState state = decode_call(in, header);
  if (input.size() >= 8 && state != CallState::not_a_call) {
    FUZZ_CHECK(header.xid == load_be<std::uint32_t>(input.data()));
  }
  if (state != CallState::ok) return;
  xdr::Writer out;
  encode_call(out, header);
  FUZZ_CHECK(out.size() + in.left() == input.size());
  xdr::Reader back(out.view());
  CallHeader again;
  FUZZ_CHECK(decode_call(back, again) == CallState::ok && back.finish());
  FUZZ_CHECK(again.procedure == header.procedure && again.program == header.program);

  Credentials who;
  AuthStatus status = authenticate(header.credential, who);
  FUZZ_CHECK(status == AuthStatus::ok || status == AuthStatus::bad_cred);
  FUZZ_CHECK(who.groups.size() <= max_groups);
  AuthSys auth;
  if (header.credential.flavor != AuthFlavor::sys) return;
  FUZZ_CHECK(decode_auth_sys(header.credential.body, auth) == (status == AuthStatus::ok));
  if (status != AuthStatus::ok) return;
  xdr::Writer body;
  encode_auth_sys(body, auth);
  FUZZ_CHECK(body.size() == header.credential.body.size());
}

void reply(ByteView input) {
  xdr::Reader in(input);
  ReplyHeader header;
  if (!decode_reply(in, header)) {
    FUZZ_CHECK(in.failure() != nullptr);
    return;
  }
  bool success =
      header.outcome == ReplyHeader::Outcome::accepted && header.status == AcceptStatus::success;
  FUZZ_CHECK(to_result(header).has_value() == success);
  FUZZ_CHECK(success || in.left() == 0);
}

template <class Encode>
std::string seed(char kind, Encode encode) {
  xdr::Writer out;
  encode(out);
  return kind + std::string(as_text(out.view()));
}

}  // namespace

std::vector<std::string> rowan::fuzz::seeds() {
  xdr::Writer credential;
  encode_auth_sys(credential, AuthSys{1, "machine", 0, 0, {1, 2, 3}});
  CallHeader header{1, 100003, 3, 1, {AuthFlavor::sys, credential.view()}, {}};
  return {
      seed('\0', [&](auto& out) { encode_call(out, header); }),
      seed('\0', [&](auto& out) { encode_call(out, CallHeader{1, 100000, 2, 0, {}, {}}); }),
      seed('\1', [&](auto& out) { encode_success(out, 1); out.u32(0); }),
      seed('\1', [&](auto& out) { encode_accepted(out, 1, AcceptStatus::garbage_args); }),
      seed('\1', [&](auto& out) { encode_prog_mismatch(out, 1, 3, 3); }),
      seed('\1', [&](auto& out) { encode_rpc_mismatch(out, 1); }),
      seed('\1', [&](auto& out) { encode_auth_error(out, 1, AuthStatus::too_weak); }),
  };
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ByteView input = fuzz::view(data + 1, size - 1);
  (data[0] & 1) == 0 ? call(input) : reply(input);
  return 0;
}
