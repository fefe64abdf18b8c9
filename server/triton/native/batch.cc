#include "batch.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <set>
#include <stdexcept>

#include "triton_call.h"

namespace shortlist {

namespace {

uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

std::string in_words(const std::vector<int64_t>& shape) {
  std::string words = "[";
  for (int64_t length : shape) words += (words.size() > 1 ? ", " : "") + std::to_string(length);
  return words + "]";
}

}  // namespace

struct Instance::Item {
  TRITONBACKEND_Request* request;
  std::vector<Array> inputs;                    // in the order of the model's inputs
  std::vector<std::vector<char>> joined;        // memory of the inputs that came in pieces
  std::set<std::string> wanted;                 // names of outputs
  uint64_t start_ns, compute_start_ns = 0, compute_end_ns = 0;
  bool answered = false, succeeded = false;

  // Reads the request; throws std::runtime_error where it does not fit the model.
  void read(const Model& model);

  // Number of rows.
  size_t rows() const { return static_cast<size_t>(inputs.front().shape.front()); }

  // Sends an error; one that can't even be sent leaves the caller to its deadline.
  void fail(TRITONSERVER_Error_Code code, const std::string& message);

 private:
  Array read_input(const Port& port);
  const void* memory_of(TRITONBACKEND_Input* input, uint32_t buffer_count, uint64_t byte_size);
};

void Instance::Item::read(const Model& model) {
  bool is_cancelled = false;
  check(TRITONBACKEND_RequestIsCancelled(request, &is_cancelled));
  if (is_cancelled) return fail(TRITONSERVER_ERROR_CANCELLED, "the call was cancelled");
  for (const Port& port : model.inputs) inputs.push_back(read_input(port));
  for (const Array& input : inputs) {
    if (model.batches && input.shape.front() != inputs.front().shape.front()) {
      throw std::runtime_error("the inputs differ in row count: " + in_words(inputs.front().shape) + " and " +
                               in_words(input.shape));
    }
  }
  uint32_t count = 0;
  check(TRITONBACKEND_RequestOutputCount(request, &count));
  for (uint32_t place = 0; place < count; ++place) {
    const char* name = nullptr;
    check(TRITONBACKEND_RequestOutputName(request, place, &name));
    wanted.insert(name);
  }
}

Array Instance::Item::read_input(const Port& port) {
  TRITONBACKEND_Input* input = nullptr;
  check(TRITONBACKEND_RequestInput(request, port.name.c_str(), &input));
  TRITONSERVER_DataType type;
  const int64_t* shape = nullptr;
  uint32_t rank = 0, buffer_count = 0;
  uint64_t size = 0;
  check(TRITONBACKEND_InputProperties(input, nullptr, &type, &shape, &rank, &size, &buffer_count));
  Array array{number_type(type), {shape, shape + rank}, nullptr};
  if (array.type != port.type || rank != port.rank || byte_size(array) != size || size == 0) {
    throw std::runtime_error("input " + port.name + " is " + (array.type != nullptr ? array.type->words : "?") +
                             " of shape " + in_words(array.shape) + " in " + std::to_string(size) +
                             " bytes; the model expects " + port.type->words + " of shape " + port.shape);
  }
  array.data = memory_of(input, buffer_count, size);
  return array;
}

const void* Instance::Item::memory_of(TRITONBACKEND_Input* input, uint32_t buffer_count, uint64_t byte_size) {
  std::vector<char> pieces;
  for (uint32_t place = 0; place < buffer_count; ++place) {
    const void* buffer = nullptr;
    uint64_t size = 0;
    TRITONSERVER_MemoryType memory = TRITONSERVER_MEMORY_CPU;
    int64_t memory_id = 0;
    check(TRITONBACKEND_InputBuffer(input, place, &buffer, &size, &memory, &memory_id));
    if (memory == TRITONSERVER_MEMORY_GPU) throw std::runtime_error("an input lies in a GPU's memory");
    if (size == byte_size) return buffer;
    pieces.insert(pieces.end(), static_cast<const char*>(buffer), static_cast<const char*>(buffer) + size);
  }
  if (pieces.size() != byte_size) throw std::runtime_error("an input is shorter than its shape");
  joined.push_back(std::move(pieces));
  return joined.back().data();
}

void Instance::Item::fail(TRITONSERVER_Error_Code code, const std::string& message) {
  answered = true;
  TRITONBACKEND_Response* response = nullptr;
  if (TRITONSERVER_Error* error = TRITONBACKEND_ResponseNew(&response, request)) return ignore(error);
  TRITONSERVER_Error* error = TRITONSERVER_ErrorNew(code, message.c_str());
  ignore(TRITONBACKEND_ResponseSend(response, TRITONSERVER_RESPONSE_COMPLETE_FINAL, error));
  ignore(error);
}

void Instance::execute(TRITONBACKEND_Request** requests, uint32_t request_count) {
  std::vector<Item> items(request_count);
  for (uint32_t place = 0; place < request_count; ++place) {
    items[place].request = requests[place];
    items[place].start_ns = now_ns();
  }
  try {
    compute(items);
  } catch (...) {  // memory ran out: who has no answer yet gets an error below
  }
  for (Item& item : items) {
    if (!item.answered) item.fail(TRITONSERVER_ERROR_INTERNAL, "it could not be computed");
    ignore(TRITONBACKEND_ModelInstanceReportStatistics(instance_, item.request, item.succeeded, item.start_ns,
                                                       item.compute_start_ns, item.compute_end_ns, now_ns()));
    ignore(TRITONBACKEND_RequestRelease(item.request, TRITONSERVER_REQUEST_RELEASE_ALL));
  }
}

void Instance::compute(std::vector<Item>& items) {
  std::map<std::vector<int64_t>, std::vector<Item*>> groups;  // by shape
  for (size_t place = 0; place < items.size(); ++place) {
    Item& item = items[place];
    try {
      item.read(model_);
    } catch (const std::exception& error) {
      item.fail(TRITONSERVER_ERROR_INTERNAL, model_.label + ": " + error.what());
    }
    if (item.answered) continue;
    // Without a batch dimension nothing can be merged, so every request is a group of its own.
    std::vector<int64_t> key;
    if (!model_.batches) key.push_back(static_cast<int64_t>(place));
    for (const Array& input : item.inputs) {
      if (model_.batches) key.insert(key.end(), input.shape.begin() + 1, input.shape.end());
    }
    groups[key].push_back(&item);
  }
  for (auto& [key, group] : groups) run_group(group);
}

void Instance::run_group(std::vector<Item*>& group) {
  std::vector<size_t> places;  // of the outputs that anyone asked for, among the model's
  for (size_t place = 0; place < model_.outputs.size(); ++place) {
    const std::string& name = model_.outputs[place].name;
    if (std::any_of(group.begin(), group.end(), [&](Item* item) { return item->wanted.count(name) != 0; })) {
      places.push_back(place);
    }
  }
  std::vector<size_t> engine_places;
  for (size_t place : places) engine_places.push_back(model_.output_places[place]);
  uint64_t compute_start_ns = now_ns();
  std::vector<Array> results;
  try {
    results = session_->run(merge(group), engine_places);
  } catch (const std::exception& error) {
    if (group.size() == 1) {
      return group.front()->fail(TRITONSERVER_ERROR_INTERNAL, model_.label + ": " + error.what());
    }
    for (Item* item : group) {  // one bad row fails the merged run: find out whose it was
      std::vector<Item*> alone{item};
      run_group(alone);
    }
    return;
  }
  uint64_t compute_end_ns = now_ns();
  size_t first_row = 0, all_rows = 0;
  for (const Item* item : group) all_rows += model_.batches ? item->rows() : 0;
  for (Item* item : group) {
    item->compute_start_ns = compute_start_ns;
    item->compute_end_ns = compute_end_ns;
    try {
      answer(*item, places, results, first_row, all_rows);
    } catch (const std::exception& error) {
      if (!item->answered) item->fail(TRITONSERVER_ERROR_INTERNAL, model_.label + ": " + error.what());
    }
    first_row += model_.batches ? item->rows() : 0;
  }
  ignore(TRITONBACKEND_ModelInstanceReportBatchStatistics(instance_, std::max<size_t>(first_row, 1),
                                                          group.front()->start_ns, compute_start_ns, compute_end_ns,
                                                          now_ns()));
}

std::vector<Array> Instance::merge(const std::vector<Item*>& group) {
  std::vector<Array> inputs = group.front()->inputs;
  if (group.size() == 1) return inputs;
  for (size_t place = 0; place < inputs.size(); ++place) {
    std::vector<char>& memory = merged_[place];
    memory.clear();
    inputs[place].shape.front() = 0;
    for (const Item* item : group) {
      const Array& part = item->inputs[place];
      const char* data = static_cast<const char*>(part.data);
      memory.insert(memory.end(), data, data + byte_size(part));
      inputs[place].shape.front() += part.shape.front();
    }
    inputs[place].data = memory.data();
  }
  return inputs;
}

void Instance::answer(Item& item, const std::vector<size_t>& places, const std::vector<Array>& results,
                      size_t first_row, size_t all_rows) {
  TRITONBACKEND_Response* response = nullptr;
  check(TRITONBACKEND_ResponseNew(&response, item.request));
  try {
    for (size_t index = 0; index < places.size(); ++index) {
      const Port& port = model_.outputs[places[index]];
      if (item.wanted.count(port.name) == 0) continue;
      Array part = results[index];
      if (model_.batches) {
        if (part.shape.front() != static_cast<int64_t>(all_rows)) {
          throw std::runtime_error("output " + port.name + " has shape " + in_words(part.shape) + " for " +
                                   std::to_string(all_rows) + " rows");
        }
        size_t row_bytes = byte_size(part) / all_rows;
        part.shape.front() = static_cast<int64_t>(item.rows());
        part.data = static_cast<const char*>(part.data) + first_row * row_bytes;
      }
      TRITONBACKEND_Output* output = nullptr;
      check(TRITONBACKEND_ResponseOutput(response, &output, port.name.c_str(), part.type->triton, part.shape.data(),
                                         static_cast<uint32_t>(part.shape.size())));
      void* buffer = nullptr;
      TRITONSERVER_MemoryType memory = TRITONSERVER_MEMORY_CPU;
      int64_t memory_id = 0;
      check(TRITONBACKEND_OutputBuffer(output, &buffer, byte_size(part), &memory, &memory_id));
      if (memory == TRITONSERVER_MEMORY_GPU) throw std::runtime_error("the answer lies in a GPU's memory");
      std::memcpy(buffer, part.data, byte_size(part));
    }
  } catch (...) {
    ignore(TRITONBACKEND_ResponseDelete(response));
    throw;
  }
  item.answered = item.succeeded = true;
  ignore(TRITONBACKEND_ResponseSend(response, TRITONSERVER_RESPONSE_COMPLETE_FINAL, nullptr));
}

}  // namespace shortlist
