// What the golden stores, catalogues and block caches hold: made by the same calls in every
// version, so that a test knows what an old file must say. Never change what is made here: the
// files in tests/golden were written by it. A new format gets new files, made by the same calls.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "cache/block_cache.h"
#include "cache/catalog.h"
#include "cache/store.h"
#include "tests/support/store_model.h"

namespace rowan::test {

cache::StoreOptions golden_options();

// A store's first life, up to a clean end, and its second, which ends in the middle. Each adds to
// the model what it did.
void tell_first_life(cache::Store& store, StoreModel& model);
void tell_second_life(cache::Store& store, StoreModel& model);

// The objects that the two lives touch.
std::vector<std::uint64_t> golden_objects();
// A file of many small extents that the second life cuts to `golden_cut_size`.
inline constexpr std::uint64_t golden_long_file = 40;
inline constexpr std::uint64_t golden_long_size = 270 * 4096;
inline constexpr std::uint64_t golden_cut_size = 3 * 4096;
inline constexpr std::uint64_t golden_file_size = golden_long_size;   // no file is longer
// A symlink, whose target fills pages of the tree with few different bytes.
std::string golden_target(std::uint64_t object);
inline constexpr std::uint64_t first_golden_link = 100, end_golden_link = 120;

// The catalogue: one version with a root, 20 files in it, one absent name, one symlink.
inline constexpr cache::VersionId golden_version{0x1234'5678'9abc'def0};
void fill_catalog(cache::Catalog& catalog);
// The first difference from what fill_catalog() put there, or nothing.
std::string catalog_difference(cache::Catalog& catalog);

// The block cache: units of one repeated byte, object 1 to 6.
std::vector<std::byte> golden_unit(std::uint64_t object);
void fill_block_cache(cache::BlockCache& cache);

}  // namespace rowan::test
