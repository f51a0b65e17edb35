// Nanoseconds of the wire's hot paths, without sockets. Build with -Dbuildtype=debugoptimized:
//   ninja tests/rpc/wire_bench && tests/rpc/wire_bench
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "rpc/dispatcher.h"
#include "rpc/nfs3_codec.h"
#include "rpc/record.h"
#include "tests/support/manual_loop.h"
#include "tests/support/scripted_nfs.h"

namespace {

using namespace rowan;
using namespace rowan::rpc;
using nfs3::Codec;
using nfs3::Procedure;

// The best of many short rounds, so that a busy machine does not count.
template <class Work>
void measure(const char* name, int count, Work work) {
  using Clock = std::chrono::steady_clock;
  double best = 1e18;
  for (int round = 0; round < 400; ++round) {
    auto start = Clock::now();
    for (int i = 0; i < count; ++i) work(i);
    std::chrono::duration<double, std::nano> took = Clock::now() - start;
    best = std::min(best, took.count() / count);
  }
  std::printf("%-52s %8.1f ns\n", name, best);
}

std::uint64_t sink;

// Answers from the attributes it has; nothing else is its work.
class TrivialNfs final : public test::ScriptedNfs {
 public:
  Task<nfs3::GetattrRes> getattr(const CallContext&, const nfs3::GetattrArgs&) override {
    nfs3::GetattrRes res;
    res.attributes.size = 1;
    co_return res;
  }
  Task<nfs3::WriteRes> write(const CallContext&, const nfs3::WriteArgs& args) override {
    nfs3::WriteRes res;
    res.count = args.count;
    res.wcc.before.emplace();
    res.wcc.after.emplace();
    co_return res;
  }
  Task<nfs3::ReadRes> read(const CallContext&, const nfs3::ReadArgs& args) override {
    nfs3::ReadRes res;
    res.attributes.emplace();
    res.data = Buffer(args.count);
    co_return std::move(res);
  }
};

template <Procedure P>
Buffer call(const typename Codec<P>::Args& args) {
  xdr::Writer credential, out;
  encode_auth_sys(credential, AuthSys{1, "node1.example", 1000, 100, {4, 24, 27, 100}});
  CallHeader header{7, nfs3::program, 3, static_cast<std::uint32_t>(P), {}, {}};
  header.credential = {AuthFlavor::sys, credential.view()};
  encode_call(out, header);
  Codec<P>::encode_args(out, args);
  return out.take();
}

Task<void> serve(Dispatcher& dispatcher, Buffer record, MonotonicTime now) {
  Task<std::optional<Reply>> task = dispatcher.handle(std::move(record), PeerAddress(), now);
  std::optional<Reply> reply = co_await task;
  sink += reply->size();
}

void dispatch(const char* name, int count, ByteView record, bool new_xids) {
  test::ManualLoop loop;
  TrivialNfs nfs;
  Dispatcher dispatcher(loop, {&nfs, nullptr});
  TaskGroup group;
  std::uint32_t xid = 0;
  measure(name, count, [&](int) {
    Buffer copy = Buffer::copy_of(record);
    if (new_xids) store_be(copy.data(), ++xid);
    group.start(serve(dispatcher, std::move(copy), loop.clock().now()));
  });
}

void codec() {
  nfs3::ReadArgs read;
  read.file.size = 36;
  read.count = 65'536;
  Buffer record = call<Procedure::read>(read);
  measure("decode a READ call with AUTH_SYS", 1'000, [&](int) {
    xdr::Reader in(record.view());
    CallHeader header;
    Credentials who;
    nfs3::ReadArgs args;
    decode_call(in, header);
    authenticate(header.credential, who);
    Codec<Procedure::read>::decode_args(in, args);
    sink += args.count + who.uid;
  });
  nfs3::ReadRes res;
  res.attributes.emplace().size = 65'536;
  res.data = Buffer(65'536);
  measure("build a READ reply's head", 1'000, [&](int) {
    xdr::Writer out(256);
    encode_success(out, 7);
    nfs3::encode_read_head(out, res);
    sink += out.take().size();
  });
  nfs3::ReaddirRes listing;
  listing.dir_attributes.emplace();
  listing.entries.resize(100);
  for (auto& entry : listing.entries) {
    entry.name = "a-file-name.txt";
    entry.attributes.emplace();
    entry.object.emplace().size = 36;
  }
  measure("encode a READDIRPLUS result of 100 entries", 50, [&](int) {
    xdr::Writer out(32'768);
    Codec<Procedure::readdirplus>::encode_res(out, listing);
    sink += out.size();
  });
}

void records() {
  auto mark = record_mark(160);
  std::string stream;
  for (int i = 0; i < 100; ++i) {
    stream.append(as_text(mark));
    stream.append(160, 'r');
  }
  measure("take 100 records of 160 bytes from one read", 50, [&](int) {
    static RecordReader reader;
    ByteSpan space = reader.space();
    std::copy_n(as_bytes(stream).begin(), stream.size(), space.begin());
    reader.commit(stream.size());
    for (;;) {
      auto next = reader.next();
      if (!next->has_value()) break;
      sink += (*next)->size();
    }
  });
  std::string large(1 << 20, 'l');
  auto large_mark = record_mark(large.size());
  large.insert(0, as_text(large_mark));
  measure("take a record of 1 MiB, copying as a socket would", 2, [&](int) {
    static RecordReader reader;
    ByteView rest = as_bytes(large);
    while (!rest.empty()) {
      ByteSpan space = reader.space();
      std::size_t count = std::min(space.size(), rest.size());
      std::copy_n(rest.begin(), count, space.begin());
      rest = rest.subspan(count);
      reader.commit(count);
      auto next = reader.next();
      if (next->has_value()) sink += (*next)->size();
    }
  });
}

}  // namespace

int main() {
  codec();
  records();
  nfs3::GetattrArgs getattr;
  getattr.object.size = 36;
  dispatch("dispatch GETATTR to a trivial service", 500, call<Procedure::getattr>(getattr).view(),
           false);
  nfs3::ReadArgs read;
  read.file.size = 36;
  read.count = 4096;
  dispatch("dispatch READ of 4 KiB to a trivial service", 500, call<Procedure::read>(read).view(),
           false);
  nfs3::WriteArgs write;
  std::string data(4096, 'd');
  write.data = as_bytes(data);
  write.count = 4096;
  dispatch("dispatch WRITE of 4 KiB, remembering it", 500, call<Procedure::write>(write).view(),
           true);
  return sink == 0;
}
