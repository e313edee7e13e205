#!/bin/sh
# Draws docs/pictures from bench/results; arguments go to bench/plots.py.
#
#   sh scripts/plots.sh [RESULTS [PICTURES]]
set -eu

cd "$(dirname "$0")/.."

target=$(cargo metadata --format-version 1 --no-deps --locked |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
env=$target/plots
wanted=$(grep '^matplotlib==' bindings-py/notebooks/requirements.txt)

if [ "$(cat "$env/made-for" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$env"
    python3 -m venv "$env"
    "$env/bin/pip" install --quiet --disable-pip-version-check "$wanted"
    printf '%s\n' "$wanted" >"$env/made-for"
fi
"$env/bin/python" bench/plots.py "$@"
