#include "model.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "json.h"

namespace shortlist {

namespace {

constexpr NumberType kTypes[] = {
    {TRITONSERVER_TYPE_BOOL, "TYPE_BOOL", "bool", 1},    {TRITONSERVER_TYPE_UINT8, "TYPE_UINT8", "uint8", 1},
    {TRITONSERVER_TYPE_INT8, "TYPE_INT8", "int8", 1},    {TRITONSERVER_TYPE_INT16, "TYPE_INT16", "int16", 2},
    {TRITONSERVER_TYPE_INT32, "TYPE_INT32", "int32", 4}, {TRITONSERVER_TYPE_INT64, "TYPE_INT64", "int64", 8},
    {TRITONSERVER_TYPE_FP16, "TYPE_FP16", "float16", 2}, {TRITONSERVER_TYPE_FP32, "TYPE_FP32", "float32", 4},
    {TRITONSERVER_TYPE_FP64, "TYPE_FP64", "float64", 8},
};

// Names in alphabetical order, as a list in words.
std::string listed(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  std::string words = "[";
  for (const std::string& name : names) words += (words.size() > 1 ? ", " : "") + name;
  return words + "]";
}

std::string dims_in_words(const Json& entry) {
  std::string words = "[";
  for (const Json& dim : entry["dims"].items()) words += (words.size() > 1 ? ", " : "") + dim.text();
  return words + "]";
}

// Compares the ports of a file with the entries of a configuration.
class PortCheck {
 public:
  PortCheck(const std::string& kind, const Json& entries, const std::vector<Port>& ports, bool batches)
      : kind_(kind), entries_(entries), ports_(ports), batches_(batches) {}

  // Returns the places of the ports that the configuration names. Throws std::runtime_error on any difference.
  std::vector<size_t> places(bool all_needed) const {
    std::map<std::string, const Json*> entry_of;
    for (const Json& entry : entries_.items()) entry_of[entry["name"].text()] = &entry;
    std::vector<size_t> found;
    for (size_t place = 0; place < ports_.size(); ++place) {
      auto named = entry_of.find(ports_[place].name);
      if (named == entry_of.end()) continue;
      compare(ports_[place], *named->second);
      found.push_back(place);
    }
    // A model may compute outputs that nobody configured; an input that nobody gives is an error.
    if (found.size() != entry_of.size() || (all_needed && found.size() != ports_.size())) fail_names(entry_of);
    return found;
  }

 private:
  void compare(const Port& port, const Json& entry) const {
    size_t rank = entry["dims"].items().size() + (batches_ ? 1 : 0);
    const std::string& type = entry["data_type"].text();
    if (port.type != nullptr && type == port.type->config && rank == port.rank) return;
    throw std::runtime_error("has the " + kind_ + " " + port.name + " as " +
                             (port.type != nullptr ? port.type->words : "a type that Triton does not have") +
                             " of shape " + port.shape + ", but its configuration says " + type + " with dims " +
                             dims_in_words(entry) + (batches_ ? " after the batch" : ""));
  }

  void fail_names(const std::map<std::string, const Json*>& entry_of) const {
    std::vector<std::string> in_file, in_config;
    for (const Port& port : ports_) in_file.push_back(port.name);
    for (const auto& [name, entry] : entry_of) in_config.push_back(name);
    throw std::runtime_error("has the " + kind_ + "s " + listed(in_file) + ", but its configuration names " +
                             listed(in_config));
  }

  std::string kind_;
  const Json& entries_;
  const std::vector<Port>& ports_;
  bool batches_;
};

void check_processor(const Json& config) {
  bool elsewhere = !config["optimization"]["execution_accelerators"].empty();
  for (const Json& group : config["instance_group"].items()) elsewhere |= group["kind"].text() != "KIND_CPU";
  if (elsewhere) {
    throw std::runtime_error("wants a GPU or an accelerator, but the embedded " + config["backend"].text() +
                             " backend runs on the CPU: set instance_group to KIND_CPU without "
                             "execution_accelerators, or use NVIDIA's Triton container");
  }
}

size_t instance_count(const Json& config) {
  long long count = 0;
  for (const Json& group : config["instance_group"].items()) count += group["count"].number();
  return static_cast<size_t>(std::max(count, 1LL));
}

std::unique_ptr<Engine> open_file(const std::string& folder, uint64_t version, const Json& config) {
  const std::string& configured = config["default_model_filename"].text();
  std::string file = std::to_string(version) + "/" + (configured.empty() ? "model.onnx" : configured);
  std::string path = folder + "/" + file;
  struct stat status;
  if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) throw std::runtime_error("has no file " + file);
  std::map<std::string, std::string> parameters;
  for (const auto& [name, value] : config["parameters"].members()) parameters[name] = value["string_value"].text();
  try {
    return open_engine(path, parameters, instance_count(config));
  } catch (const std::exception& error) {
    throw std::runtime_error(std::string("cannot be loaded by ") + kLibrary + ": " + error.what());
  }
}

}  // namespace

const NumberType* number_type(TRITONSERVER_DataType triton) {
  for (const NumberType& type : kTypes) {
    if (type.triton == triton) return &type;
  }
  return nullptr;
}

size_t byte_size(const Array& array) {
  size_t size = array.type->bytes;
  for (int64_t length : array.shape) {
    if (length < 0 || __builtin_mul_overflow(size, static_cast<size_t>(length), &size)) {
      throw std::length_error("a shape that no array can have");
    }
  }
  return size;
}

std::unique_ptr<Model> open_model(const std::string& name, uint64_t version, const std::string& folder,
                                  const std::string& config_text) {
  auto model = std::make_unique<Model>();
  model->label = name + " version " + std::to_string(version);
  try {
    Json config = Json::parse(config_text);
    check_processor(config);
    model->batches = config["max_batch_size"].number() > 0;
    model->engine = open_file(folder, version, config);
    model->inputs = model->engine->inputs();
    if (model->inputs.empty()) throw std::runtime_error("has no input");
    PortCheck("input", config["input"], model->inputs, model->batches).places(true);
    std::vector<Port> outputs = model->engine->outputs();
    model->output_places = PortCheck("output", config["output"], outputs, model->batches).places(false);
    for (size_t place : model->output_places) model->outputs.push_back(outputs[place]);
  } catch (const std::exception& error) {
    throw std::runtime_error(model->label + " " + error.what());
  }
  return model;
}

}  // namespace shortlist
