#include "proxy/source_opener.h"

#include "proxy/directory_source.h"
#include "proxy/nfs_source.h"
#include "proxy/nfs_url.h"

namespace rowan::proxy {

Result<std::unique_ptr<Source>> open_source(const std::string& text, AsioLoop& loop,
                                            DiskPool& disk) {
  if (is_nfs_url(text)) {
    TRY(NfsUrl url, parse_nfs_url(text));
    return std::unique_ptr<Source>(NfsSource::create(loop, std::move(url)));
  }
  if (!text.starts_with('/')) {
    return Error(Errc::usage,
                 "'" + text + "' is not a source; give nfs://HOST/EXPORT or an absolute directory");
  }
  return make_directory_source(text, loop, disk);
}

OpenSource real_sources(AsioLoop& loop, DiskPool& disk) {
  return [&loop, &disk](const std::string& text) { return open_source(text, loop, disk); };
}

Task<Result<void>> probe_source(std::string text, OpenSource open) {
  CO_TRY(std::unique_ptr<Source> source, open(text));
  Result<cache::SourceEntry> root = co_await source->root();
  co_await source->close();
  if (!root) {
    co_return Error(root.error().code, "source " + text +
                                           " cannot be used: " + to_string(root.error()) +
                                           "; 'rowan doctor' examines NFS servers");
  }
  if (root->attributes.kind != cache::FileKind::directory) {
    co_return Error(Errc::usage, "source " + text + " is not a directory");
  }
  co_return Result<void>();
}

}  // namespace rowan::proxy
