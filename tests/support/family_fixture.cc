#include "tests/support/family_fixture.h"

#include "cache/change_parcels.h"
#include "cache/checker.h"

namespace rowan::test {

using namespace cache;

namespace {

template <class Ask>
auto until_ready(StoreFamily& family, Ask ask) {
  auto answer = loading(family, ask);
  for (int i = 0; i < 100 && answer.failed_with(Errc::try_later); ++i) {
    make_durable(family, family.applied());
    answer = loading(family, ask);
  }
  if (!answer) CHECK_EQ(to_string(answer.error()), "");
  return answer;
}

std::unique_ptr<TableDiff> diff(FamilyFixture& of, StatePin* before, const StatePin& after) {
  return of.family->diff(before, after);
}

}  // namespace

void FamilyFixture::open(bool fresh) {
  if (!root) root = disk.root();
  auto made = fresh ? StoreFamily::create(*root, options) : StoreFamily::open(*root, options);
  if (!made) CHECK_EQ(to_string(made.error()), "");
  family = std::move(*made);
  head = store(head_state);
}

void FamilyFixture::close() {
  head.reset();
  family.reset();
  root.reset();
}

std::unique_ptr<Store> FamilyFixture::store(StateId state) {
  return std::move(*until_ready(*family, [&] { return family->store(state); }));
}

void FamilyFixture::apply(Transaction& transaction) {
  (void)until_ready(*family, [&] { return head->apply(transaction); });
}

StateId FamilyFixture::checkpoint(std::string label) {
  return *until_ready(*family, [&] { return family->checkpoint(head_state, label); });
}

std::unique_ptr<StatePin> FamilyFixture::pin(StateId state) {
  return std::move(*until_ready(*family, [&] { return family->pin(state); }));
}

std::string FamilyFixture::check() {
  head.reset();
  close_cleanly(*family);
  family.reset();
  auto report = check_store(*root, {.data = true});
  if (!report) return to_string(report.error());
  return report->healthy() ? "" : report->findings.front();
}

SentChanges send(FamilyFixture& from, StateId before, StateId after, std::size_t page_bytes,
                 std::string behind) {
  const auto base = before == no_state ? nullptr : from.pin(before);
  const auto now = from.pin(after);
  SentChanges sent;
  bool more = true;
  // A walk of its own for every page, as the daemon makes it.
  while (more) {
    ChangeWalk walk(from.root.get(), diff(from, base.get(), *now));
    walk.start_after(behind);
    std::string page;
    while (more && page.empty()) {
      auto stepped = walk.step(page_bytes, page);
      if (!stepped) CHECK_EQ(to_string(stepped.error()), "");
      more = *stepped;
    }
    behind = walk.reached();
    sent.totals.add(walk.totals());
    sent.pages.push_back(std::move(page));
    sent.reached.push_back(behind);
  }
  return sent;
}

void take(FamilyFixture& into, const std::string& page) {
  ChangeParcels parcels(page);
  while (true) {
    Transaction transaction;
    auto more = parcels.next(transaction);
    if (!more) CHECK_EQ(to_string(more.error()), "");
    if (!*more) return;
    into.apply(transaction);
  }
}

ChangeTotals verify(FamilyFixture& of, StateId before, StateId after) {
  const auto base = before == no_state ? nullptr : of.pin(before);
  const auto now = of.pin(after);
  ChangeWalk walk(nullptr, diff(of, base.get(), *now));
  std::string none;
  while (*walk.step(1, none)) {
  }
  return walk.totals();
}

}  // namespace rowan::test
