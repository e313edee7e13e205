#!/bin/sh
# Runs the tests; arguments go to `cargo test`.
#
#   sh scripts/test.sh --workspace
#
# SUDO=1 builds as the caller and runs the tests as root.
set -eu

privileged=no
set -- --locked "$@"
if [ "$(id -u)" = 0 ]; then
    privileged=yes
elif [ "${SUDO:-}" = 1 ]; then
    privileged=yes
    # cfg(all()) holds on every target. Environment for the tests: what cargo
    # sets, and XDPSAR_REQUIRE_PRIVILEGED.
    set -- --config 'target."cfg(all())".runner = "sudo -E"' "$@"
fi
# Root in CI, or asked for: a test that cannot run there is a failure.
if [ "$privileged" = yes ] && { [ -n "${CI:-}" ] || [ "${SUDO:-}" = 1 ]; }; then
    export XDPSAR_REQUIRE_PRIVILEGED=1
fi

cargo test "$@"

if [ "$privileged" = no ]; then
    printf '\n%s\n%s\n' \
        'Not root: the tests that need network namespaces or XDP were skipped.' \
        'To run them too: make test SUDO=1   (builds as you, runs the tests with sudo)'
fi
