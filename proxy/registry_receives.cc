// What is half received: records of their own, so that no appliance shows before it is whole.
#include "proxy/registry.h"
#include "proxy/stream_header.h"
#include "rpc/base/log.h"
#include "rpc/base/random.h"

namespace rowan::proxy {

void Registry::give_identity(ApplianceRecord& record) const {
  record.id = cache::ApplianceId{random_number()};
  fill_random(record.key);
  record.fsid = random_number();
}

Result<void> Registry::add_receive(const ReceiveRecord& receive) {
  TRY(auto draft, StateDir::draft(state_.receives(), receive.name));
  TRY_VOID(write_record(*draft, StateDir::receive_record, encode_record(receive)));
  TRY_VOID(StateDir::publish(state_.receives(), receive.name));
  receives_[receive.name] = receive;
  return {};
}

Result<void> Registry::touch_receive(std::string_view name) {
  auto found = receives_.find(name);
  if (found == receives_.end()) return {};
  ReceiveRecord receive = found->second;
  receive.touched = clock_.wall().seconds;
  TRY(auto directory, state_.receives().directory(name, false));
  TRY_VOID(write_record(*directory, StateDir::receive_record, encode_record(receive)));
  found->second = std::move(receive);
  return {};
}

Result<void> Registry::remove_receive(std::string_view name) {
  auto found = receives_.find(name);
  if (found == receives_.end()) return {};
  const PoolId pool = found->second.appliance.pool;
  TRY_VOID(StateDir::retire(state_.receives(), name));
  receives_.erase(found);
  TRY_VOID(StateDir::sweep(state_.receives()));
  if (all_known() && users(pool).empty() && !is_receiving(pool)) remove_pool(pool);
  return {};
}

bool Registry::is_receiving(PoolId pool) const {
  for (const auto& [name, receive] : receives_) {
    if (receive.appliance.pool == pool) return true;
  }
  return false;
}

// Those that are over, given up or unreadable go; nobody but their sender misses them.
Result<void> Registry::load_receives() {
  const std::int64_t now = clock_.wall().seconds;
  TRY(auto names, StateDir::entries(state_.receives()));
  for (const std::string& name : names) {
    auto read_one = [&]() -> Result<ReceiveRecord> {
      TRY(auto directory, state_.receives().directory(name, false));
      TRY(const std::string text, read_record(*directory, StateDir::receive_record));
      return decode_receive_record(text);
    };
    Result<ReceiveRecord> receive = read_one();
    const bool sound = receive && receive->name == name &&
                       now - receive->touched < receive_patience_seconds;
    // Its pool has an owner: it became an appliance.
    const bool over =
        sound && receive->base == cache::no_state && !users(receive->appliance.pool).empty();
    if (sound && !over) {
      receives_.emplace(name, std::move(*receive));
      continue;
    }
    log(Level::info, "receive.given_up", {{"appliance", name}});
    TRY_VOID(StateDir::retire(state_.receives(), name));
  }
  return StateDir::sweep(state_.receives());
}

}  // namespace rowan::proxy
