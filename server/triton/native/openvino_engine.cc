// OpenVINO as the engine, for ONNX files on the CPU.
//
// Of the parameters of NVIDIA's backend it reads INFERENCE_NUM_THREADS, NUM_STREAMS, PERFORMANCE_HINT and HINT_BF16.
// Without HINT_BF16 it computes in float32 also where the processor has bfloat16; OpenVINO by itself takes that without
// being asked.
//
// A parameter of our own is FIXED_TOKENS. OpenVINO takes 1 to 2.5 ms for a call of another shape than the last one, which
// is more than a short text costs. So a call of one row of at most so many tokens is padded with zeros, which its mask
// leaves out, and computed by a second compilation of that one shape, on one thread. It shares the weights of the file.

#include <algorithm>
#include <cstring>
#include <openvino/core/model.hpp>
#include <openvino/runtime/compiled_model.hpp>
#include <openvino/runtime/core.hpp>
#include <openvino/runtime/infer_request.hpp>
#include <openvino/runtime/properties.hpp>
#include <stdexcept>

#include "engine.h"

namespace shortlist {

const char* const kLibrary = "OpenVINO";

namespace {

using Parameters = std::map<std::string, std::string>;

struct TypePair {
  ov::element::Type_t openvino;
  TRITONSERVER_DataType triton;
};

constexpr TypePair kTypes[] = {
    {ov::element::Type_t::boolean, TRITONSERVER_TYPE_BOOL}, {ov::element::Type_t::u8, TRITONSERVER_TYPE_UINT8},
    {ov::element::Type_t::i8, TRITONSERVER_TYPE_INT8},      {ov::element::Type_t::i16, TRITONSERVER_TYPE_INT16},
    {ov::element::Type_t::i32, TRITONSERVER_TYPE_INT32},    {ov::element::Type_t::i64, TRITONSERVER_TYPE_INT64},
    {ov::element::Type_t::f16, TRITONSERVER_TYPE_FP16},     {ov::element::Type_t::f32, TRITONSERVER_TYPE_FP32},
    {ov::element::Type_t::f64, TRITONSERVER_TYPE_FP64},
};

const NumberType* type_of(ov::element::Type type) {
  for (const TypePair& pair : kTypes) {
    if (type == pair.openvino) return number_type(pair.triton);
  }
  return nullptr;
}

ov::element::Type type_of(const NumberType& type) {
  for (const TypePair& pair : kTypes) {
    if (type.triton == pair.triton) return pair.openvino;
  }
  throw std::invalid_argument(std::string("OpenVINO takes no ") + type.words);
}

// All models of the process share one; it holds the plugin and its threads, and is never destroyed, because Triton ends
// while some of those still run.
ov::Core& core() {
  static auto* const shared = new ov::Core();
  return *shared;
}

bool is_whole(const std::string& text) {
  return !text.empty() && text.size() <= 6 && text.find_first_not_of("0123456789") == std::string::npos;
}

// A word such as AUTO is left to OpenVINO as it is.
std::string scaled(const std::string& text, size_t factor) {
  return is_whole(text) ? std::to_string(std::stoul(text) * factor) : text;
}

ov::AnyMap settings(const Parameters& parameters, size_t session_count) {
  auto hint = parameters.find("HINT_BF16");
  bool in_bfloat16 = hint != parameters.end() && (hint->second == "YES" || hint->second == "yes");
  auto abilities = core().get_property("CPU", ov::device::capabilities);
  if (in_bfloat16 && std::find(abilities.begin(), abilities.end(), "BF16") == abilities.end()) {
    throw std::invalid_argument("this processor has no bfloat16; take a configuration without HINT_BF16");
  }
  ov::AnyMap map{{"INFERENCE_PRECISION_HINT", std::string(in_bfloat16 ? "bf16" : "f32")}};
  // The configuration counts threads of one instance, OpenVINO those of all streams.
  for (const char* name : {"INFERENCE_NUM_THREADS", "NUM_STREAMS"}) {
    if (auto found = parameters.find(name); found != parameters.end()) map[name] = scaled(found->second, session_count);
  }
  if (auto found = parameters.find("PERFORMANCE_HINT"); found != parameters.end()) map[found->first] = found->second;
  return map;
}

// Length of the fixed shape; 0 where there is none.
size_t fixed_length(const Parameters& parameters) {
  auto found = parameters.find("FIXED_TOKENS");
  if (found == parameters.end()) return 0;
  if (!is_whole(found->second)) throw std::invalid_argument("FIXED_TOKENS is no whole number: " + found->second);
  return std::stoul(found->second);
}

Port port_of(const ov::Output<const ov::Node>& output) {
  ov::PartialShape shape = output.get_partial_shape();
  size_t rank = shape.rank().is_static() ? static_cast<size_t>(shape.rank().get_length()) : 0;
  return {output.get_any_name(), type_of(output.get_element_type()), shape.to_string(), rank};
}

std::vector<Port> ports_of(const std::vector<ov::Output<const ov::Node>>& outputs) {
  std::vector<Port> ports;
  for (const auto& output : outputs) ports.push_back(port_of(output));
  return ports;
}

class OpenVinoSession : public Session {
 public:
  OpenVinoSession(ov::InferRequest request, ov::InferRequest fixed, size_t fixed_length)
      : request_(std::move(request)), fixed_(std::move(fixed)), fixed_length_(fixed_length) {}

  std::vector<Array> run(const std::vector<Array>& inputs, const std::vector<size_t>& outputs) override {
    if (fits_fixed(inputs)) return run_fixed(inputs, outputs);
    for (size_t place = 0; place < inputs.size(); ++place) {
      const Array& input = inputs[place];
      ov::Shape shape(input.shape.begin(), input.shape.end());
      // OpenVINO reads inputs only, but has no tensor of constant memory.
      request_.set_input_tensor(place, ov::Tensor(type_of(*input.type), shape, const_cast<void*>(input.data)));
    }
    request_.infer();
    return results_of(request_, outputs);
  }

 private:
  // Whether it is one row, no longer than the fixed shape.
  bool fits_fixed(const std::vector<Array>& inputs) const {
    return fixed_length_ > 0 && std::all_of(inputs.begin(), inputs.end(), [&](const Array& input) {
             return input.shape.size() == 2 && input.shape[0] == 1 &&
                    static_cast<size_t>(input.shape[1]) <= fixed_length_;
           });
  }

  std::vector<Array> run_fixed(const std::vector<Array>& inputs, const std::vector<size_t>& outputs) {
    for (size_t place = 0; place < inputs.size(); ++place) {
      ov::Tensor tensor = fixed_.get_input_tensor(place);
      auto* memory = static_cast<char*>(tensor.data());
      std::memset(memory, 0, tensor.get_byte_size());
      std::memcpy(memory, inputs[place].data, byte_size(inputs[place]));
    }
    fixed_.infer();
    return results_of(fixed_, outputs);
  }

  static std::vector<Array> results_of(ov::InferRequest& request, const std::vector<size_t>& outputs) {
    std::vector<Array> results;
    for (size_t place : outputs) {
      ov::Tensor tensor = request.get_output_tensor(place);
      const ov::Shape& shape = tensor.get_shape();
      results.push_back({type_of(tensor.get_element_type()), {shape.begin(), shape.end()}, tensor.data()});
    }
    return results;
  }

  ov::InferRequest request_;
  ov::InferRequest fixed_;  // of the fixed shape; empty without one
  size_t fixed_length_;
};

class OpenVinoEngine : public Engine {
 public:
  OpenVinoEngine(ov::CompiledModel model, ov::CompiledModel fixed, size_t fixed_length)
      : model_(std::move(model)), fixed_(std::move(fixed)), fixed_length_(fixed_length) {}

  std::vector<Port> inputs() const override { return ports_of(model_.inputs()); }
  std::vector<Port> outputs() const override { return ports_of(model_.outputs()); }
  std::unique_ptr<Session> new_session() override {
    ov::InferRequest fixed = fixed_ ? fixed_.create_infer_request() : ov::InferRequest();
    return std::make_unique<OpenVinoSession>(model_.create_infer_request(), std::move(fixed), fixed_length_);
  }

 private:
  ov::CompiledModel model_;
  ov::CompiledModel fixed_;
  size_t fixed_length_;
};

}  // namespace

std::unique_ptr<Engine> open_engine(const std::string& path, const Parameters& parameters, size_t session_count) {
  ov::AnyMap map = settings(parameters, session_count);
  std::shared_ptr<ov::Model> model = core().read_model(path);
  ov::CompiledModel compiled = core().compile_model(model, "CPU", map);
  size_t length = fixed_length(parameters);
  ov::CompiledModel fixed;
  if (length > 0) {
    std::shared_ptr<ov::Model> copy = model->clone();
    std::map<ov::Output<ov::Node>, ov::PartialShape> shapes;
    for (const auto& input : copy->inputs()) shapes[input] = ov::Shape{1, length};
    copy->reshape(shapes);
    map["INFERENCE_NUM_THREADS"] = std::to_string(session_count);
    fixed = core().compile_model(copy, "CPU", map);
  }
  return std::make_unique<OpenVinoEngine>(std::move(compiled), std::move(fixed), length);
}

}  // namespace shortlist
