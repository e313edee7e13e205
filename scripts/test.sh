#!/bin/sh
# Runs the tests in Rust; arguments go to `cargo test`.
#
#   sh scripts/test.sh --workspace
#
# SUDO=1 builds as the caller and runs the tests as root.
set -eu

. "$(dirname "$0")/privileged.sh"
set -- --locked "$@"
if [ -n "$as_root" ]; then
    # cfg(all()) holds on every target. Environment for the tests: what cargo
    # sets, and XDPSAR_REQUIRE_PRIVILEGED.
    set -- --config "target.\"cfg(all())\".runner = \"$as_root\"" "$@"
fi

cargo test "$@"

if [ "$privileged" = no ]; then
    printf '\n%s\n%s\n' \
        'Not root: the tests that need network namespaces or XDP were skipped.' \
        'To run them too: make test SUDO=1   (builds as you, runs the tests with sudo)'
fi
