// The seam between Triton and the library that computes a model.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "triton_api.h"

namespace shortlist {

// Type of the numbers in an array.
struct NumberType {
  TRITONSERVER_DataType triton;  // its number
  const char* config;            // its name in config.pbtxt
  const char* words;             // its name in messages
  size_t bytes;
};

// Returns the type with this Triton number; nullptr where no engine takes it.
const NumberType* number_type(TRITONSERVER_DataType triton);

// An input or output of a model file.
struct Port {
  std::string name;
  const NumberType* type;  // nullptr for a type that Triton has no number for
  std::string shape;       // in words, for messages
  size_t rank;             // with the dimension of the batch
};

// An array in memory that another owns.
struct Array {
  const NumberType* type;
  std::vector<int64_t> shape;
  const void* data;
};

// Returns the number of bytes of an array. Throws std::length_error where a length is negative, or the product too large.
size_t byte_size(const Array& array);

// Computes one batch at a time; sessions of one engine may compute at once.
class Session {
 public:
  virtual ~Session() = default;

  // Computes these outputs from all inputs, in the order of the engine's ports. The results live until the next call.
  // Throws std::exception where the library refuses.
  virtual std::vector<Array> run(const std::vector<Array>& inputs, const std::vector<size_t>& outputs) = 0;
};

// A model file opened by a library.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::vector<Port> inputs() const = 0;
  virtual std::vector<Port> outputs() const = 0;
  virtual std::unique_ptr<Session> new_session() = 0;
};

// Name of the library, in words.
extern const char* const kLibrary;

// Opens a file for so many sessions that compute at once. Throws std::exception where it can't be loaded.
std::unique_ptr<Engine> open_engine(const std::string& path, const std::map<std::string, std::string>& parameters,
                                    size_t session_count);

}  // namespace shortlist
