#!/bin/sh
# Makes the messages from the protos and compiles everything into build/ (or the folder given).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/build}
mkdir -p "$out/src" "$out/classes"
cd "$here/../../protos"
protoc -I . -I "$here/.." --java_out="$out/src" --plugin=protoc-gen-grpc="$(command -v grpc_java_plugin || command -v protoc-gen-grpc-java)" \
    --grpc_out="$out/src" shortlist/v1/*.proto google/rpc/details.proto
# Its annotation is no part of Java any more, and nothing needs it.
find "$out/src" -name '*Grpc.java' -exec sed -i '/@javax.annotation.Generated(/,/)/d' {} +
javac -nowarn -d "$out/classes" -cp "$("$here/classpath.sh")" "$here/Client.java" $(find "$out/src" -name '*.java')
# TLS: netty looks for this library with an underscore in its name, and the library refuses a link.
mkdir -p "$out/native"
for library in /usr/lib/*/jni/libnetty-tcnative.so; do
    if [ -e "$library" ]; then cp "$library" "$out/native/libnetty_tcnative.so"; fi
done
