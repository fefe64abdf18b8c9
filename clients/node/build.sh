#!/bin/sh
# Installs the packages of package-lock.json into node_modules/ beside this file (or into the folder given).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
if [ "$out" != "$here" ]; then
    cp "$here/package.json" "$here/package-lock.json" "$out/"
fi
npm ci --ignore-scripts --no-audit --no-fund --prefix "$out"
