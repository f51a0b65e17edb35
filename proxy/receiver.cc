#include "proxy/receiver.h"

#include <utility>

#include "cache/change_parcels.h"
#include "proxy/blocking.h"
#include "proxy/state_question.h"
#include "rpc/base/log.h"

namespace rowan::proxy {
namespace {

using cache::StateId;

// A receive that goes on for days is not given up at the next start.
constexpr std::int64_t touch_interval_seconds = 86'400;

// Behind every key: all changes were made.
const std::string everything(1, '\xff');

const cache::StateInfo* find_state(const std::vector<cache::StateInfo>& states, StateId id) {
  for (const cache::StateInfo& info : states) {
    if (info.id == id && !info.dropped) return &info;
  }
  return nullptr;
}

std::optional<Checkpoint> checkpoint_of_guid(const History& history, std::uint64_t guid) {
  for (const Checkpoint& checkpoint : history.checkpoints) {
    if (checkpoint.label.guid == guid) return checkpoint;
  }
  return {};
}

Error no_receive(const std::string& name) {
  return Error(Errc::not_found, "nothing is half received under the name '" + name + "'");
}

Error base_missing(const StreamHeader& header, const std::string& name) {
  return Error(Errc::not_found, "appliance '" + name + "' has no checkpoint that is '" +
                                    header.appliance.name + "@" + header.base_name +
                                    "', from which this increment begins; send it whole, or since "
                                    "a checkpoint that is here ('rowan log " + name + "')");
}

Error base_removed(const std::string& name) {
  return Error(Errc::not_found, "the checkpoint of '" + name +
                                    "' from which the increment begins was removed while it came; "
                                    "drop it with 'rowan receive " + name +
                                    " --abort' and send it since another one, or whole");
}

}  // namespace

Task<Result<void>> Receiver::on_disk(std::function<Result<void>()> work) {
  return run_blocking(disk_, loop_, std::move(work));
}

// ---- beginning

Task<Result<std::string>> Receiver::begin(Wish wish) {
  auto half = registry_.receives().find(wish.name);
  if (half != registry_.receives().end()) {
    ReceiveRecord receive = half->second;
    if (receive.stream != wish.text) {
      co_return Error(Errc::exists, "another stream is half received under the name '" +
                                        wish.name + "'; go on with that one, or drop it with "
                                        "'rowan receive " + wish.name + " --abort'");
    }
    Result<std::string> known = co_await reached(receive);
    if (known) {
      Result<void> touched = co_await touch(wish.name);
      if (!touched) co_return std::move(touched).error();
      co_return known;
    }
    // Its state is gone: from the beginning.
    Result<void> forgotten = co_await forget(receive);
    if (!forgotten) co_return std::move(forgotten).error();
  }
  Result<ApplianceRecord> known = registry_.appliance(wish.name);
  Result<ReceiveRecord> receive = Errc::io;
  if (known && wish.header.base != 0) receive = co_await begin_increment(wish, *known);
  else receive = co_await begin_new(wish);
  if (!receive) co_return std::move(receive).error();
  auto keep = [this, &receive] { return registry_.add_receive(*receive); };
  Result<void> kept = co_await on_disk(keep);
  if (!kept) co_return std::move(kept).error();
  co_return std::string();
}

Task<Result<ReceiveRecord>> Receiver::begin_new(const Wish& wish) {
  ReceiveRecord receive;
  receive.name = wish.name;
  receive.stream = wish.text;
  receive.touched = loop_.clock().wall().seconds;
  ApplianceRecord& record = receive.appliance;
  record = wish.header.appliance;
  record.name = wish.name;
  record.schedule = {};
  record.head = cache::first_state;
  if (wish.new_identity) registry_.give_identity(record);
  CO_TRY_VOID(registry_.check_received(record));
  if (wish.header.base != 0) {
    co_return Error(Errc::not_found, "there is no appliance '" + wish.name +
                                         "', and the stream is an increment since '" +
                                         wish.header.base_name + "'; send it whole first");
  }
  std::optional<Result<PoolId>> pool;
  auto make = [this, &pool]() -> Result<void> {
    pool = registry_.new_pool();
    return {};
  };
  (void)co_await on_disk(make);
  if (!*pool) co_return std::move(*pool).error();
  record.pool = **pool;
  Result<Pool*> opened = co_await pools_.pool(record);
  if (!opened) co_return std::move(opened).error();
  co_return receive;
}

Task<Result<ReceiveRecord>> Receiver::begin_increment(const Wish& wish,
                                                      const ApplianceRecord& known) {
  Result<Pool*> pool = co_await pools_.pool(known);
  if (!pool) co_return std::move(pool).error();
  const History history = history_of(**pool, known);
  const auto base = checkpoint_of_guid(history, wish.header.base);
  if (!base) co_return base_missing(wish.header, wish.name);
  if (checkpoint_of_guid(history, wish.header.checkpoint.guid)) {
    co_return Error(Errc::exists, "appliance '" + wish.name + "' has that checkpoint already");
  }
  const CheckpointLabel& sent = wish.header.checkpoint;
  if (known.image != wish.header.appliance.image || known.version != wish.image.label) {
    co_return Error(Errc::not_supported, "the increment is above image " + sent.image + "@" +
                                             sent.version + ", appliance '" + wish.name +
                                             "' above " + known.image + "@" + known.version);
  }
  if (!wish.force) {
    Result<bool> changed = co_await changed_since(known, **pool, base->state);
    if (!changed) co_return std::move(changed).error();
    if (*changed) {
      co_return Error(Errc::busy, "appliance '" + wish.name + "' has changed since '" +
                                      base->label.name +
                                      "'; with --force what it holds is put aside as a checkpoint");
    }
  }
  auto branch = [&pool, &base] { return (*pool)->family().branch(base->state, {}); };
  Result<StateId> head = co_await when_possible((*pool)->jobs(), branch);
  if (!head) co_return std::move(head).error();
  ReceiveRecord receive;
  receive.name = wish.name;
  receive.stream = wish.text;
  receive.touched = loop_.clock().wall().seconds;
  receive.appliance = known;
  receive.appliance.head = *head;
  receive.base = base->state;
  receive.force = wish.force;
  const ReceiveMark mark{sent.guid, receive.touched, {}};
  auto label = [&] { return (*pool)->family().set_label(*head, encode_mark(mark)); };
  Result<void> labelled = co_await when_possible((*pool)->jobs(), label);
  if (!labelled) co_return std::move(labelled).error();
  Result<void> written = co_await (*pool)->settle();
  if (!written) co_return std::move(written).error();
  co_return receive;
}

// Through a checkpoint of the moment, as only checkpoints can be compared.
Task<Result<bool>> Receiver::changed_since(const ApplianceRecord& record, Pool& pool,
                                           StateId base) {
  Result<StateId> now = co_await pool.moment(record.head);
  if (!now) co_return std::move(now).error();
  Result<cache::ChangeTotals> totals = co_await sender_.difference(pool, base, *now);
  Result<void> dropped = co_await pool.drop(*now);
  if (!totals) co_return std::move(totals).error();
  if (!dropped) co_return std::move(dropped).error();
  co_return totals->sum != 0 || totals->windows != 0;
}

// stale: its state is not there.
Task<Result<std::string>> Receiver::reached(const ReceiveRecord& receive) {
  Result<Pool*> pool = co_await pools_.pool(receive.appliance);
  if (!pool) co_return std::move(pool).error();
  CO_TRY(const StreamHeader header, decode_header(receive.stream));
  const auto states = (*pool)->family().states();
  const cache::StateInfo* head = find_state(states, receive.appliance.head);
  if (head == nullptr) co_return Errc::stale;
  if (const cache::StateInfo* parent = find_state(states, head->parent)) {
    Result<CheckpointLabel> label = decode_label(parent->label);
    if (label && label->guid == header.checkpoint.guid) co_return everything;
  }
  const auto mark = decode_mark(head->label);
  co_return mark && mark->guid == header.checkpoint.guid ? mark->reached : std::string();
}

Task<Result<void>> Receiver::touch(std::string name) {
  auto write = [this, &name] { return registry_.touch_receive(name); };
  co_return co_await on_disk(write);
}

Task<Result<Receiver::Standing>> Receiver::standing(std::string name) {
  auto found = registry_.receives().find(name);
  if (found == registry_.receives().end()) co_return no_receive(name);
  const ReceiveRecord receive = found->second;
  Result<Pool*> pool = co_await pools_.pool(receive.appliance);
  if (!pool) co_return std::move(pool).error();
  const auto states = (*pool)->family().states();
  const cache::StateInfo* head = find_state(states, receive.appliance.head);
  if (head == nullptr) co_return Errc::stale;
  Standing standing{receive.touched, {}};
  if (const auto mark = decode_mark(head->label)) standing.touched = mark->touched;
  if (receive.base != cache::no_state) co_return standing;
  Result<cache::Store*> store = co_await pools_.store(**pool, head->id);
  if (!store) co_return std::move(store).error();
  standing.bytes = (*store)->usage().data_bytes;
  co_return standing;
}

// ---- frames

Task<Result<void>> Receiver::take_names(std::string name, std::string content) {
  auto found = registry_.receives().find(name);
  if (found == registry_.receives().end()) co_return no_receive(name);
  CO_TRY(std::vector<cache::KnownName> names, cache::decode_names(content));
  const ApplianceRecord& record = found->second.appliance;
  const std::string image = record.image;
  CO_TRY(ImageVersion version, registry_.version({record.image, record.version}));
  Result<void> taken = co_await host_.take_names(image, version, std::move(names));
  if (!taken.failed_with(Errc::exists)) co_return taken;
  co_return Error(Errc::exists,
                  "image " + image + "@" + version.label + " is known here otherwise than on the "
                  "sending host: " + taken.error().detail + "; add its source once more under "
                  "another name ('rowan image add NAME2 SOURCE'), and receive with --image NAME2");
}

Task<Result<void>> Receiver::apply(Pool& pool, cache::Store& store, std::string changes) {
  cache::ChangeParcels parcels(std::move(changes));
  while (true) {
    cache::Transaction transaction;
    CO_TRY(const bool more, parcels.next(transaction));
    if (!more) co_return Result<void>();
    auto step = [&store, &transaction] { return store.apply(transaction); };
    Result<cache::Ticket> applied = co_await when_possible(pool.jobs(), step);
    if (!applied) co_return std::move(applied).error();
    pool.jobs().pump();
  }
}

Task<Result<void>> Receiver::take_changes(std::string name, std::string content) {
  auto found = registry_.receives().find(name);
  if (found == registry_.receives().end()) co_return no_receive(name);
  const ReceiveRecord receive = found->second;
  CO_TRY(cache::ChangesFrame frame, cache::decode_changes(content));
  CO_TRY(const StreamHeader header, decode_header(receive.stream));
  Result<Pool*> pool = co_await pools_.pool(receive.appliance);
  if (!pool) co_return std::move(pool).error();
  const StateId head = receive.appliance.head;
  Result<cache::Store*> store = co_await pools_.store(**pool, head);
  if (!store) co_return std::move(store).error();
  Result<void> applied = co_await apply(**pool, **store, std::move(frame.changes));
  if (!applied) co_return applied;
  // In a batch behind those it speaks of.
  const std::int64_t now = loop_.clock().wall().seconds;
  if (now - found->second.touched >= touch_interval_seconds) {
    Result<void> touched = co_await touch(name);
    if (!touched) co_return touched;
  }
  const ReceiveMark mark{header.checkpoint.guid, now, frame.reached};
  auto label = [&] { return (*pool)->family().set_label(head, encode_mark(mark)); };
  Result<void> marked = co_await when_possible((*pool)->jobs(), label);
  (*pool)->family().want_durable((*pool)->family().applied());
  (*pool)->jobs().pump();
  co_return marked;
}

// ---- the end

Task<Result<Receiver::Done>> Receiver::end(std::string name, cache::ChangeTotals totals) {
  auto found = registry_.receives().find(name);
  if (found == registry_.receives().end()) co_return no_receive(name);
  const ReceiveRecord receive = found->second;
  Result<Pool*> pool = co_await pools_.pool(receive.appliance);
  if (!pool) co_return std::move(pool).error();
  if (receive.base != cache::no_state) {
    Result<void> possible = co_await refuse_misfit(receive, **pool);
    if (!possible) co_return std::move(possible).error();
  }
  Result<Checkpoint> made = co_await seal(receive, **pool, totals);
  if (!made) co_return std::move(made).error();
  if (receive.base == cache::no_state) co_return co_await end_new(receive, **pool, *made);
  co_return co_await end_increment(receive, **pool, *made);
}

// What was removed, or has changed, while the increment came.
Task<Result<void>> Receiver::refuse_misfit(const ReceiveRecord& receive, Pool& pool) {
  CO_TRY(const ApplianceRecord record, registry_.appliance(receive.name));
  auto states = pool.family().states();
  const cache::StateInfo* head = find_state(states, receive.appliance.head);
  const bool sealed = head != nullptr && head->parent != receive.base;
  // A rollback to it that was done before something interrupted the rest.
  if (sealed && history_of(pool, record).running_on == head->parent)
    co_return Result<void>();
  if (find_state(states, receive.base) == nullptr) co_return base_removed(receive.name);
  if (receive.force) co_return Result<void>();
  Result<bool> changed = co_await changed_since(record, pool, receive.base);
  if (!changed) co_return std::move(changed).error();
  if (!*changed) co_return Result<void>();
  co_return Error(Errc::busy, "appliance '" + receive.name +
                                  "' has changed while the increment came; drop it with "
                                  "'rowan receive " + receive.name +
                                  " --abort', or receive it again with --force");
}

// The checkpoint of what was received, once that is what was sent.
Task<Result<Checkpoint>> Receiver::seal(const ReceiveRecord& receive, Pool& pool,
                                        const cache::ChangeTotals& totals) {
  CO_TRY(const StreamHeader header, decode_header(receive.stream));
  cache::StoreFamily& family = pool.family();
  Checkpoint made;
  made.label = header.checkpoint;
  made.label.appliance = receive.appliance.id;
  made.label.image = receive.appliance.image;
  made.label.version = receive.appliance.version;
  made.label.name = free_name(history_of(pool, receive.appliance), made.label.name);
  auto states = family.states();
  const cache::StateInfo* head = find_state(states, receive.appliance.head);
  if (head == nullptr) co_return no_receive(receive.name);
  if (const cache::StateInfo* parent = find_state(states, head->parent)) {
    Result<CheckpointLabel> label = decode_label(parent->label);
    // It was, before something interrupted the rest.
    if (label && label->guid == made.label.guid) co_return Checkpoint{parent->id, {}, *label};
  }
  Result<StateId> state = co_await pool.moment(receive.appliance.head);
  if (!state) co_return std::move(state).error();
  made.state = *state;
  Result<cache::ChangeTotals> got = co_await sender_.difference(pool, receive.base, *state);
  if (!got || got->sum != totals.sum) (void)co_await pool.drop(*state);
  if (!got) co_return std::move(got).error();
  if (got->sum != totals.sum) {
    co_return Error(Errc::corrupt, "what was received of '" + receive.name +
                                       "' is not what was sent; drop it with 'rowan receive " +
                                       receive.name + " --abort' and send it again");
  }
  auto label = [&] { return family.set_label(made.state, encode_label(made.label)); };
  Result<void> labelled = co_await when_possible(pool.jobs(), label);
  if (!labelled) co_return std::move(labelled).error();
  Result<void> written = co_await pool.settle();
  if (!written) co_return std::move(written).error();
  co_return made;
}

Task<Result<Receiver::Done>> Receiver::end_new(const ReceiveRecord& receive, Pool& pool,
                                               const Checkpoint& made) {
  Done done;
  done.record = receive.appliance;
  done.record.created = loop_.clock().wall().seconds;
  done.checkpoint = made.label.name;
  const StateId head = receive.appliance.head;
  auto clear = [&pool, head] { return pool.family().set_label(head, {}); };
  Result<void> cleared = co_await when_possible(pool.jobs(), clear);
  if (cleared) cleared = co_await pool.settle();
  if (!cleared) co_return std::move(cleared).error();
  co_await pools_.let_go(receive.appliance.pool);
  auto adopt = [this, &done, &receive]() -> Result<void> {
    TRY_VOID(registry_.adopt_received(done.record));
    return registry_.remove_receive(receive.name);
  };
  Result<void> adopted = co_await on_disk(adopt);
  if (!adopted) co_return std::move(adopted).error();
  done.served = co_await host_.start(done.record);
  co_return done;
}

// The appliance goes on with the received content at once; what it held is put aside.
Task<Result<Receiver::Done>> Receiver::end_increment(const ReceiveRecord& receive, Pool& pool,
                                                     const Checkpoint& made) {
  Done done;
  CO_TRY(done.record, registry_.appliance(receive.name));
  done.checkpoint = made.label.name;
  Result<Checkpoint> left = co_await host_.versions().rollback(done.record, done.checkpoint);
  if (!left) co_return std::move(left).error();
  Result<cache::ChangeTotals> own =
      co_await sender_.difference(pool, receive.base, left->state);
  // Without the base nobody knows whether it held something of its own.
  const bool base_gone = own.failed_with(Errc::stale);
  if (!own && !base_gone) co_return std::move(own).error();
  if (base_gone || own->sum != 0 || own->windows != 0) {
    done.put_aside = left->label.name;
  } else {
    Result<void> dropped = co_await host_.versions().drop(done.record, left->label.name);
    if (!dropped) co_return std::move(dropped).error();
  }
  Result<void> forgotten = co_await forget(receive);
  if (!forgotten) co_return std::move(forgotten).error();
  co_return done;
}

// ---- giving up

Task<Result<void>> Receiver::drop(Pool& pool, StateId state) {
  Result<void> dropped = co_await pool.drop(state);
  if (dropped.failed_with(Errc::stale)) dropped = Result<void>();
  if (dropped) dropped = co_await pool.settle();
  co_return dropped;
}

// First what is on disk, then that there is something.
Task<Result<void>> Receiver::forget(const ReceiveRecord& receive) {
  if (receive.base != cache::no_state) {
    Result<Pool*> pool = co_await pools_.pool(receive.appliance);
    if (!pool) co_return std::move(pool).error();
    Result<void> dropped = co_await drop(**pool, receive.appliance.head);
    if (!dropped) co_return dropped;
  }
  co_await pools_.let_go(receive.appliance.pool);
  auto remove = [this, name = receive.name] { return registry_.remove_receive(name); };
  co_return co_await on_disk(remove);
}

Task<Result<void>> Receiver::appliance_goes(ApplianceRecord record) {
  auto found = registry_.receives().find(record.name);
  if (found != registry_.receives().end() && found->second.appliance.pool == record.pool) {
    Result<void> aborted = co_await abort(record.name);
    if (!aborted) co_return aborted;
  }
  co_await pools_.let_go(record.pool);
  co_return Result<void>();
}

Task<Result<void>> Receiver::abort(std::string name) {
  auto found = registry_.receives().find(name);
  if (found == registry_.receives().end()) co_return no_receive(name);
  const ReceiveRecord receive = found->second;
  if (receive.base != cache::no_state) {
    Result<void> dropped = co_await drop_sealed(receive);
    if (!dropped) co_return dropped;
  }
  co_return co_await forget(receive);
}

Task<void> Receiver::give_up_abandoned() {
  const std::int64_t now = loop_.clock().wall().seconds;
  std::vector<std::string> names;
  for (const auto& [name, receive] : registry_.receives()) {
    if (now - receive.touched >= receive_patience_seconds) names.push_back(name);
  }
  for (const std::string& name : names) {
    Result<void> dropped = co_await abort(name);
    if (dropped) log(Level::info, "receive.given_up", {{"appliance", name}});
    else
      log(Level::warn, "receive.not_given_up",
          {{"appliance", name}, {"why", to_string(dropped.error())}});
  }
}

// The checkpoint of an increment that came to its end but for the last step.
Task<Result<void>> Receiver::drop_sealed(const ReceiveRecord& receive) {
  Result<ApplianceRecord> record = registry_.appliance(receive.name);
  if (!record) co_return Result<void>();
  Result<Pool*> pool = co_await pools_.pool(receive.appliance);
  if (!pool) co_return std::move(pool).error();
  CO_TRY(const StreamHeader header, decode_header(receive.stream));
  const History history = history_of(**pool, *record);
  const auto sealed = checkpoint_of_guid(history, header.checkpoint.guid);
  if (!sealed || sealed->state == history.running_on) co_return Result<void>();
  co_return co_await drop(**pool, sealed->state);
}

}  // namespace rowan::proxy
