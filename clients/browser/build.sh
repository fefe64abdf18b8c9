#!/bin/sh
# Makes gen/ from the protos and node_modules/ from package-lock.json beside the page (or a copy of it in the folder given).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
mkdir -p "$out/gen"
if [ "$out" != "$here" ]; then
    cp "$here"/index.html "$here"/*.js "$here"/package.json "$here"/package-lock.json "$out/"
fi
npm ci --ignore-scripts --no-audit --no-fund --prefix "$out"
cd "$here/../../protos"
protoc -I . -I "$here/.." --plugin=protoc-gen-es="$out/node_modules/.bin/protoc-gen-es" --es_out="$out/gen" \
    --es_opt=target=js,import_extension=js shortlist/v1/*.proto google/rpc/details.proto
