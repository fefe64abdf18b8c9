// Asks a Shortlist gateway. CMake makes the messages from the protos first.

#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <future>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "google/rpc/details.pb.h"
#include "shortlist/v1/recommender.grpc.pb.h"

namespace v1 = shortlist::v1;

namespace {

constexpr char kUsage[] = "usage: client recommend|health|stream --address HOST:PORT[,HOST:PORT] [flags]";

struct Arguments {
  std::string command, address, text, ca, protos = "../../protos";
  std::vector<std::string> events, where;
  int k = 10;
  int times = 1;
  int deadline_ms = 1000;
};

Arguments ReadArguments(int count, char** words) {
  Arguments found;
  if (count < 2) throw std::invalid_argument(kUsage);
  found.command = words[1];
  for (int place = 2; place < count; place += 2) {
    const std::string name = words[place];
    if (place + 1 == count) throw std::invalid_argument(name + " needs a value\n" + kUsage);
    const std::string value = words[place + 1];
    if (name == "--address") found.address = value;
    else if (name == "--text") found.text = value;
    else if (name == "--ca") found.ca = value;
    else if (name == "--protos") found.protos = value;
    else if (name == "--event") found.events.push_back(value);
    else if (name == "--where") found.where.push_back(value);
    else if (name == "--k") found.k = std::stoi(value);
    else if (name == "--times") found.times = std::stoi(value);
    else if (name == "--deadline-ms") found.deadline_ms = std::stoi(value);
    else throw std::invalid_argument("unknown flag " + name + "\n" + kUsage);
  }
  const bool known = found.command == "recommend" || found.command == "health" || found.command == "stream";
  if (!known || found.address.empty()) throw std::invalid_argument(kUsage);
  return found;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + " cannot be read");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Several addresses share the calls; the service config repeats a failed call once, within a budget.
std::shared_ptr<grpc::Channel> Connect(const Arguments& found) {
  grpc::ChannelArguments options;
  options.SetString(GRPC_ARG_SERVICE_CONFIG, ReadFile(found.protos + "/shortlist/v1/service_config.json"));
  options.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  options.SetInt(GRPC_ARG_ENABLE_RETRIES, 1);
  options.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (found.command == "health") options.SetInt(GRPC_ARG_INHIBIT_HEALTH_CHECKING, 1);
  const bool several = found.address.find(',') != std::string::npos;
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!found.ca.empty()) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = ReadFile(found.ca);
    credentials = grpc::SslCredentials(tls);
  }
  return grpc::CreateCustomChannel((several ? "ipv4:" : "") + found.address, credentials, options);
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

v1::RecommendRequest RequestOf(const Arguments& found) {
  v1::RecommendRequest request;
  if (!found.text.empty()) request.set_text(found.text);
  request.set_k(found.k);
  request.mutable_item_mask()->add_paths("title");
  for (const std::string& word : found.events) {
    const auto cut = word.find(':');
    std::string kind = word.substr(0, cut);
    for (char& letter : kind) letter = static_cast<char>(std::toupper(letter));
    v1::EventKind number = v1::EVENT_KIND_UNSPECIFIED;
    v1::EventKind_Parse("EVENT_KIND_" + kind, &number);
    v1::Event* event = request.add_events();
    event->set_item_id(word.substr(cut + 1));
    event->set_kind(number);
  }
  for (const std::string& word : found.where) {
    const auto cut = word.find('=');
    v1::AttributeCondition* condition = request.add_conditions();
    condition->set_attribute(word.substr(0, cut));
    for (const std::string& value : Split(word.substr(cut + 1), ',')) condition->mutable_any_of()->add_values(value);
  }
  return request;
}

void SetDeadline(grpc::ClientContext* context, const Arguments& found) {
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(found.deadline_ms));
}

grpc::Status Recommend(const std::shared_ptr<grpc::Channel>& channel, const Arguments& found) {
  grpc::ClientContext context;
  SetDeadline(&context, found);
  v1::RecommendResponse reply;
  const grpc::Status status = v1::RecommenderService::NewStub(channel)->Recommend(&context, RequestOf(found), &reply);
  for (const auto& item : reply.items()) {
    std::cout << item.rank() << '\t' << item.id() << '\t' << item.item().title() << '\n';
  }
  for (const auto& one : reply.degradations()) {
    std::cerr << v1::DegradationReason_Name(one.reason()) << ": " << one.detail() << '\n';
  }
  return status;
}

// grpc.health.v1's two messages have one field each: on the wire they are a StringValue and an Int32Value.
grpc::Status Health(const std::shared_ptr<grpc::Channel>& channel, const Arguments& found) {
  grpc::ClientContext context;
  SetDeadline(&context, found);
  grpc::TemplatedGenericStub<google::protobuf::StringValue, google::protobuf::Int32Value> stub(channel);
  google::protobuf::StringValue request;
  google::protobuf::Int32Value reply;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request, &reply,
                 [&done](grpc::Status status) { done.set_value(std::move(status)); });
  grpc::Status status = done.get_future().get();
  if (!status.ok()) return status;
  const char* names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
  std::cout << (reply.value() >= 0 && reply.value() < 4 ? names[reply.value()] : "UNKNOWN") << '\n';
  if (reply.value() != 1) std::exit(1);
  return status;
}

// Sends a request for each line of standard input while the outcomes are read.
grpc::Status Stream(const std::shared_ptr<grpc::Channel>& channel, const Arguments& found) {
  grpc::ClientContext context;
  const auto call = v1::RecommenderService::NewStub(channel)->RecommendStream(&context);
  std::thread writer([&call, &found] {
    for (std::string line; std::getline(std::cin, line);) {
      v1::RecommendStreamRequest entry;
      entry.mutable_request()->set_text(line);
      entry.mutable_request()->set_k(found.k);
      if (!call->Write(entry)) return;  // Finish has the reason
    }
    call->WritesDone();
  });
  for (v1::RecommendStreamResponse entry; call->Read(&entry);) {
    std::cout << entry.index() << '\t';
    if (entry.has_error()) {
      std::cout << v1::ErrorReason_Name(entry.error().reason()) << '\t' << entry.error().message() << '\n';
    } else {
      std::cout << (entry.response().items().empty() ? "" : entry.response().items(0).id()) << '\n';
    }
  }
  writer.join();
  return call->Finish();
}

const char* NameOf(grpc::StatusCode code) {
  constexpr const char* kNames[] = {
      "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
      "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  return code >= 0 && code <= 16 ? kNames[code] : "UNKNOWN";
}

// Prints status, reason and the fields that were wrong.
void PrintRefusal(const grpc::Status& status) {
  google::rpc::Status rich;
  rich.ParseFromString(status.error_details());
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad;
  for (const auto& detail : rich.details()) {
    if (detail.Is<google::rpc::ErrorInfo>()) detail.UnpackTo(&info);
    if (detail.Is<google::rpc::BadRequest>()) detail.UnpackTo(&bad);
  }
  std::cerr << NameOf(status.error_code());
  if (!info.reason().empty()) std::cerr << " (" << info.reason() << ")";
  std::cerr << ": " << status.error_message() << '\n';
  for (const auto& one : bad.field_violations()) std::cerr << "  " << one.field() << ": " << one.description() << '\n';
}

}  // namespace

int main(int count, char** words) {
  try {
    const Arguments found = ReadArguments(count, words);
    const auto channel = Connect(found);
    grpc::Status status;
    for (int call = 0; call < found.times && status.ok(); ++call) {
      status = found.command == "recommend" ? Recommend(channel, found)
               : found.command == "health"  ? Health(channel, found)
                                            : Stream(channel, found);
    }
    if (status.ok()) return 0;
    PrintRefusal(status);
    return 1;
  } catch (const std::logic_error& error) {
    std::cerr << error.what() << '\n';
    return 2;
  } catch (const std::runtime_error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
