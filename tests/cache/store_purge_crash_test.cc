// Files of so many extents that dropping them leaves purge marks, and power cuts at every step
// while the background works them off: what was cut away never shows again, what was written later
// stays, and in the end every block of the dropped ones is given back.
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "cache/store.h"
#include "cache/store_records.h"
#include "cache/table_page.h"
#include "tests/support/crash_world.h"
#include "tests/support/run_jobs.h"
#include "tests/support/seeds.h"
#include "tests/support/sim_disk.h"
#include "tests/support/small_options.h"
#include "tests/support/store_model.h"

#include "tests/support/catch.h"

using namespace rowan;
using namespace rowan::cache;
using test::SimDisk;

namespace {

constexpr std::uint64_t file_blocks = 160;
// More are left to the background, which looks at twice as many at a time.
constexpr std::size_t eager_drops = 16;
constexpr std::uint64_t most_short_bytes = 20;

// Each block has local bytes from its beginning on, all the same.
struct Run {
  std::uint64_t length = 0;
  char byte = 0;
  friend bool operator==(const Run&, const Run&) = default;
};
using ModelFile = std::map<std::uint64_t, Run>;   // by block
using Model = std::map<ObjectId, ModelFile>;

std::string text(ObjectId id) { return std::to_string(to_number(id) & ~local_object_bit); }

// All local bytes of a file. Empty and `problem` set if they are not runs as above.
ModelFile content_of(Store& store, ObjectId id, std::string& problem) {
  ModelFile content;
  auto runs = test::loading(
      store, [&] { return store.extents(id, {}, 0, file_blocks * data_block_size); });
  if (!runs) problem = to_string(runs.error());
  for (std::size_t i = 0; problem.empty() && i < runs->size(); ++i) {
    const Extent& extent = (*runs)[i];
    if (extent.kind != Extent::Kind::local) continue;
    std::string bytes(extent.length, '?');
    auto read = test::loading(store, [&] {
      return store.read(extent, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
    });
    if (!read) problem = to_string(read.error());
    for (std::uint64_t at = 0; at < bytes.size(); ++at) {
      Run& run = content[(extent.offset + at) / data_block_size];
      if ((extent.offset + at) % data_block_size != run.length) problem = "a hole in a block";
      if (run.length == 0) run.byte = bytes[at];
      if (run.byte != bytes[at]) problem = "mixed bytes";
      ++run.length;
    }
  }
  return content;
}

std::string difference(Store& store, const Model& model) {
  for (const auto& [id, expected] : model) {
    std::string problem;
    const ModelFile found = content_of(store, id, problem);
    if (!problem.empty()) return "object " + text(id) + ": " + problem;
    for (std::uint64_t block = 0; block < file_blocks; ++block) {
      const auto here = found.find(block), there = expected.find(block);
      const bool same = (here == found.end()) == (there == expected.end()) &&
                        (here == found.end() || here->second == there->second);
      if (!same) return "object " + text(id) + " differs in block " + std::to_string(block);
    }
  }
  return "";
}

std::uint64_t bytes_of(const Model& model) {
  std::uint64_t blocks = 0;
  for (const auto& [id, file] : model) blocks += file.size();
  return blocks * data_block_size;
}

StoreOptions small_options(std::mt19937_64& random) {
  StoreOptions options;
  options.eager_drops = eager_drops;
  options.table = test::tiny_table(16384 << (random() % 3));
  options.table.pending_bytes = 4 << 20;
  return options;
}

class World final : public test::CrashWorld<Store, Model> {
 public:
  explicit World(std::uint64_t seed)
      : CrashWorld(seed, {.slow_reads = 0, .own_batches = true, .recovery_steps = 0}),
        options_(small_options(random_)) {}

  int interrupted = 0;   // purges that a crash found begun and not ended

 private:
  Result<std::unique_ptr<Store>> create(Directory& root) override {
    return Store::create(root, options_);
  }
  Result<std::unique_ptr<Store>> open(Directory& root) override {
    return Store::open(root, options_);
  }
  std::string compare(const Model& model) override { return difference(*engine_, model); }
  void worked() override { most_bytes_ = std::max(most_bytes_, engine_->usage().data_bytes); }

  void change() override {
    transact();
    work_up_to(5);
    if (chance(0.5)) engine_->want_durable(engine_->applied());
  }
  void end() override {
    if (chance(0.5)) settle();
  }

  std::string look_at(Directory& root, std::uint64_t) override {
    auto opened = Store::open(root, options_);
    if (!opened) return "opening: " + to_string(opened.error());
    std::unique_ptr<Store> store = std::move(*opened);
    const Ticket ticket = store->applied();
    if (std::string found = models_.problem_of_end(ticket); !found.empty()) return found;
    const Model& expected = models_.after(ticket);
    if (std::string found = difference(*store, expected); !found.empty()) return found;
    const std::uint64_t before = store->usage().data_bytes;
    if (before > bytes_of(expected) && before < most_bytes_) ++interrupted;
    store.reset();
    if (std::string found = test::check_whole(root); !found.empty()) return found;
    return look_after_purge(root, expected);
  }

  std::string look_after_purge(Directory& root, const Model& expected) const {
    auto opened = Store::open(root, options_);
    if (!opened) return "opening again: " + to_string(opened.error());
    std::unique_ptr<Store> store = std::move(*opened);
    test::make_durable(*store, store->applied());
    if (std::string found = difference(*store, expected); !found.empty())
      return "after the purge: " + found;
    const std::uint64_t used = store->usage().data_bytes;
    if (used != bytes_of(expected))
      return std::to_string(used) + " bytes are counted instead of " +
             std::to_string(bytes_of(expected));
    store.reset();
    return test::check_whole(root);
  }

  bool more_jobs() {
    if (auto job = engine_->next_job()) jobs_.add(std::move(job));
    return !jobs_.empty();
  }

  // Until nothing is left to be done.
  void settle() {
    engine_->want_durable(engine_->applied());
    while (problem.empty() && more_jobs()) work();
    if (problem.empty()) problem = compare(models_.newest());
    if (problem.empty() && engine_->usage().data_bytes != bytes_of(models_.newest()))
      problem = "blocks are left after a purge";
  }

  // ---- changes

  void transact() {
    Model next = models_.newest();
    Transaction transaction;
    bytes_.clear();
    const ObjectId image{5};
    const std::uint64_t kind = random_() % 10;
    auto chosen = next.begin();
    if (!next.empty()) std::advance(chosen, static_cast<std::ptrdiff_t>(random_() % next.size()));
    if (next.empty() || (kind == 0 && next.size() < 3)) {
      const ObjectId made = next.empty() ? image : engine_->next_object();
      transaction.put_object(made, {});
      fill(transaction, made, next[made]);
    } else if (kind < 5) {
      fill(transaction, chosen->first, chosen->second);
    } else if (kind < 9 || chosen->first == image) {
      const std::uint64_t size = chance(0.3) ? 0 : random_() % (file_blocks * data_block_size / 2);
      truncate(transaction, chosen->first, chosen->second, size);
      // The same transaction may write behind the cut: that stays.
      if (chance(0.4)) write(transaction, chosen->first, chosen->second, random_() % file_blocks);
    } else {
      transaction.remove_object(chosen->first, {});
      next.erase(chosen);
    }
    apply(transaction, std::move(next));
  }

  void fill(Transaction& transaction, ObjectId id, ModelFile& file) {
    const std::uint64_t from = random_() % 30, to = from + 10 + random_() % (file_blocks - 40);
    for (std::uint64_t block = from; block < to; ++block) write(transaction, id, file, block);
  }

  // Full blocks over what there is, short runs where nothing is.
  void write(Transaction& transaction, ObjectId id, ModelFile& file, std::uint64_t block) {
    const bool fresh = !file.contains(block);
    const Run run{fresh ? 1 + random_() % most_short_bytes : data_block_size,
                  static_cast<char>('a' + random_() % 26)};
    bytes_.emplace_back(run.length, run.byte);
    transaction.write(id, block * data_block_size, as_bytes(bytes_.back()));
    file[block] = run;
  }

  static void truncate(Transaction& transaction, ObjectId id, ModelFile& file,
                       std::uint64_t size) {
    transaction.truncate(id, size);
    for (auto& [block, run] : file) {
      const std::uint64_t begin = block * data_block_size;
      run.length = std::min(run.length, size > begin ? size - begin : 0);
    }
    std::erase_if(file, [](const auto& entry) { return entry.second.length == 0; });
  }

  void apply(Transaction& transaction, Model next) {
    Result<Ticket> ticket = Errc::try_later;
    while (problem.empty() && ticket.failed_with(Errc::try_later)) {
      ticket = test::loading(*engine_, [&] { return engine_->apply(transaction); });
      if (!ticket.failed_with(Errc::try_later)) break;
      engine_->want_durable(engine_->applied());
      work();
    }
    if (!problem.empty()) return;
    if (!ticket) problem = "apply: " + to_string(ticket.error());
    else note(*ticket, std::move(next));
    most_bytes_ = std::max(most_bytes_, engine_->usage().data_bytes);
  }

  void note(Ticket ticket, Model next) {
    // A transaction that changes nothing makes no batch.
    if (ticket <= models_.last()) return;
    models_.repeat_through(ticket - 1);
    models_.add(std::move(next));
  }

  StoreOptions options_;
  std::deque<std::string> bytes_;        // of the transaction
  std::uint64_t most_bytes_ = 0;
};

}  // namespace

TEST_CASE("a power cut at any step of a removal in the background neither loses nor leaks") {
  int interrupted = 0;
  for (const std::uint64_t seed : test::seeds(50)) {
    World world(seed);
    for (int life = 0; life < 2 && world.problem.empty(); ++life) world.live(20, 0.07);
    if (!world.problem.empty()) FAIL("seed " << seed << ": " << world.problem);
    interrupted += world.interrupted;
  }
  if (test::many_seeds()) CHECK(interrupted > 0);
}

TEST_CASE("a cut below what a purge in the background has already looked at is purged as well") {
  SimDisk disk(1);
  auto root = disk.root();
  std::mt19937_64 random(1);
  auto store = *Store::create(*root, small_options(random));
  const ObjectId id{5};
  auto commit = [&](Transaction& transaction) {
    REQUIRE(test::loading(*store, [&] { return store->apply(transaction); }));
    store->want_durable(store->applied());
  };
  constexpr std::uint64_t blocks = file_blocks;
  Model expected;
  for (std::uint64_t from = 0; from < blocks; from += 40) {
    Transaction transaction;
    transaction.put_object(id, {});
    for (std::uint64_t block = from; block < from + 40; ++block) {
      transaction.write(id, block * data_block_size, as_bytes(std::string_view("x")));
      if (block < 20) expected[id][block] = {1, 'x'};
    }
    commit(transaction);
    test::run_jobs(*store);
  }
  Transaction first, second;
  first.truncate(id, 40 * data_block_size);
  commit(first);
  while (store->usage().data_bytes == blocks * data_block_size) {
    auto job = store->next_job();
    REQUIRE(job != nullptr);
    job->run();
    store->complete(std::move(job));
  }
  REQUIRE(store->usage().data_bytes > 60 * data_block_size);   // begun, not over
  second.truncate(id, 20 * data_block_size);
  commit(second);
  test::run_jobs(*store);
  CHECK(store->usage().data_bytes == bytes_of(expected));
  CHECK(difference(*store, expected) == "");
}

namespace {

// Damages the last leaf of the tree that holds nothing but extents of this object.
void damage_last_leaf_of(SimDisk& disk, ObjectId id) {
  auto root = disk.root();
  auto tree = *root->open("tree", OpenMode::read);
  const std::string prefix = key_prefix(RecordKind::extent, id);
  std::uint64_t place = 0;
  std::string last;
  std::vector<std::byte> bytes(page_size);
  for (std::uint64_t at = page_size; at + page_size <= *tree->size(); at += page_size) {
    REQUIRE(tree->read_at(at, bytes));
    const auto claim = claim_of(bytes);
    if (!claim || claim->level != 0) continue;
    if (!check_page(bytes, claim->pointer, 0, claim->epoch)) continue;
    const PageView page(bytes);
    if (page.count() == 0 || !page.key(0).starts_with(prefix)) continue;
    if (!page.key(page.count() - 1).starts_with(prefix) || page.key(0) <= last) continue;
    last = page.key(0);
    place = at;
  }
  REQUIRE(place != 0);
  disk.flip("tree", place + 1000, 3);
}

}  // namespace

TEST_CASE("an object whose records are damaged keeps no other one from being purged") {
  SimDisk disk(1);
  std::mt19937_64 random(1);
  const StoreOptions options = small_options(random);
  constexpr std::uint64_t blocks = 1000;
  {
    auto root = disk.root();
    auto store = *Store::create(*root, options);
    for (const ObjectId id : {ObjectId{5}, ObjectId{6}}) {
      for (std::uint64_t block = 0; block < blocks; ++block) {
        Transaction transaction;
        transaction.put_object(id, {});
        transaction.write(id, block * data_block_size, as_bytes(std::string_view("x")));
        auto apply = [&] { return store->apply(transaction); };
        auto ticket = test::loading(*store, apply);
        if (!ticket) {
          test::make_durable(*store, store->applied());
          ticket = test::loading(*store, apply);
        }
        REQUIRE(ticket);
      }
    }
    test::close_cleanly(*store);
  }
  damage_last_leaf_of(disk, ObjectId{5});
  auto root = disk.root();
  auto store = *Store::open(*root, options);
  for (const ObjectId id : {ObjectId{5}, ObjectId{6}}) {
    Transaction transaction;
    transaction.truncate(id, 0);
    REQUIRE(test::loading(*store, [&] { return store->apply(transaction); }));
  }
  test::make_durable(*store, store->applied());
  std::string problem;
  CHECK(content_of(*store, ObjectId{6}, problem).empty());
  CHECK(problem == "");
  // All of the one, and of the other what comes before the damage.
  CHECK(store->usage().data_bytes < blocks * data_block_size);
  CHECK(store->usage().data_bytes > 0);
}
