// Figures of the redirect store on a real directory, one thread: store_bench DIRECTORY [OBJECTS].
// The directory is emptied first, so it must be one of this program's own.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>

#include "cache/file_posix.h"
#include "cache/store.h"
#include "rpc/base/check.h"
#include "tests/support/run_jobs.h"

using namespace rowan;
using namespace rowan::cache;

namespace {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void apply(Store& store, Transaction& transaction) {
  while (true) {
    auto result = test::loading(store, [&] { return store.apply(transaction); });
    if (result) return;
    CHECK(result.failed_with(Errc::try_later));
    test::make_durable(store, store.applied());
  }
}

ObjectRecord record_of(std::uint64_t i) {
  ObjectRecord record;
  record.mode = 0644;
  record.parent = image_root;
  record.name = "file" + std::to_string(i);
  return record;
}

void bench_creates(Store& store, std::uint64_t count) {
  Stopwatch watch;
  for (std::uint64_t i = 0; i < count; ++i) {
    const ObjectId id = store.next_object();
    Transaction transaction;
    transaction.put_object(id, record_of(i));
    transaction.put_name(image_root, "file" + std::to_string(i), {id, store.next_sequence()});
    apply(store, transaction);
    if (i % 64 == 0) test::run_jobs(store);
  }
  test::make_durable(store, store.applied());
  std::printf("create (object and name), batched:     %9.0f per second\n",
              static_cast<double>(count) / watch.seconds());
}

void bench_synced(Store& store, int batch, int rounds) {
  Stopwatch watch;
  for (int i = 0; i < rounds; ++i) {
    for (int k = 0; k < batch; ++k) {
      Transaction transaction;
      transaction.put_object(store.next_object(), record_of(1));
      apply(store, transaction);
    }
    test::make_durable(store, store.applied());
  }
  std::printf("create, a sync for each %3d:           %9.0f per second\n", batch,
              batch * rounds / watch.seconds());
}

void bench_writes(Store& store, ObjectId id, std::size_t size, std::uint64_t file, int count,
                  int batch) {
  std::mt19937_64 random(7);
  const std::string bytes(size, 'w');
  Stopwatch watch;
  for (int i = 0; i < count; ++i) {
    Transaction transaction;
    ObjectRecord record = record_of(1);
    record.size = file;
    transaction.put_object(id, record);
    const std::uint64_t offset = size < 65536 ? random() % (file / size) * size : i * size % file;
    transaction.write(id, offset, as_bytes(bytes));
    apply(store, transaction);
    if ((i + 1) % batch == 0)
      test::make_durable(store, store.applied());
    else
      test::run_jobs(store);
  }
  test::make_durable(store, store.applied());
  const double seconds = watch.seconds();
  std::printf("write %7zu bytes, a sync for each %3d: %9.0f per second, %7.1f MB/s\n", size, batch,
              count / seconds, static_cast<double>(size) * count / seconds / 1e6);
}

void bench_reads(Store& store, std::uint64_t count) {
  std::mt19937_64 random(8);
  constexpr int rounds = 200'000;
  for (int pass = 0; pass < 2; ++pass) {
    Stopwatch watch;
    for (int i = 0; i < rounds; ++i) {
      const ObjectId id{local_object_bit | (1 + random() % std::min<std::uint64_t>(count, 20'000))};
      CHECK(test::loading(store, [&] { return store.object(id); }).has_value());
    }
    std::printf("object(), pass %d:                      %9.0f ns each\n", pass + 1,
                watch.seconds() / rounds * 1e9);
  }
}

void print_memory(const Store& store) {
  long resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*d %ld", &resident) != 1) resident = 0;
    std::fclose(file);
  }
  std::printf("resident %.1f MB, store's files %.1f MB\n",
              static_cast<double>(resident) * 4096 / 1e6,
              static_cast<double>(store.usage().disk_bytes) / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: store_bench DIRECTORY [OBJECTS]\n");
    return 2;
  }
  const std::uint64_t count = argc > 2 ? std::stoull(argv[2]) : 1'000'000;
  const std::string path = std::string(argv[1]) + "/store_bench";
  std::filesystem::remove_all(path);
  auto directory = *open_directory(path, true);
  {
    auto store = *Store::create(*directory, {});
    bench_creates(*store, count);
    bench_synced(*store, 1, 300);
    bench_synced(*store, 16, 200);
    print_memory(*store);
  }
  Stopwatch watch;
  auto store = *Store::open(*directory, {});
  std::printf("open after a crash, %llu objects:   %9.0f ms\n",
              static_cast<unsigned long long>(store->usage().objects), watch.seconds() * 1e3);
  print_memory(*store);
  bench_reads(*store, count);
  const ObjectId id = store->next_object();
  bench_writes(*store, id, 4096, 1u << 30, 20'000, 64);
  bench_writes(*store, id, 1u << 20, 1u << 30, 1'000, 64);
  print_memory(*store);
  test::close_cleanly(*store);
  store.reset();
  Stopwatch again;
  store = *Store::open(*directory, {});
  std::printf("open after a clean close:              %9.0f ms\n", again.seconds() * 1e3);
  store.reset();
  std::filesystem::remove_all(path);
  return 0;
}
