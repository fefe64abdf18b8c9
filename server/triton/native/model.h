// One version of a model: its file, held against its configuration.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine.h"

namespace shortlist {

struct Model {
  std::string label;  // name and version, for messages
  bool batches;       // whether the first dimension is a batch
  std::vector<Port> inputs;
  std::vector<Port> outputs;            // those that the configuration names
  std::vector<size_t> output_places;    // of each of them among the engine's outputs
  std::unique_ptr<Engine> engine;
};

// Opens a model. Throws std::runtime_error with its label where the file is missing or broken, or differs from the
// configuration, or where that wants a GPU.
std::unique_ptr<Model> open_model(const std::string& name, uint64_t version, const std::string& folder,
                                  const std::string& config);

}  // namespace shortlist
