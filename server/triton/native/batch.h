// Computation of the requests that Triton's dynamic batcher put together.

#pragma once

#include <memory>
#include <vector>

#include "model.h"
#include "triton_api.h"

namespace shortlist {

// One instance of a model; Triton calls it from one thread at a time.
class Instance {
 public:
  Instance(Model& model, TRITONBACKEND_ModelInstance* instance)
      : model_(model), instance_(instance), session_(model.engine->new_session()), merged_(model.inputs.size()) {}

  // Answers each request and releases it. Requests of equal shape are computed as one batch; a request that fails is
  // answered with its error and spoils no other, and one that was cancelled is not computed.
  void execute(TRITONBACKEND_Request** requests, uint32_t request_count);

 private:
  struct Item;  // a request with what was read of it

  void compute(std::vector<Item>& items);
  void run_group(std::vector<Item*>& group);
  std::vector<Array> merge(const std::vector<Item*>& group);
  void answer(Item& item, const std::vector<size_t>& places, const std::vector<Array>& results, size_t first_row,
              size_t all_rows);

  Model& model_;
  TRITONBACKEND_ModelInstance* instance_;
  std::unique_ptr<Session> session_;
  std::vector<std::vector<char>> merged_;  // an array for each input, of the last batch
};

}  // namespace shortlist
