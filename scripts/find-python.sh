#!/bin/sh
# Prints the path of a Python of that version that works, or fails.
#
#   sh scripts/find-python.sh 3.13
set -eu

# pyenv's python3.13 may only say that another version was chosen.
for python in "python$1" "${PYENV_ROOT:-${HOME:-/root}/.pyenv}/versions/$1".*/bin/python"$1"; do
    found=$(command -v "$python") || continue
    if "$found" -c 'import ensurepip, venv' 2>/dev/null; then
        printf '%s\n' "$found"
        exit
    fi
done
exit 1
