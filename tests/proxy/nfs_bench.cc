// Nanoseconds per warm call through NfsService over doubles: what the NFS logic itself costs,
// without wire, sockets and disk. Run it from an optimised build; it asserts nothing.
#include <chrono>
#include <cstdio>

#include "tests/support/appliance_fixture.h"

using namespace rowan;
using namespace rowan::test;

namespace {

template <class Call>
void measure(const char* what, Call call, int rounds = 300'000) {
  for (int i = 0; i < 1000; ++i) call(i);
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < rounds; ++i) call(i);
  auto took = std::chrono::steady_clock::now() - start;
  std::printf("%-28s %8.0f ns\n", what,
              std::chrono::duration<double, std::nano>(took).count() / rounds);
}

// A warm call never waits: the task has ended when start() returns.
template <class T>
Task<void> take(Task<T> task, nfs3::Status& status) {
  T res = co_await task;
  status = res.status;
}

template <class T>
void now(Task<T> task) {
  TaskGroup group;
  nfs3::Status status = nfs3::Status::io;
  group.start(take(std::move(task), status));
  CHECK(status == nfs3::Status::ok);
}

}  // namespace

int main() {
  MemoryStoreOptions options;
  options.keep_history = false;
  ApplianceFixture fixture(options);
  for (int i = 0; i < 1000; ++i) {
    fixture.image.add_file("f" + std::to_string(i), std::string(65536, 'x'));
  }
  fixture.start();
  std::vector<nfs3::Handle> files;
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) {
    names.push_back("f" + std::to_string(i));
    files.push_back(fixture.walk(names.back()));
  }
  auto& service = fixture.service;
  const CallContext& context = fixture.context;
  nfs3::Handle root = fixture.root();
  measure("GETATTR", [&](int i) {
    nfs3::GetattrArgs args{files[i % 1000]};
    now(service.getattr(context, args));
  });
  measure("LOOKUP", [&](int i) {
    nfs3::LookupArgs args{{root, names[i % 1000]}};
    now(service.lookup(context, args));
  });
  measure("ACCESS", [&](int i) {
    nfs3::AccessArgs args{files[i % 1000], 0x3f};
    now(service.access(context, args));
  });
  measure("READ 4 KiB, image", [&](int i) {
    nfs3::ReadArgs args{files[i % 1000], 4096, 4096};
    now(service.read(context, args));
  });
  fixture.write("f0", 4096, std::string(4096, 'y'));
  measure("READ 4 KiB, redirected", [&](int) {
    nfs3::ReadArgs args{files[0], 4096, 4096};
    now(service.read(context, args));
  });
  std::string bytes(4096, 'z');
  measure(
      "WRITE 4 KiB, UNSTABLE",
      [&](int) {
        nfs3::WriteArgs args{files[0], 4096, 4096, nfs3::StableHow::unstable, as_bytes(bytes)};
        now(service.write(context, args));
      },
      20'000);  // the double keeps every byte ever written
  return 0;
}
