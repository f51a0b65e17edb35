#include "proxy/merged_view.h"

#include <utility>

#include "proxy/merge.h"

namespace rowan::proxy {

using cache::ObjectId;
using cache::ObjectRecord;

void Change::put(ObjectId id, ObjectRecord record) {
  objects_.push_back({id, std::make_unique<ObjectRecord>(record)});
  transaction_.put_object(id, std::move(record));
}

void Change::remove(ObjectId id, ObjectRecord last) {
  objects_.push_back({id, nullptr});
  transaction_.remove_object(id, std::move(last));
}

void Change::put_name(ObjectId directory, std::string_view name, cache::NameRecord record) {
  names_.push_back({directory, std::string(name), record.child});
  transaction_.put_name(directory, std::string(name), record);
}

void Change::hide_name(ObjectId directory, std::string_view name) {
  put_name(directory, name, cache::NameRecord());
}

void Change::erase_name(ObjectId directory, std::string_view name) {
  names_.push_back({directory, std::string(name), cache::no_object});
  transaction_.erase_name(directory, std::string(name));
}

void Change::write(ObjectId id, std::uint64_t offset, ByteView bytes,
                   std::shared_ptr<const Buffer> owner) {
  transaction_.write(id, offset, bytes, std::move(owner));
}

void Change::truncate(ObjectId id, std::uint64_t size) { transaction_.truncate(id, size); }

MergedView::MergedView(const ApplianceSettings& settings, cache::Store& store,
                       StoreJobs& jobs, Image& image, Loop& loop, const ViewLimits& limits)
    : settings_(settings),
      store_(store),
      image_(image),
      loop_(loop),
      jobs_(jobs),
      sealer_(settings.id, settings.key),
      nodes_(limits.nodes),
      names_(limits.names) {}

MergedView::~MergedView() { loop_.cancel(flush_timer_); }

Result<Node*> MergedView::node(Facts& facts, ObjectId id) {
  if (Node* known = nodes_.find(id)) return known;
  Result<ObjectRecord> record = store_.object(id);
  if (record) {
    if (record->removed) return Errc::stale;
    nfs3::Attributes attributes = shown(*record, id, settings_.fsid);
    return remember(id, attributes, std::make_unique<ObjectRecord>(std::move(*record)));
  }
  if (!record.failed_with(Errc::not_found)) return std::move(record).error();
  if (cache::is_local(id)) return Errc::stale;
  if (const cache::ImageAttributes* image = image_.cached_attributes(id)) {
    return remember(id, shown(*image, id, settings_.fsid), nullptr);
  }
  const auto* fact = facts.attributes(id);
  if (fact == nullptr) return Errc::try_later;
  if (fact->failed_with(Errc::not_found)) return Errc::stale;
  if (!*fact) return fact->error();
  return remember(id, shown(**fact, id, settings_.fsid), nullptr);
}

Result<Node*> MergedView::directory(Facts& facts, ObjectId id) {
  Result<Node*> found = node(facts, id);
  if (found && !(*found)->is(nfs3::FileType::directory)) return Errc::not_directory;
  return found;
}

Result<ObjectId> MergedView::find_name(Facts& facts, ObjectId directory, std::string_view name) {
  Result<cache::NameRecord> local = store_.name(directory, name);
  if (local) return local->child;
  if (!local.failed_with(Errc::not_found)) return std::move(local).error();
  if (cache::is_local(directory)) return cache::no_object;
  const auto* fact = facts.lookup(directory, name);
  if (fact == nullptr) return Errc::try_later;
  if (fact->failed_with(Errc::not_found)) return cache::no_object;
  return *fact;
}

Result<Child> MergedView::child(Facts& facts, ObjectId directory, std::string_view name) {
  ObjectId id = cache::no_object;
  if (const ObjectId* known = known_name(directory, name)) {
    id = *known;
  } else {
    TRY(id, find_name(facts, directory, name));
    remember_name(directory, name, id);
  }
  if (id == cache::no_object) return Errc::not_found;
  Result<Node*> found = node(facts, id);
  if (found) return Child{id, *found};
  // An image may give an object more names than its link count says: once the count has come to
  // zero here, the object is gone, and so are its other names.
  if (found.failed_with(Errc::stale)) return Errc::not_found;
  return std::move(found).error();
}

Result<ObjectId> MergedView::parent(Facts& facts, ObjectId directory) {
  if (directory == cache::image_root) return directory;
  TRY(Node * node, this->node(facts, directory));
  if (node->record && node->record->parent != cache::no_object) return node->record->parent;
  if (cache::is_local(directory)) {
    return Error(Errc::corrupt, "directory " + describe(directory) + " has no parent");
  }
  const auto* fact = facts.parent(directory);
  if (fact == nullptr) return Errc::try_later;
  return *fact;
}

Result<bool> MergedView::image_has_name(Facts& facts, ObjectId directory, std::string_view name) {
  if (cache::is_local(directory)) return false;
  const auto* fact = facts.lookup(directory, name);
  if (fact == nullptr) return Errc::try_later;
  // With the source away a whiteout too many is harmless; waiting for it would be not.
  return !fact->failed_with(Errc::not_found);
}

Result<bool> MergedView::shows_image_name(ObjectId directory, const cache::Listing::Entry& entry) {
  Result<cache::NameRecord> local = store_.name(directory, entry.name);
  if (local) return false;
  if (!local.failed_with(Errc::not_found)) return std::move(local).error();
  Result<ObjectRecord> record = store_.object(entry.child);
  if (record) return !record->removed;
  if (!record.failed_with(Errc::not_found)) return std::move(record).error();
  return true;
}

Result<bool> MergedView::shows_any_image_name(Facts& facts, ObjectId directory) {
  Facts::Hidden& hidden = facts.hidden(directory);
  while (!hidden.all) {
    const auto* page = facts.page(directory, hidden.up_to);
    if (page == nullptr) return Errc::try_later;
    if (!*page) return page->error();
    const cache::Listing& listing = **page;
    for (const auto& entry : listing.entries) {
      TRY(bool shows, shows_image_name(directory, entry));
      if (shows) return true;
    }
    if (!listing.entries.empty()) hidden.up_to = listing.entries.back().position;
    hidden.all = listing.complete || listing.entries.empty();
  }
  return false;
}

Result<bool> MergedView::is_empty(Facts& facts, ObjectId directory) {
  TRY(auto first, store_.names_after(directory, 0, 1));
  if (!first.empty()) return false;
  if (cache::is_local(directory)) return true;
  TRY(bool shows, shows_any_image_name(facts, directory));
  return !shows;
}

ObjectRecord MergedView::record_for_change(const Node& node) const {
  ObjectRecord record = node.record ? *node.record : copy_up(node.attributes);
  record.ctime = change_time(loop_.clock().wall(), record.ctime);
  return record;
}

Result<cache::Ticket> MergedView::apply(Facts& facts, Change& change) {
  Result<cache::Ticket> ticket = store_.apply(change.transaction_);
  jobs_.pump();
  facts.store_is_busy = ticket.failed_with(Errc::try_later);
  if (!ticket) return ticket;
  for (auto& [id, record] : change.objects_) {
    if (!record) {
      nodes_.erase(id);
      continue;
    }
    record->data_blocks = change.transaction_.data_blocks(id);
    nfs3::Attributes attributes = shown(*record, id, settings_.fsid);
    remember(id, attributes, std::move(record));
  }
  for (const auto& [directory, name, child] : change.names_) remember_name(directory, name, child);
  return ticket;
}

const ObjectId* MergedView::known_name(ObjectId directory, std::string_view name) {
  return names_.find(NameProbe{directory, name});
}

bool MergedView::verify(const HandleClaim& claim) {
  Node* known = nodes_.find(claim.object);
  if (known != nullptr && known->mac) return same_mac(*known->mac, claim.mac);
  HandleMac mac = sealer_.mac(claim.object);
  if (known != nullptr) known->mac = mac;
  return same_mac(mac, claim.mac);
}

nfs3::Handle MergedView::handle(ObjectId id) {
  Node* known = nodes_.find(id);
  if (known == nullptr) return sealer_.seal(id);
  if (!known->mac) known->mac = sealer_.mac(id);
  return format_handle(HandleClaim{settings_.id, id, *known->mac});
}

Task<Result<Node*>> MergedView::load_node(ObjectId id) {
  auto step = [this, id](Facts& facts) { return node(facts, id); };
  co_return co_await attempt(step);
}

Task<Result<void>> MergedView::load() {
  // The store remembers what the last question was short of; asked once more, it hands that out.
  bool asked = false;
  auto question = [&asked]() -> Result<void> {
    if (std::exchange(asked, true)) return {};
    return Errc::needs_load;
  };
  co_return co_await jobs_.with_loads(question);
}

Task<Result<void>> MergedView::stable(cache::Ticket ticket) {
  if (settings_.durability == Durability::async) {
    flush_soon();
    co_return Result<void>();
  }
  co_return co_await jobs_.durable(ticket);
}

// Nobody waits for it; but a crash shall not undo more than the last moments.
void MergedView::flush_soon() {
  if (flush_timer_ != 0) return;
  auto flush = [this] {
    flush_timer_ = 0;
    store_.want_durable(store_.applied());
      jobs_.pump();
  };
  flush_timer_ = loop_.call_after(async_flush, flush);
}

Task<Result<void>> MergedView::durable(cache::Ticket ticket) {
  co_return co_await jobs_.durable(ticket);
}

bool MergedView::may_log() {
  MonotonicTime now = loop_.clock().now();
  if (now >= log_window_end_) {
    log_window_end_ = now + log_window;
    log_lines_ = 0;
  }
  return ++log_lines_ <= log_lines_per_window;
}

std::string MergedView::describe(ObjectId id) {
  std::string path;
  for (int depth = 0; depth < deepest_described; ++depth) {
    if (id == cache::image_root) return path.empty() ? "/" : path;
    Result<ObjectRecord> record = store_.object(id);
    if (record && !record->name.empty()) {
      path.insert(0, "/" + record->name);
      id = record->parent;
      continue;
    }
    if (!cache::is_local(id)) return image_.path(id) + path;
    break;
  }
  return "object " + std::to_string(cache::to_number(id) & ~cache::local_object_bit) + path;
}

Node* MergedView::remember(ObjectId id, const nfs3::Attributes& attributes,
                           std::unique_ptr<ObjectRecord> record) {
  if (Node* known = nodes_.find(id)) {  // its MAC stays
    known->attributes = attributes;
    known->record = std::move(record);
    return known;
  }
  return &nodes_.put(id, Node{attributes, std::move(record), std::nullopt});
}

void MergedView::remember_name(ObjectId directory, std::string_view name, ObjectId child) {
  NameProbe probe{directory, name};
  if (ObjectId* known = names_.find(probe)) {
    *known = child;
    return;
  }
  NameKey key{directory, std::string(name)};
  names_.put(std::move(key), child);
}

}  // namespace rowan::proxy
