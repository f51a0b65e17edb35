// What states cost on a real directory: versions_bench DIRECTORY [MOST_OBJECTS]. The directory is
// emptied first, so it must be one of this program's own.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "cache/file_posix.h"
#include "cache/store_family.h"
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

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void apply(Store& store, Transaction& transaction) {
  while (true) {
    auto result = test::loading(store, [&] { return store.apply(transaction); });
    if (result) return;
    CHECK(result.failed_with(Errc::try_later));
    test::make_durable(store, store.applied());
  }
}

ObjectId id_of(std::uint64_t i) { return ObjectId{1000 + i * 0x9e3779b97f4a7c15u % (1u << 30)}; }

void put_object(Store& store, std::uint64_t i, std::uint64_t stamp) {
  Transaction transaction;
  ObjectRecord record;
  record.parent = image_root;
  record.name = "file" + std::to_string(i);
  record.mtime.seconds = static_cast<std::int64_t>(stamp);
  transaction.put_object(id_of(i), record);
  apply(store, transaction);
}

struct Bench {
  std::string path;
  std::unique_ptr<Directory> directory;
  std::unique_ptr<StoreFamily> family;
  std::unique_ptr<Store> head;

  void open(bool fresh) {
    if (fresh) std::filesystem::remove_all(path);
    directory = *open_directory(path, true);
    family = fresh ? *StoreFamily::create(*directory, {}) : *StoreFamily::open(*directory, {});
    head = *test::loading(*family, [&] { return family->store(first_state); });
  }
  void close() {
    head.reset();
    family.reset();
    directory.reset();
  }
  void settle() { test::make_durable(*family, family->applied()); }

  StateId checkpoint() {
    while (true) {
      auto made = family->checkpoint(first_state, "bench");
      if (made) return *made;
      CHECK(made.failed_with(Errc::try_later));
      test::run_jobs(*family);
    }
  }
};

// Until the ticket is durable, not until there is nothing more to do.
void wait_durable(StoreFamily& family) {
  const Ticket ticket = family.applied();
  family.want_durable(ticket);
  while (family.durable() < ticket) {
    auto job = family.next_job();
    CHECK(job != nullptr);
    job->run();
    family.complete(std::move(job));
  }
}

void fill(Bench& bench, std::uint64_t objects) {
  bench.open(true);
  for (std::uint64_t i = 0; i < objects; ++i) {
    put_object(*bench.head, i, 0);
    if (i % 64 == 0) test::run_jobs(*bench.family);
  }
  bench.settle();
}

void bench_operations(Bench& bench, std::uint64_t objects) {
  std::vector<double> checkpoints, rollbacks;
  for (std::uint64_t i = 0; i < 20; ++i) {
    put_object(*bench.head, i, i + 1);
    bench.settle();
    Stopwatch watch;
    const StateId made = bench.checkpoint();
    wait_durable(*bench.family);
    checkpoints.push_back(watch.seconds());
    put_object(*bench.head, i, i + 2);
    bench.settle();
    Stopwatch again;
    CHECK(test::loading(*bench.family, [&] {
      return bench.family->rollback(first_state, made, "left");
    }).has_value());
    wait_durable(*bench.family);
    rollbacks.push_back(again.seconds());
  }
  std::printf("%9llu objects: checkpoint %6.2f ms, rollback %6.2f ms, durable (median of 20)\n",
              static_cast<unsigned long long>(objects), median(checkpoints) * 1e3,
              median(rollbacks) * 1e3);
}

// Of this process; what others do to the machine at the same time counts less than in seconds.
double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

struct Rate {
  double per_second = 0, microseconds = 0;   // the latter of the processor, for each
};

template <class Work>
Rate rate_of(int count, Work work) {
  Stopwatch watch;
  const double before = processor_seconds();
  work();
  return {count / watch.seconds(), (processor_seconds() - before) * 1e6 / count};
}

// New files in one directory, a sync for each 64.
void create_files(Bench& bench, int creates) {
  for (int i = 0; i < creates; ++i) {
    const ObjectId id = bench.head->next_object();
    Transaction transaction;
    ObjectRecord record;
    record.parent = image_root;
    record.name = "new" + std::to_string(to_number(id));
    transaction.put_object(id, record);
    transaction.put_name(image_root, record.name, {id, bench.head->next_sequence()});
    apply(*bench.head, transaction);
    if (i % 64 == 0) wait_durable(*bench.family);
  }
  wait_durable(*bench.family);
}

void bench_rates(Bench& bench, std::uint64_t objects, const char* what) {
  std::mt19937_64 random(8);
  constexpr int reads = 100'000, writes = 20'000, creates = 20'000;
  auto read_all = [&] {
    for (int i = 0; i < reads; ++i) {
      const ObjectId id = id_of(random() % objects);
      CHECK(test::loading(*bench.head, [&] { return bench.head->object(id); }).has_value());
    }
  };
  read_all();
  const Rate read = rate_of(reads, read_all);
  const Rate write = rate_of(writes, [&] {
    for (int i = 0; i < writes; ++i) {
      put_object(*bench.head, random() % objects, static_cast<std::uint64_t>(i));
      if (i % 64 == 0) wait_durable(*bench.family);
    }
    wait_durable(*bench.family);
  });
  const Rate create = rate_of(creates, [&] { create_files(bench, creates); });
  std::printf("%s:", what);
  for (const auto& [name, rate] :
       {std::pair("reads", read), std::pair("writes", write), std::pair("creates", create)})
    std::printf("  %.0f %s/s (%.2f us of processor)", rate.per_second, name, rate.microseconds);
  std::printf(", a sync for each 64\n");
}

void bench_many(Bench& bench, std::uint64_t objects) {
  bench_rates(bench, objects, "      1 checkpoint ");
  bench.settle();
  for (int i = 0; i < 1000; ++i) {
    put_object(*bench.head, static_cast<std::uint64_t>(i) % objects, 7);
    bench.checkpoint();
  }
  bench.settle();
  std::printf("%zu states, %.1f MB of tree pages\n", bench.family->states().size(),
              static_cast<double>(bench.family->usage().tree_pages) * 16384 / 1e6);
  bench_rates(bench, objects, "  1,000 checkpoints");
  test::close_cleanly(*bench.family);
  bench.close();
  Stopwatch watch;
  bench.open(false);
  std::printf("open with %zu states: %.1f ms\n", bench.family->states().size(),
              watch.seconds() * 1e3);
}

// The cost of finding out what each of some checkpoints needs alone.
void bench_unique(Bench& bench) {
  std::vector<StateId> checkpoints;
  for (const StateInfo& info : bench.family->states()) {
    if (!info.head && checkpoints.size() < 200) checkpoints.push_back(info.id);
  }
  Stopwatch watch;
  std::uint64_t bytes = 0;
  for (const StateId id : checkpoints) {
    auto alone = bench.family->unique_bytes(id);
    while (alone.failed_with(Errc::try_later)) {
      test::run_jobs(*bench.family);
      alone = bench.family->unique_bytes(id);
    }
    bytes += *alone;
  }
  const double count = static_cast<double>(checkpoints.size());
  std::printf("what a checkpoint needs alone: %.2f ms each (%.0f KB on average)\n",
              watch.seconds() * 1e3 / count, static_cast<double>(bytes) / count / 1e3);
}

void bench_drop(Bench& bench) {
  std::vector<StateId> checkpoints;
  for (const StateInfo& info : bench.family->states()) {
    if (!info.head) checkpoints.push_back(info.id);
  }
  Stopwatch watch;
  std::size_t dropped = 0;
  for (; dropped < 100 && dropped < checkpoints.size(); ++dropped) {
    CHECK(bench.family->drop(checkpoints[checkpoints.size() / 2 + dropped]).has_value());
    bench.settle();
  }
  std::printf("drop of a checkpoint, all given back: %.1f ms each\n",
              watch.seconds() * 1e3 / static_cast<double>(dropped));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: versions_bench DIRECTORY [MOST_OBJECTS]\n");
    return 2;
  }
  const std::uint64_t most = argc > 2 ? std::stoull(argv[2]) : 1'000'000;
  Bench bench;
  bench.path = std::string(argv[1]) + "/versions_bench";
  for (std::uint64_t objects = 1000; objects <= most; objects *= 10) {
    fill(bench, objects);
    bench_operations(bench, objects);
    if (objects == 100'000 || objects == most) {
      bench_many(bench, objects);
      bench_unique(bench);
      bench_drop(bench);
    }
    bench.close();
  }
  std::filesystem::remove_all(bench.path);
  return 0;
}
