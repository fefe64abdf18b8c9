// Entry points of the backend: Triton finds them by name and calls them. See triton_api.h.

#include <memory>
#include <string>

#include "batch.h"
#include "model.h"
#include "triton_call.h"

using shortlist::check;
using shortlist::guarded;

namespace {

constexpr uint32_t kApiMajor = 1;
// 1.16 brought TRITONBACKEND_RequestIsCancelled, the newest of the functions used here.
constexpr uint32_t kApiMinor = 16;

std::string config_of(TRITONBACKEND_Model* model) {
  TRITONSERVER_Message* message = nullptr;
  check(TRITONBACKEND_ModelConfig(model, 1, &message));
  const char* base = nullptr;
  size_t size = 0;
  TRITONSERVER_Error* error = TRITONSERVER_MessageSerializeToJson(message, &base, &size);
  std::string text = error == nullptr ? std::string(base, size) : std::string();
  shortlist::ignore(TRITONSERVER_MessageDelete(message));
  check(error);
  return text;
}

}  // namespace

#define EXPORTED __attribute__((visibility("default")))

extern "C" {

EXPORTED TRITONSERVER_Error* TRITONBACKEND_Initialize(TRITONBACKEND_Backend*) {
  return guarded([] {
    uint32_t major = 0, minor = 0;
    check(TRITONBACKEND_ApiVersion(&major, &minor));
    if (major == kApiMajor && minor >= kApiMinor) return;
    throw std::runtime_error("this Triton's interface for backends has version " + std::to_string(major) + "." +
                             std::to_string(minor) + "; expected 1.16 or a later 1.x");
  });
}

EXPORTED TRITONSERVER_Error* TRITONBACKEND_ModelInitialize(TRITONBACKEND_Model* model) {
  return guarded([&] {
    const char *name = nullptr, *folder = nullptr;
    uint64_t version = 0;
    TRITONBACKEND_ArtifactType type;
    check(TRITONBACKEND_ModelName(model, &name));
    check(TRITONBACKEND_ModelVersion(model, &version));
    check(TRITONBACKEND_ModelRepository(model, &type, &folder));
    auto opened = shortlist::open_model(name, version, folder, config_of(model));
    check(TRITONBACKEND_ModelSetState(model, opened.get()));
    opened.release();  // TRITONBACKEND_ModelFinalize deletes it
  });
}

EXPORTED TRITONSERVER_Error* TRITONBACKEND_ModelFinalize(TRITONBACKEND_Model* model) {
  return guarded([&] {
    void* state = nullptr;
    check(TRITONBACKEND_ModelState(model, &state));
    delete static_cast<shortlist::Model*>(state);
  });
}

EXPORTED TRITONSERVER_Error* TRITONBACKEND_ModelInstanceInitialize(TRITONBACKEND_ModelInstance* instance) {
  return guarded([&] {
    TRITONBACKEND_Model* model = nullptr;
    void* state = nullptr;
    check(TRITONBACKEND_ModelInstanceModel(instance, &model));
    check(TRITONBACKEND_ModelState(model, &state));
    auto opened = std::make_unique<shortlist::Instance>(*static_cast<shortlist::Model*>(state), instance);
    check(TRITONBACKEND_ModelInstanceSetState(instance, opened.get()));
    opened.release();  // TRITONBACKEND_ModelInstanceFinalize deletes it
  });
}

EXPORTED TRITONSERVER_Error* TRITONBACKEND_ModelInstanceFinalize(TRITONBACKEND_ModelInstance* instance) {
  return guarded([&] {
    void* state = nullptr;
    check(TRITONBACKEND_ModelInstanceState(instance, &state));
    delete static_cast<shortlist::Instance*>(state);
  });
}

EXPORTED TRITONSERVER_Error* TRITONBACKEND_ModelInstanceExecute(TRITONBACKEND_ModelInstance* instance,
                                                                TRITONBACKEND_Request** requests,
                                                                const uint32_t request_count) {
  // With success the requests are the backend's to answer and release; `execute` throws nothing once it has one.
  return guarded([&] {
    void* state = nullptr;
    check(TRITONBACKEND_ModelInstanceState(instance, &state));
    static_cast<shortlist::Instance*>(state)->execute(requests, request_count);
  });
}

}  // extern "C"
