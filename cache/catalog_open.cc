// Opening the catalogue on its table.
#include "cache/catalog.h"
#include "cache/catalog_impl.h"

namespace rowan::cache {
namespace {

// The catalogue's part of the memory budget, besides 200 bytes per object above it.
constexpr std::uint64_t memory_table_bytes = 8u << 20;
constexpr std::uint64_t page_cache_bytes = 16u << 20;

}  // namespace

Result<std::unique_ptr<Catalog>> Catalog::open(Directory& directory) {
  TableOptions options;
  options.memory_table_bytes = memory_table_bytes;
  options.page_cache_bytes = page_cache_bytes;
  Result<std::unique_ptr<Table>> table = Table::open(directory, options);
  if (table.failed_with(Errc::not_found)) table = Table::create(directory, options);
  if (!table) return table.error();
  auto catalog = std::make_unique<CatalogImpl>(std::move(*table));
  TRY_VOID(catalog->load_counters());
  return std::unique_ptr<Catalog>(std::move(catalog));
}

}  // namespace rowan::cache
