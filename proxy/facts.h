// What one operation has asked of the image. An image never changes, so an answer holds for as long
// as the operation runs, however often it starts over (merged_view.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cache/catalog.h"
#include "cache/ids.h"
#include "proxy/image.h"
#include "rpc/base/result.h"
#include "rpc/base/task.h"

namespace rowan::proxy {

class Facts {
 public:
  // The answer, or null: then it is now wanted, and the operation returns and starts over once it
  // is here.
  const Result<cache::ImageAttributes>* attributes(cache::ObjectId id);
  const Result<cache::ObjectId>* lookup(cache::ObjectId directory, std::string_view name);
  const Result<cache::ObjectId>* parent(cache::ObjectId directory);
  // Only the latest page is kept.
  const Result<cache::Listing>* page(cache::ObjectId directory, std::uint64_t after_position);

  // How far a directory's image names have been found hidden. Hidden names never show again, so
  // this holds from one run of a step to the next. Kept for one directory at a time.
  struct Hidden {
    cache::ObjectId directory = cache::no_object;
    std::uint64_t up_to = 0;  // position
    bool all = false;
  };
  Hidden& hidden(cache::ObjectId directory);

  bool wanting() const { return wanted_.has_value(); }
  // Asks the image for what is wanted.
  Task<void> ask(Image& image);

  // The store took no more for the moment; see MergedView::attempt.
  bool store_is_busy = false;

 private:
  enum class Kind : std::uint8_t { attributes, lookup, parent, page };
  struct Question {
    Kind kind{};
    cache::ObjectId id{};
    std::uint64_t position = 0;
    std::string name;
  };
  struct Fact {
    Question question;
    std::variant<Result<cache::ImageAttributes>, Result<cache::ObjectId>, Result<cache::Listing>>
        answer;
  };

  const Fact* find(Kind kind, cache::ObjectId id, std::uint64_t position, std::string_view name);
  template <class T>
  const Result<T>* answer(Kind kind, cache::ObjectId id, std::uint64_t position = 0,
                          std::string_view name = {});

  std::vector<std::unique_ptr<Fact>> known_;  // few; answers stay where they are
  std::optional<Question> wanted_;
  Hidden hidden_;
};

}  // namespace rowan::proxy
