#!/bin/sh
# Makes the package shortlist/v1 below gen/ (or the folder given) from the protos.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/gen}
mkdir -p "$out"
cd "$here/../../protos"
protoc -I . --go_out="$out" --go-grpc_out="$out" shortlist/v1/*.proto
