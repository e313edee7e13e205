#!/bin/sh
# What Python costs, as Markdown; arguments go to bindings-py/bench/bench.py.
#
#   sh scripts/bench-py.sh [--quick]
set -eu

cd "$(dirname "$0")/.."
here=$PWD
. scripts/py-env.sh >&2

# Where no folder of the checkout is taken for the package.
cd "$python"
"$env/bin/python" "$here/bindings-py/bench/bench.py" "$@"
