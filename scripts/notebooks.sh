#!/bin/sh
# Runs the notebooks of bindings-py/notebooks from top to bottom; the pictures
# that they draw are in target/python/pictures.
#
#   sh scripts/notebooks.sh [NOTEBOOK...]
set -eu

cd "$(dirname "$0")/.."
here=$PWD
. scripts/py-env.sh

printf '\n=== notebooks\n'
rm -rf "$python/pictures"
"$env/bin/python" "$here/bindings-py/notebooks/run.py" "$python/pictures" "$@"
