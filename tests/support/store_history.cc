#include "tests/support/store_history.h"

#include <algorithm>

namespace rowan::test {

using namespace cache;

bool StoreHistory::chance(double probability) {
  return std::uniform_real_distribution<>(0, 1)(random_) < probability;
}

void StoreHistory::add_changes(Transaction& transaction, StoreModel& model,
                               const std::function<std::uint64_t()>& next_sequence) {
  kept_.clear();
  for (int i = static_cast<int>(random_() % 3); i >= 0; --i)
    add_change(transaction, model, next_sequence);
}

void StoreHistory::write(Transaction& transaction, StoreModel& model, std::uint64_t number) {
  const std::uint64_t offset = random_() % (history_file_size - 1);
  const std::uint64_t most =
      std::min<std::uint64_t>(history_file_size - offset, chance(0.5) ? 9000 : 60);
  kept_.emplace_back(1 + random_() % most, static_cast<char>('a' + ++letter_ % 26));
  transaction.write(ObjectId{number}, offset, as_bytes(kept_.back()));
  model.write(number, offset, kept_.back());
}

void StoreHistory::change_name(Transaction& transaction, StoreModel& model, std::uint64_t number,
                               const std::function<std::uint64_t()>& next_sequence) {
  const std::string name = "name" + std::to_string(random_() % 5);
  if (chance(0.3)) {
    transaction.erase_name(ObjectId{number}, name);
    model.names.erase({number, name});
    return;
  }
  const NameRecord record{chance(0.2) ? no_object : ObjectId{77}, next_sequence()};
  transaction.put_name(ObjectId{number}, name, record);
  model.names[{number, name}] = record;
}

void StoreHistory::add_change(Transaction& transaction, StoreModel& model,
                              const std::function<std::uint64_t()>& next_sequence) {
  const std::uint64_t number = history_objects[random_() % history_objects.size()];
  const ObjectId id{number};
  const std::uint64_t kind = model.files.contains(number) ? random_() % 10 : 9;
  if (kind < 5) {
    write(transaction, model, number);
  } else if (kind == 5) {
    const std::uint64_t size = random_() % history_file_size;
    transaction.truncate(id, size);
    model.truncate(number, size);
  } else if (kind == 6 && is_local(id)) {
    // Only local objects leave no tombstone behind, which the comparison would have to know.
    transaction.remove_object(id, {});
    model.files.erase(number);
  } else if (kind < 9) {
    change_name(transaction, model, number, next_sequence);
  } else {
    ObjectRecord record;
    record.size = history_file_size;
    record.mtime.seconds = ++stamp_;
    transaction.put_object(id, record);
    model.files[number].record = record;
  }
}

}  // namespace rowan::test
