#include "proxy/facts.h"

#include <algorithm>
#include <utility>

namespace rowan::proxy {
namespace {

constexpr std::size_t page_limit = 512;  // entries of a listing that are asked for at once

}  // namespace

const Facts::Fact* Facts::find(Kind kind, cache::ObjectId id, std::uint64_t position,
                               std::string_view name) {
  for (const auto& fact : known_) {
    const Question& asked = fact->question;
    if (asked.kind == kind && asked.id == id && asked.position == position && asked.name == name) {
      return fact.get();
    }
  }
  wanted_ = Question{kind, id, position, std::string(name)};
  return nullptr;
}

template <class T>
const Result<T>* Facts::answer(Kind kind, cache::ObjectId id, std::uint64_t position,
                               std::string_view name) {
  const Fact* fact = find(kind, id, position, name);
  return fact == nullptr ? nullptr : &std::get<Result<T>>(fact->answer);
}

const Result<cache::ImageAttributes>* Facts::attributes(cache::ObjectId id) {
  return answer<cache::ImageAttributes>(Kind::attributes, id);
}

const Result<cache::ObjectId>* Facts::lookup(cache::ObjectId directory, std::string_view name) {
  return answer<cache::ObjectId>(Kind::lookup, directory, 0, name);
}

const Result<cache::ObjectId>* Facts::parent(cache::ObjectId directory) {
  return answer<cache::ObjectId>(Kind::parent, directory);
}

const Result<cache::Listing>* Facts::page(cache::ObjectId directory, std::uint64_t after_position) {
  return answer<cache::Listing>(Kind::page, directory, after_position);
}

Facts::Hidden& Facts::hidden(cache::ObjectId directory) {
  if (hidden_.directory != directory) hidden_ = Hidden{directory, 0, false};
  return hidden_;
}

Task<void> Facts::ask(Image& image) {
  Question question = std::move(*std::exchange(wanted_, std::nullopt));
  auto fact = std::make_unique<Fact>(Fact{std::move(question), Result<cache::ObjectId>(Errc::io)});
  const Question& asked = fact->question;
  switch (asked.kind) {
    case Kind::attributes:
      fact->answer = co_await image.attributes(asked.id);
      break;
    case Kind::lookup:
      fact->answer = co_await image.lookup(asked.id, asked.name);
      break;
    case Kind::parent:
      fact->answer = co_await image.parent(asked.id);
      break;
    case Kind::page: {
      auto is_page = [](const auto& known) { return known->question.kind == Kind::page; };
      std::erase_if(known_, is_page);
      fact->answer = co_await image.list(asked.id, asked.position, page_limit);
      break;
    }
  }
  known_.push_back(std::move(fact));
}

}  // namespace rowan::proxy
