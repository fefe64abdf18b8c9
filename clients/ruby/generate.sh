#!/bin/sh
# Makes gen/ (or the folder given) from the protos.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/gen}
mkdir -p "$out"
cd "$here/../../protos"
protoc -I . --ruby_out="$out" --plugin=protoc-gen-grpc="$(command -v grpc_ruby_plugin)" --grpc_out="$out" shortlist/v1/*.proto
