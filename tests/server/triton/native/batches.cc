// Requests of a Triton that is made up here, through the backend's own batches; prints what became of each.
//
// Its engine adds the numbers of each row. It fails for rows with some numbers: see Adder.

#include <cstdio>
#include <new>
#include <stdexcept>

#include "batch.h"
#include "model.h"

struct TRITONSERVER_Error {
  std::string message;
};
struct TRITONBACKEND_Input {
  std::vector<int64_t> shape;
  std::vector<float> data;
  uint64_t size;  // as it is told
};
struct TRITONBACKEND_Output {
  std::vector<int64_t> shape;
  std::vector<char> data;
};
struct TRITONBACKEND_Request {
  TRITONBACKEND_Input input;
  bool is_cancelled = false;
  int answers = 0, releases = 0;
  std::string said;
};
struct TRITONBACKEND_Response {
  TRITONBACKEND_Request* request;
  TRITONBACKEND_Output output;
};

namespace {
int open_responses = 0;
bool is_deaf = false;  // whether no response can be made
TRITONSERVER_Error* made(const char* message) { return new TRITONSERVER_Error{message}; }
}  // namespace

extern "C" {
TRITONSERVER_Error* TRITONSERVER_ErrorNew(TRITONSERVER_Error_Code, const char* message) { return made(message); }
void TRITONSERVER_ErrorDelete(TRITONSERVER_Error* error) { delete error; }
const char* TRITONSERVER_ErrorMessage(TRITONSERVER_Error* error) { return error->message.c_str(); }
TRITONSERVER_Error* TRITONBACKEND_RequestIsCancelled(TRITONBACKEND_Request* request, bool* is_cancelled) {
  *is_cancelled = request->is_cancelled;
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_RequestInput(TRITONBACKEND_Request* request, const char*, TRITONBACKEND_Input** input) {
  *input = &request->input;
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_RequestOutputCount(TRITONBACKEND_Request*, uint32_t* count) {
  *count = 1;
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_RequestOutputName(TRITONBACKEND_Request*, uint32_t, const char** name) {
  *name = "sum";
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_RequestRelease(TRITONBACKEND_Request* request, uint32_t) {
  ++request->releases;
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_InputProperties(TRITONBACKEND_Input* input, const char**, TRITONSERVER_DataType* type,
                                                  const int64_t** shape, uint32_t* rank, uint64_t* size,
                                                  uint32_t* buffer_count) {
  *type = TRITONSERVER_TYPE_FP32;
  *shape = input->shape.data();
  *rank = static_cast<uint32_t>(input->shape.size());
  *size = input->size;
  *buffer_count = input->data.size() > 1 ? 2 : 1;
  return nullptr;
}
// The first number by itself, then the others.
TRITONSERVER_Error* TRITONBACKEND_InputBuffer(TRITONBACKEND_Input* input, uint32_t index, const void** buffer,
                                              uint64_t* size, TRITONSERVER_MemoryType*, int64_t*) {
  *buffer = input->data.data() + index;
  *size = sizeof(float) * (index == 0 ? 1 : input->data.size() - 1);
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_ResponseNew(TRITONBACKEND_Response** response, TRITONBACKEND_Request* request) {
  if (is_deaf) return made("no response");
  ++open_responses;
  *response = new TRITONBACKEND_Response{request, {}};
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_ResponseOutput(TRITONBACKEND_Response* response, TRITONBACKEND_Output** output,
                                                 const char*, TRITONSERVER_DataType, const int64_t* shape,
                                                 uint32_t rank) {
  response->output.shape.assign(shape, shape + rank);
  *output = &response->output;
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_OutputBuffer(TRITONBACKEND_Output* output, void** buffer, uint64_t size,
                                               TRITONSERVER_MemoryType*, int64_t*) {
  output->data.resize(size);
  *buffer = output->data.data();
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_ResponseDelete(TRITONBACKEND_Response* response) {
  --open_responses;
  delete response;
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_ResponseSend(TRITONBACKEND_Response* response, uint32_t, TRITONSERVER_Error* error) {
  TRITONBACKEND_Request* request = response->request;
  ++request->answers;
  if (error != nullptr) {
    request->said = error->message;
  } else {
    const float* sums = reinterpret_cast<const float*>(response->output.data.data());
    for (int64_t row = 0; row < response->output.shape.front(); ++row) {
      request->said += (row ? " " : "") + std::to_string(static_cast<int>(sums[row]));
    }
  }
  return TRITONBACKEND_ResponseDelete(response);
}
TRITONSERVER_Error* TRITONBACKEND_ModelInstanceReportStatistics(TRITONBACKEND_ModelInstance*, TRITONBACKEND_Request*, bool,
                                                                uint64_t, uint64_t, uint64_t, uint64_t) {
  return nullptr;
}
TRITONSERVER_Error* TRITONBACKEND_ModelInstanceReportBatchStatistics(TRITONBACKEND_ModelInstance*, uint64_t, uint64_t,
                                                                     uint64_t, uint64_t, uint64_t) {
  return nullptr;
}
}  // extern "C"

namespace shortlist {

const char* const kLibrary = "a made-up library";

std::unique_ptr<Engine> open_engine(const std::string&, const std::map<std::string, std::string>&, size_t) {
  throw std::runtime_error("not here");
}

class Adder : public Session {
 public:
  std::vector<Array> run(const std::vector<Array>& inputs, const std::vector<size_t>&) override {
    const Array& input = inputs.front();
    const float* numbers = static_cast<const float*>(input.data);
    size_t rows = static_cast<size_t>(input.shape[0]), width = static_cast<size_t>(input.shape[1]);
    sums_.assign(rows, 0);
    for (size_t place = 0; place < rows * width; ++place) {
      if (numbers[place] == 13) throw std::runtime_error("13 is refused");
      if (numbers[place] == 14) throw std::bad_alloc();
      if (numbers[place] == 15) throw 15;
      if (numbers[place] == 16) sums_.push_back(0);  // a row too many
      if (numbers[place] == 17) sums_.pop_back();    // one too few
      if (place / width < sums_.size()) sums_[place / width] += numbers[place];
    }
    return {{input.type, {static_cast<int64_t>(sums_.size()), 1}, sums_.data()}};
  }

 private:
  std::vector<float> sums_;
};

class AdderEngine : public Engine {
 public:
  std::vector<Port> inputs() const override { return {}; }
  std::vector<Port> outputs() const override { return {}; }
  std::unique_ptr<Session> new_session() override { return std::make_unique<Adder>(); }
};

}  // namespace shortlist

namespace {

using Rows = std::vector<std::vector<float>>;

TRITONBACKEND_Request request(const Rows& rows) {
  TRITONBACKEND_Request made;
  made.input.shape = {static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows.front().size())};
  for (const auto& row : rows) made.input.data.insert(made.input.data.end(), row.begin(), row.end());
  made.input.size = made.input.data.size() * sizeof(float);
  return made;
}

void tell(shortlist::Instance& instance, const char* name, std::vector<TRITONBACKEND_Request> requests) {
  std::vector<TRITONBACKEND_Request*> places;
  for (auto& one : requests) places.push_back(&one);
  instance.execute(places.data(), static_cast<uint32_t>(places.size()));
  for (const auto& one : requests) {
    std::printf("%s: %d answer, %d release: %s\n", name, one.answers, one.releases, one.said.c_str());
  }
}

}  // namespace

int main() {
  const shortlist::NumberType* type = shortlist::number_type(TRITONSERVER_TYPE_FP32);
  shortlist::Model model{"adder", true, {{"numbers", type, "[?,?]", 2}}, {{"sum", type, "[?,1]", 2}}, {0}, nullptr};
  model.engine = std::make_unique<shortlist::AdderEngine>();
  shortlist::Instance instance(model, nullptr);
  tell(instance, "merged", {request({{1, 2}}), request({{3, 4}, {5, 6}}), request({{1, 2, 3}})});
  for (float number : {13, 14, 15, 16, 17}) {
    tell(instance, std::to_string(static_cast<int>(number)).c_str(), {request({{1, 2}}), request({{number, 0}}), request({{7}})});
  }
  auto cancelled = request({{1, 2}});
  cancelled.is_cancelled = true;
  tell(instance, "cancelled", {cancelled, request({{3, 4}})});
  auto wide = request({{1, 2}});
  wide.input.shape = {(int64_t{1} << 62) + 1, 2};  // 2^65 + 8 bytes, which are 8 in 64 bits
  auto negative = request({{1, 2}});
  negative.input.shape = {-1, -2};
  tell(instance, "shape", {wide, negative, request({{3, 4}})});
  auto shorter = request({{1, 2}, {3, 4}});
  shorter.input.data.resize(3);
  tell(instance, "short", {shorter});
  is_deaf = true;
  tell(instance, "deaf", {request({{1, 2}})});
  std::printf("%d responses left\n", open_responses);
}
