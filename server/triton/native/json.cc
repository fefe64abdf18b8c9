#include "json.h"

#include <cctype>
#include <cstdlib>
#include <stdexcept>

namespace shortlist {

namespace {

constexpr int kDeepest = 64;

// Appends a code point as UTF-8.
void append_utf8(std::string& text, unsigned code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | code >> 12);
    text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | code >> 18);
    text += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
}

}  // namespace

// Recursive descent over a text.
class JsonReader {
 public:
  explicit JsonReader(const std::string& text) : text_(text) {}

  Json whole() {
    Json value = read(0);
    skip_space();
    if (at_ != text_.size()) fail("more text after the value");
    return value;
  }

 private:
  Json read(int depth) {
    if (depth > kDeepest) fail("too deep");
    skip_space();
    Json value;
    switch (peek()) {
      case '{': read_object(value, depth); break;
      case '[': read_array(value, depth); break;
      case '"': value.text_ = read_string(); break;
      default: read_word(value);
    }
    return value;
  }

  void read_object(Json& value, int depth) {
    ++at_;
    if (follows('}')) return;
    do {
      skip_space();
      std::string name = read_string();
      if (!follows(':')) fail("expected a colon");
      value.members_.insert_or_assign(std::move(name), read(depth + 1));
    } while (follows(','));
    if (!follows('}')) fail("expected } or a comma");
  }

  void read_array(Json& value, int depth) {
    ++at_;
    if (follows(']')) return;
    do value.items_.push_back(read(depth + 1));
    while (follows(','));
    if (!follows(']')) fail("expected ] or a comma");
  }

  std::string read_string() {
    if (peek() != '"') fail("expected a string");
    std::string out;
    for (++at_; peek() != '"'; ++at_) {
      if (peek() != '\\') {
        out += text_[at_];
        continue;
      }
      ++at_;
      switch (peek()) {
        case 'n': out += '\n'; break;
        case 't': out += '\t'; break;
        case 'r': out += '\r'; break;
        case 'b': out += '\b'; break;
        case 'f': out += '\f'; break;
        case 'u': append_utf8(out, read_code_point()); break;
        default: out += text_[at_];  // a quotation mark or a slash
      }
    }
    ++at_;
    return out;
  }

  // Reads the digits behind "\u", and of the second half of a pair; ends on the last of them.
  unsigned read_code_point() {
    unsigned high = read_hex();
    if (high < 0xD800 || high > 0xDBFF) return high;
    if (text_.compare(at_ + 1, 2, "\\u") != 0) fail("half of a surrogate pair");
    at_ += 2;
    return 0x10000 + ((high & 0x3FF) << 10) + (read_hex() & 0x3FF);
  }

  unsigned read_hex() {
    unsigned code = 0;
    for (int digit = 0; digit < 4; ++digit) {
      ++at_;
      if (!std::isxdigit(static_cast<unsigned char>(peek()))) fail("expected four hexadecimal digits");
      code = code * 16 + static_cast<unsigned>(std::stoi(std::string(1, text_[at_]), nullptr, 16));
    }
    return code;
  }

  // Reads a number, true, false or null; false and null read as empty.
  void read_word(Json& value) {
    size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || is_sign_or_point(text_[at_]))) ++at_;
    if (at_ == start) fail("expected a value");
    std::string word = text_.substr(start, at_ - start);
    if (word != "null" && word != "false") value.text_ = std::move(word);
  }

  static bool is_sign_or_point(char letter) { return letter == '-' || letter == '+' || letter == '.'; }

  bool follows(char letter) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != letter) return false;
    ++at_;
    return true;
  }

  char peek() const {
    if (at_ >= text_.size()) fail("it ends too early");
    return text_[at_];
  }

  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  [[noreturn]] void fail(const char* why) const {
    throw std::runtime_error("not JSON at byte " + std::to_string(at_) + ": " + why);
  }

  const std::string& text_;
  size_t at_ = 0;
};

Json Json::parse(const std::string& text) { return JsonReader(text).whole(); }

const Json& Json::operator[](const std::string& name) const {
  static const Json nothing;
  auto found = members_.find(name);
  return found == members_.end() ? nothing : found->second;
}

long long Json::number() const { return std::strtoll(text_.c_str(), nullptr, 10); }

}  // namespace shortlist
