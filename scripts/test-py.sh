#!/bin/sh
# Builds the Python packages as a user would get them, and tests what was
# installed, in a virtual environment below target/ and an empty directory.
# Arguments go to pytest.
#
#   sh scripts/test-py.sh [-k NAME]
#
# SUDO=1 builds as the caller and runs the tests as root.
set -eu

cd "$(dirname "$0")/.."
here=$PWD
. scripts/privileged.sh

. scripts/py-env.sh

sh scripts/check-wheel.sh "$env" "$wheel"

rm -rf "$python/e2sar"
pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --wheel-dir "$python/e2sar" bindings-py/e2sar
e2sar=$(echo "$python"/e2sar/*.whl)
pip install --quiet --disable-pip-version-check --force-reinstall --no-deps "$e2sar"

printf '\n=== sdist\n'
rm -rf "$python/sdist" "$python/from-sdist" "$python/empty"
mkdir -p "$python/sdist" "$python/empty"
maturin sdist --out "$python/dist"
# The sdist has all that cargo asks for, and the object that is compiled in.
tar -C "$python/sdist" --strip-components 1 -xf "$python"/dist/*.tar.gz
cargo metadata --quiet --format-version 1 --offline \
    --manifest-path "$python/sdist/bindings-py/Cargo.toml" >/dev/null
cmp xdp-ebpf/prebuilt/xdpsar-steer.o "$python/sdist/xdp-ebpf/prebuilt/xdpsar-steer.o"
if [ -n "${CI:-}" ]; then
    # And pip builds it, by itself. Cargo would take what it finds in its own
    # target folder for the checkout's, and the other way round.
    CARGO_TARGET_DIR=$python/sdist-target CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
        "$env/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
        --wheel-dir "$python/from-sdist" "$python/sdist"
    rm -rf "$python/sdist-target"
fi
ls -l "$python/dist"

cd "$python/empty"
printf '\n=== types\n'
"$env/bin/mypy" --cache-dir "$python/mypy" --strict --package xdpsar --package e2sar_py
cat >allowed <<'EOF'
# Before 3.12, Python code does not see that a class is a buffer.
xdpsar\._native\.[A-Za-z0-9]+\.__buffer__
# Whoever imports all of it gets what begins with an underscore as well.
xdpsar\._native\.__all__
# Fields of ctypes structures.
xdpsar\.tests\..*
EOF
"$env/bin/stubtest" xdpsar --allowlist allowed --ignore-unused-allowlist

# A load balancer to test with, which no wheel has.
(cd "$here" && cargo build --quiet --locked -p xdpsar-lb-server)
XDPSAR_LB_SERVER=$target/debug/xdpsar-lb-server
export XDPSAR_LB_SERVER

# tests ENVIRONMENT ARGUMENT...
tests() {
    pytest=$1/bin/pytest
    shift
    # shellcheck disable=SC2086 # a command and its option, or nothing
    $as_root "$pytest" -p no:cacheprovider -o faulthandler_timeout=120 --quiet -rs --pyargs xdpsar e2sar_py "$@"
}

printf '\n=== tests\n'
tests "$env" "$@"
# With arguments it is about some tests.
[ $# = 0 ] || exit 0

printf '\n=== notebooks\n'
# shellcheck disable=SC2086 # a command and its option, or nothing
$as_root "$env/bin/python" "$here/bindings-py/notebooks/run.py" "$python/pictures"

# The same wheel on each later Python that there is, and so on other NumPys.
for version in 3.12 3.13 3.14 3.15; do
    printf '\n=== tests with Python %s\n' "$version"
    if ! other=$(sh "$here/scripts/find-python.sh" "$version"); then
        printf 'skipped: there is no Python %s here\n' "$version"
        continue
    fi
    rm -rf "$python/env-$version"
    "$other" -m venv "$python/env-$version"
    # The last with the first interface, and one for that Python.
    case $version in
    3.12) numpy=1.26.4 ;;
    3.15) numpy=2.5.5 ;;
    *) numpy=2.4.6 ;;
    esac
    "$python/env-$version/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "$wheel" "$e2sar" "numpy==$numpy" \
        "$(grep '^pytest==' "$here/bindings-py/requirements.txt")"
    tests "$python/env-$version" "$@"
done
