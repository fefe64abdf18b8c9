// Triton's errors as exceptions, and exceptions as Triton's errors.

#pragma once

#include <stdexcept>
#include <string>

#include "triton_api.h"

namespace shortlist {

// Throws std::runtime_error with an error's message, and deletes it; null does nothing.
inline void check(TRITONSERVER_Error* error) {
  if (error == nullptr) return;
  std::string message = TRITONSERVER_ErrorMessage(error);
  TRITONSERVER_ErrorDelete(error);
  throw std::runtime_error(message);
}

// Deletes an error that nothing can be done about.
inline void ignore(TRITONSERVER_Error* error) {
  if (error != nullptr) TRITONSERVER_ErrorDelete(error);
}

// Runs a function for Triton; an exception becomes the returned error.
template <typename Function>
TRITONSERVER_Error* guarded(Function function) {
  try {
    function();
    return nullptr;
  } catch (const std::exception& error) {
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INVALID_ARG, error.what());
  } catch (...) {
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INTERNAL, "unknown exception");
  }
}

}  // namespace shortlist
