#!/bin/sh
# Prints the jars that the client needs, as Debian names them.
set -eu
jars=""
for name in protobuf grpc-api grpc-context grpc-core grpc-netty grpc-protobuf grpc-protobuf-lite grpc-stub guava gson perfmark-api \
    netty-buffer netty-codec netty-codec-http netty-codec-http2 netty-codec-socks netty-common netty-handler \
    netty-handler-proxy netty-resolver netty-tcnative netty-transport netty-transport-native-unix-common annotations-api failureaccess; do
    [ -e "/usr/share/java/$name.jar" ] && jars="$jars:/usr/share/java/$name.jar"
done
printf '%s' "${jars#:}"
