// Whole records through the dispatcher to services that succeed: whatever comes in, what goes out
// is a reply to its xid, or nothing for what is not a call.
// sources: rpc/dispatcher*.cc rpc/message.cc rpc/mount3_codec.cc rpc/nfs3*.cc
// sources: rpc/portmap.cc rpc/reply_cache.cc
// sources: rpc/xdr_cursor.cc rpc/record.cc rpc/socket_address.cc tests/support/random_nfs3.cc
// sources: tests/support/manual_loop.cc
#include "rpc/dispatcher.h"

#include "rpc/portmap.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/manual_loop.h"
#include "tests/support/random_nfs3.h"
#include "tests/support/scripted_nfs.h"

namespace {

using namespace rowan;
using namespace rowan::rpc;

struct World {
  test::ManualLoop loop;
  test::ScriptedNfs nfs;
  test::ScriptedMount mount;
  Dispatcher dispatcher{loop, {&nfs, &mount}, {2049, 2049}, {.entries = 64}};
};

Task<void> serve(World& world, Buffer record, std::optional<Reply>& out, bool& done) {
  Task<std::optional<Reply>> task =
      world.dispatcher.handle(std::move(record), PeerAddress(), world.loop.clock().now());
  out = co_await task;
  done = true;
}

std::string call(std::uint32_t program, std::uint32_t version, std::uint32_t procedure,
                 ByteView arguments) {
  xdr::Writer credential;
  encode_auth_sys(credential, AuthSys{1, "machine", 0, 0, {1}});
  xdr::Writer out;
  encode_call(out,
              CallHeader{9, program, version, procedure, {AuthFlavor::sys, credential.view()}, {}});
  out.raw(arguments);
  return std::string(as_text(out.view()));
}

}  // namespace

std::vector<std::string> rowan::fuzz::seeds() {
  std::vector<std::string> all;
  nfs3::for_each_procedure([&](auto procedure) {
    using Codec = nfs3::Codec<procedure()>;
    test::Nfs3Maker maker(1);
    typename Codec::Args args{};
    maker.make(args);
    xdr::Writer out;
    Codec::encode_args(out, args);
    all.push_back(call(nfs3::program, 3, static_cast<std::uint32_t>(procedure()), out.view()));
  });
  xdr::Writer path, mapping, binding;
  path.text("/vm1");
  encode(mapping, portmap::Mapping{100003, 3, 6, 0});
  encode(binding, portmap::Binding{100003, 3, "tcp", "10.0.0.1.0.111", ""});
  for (std::uint32_t procedure : {1u, 3u}) all.push_back(call(100005, 3, procedure, path.view()));
  for (std::uint32_t procedure : {0u, 2u, 4u, 5u}) all.push_back(call(100005, 3, procedure, {}));
  all.push_back(call(100000, 2, 3, mapping.view()));
  all.push_back(call(100000, 4, 3, binding.view()));
  for (std::uint32_t version : {2u, 3u, 4u}) all.push_back(call(100000, version, 4, {}));
  return all;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Never destroyed: at exit, the pool that its buffers go back to is gone before.
  static World& world = *new World;
  ByteView input = fuzz::view(data, size);
  std::optional<Reply> reply;
  bool done = false;
  TaskGroup group;
  group.start(serve(world, Buffer::copy_of(input), reply, done));
  world.loop.run();
  FUZZ_CHECK(done);
  bool is_call = size >= 8 && load_be<std::uint32_t>(input.data() + 4) == 0;
  FUZZ_CHECK(reply.has_value() == is_call);
  (void)world.dispatcher.expected_reply_size(input);
  FUZZ_CHECK(world.dispatcher.bulk_offset(input) <= size);
  if (!reply) return 0;
  FUZZ_CHECK(reply->head.size() % 4 == 0);
  xdr::Reader in(reply->head.view());
  ReplyHeader header;
  FUZZ_CHECK(decode_reply(in, header));
  FUZZ_CHECK(header.xid == load_be<std::uint32_t>(input.data()));
  return 0;
}
