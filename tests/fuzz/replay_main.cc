// Runs a fuzz target without libFuzzer: replays files, then seeds, then mutations from a seed.
//
//   NAME_fuzz [--count N] [--seed N] [--only I] [--write-seeds DIR] [FILE|DIR]...
//
// --only I runs the I-th mutation alone, as the message of a failure says.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string_view>

#include "tests/fuzz/fuzz.h"

extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace {

using rowan::fuzz::seeds;

// What runs now, for the message of a crash. Set before each input, read in a signal handler.
char current[512];

void say_current() {
  [[maybe_unused]] auto written = write(STDERR_FILENO, current, strnlen(current, sizeof current));
}
extern "C" void on_signal(int number) {
  say_current();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

// Memory whose last byte is followed by a page that cannot be touched.
class GuardedMemory {
 public:
  explicit GuardedMemory(std::size_t capacity) {
    std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    capacity_ = (capacity + page - 1) / page * page;
    void* memory = mmap(nullptr, capacity_ + page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      std::perror("mmap");
      std::exit(1);
    }
    data_ = static_cast<std::uint8_t*>(memory);
    if (mprotect(data_ + capacity_, page, PROT_NONE) != 0) {
      std::perror("mprotect");
      std::exit(1);
    }
  }
  std::size_t capacity() const { return capacity_; }
  // The input, ending at the guard page.
  const std::uint8_t* put(std::string_view input) {
    std::uint8_t* start = data_ + capacity_ - input.size();
    if (!input.empty()) std::memcpy(start, input.data(), input.size());
    return start;
  }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t capacity_ = 0;
};

constexpr std::size_t longest_input = 1u << 20;

void run(std::string_view input, const std::string& what) {
  static GuardedMemory memory(longest_input);
  input = input.substr(0, memory.capacity());
  std::snprintf(current, sizeof current, "failed at %s\n", what.c_str());
  LLVMFuzzerTestOneInput(memory.put(input), input.size());
}

class Mutator {
 public:
  Mutator(std::uint64_t seed, const std::vector<std::string>& from) : random_(seed), from_(from) {}

  std::string next() {
    std::string input = from_.empty() ? std::string() : from_[below(from_.size())];
    for (std::uint64_t changes = 1 + below(4); changes != 0; --changes) change(input);
    return input;
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return limit == 0 ? 0 : random_() % limit; }

  void change(std::string& input) {
    std::size_t at = below(input.size() + 1);
    std::size_t length = below(std::min<std::size_t>(input.size() - at, 64) + 1);
    switch (below(8)) {
      case 0: input.resize(at); break;
      case 1: input.erase(at, length); break;
      case 2: input.insert(at, std::string(input, at, length)); break;
      case 3: input.insert(at, std::string(below(9), static_cast<char>(random_()))); break;
      case 4:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        break;
      case 5:
        if (at < input.size()) input[at] = static_cast<char>(random_());
        break;
      case 6: put_word(input, at); break;
      default: splice(input, at); break;
    }
  }

  // A number that is a limit somewhere, at a word's place more often than not.
  void put_word(std::string& input, std::size_t at) {
    static constexpr std::uint32_t words[] = {
        0, 1, 2, 3, 16, 17, 64, 65, 255, 256, 400, 401, 1024, 4096, 4097, 1u << 20, 0x7fffffff,
        0x80000000, 0x80000001, 0xfffffffc, 0xfffffffd, 0xfffffffe, 0xffffffff};
    if (below(4) != 0) at -= at % 4;
    if (input.size() < at + 4) return;
    std::byte word[4];
    rowan::store_be(word, words[below(std::size(words))]);
    std::memcpy(input.data() + at, word, 4);
  }

  void splice(std::string& input, std::size_t at) {
    if (from_.empty()) return;
    const std::string& other = from_[below(from_.size())];
    input.resize(at);
    input += std::string_view(other).substr(below(other.size() + 1));
  }

  std::mt19937_64 random_;
  const std::vector<std::string>& from_;
};

struct Options {
  std::uint64_t count = 20'000;
  std::uint64_t seed = 1;
  std::uint64_t only = ~std::uint64_t{0};
  std::string write_seeds;
  std::vector<std::filesystem::path> paths;
};

[[noreturn]] void usage(const char* program) {
  std::fprintf(stderr,
               "usage: %s [--count N] [--seed N] [--only I] [--write-seeds DIR] [FILE|DIR]...\n",
               program);
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    if (word.substr(0, 2) != "--") {
      options.paths.emplace_back(word);
      continue;
    }
    if (i + 1 == argc) usage(argv[0]);
    const char* value = argv[++i];
    if (word == "--count") options.count = std::strtoull(value, nullptr, 10);
    else if (word == "--seed") options.seed = std::strtoull(value, nullptr, 10);
    else if (word == "--only") options.only = std::strtoull(value, nullptr, 10);
    else if (word == "--write-seeds") options.write_seeds = value;
    else usage(argv[0]);
  }
  return options;
}

std::vector<std::string> replay(const std::vector<std::filesystem::path>& paths) {
  std::vector<std::filesystem::path> files;
  for (const auto& path : paths) {
    if (std::filesystem::is_directory(path)) {
      for (const auto& entry : std::filesystem::directory_iterator(path)) files.push_back(entry);
    } else if (std::filesystem::exists(path)) {
      files.push_back(path);
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> inputs;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    run(inputs.back(), file.string());
  }
  return inputs;
}

void write_seeds(const std::string& directory) {
  std::filesystem::create_directories(directory);
  std::size_t index = 0;
  for (const std::string& seed : seeds()) {
    std::ofstream(directory + "/seed-" + std::to_string(index++), std::ios::binary) << seed;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options = parse(argc, argv);
  if (!options.write_seeds.empty()) {
    write_seeds(options.write_seeds);
    return 0;
  }
  for (int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE}) std::signal(number, on_signal);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(say_current);

  std::vector<std::string> inputs = replay(options.paths);
  std::size_t replayed = inputs.size();
  std::size_t index = 0;
  for (std::string& seed : seeds()) {
    run(seed, "seed input " + std::to_string(index++));
    inputs.push_back(std::move(seed));
  }
  run({}, "the empty input");
  Mutator mutator(options.seed, inputs);
  for (std::uint64_t i = 0; i < options.count; ++i) {
    std::string input = mutator.next();
    if (options.only != ~std::uint64_t{0} && i != options.only) continue;
    run(input, "a mutation: run again with --seed " + std::to_string(options.seed) + " --only " +
                   std::to_string(i));
  }
  std::printf("%zu files, %zu seeds, %llu mutations of seed %llu\n", replayed, index,
              static_cast<unsigned long long>(options.count),
              static_cast<unsigned long long>(options.seed));
  return 0;
}
