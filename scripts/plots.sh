#!/bin/sh
# Draws docs/pictures from bench/results; arguments go to bench/plots.py.
#
#   sh scripts/plots.sh [RESULTS [PICTURES]]
set -eu

cd "$(dirname "$0")/.."

. scripts/venv.sh

venv "$target/plots" "$(grep '^matplotlib==' bindings-py/notebooks/requirements.txt)"
"$target/plots/bin/python" bench/plots.py "$@"
