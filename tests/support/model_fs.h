// What a POSIX tree served over NFSv3 does, written down as simply as possible: the oracle of the
// simulation. A value: copies are snapshots. No times, no handles, no storage.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rpc/nfs3.h"

namespace rowan::test {

using ModelId = std::uint64_t;  // given by the caller; never reused
inline constexpr ModelId model_root = 1;

struct ModelUser {
  std::uint32_t uid = 0;
  std::vector<std::uint32_t> groups;  // the first is the primary one
  bool in(std::uint32_t group) const;
};

struct ModelObject {
  nfs3::FileType type = nfs3::FileType::regular;
  std::uint32_t mode = 0644, uid = 0, gid = 0, nlink = 1;
  std::string content;  // of a file; target of a symbolic link
  nfs3::SpecData device;
  std::optional<nfs3::Verifier> verifier;
  std::map<std::string, ModelId> names;
  ModelId parent = 0;  // of a directory
  bool is_directory() const { return type == nfs3::FileType::directory; }
};

struct ModelSet {  // what of SETATTR the model knows
  std::optional<std::uint32_t> mode, uid, gid;
  std::optional<std::uint64_t> size;
};

struct ModelCreate {
  nfs3::CreateMode how = nfs3::CreateMode::unchecked;
  ModelSet set;
  nfs3::Verifier verifier{};
};

class ModelFs {
 public:
  ModelFs();

  using Status = nfs3::Status;
  const ModelObject* find(ModelId id) const;  // null: gone
  const std::map<ModelId, ModelObject>& objects() const { return objects_; }

  // --- For building the image: no checks.
  void put(ModelId directory, const std::string& name, ModelId id, ModelObject object);
  void put_link(ModelId directory, const std::string& name, ModelId id);

  // --- Operations. `made` is the id of what a success makes.
  Status lookup(const ModelUser& user, ModelId directory, const std::string& name,
                ModelId& found) const;
  std::uint32_t access(const ModelUser& user, ModelId id) const;
  Status set(const ModelUser& user, ModelId id, const ModelSet& set);
  Status read(const ModelUser& user, ModelId id, std::uint64_t offset, std::uint32_t count,
              std::string& bytes, bool& eof) const;
  Status write(const ModelUser& user, ModelId id, std::uint64_t offset, const std::string& bytes);
  Status create(const ModelUser& user, ModelId directory, const std::string& name,
                const ModelCreate& wanted, ModelId made);
  // MKDIR, SYMLINK, MKNOD: type, mode, content and device are taken from `object`.
  Status make(const ModelUser& user, ModelId directory, const std::string& name, ModelObject object,
              ModelId made);
  Status remove(const ModelUser& user, ModelId directory, const std::string& name);
  Status rmdir(const ModelUser& user, ModelId directory, const std::string& name);
  Status rename(const ModelUser& user, ModelId from, const std::string& name, ModelId to,
                const std::string& new_name);
  Status link(const ModelUser& user, ModelId id, ModelId directory, const std::string& name);

 private:
  ModelObject* get(ModelId id);
  static bool may(const ModelUser& user, const ModelObject& object, std::uint32_t bits);
  // OK if `directory` is one and the user may search it.
  Status enter(const ModelUser& user, ModelId directory) const;
  bool sticky_forbids(const ModelUser& user, const ModelObject& directory,
                      const ModelObject& victim) const;
  Status may_unlink(const ModelUser& user, const ModelObject& directory,
                    const ModelObject& victim) const;
  void add(const ModelUser& user, ModelId directory, const std::string& name, ModelObject object,
           ModelId made);
  void drop(ModelId id);
  bool is_below(ModelId directory, ModelId ancestor) const;

  std::map<ModelId, ModelObject> objects_;
};

}  // namespace rowan::test
