// What the commands print for people: aligned tables and sheets made from the admin interface's
// JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/json.h"

namespace rowan::tools {

// Columns as wide as their widest cell, two spaces between; a column whose cells below the head are
// all numbers or "-" is aligned to the right. Control characters in cells are shown as '?'.
class Table {
 public:
  explicit Table(std::vector<std::string> head) : width_(head.size()) {
    rows_.push_back(std::move(head));
  }
  void add(std::vector<std::string> row);
  bool empty() const { return rows_.size() == 1; }
  std::string text() const;

 private:
  std::size_t width_;
  std::vector<std::vector<std::string>> rows_;
};

std::string image_list_text(const proxy::Json& answer);
std::string image_text(const proxy::Json& image);
// Of the appliances, and of what is half received, if that is there.
std::string appliance_list_text(const proxy::Json& answer);
std::string appliance_text(const proxy::Json& appliance);
std::string status_text(const proxy::Json& status);

}  // namespace rowan::tools
