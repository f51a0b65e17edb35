#include "proxy/store_maker.h"

#include "cache/checker.h"

namespace rowan::proxy {

Result<void> make_store(cache::Directory& directory) {
  auto store = cache::Store::create(directory, cache::StoreOptions());
  if (!store) return std::move(store).error();
  return {};
}

Result<std::vector<std::string>> check_store_in(cache::Directory& directory) {
  cache::CheckOptions options;
  options.data = true;
  TRY(cache::CheckReport report, cache::check_store(directory, options));
  return findings_of(std::move(report));
}

std::vector<std::string> findings_of(cache::CheckReport report) {
  if (report.finding_count > report.findings.size()) {
    report.findings.push_back(
        "and " + std::to_string(report.finding_count - report.findings.size()) + " more");
  }
  return std::move(report.findings);
}

Result<std::vector<std::string>> check_appliance_store(Registry& registry, std::string_view name) {
  Result<ApplianceRecord> record = registry.appliance(name);
  if (!record) return std::move(record).error();
  TRY(auto directory, registry.pool_directory(record->pool));
  return check_store_in(*directory);
}

}  // namespace rowan::proxy
