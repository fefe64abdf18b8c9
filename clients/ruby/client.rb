#!/usr/bin/env ruby
# frozen_string_literal: true

# Asks a Shortlist gateway. `generate.sh` makes gen/ from the protos first.

$LOAD_PATH.unshift(ENV.fetch('SHORTLIST_GEN', File.join(__dir__, 'gen')))

require 'grpc'
require 'grpc/health/v1/health_services_pb'
require 'grpc/google_rpc_status_utils'
require 'google/protobuf/well_known_types'
require 'google/rpc/error_details_pb'
require 'optparse'
require 'shortlist/v1/recommender_services_pb'

PROTOS = ENV.fetch('SHORTLIST_PROTOS', File.join(__dir__, '..', '..', 'protos'))
V1 = Shortlist::V1
UsageError = Class.new(StandardError)

# Command and flags of a run.
def read_arguments(arguments)
  found = { events: [], where: [], k: 10, times: 1, deadline_ms: 1000 }
  parser = OptionParser.new do |flags|
    flags.banner = 'usage: client.rb recommend|health|stream --address HOST:PORT[,HOST:PORT] [flags]'
    flags.on('--address A') { |value| found[:address] = value }
    flags.on('--text T') { |value| found[:text] = value }
    flags.on('--event KIND:ID') { |value| found[:events] << value }
    flags.on('--where NAME=VALUE') { |value| found[:where] << value }
    flags.on('--k N', Integer) { |value| found[:k] = value }
    flags.on('--times N', Integer) { |value| found[:times] = value }
    flags.on('--deadline-ms N', Integer) { |value| found[:deadline_ms] = value }
    flags.on('--ca FILE') { |value| found[:ca] = value }
  end
  found[:command], *rest = parser.parse(arguments)
  known = %w[recommend health stream].include?(found[:command]) && rest.empty? && found[:address]
  raise UsageError, parser.banner unless known

  found
rescue OptionParser::ParseError => e
  raise UsageError, "#{e.message}\n#{parser.banner}"
end

# Several addresses share the calls; the service config repeats a call once, within a budget.
def connection(found)
  credentials = found[:ca] ? GRPC::Core::ChannelCredentials.new(File.read(found[:ca])) : :this_channel_is_insecure
  config = File.read(File.join(PROTOS, 'shortlist', 'v1', 'service_config.json'))
  options = { 'grpc.service_config' => config, 'grpc.service_config_disable_resolution' => 1,
              'grpc.enable_http_proxy' => 0, 'grpc.enable_retries' => 1 }
  several = found[:address].include?(',')
  [several ? "ipv4:#{found[:address]}" : found[:address], credentials, { channel_args: options }]
end

def request_of(found)
  events = found[:events].map do |word|
    kind, id = word.split(':', 2)
    V1::Event.new(item_id: id, kind: :"EVENT_KIND_#{kind.upcase}")
  end
  conditions = found[:where].map do |word|
    name, values = word.split('=', 2)
    V1::AttributeCondition.new(attribute: name, any_of: V1::StringSet.new(values: values.split(',')))
  end
  V1::RecommendRequest.new(
    text: found[:text], events: events, conditions: conditions, k: found[:k],
    item_mask: Google::Protobuf::FieldMask.new(paths: ['title'])
  )
end

def deadline(found)
  GRPC::Core::TimeConsts.from_relative_time(found[:deadline_ms] / 1000.0)
end

def recommend(found)
  stub = V1::RecommenderService::Stub.new(*connection(found).first(2), **connection(found).last)
  found[:times].times do
    reply = stub.recommend(request_of(found), deadline: deadline(found))
    reply.items.each { |item| puts [item.rank, item.id, item.item&.title].join("\t") }
    reply.degradations.each { |one| warn "#{one.reason}: #{one.detail}" }
  end
  true
end

def health(found)
  address, credentials, options = connection(found)
  options[:channel_args]['grpc.inhibit_health_checking'] = 1
  stub = Grpc::Health::V1::Health::Stub.new(address, credentials, **options)
  reply = stub.check(Grpc::Health::V1::HealthCheckRequest.new, deadline: deadline(found))
  puts reply.status
  reply.status == :SERVING
end

# Sends a request for each line of standard input while the outcomes are read.
def stream(found)
  stub = V1::RecommenderService::Stub.new(*connection(found).first(2), **connection(found).last)
  entries = $stdin.each_line(chomp: true).lazy.map do |line|
    V1::RecommendStreamRequest.new(request: V1::RecommendRequest.new(text: line, k: found[:k]))
  end
  stub.recommend_stream(entries).each do |entry|
    error = entry.error
    puts [entry.index, *(error ? [error.reason, error.message] : [entry.response.items.first&.id])].join("\t")
  end
  true
end

# Prints status, reason and the fields that were wrong.
def print_refusal(error)
  status = GRPC::GoogleRpcStatusUtils.extract_google_rpc_status(error.to_status)
  details = status ? status.details : []
  info = details.find { |one| one.is(Google::Rpc::ErrorInfo) }&.unpack(Google::Rpc::ErrorInfo)
  bad = details.find { |one| one.is(Google::Rpc::BadRequest) }&.unpack(Google::Rpc::BadRequest)
  name = GRPC::Core::StatusCodes.constants.find { |one| GRPC::Core::StatusCodes.const_get(one) == error.code }
  warn "#{name}#{info ? " (#{info.reason})" : ''}: #{error.details}"
  bad&.field_violations&.each { |one| warn "  #{one.field}: #{one.description}" }
end

begin
  found = read_arguments(ARGV)
  exit(send(found[:command], found) ? 0 : 1)
rescue UsageError => e
  warn e.message
  exit 2
rescue GRPC::BadStatus => e
  print_refusal(e)
  exit 1
end
