// A reader of JSON, for Triton's model configuration.

#pragma once

#include <map>
#include <string>
#include <vector>

namespace shortlist {

// A value of a JSON text. Absent members and values of another kind read as empty, 0 or false.
class Json {
 public:
  // Reads a text; throws std::runtime_error where it is not JSON.
  static Json parse(const std::string& text);

  // A member of an object.
  const Json& operator[](const std::string& name) const;

  // Elements of an array.
  const std::vector<Json>& items() const { return items_; }

  // Members of an object by name.
  const std::map<std::string, Json>& members() const { return members_; }

  // A string, or the digits of a number.
  const std::string& text() const { return text_; }

  // A whole number; 0 where it is none.
  long long number() const;

  // Whether it is missing, null, or an array, object or string without content.
  bool empty() const { return items_.empty() && members_.empty() && text_.empty(); }

 private:
  friend class JsonReader;
  std::vector<Json> items_;
  std::map<std::string, Json> members_;
  std::string text_;
};

}  // namespace shortlist
