#include "tests/support/family_example.h"

#include <string>

#include "rpc/base/check.h"
#include "tests/support/run_jobs.h"

namespace rowan::test {

using namespace cache;

FamilyExample::FamilyExample(bool closes) : closed(closes) {
  auto family = *StoreFamily::create(*root, golden_options());
  auto head = *loading(*family, [&] { return family->store(first_state); });
  StoreModel& model = models[first_state];
  tell_first_life(*head, model);
  checkpoint = *family->checkpoint(first_state, "first life");
  models[checkpoint] = model;
  clone = *family->branch(checkpoint, "clone");
  models[clone] = model;
  change_clone(*family);
  tell_second_life(*head, model);
  make_durable(*family, family->applied());
  applied = family->applied();
  head.reset();
  if (closed) close_cleanly(*family);
}

void FamilyExample::change_clone(StoreFamily& family) {
  auto store = *loading(family, [&] { return family.store(clone); });
  const std::string bytes(5000, 'C');
  Transaction transaction;
  transaction.write(ObjectId{5}, 9000, as_bytes(bytes));
  models[clone].write(5, 9000, bytes);
  const NameRecord record{ObjectId{5}, store->next_sequence()};
  transaction.put_name(ObjectId{2}, "of the clone", record);
  models[clone].names[{2, "of the clone"}] = record;
  CHECK(loading(*store, [&] { return store->apply(transaction); }).has_value());
  make_durable(family, family.applied());
}

}  // namespace rowan::test
