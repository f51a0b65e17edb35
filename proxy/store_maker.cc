#include "proxy/store_maker.h"

#include "cache/checker.h"

namespace rowan::proxy {

Result<void> make_store(cache::Directory& directory) {
  auto store = cache::Store::create(directory, cache::StoreOptions());
  if (!store) return std::move(store).error();
  return {};
}

Result<std::vector<std::string>> check_store_in(cache::Directory& directory,
                                                const cache::CheckOptions& options) {
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

}  // namespace rowan::proxy
