#!/bin/sh
# Installs what a bare Debian or Ubuntu lacks, and nothing that is there.
#
#   sh scripts/deps.sh GROUP...
#
#   rust   cargo is there (it is not installed from here)
#   build  C compiler and libraries that the AF_XDP path is built with
#   net    commands that lay network namespaces and look at them
#   python Python with venv, for its package
#   lint   rustfmt and clippy
#   deny   cargo-deny
#   ebpf   a compiler and a linker for the XDP program
#   gate   valgrind
#   loom   nothing more
#   miri   a nightly toolchain with miri
#   fuzz   a C++ compiler, for libFuzzer
#
# `sh scripts/deps.sh nightly-name` prints which nightly.
# Installs with apt as root or through sudo. Where neither is to be had, it
# prints the line that somebody else must run, and fails.
set -eu

PATH="${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$PATH:/usr/sbin:/sbin"
export PATH

BPF_LINKER=0.13.0
CARGO_DENY=0.20.2
# By date: miri is not in every nightly, and CI must not change by itself.
NIGHTLY=nightly-2026-05-20

packages=

say() { printf '%s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

# command_from COMMAND PACKAGE, file_from FILE PACKAGE: what tells that the
# package, or another that does the same, is installed.
command_from() { have "$1" || packages="$packages $2"; }
file_from() { [ -e "$1" ] || packages="$packages $2"; }
installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q ' installed$'; }

apt_install() {
    [ -n "$packages" ] || return 0
    line="apt-get install -y --no-install-recommends$packages"
    if ! have apt-get; then
        say "Missing, by their Debian names:$packages"
        say "Install their like with this system's own package manager."
        exit 1
    fi
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root=sudo
    else
        say "Missing:$packages"
        say "Neither root nor sudo is to be had here. Let somebody who has it run:"
        say "    apt-get update && $line"
        exit 1
    fi
    say "Installing:$packages"
    # Another apt may be at work on a machine that has just started.
    wait='-o DPkg::Lock::Timeout=300'
    # shellcheck disable=SC2086 # lists of words
    $as_root env DEBIAN_FRONTEND=noninteractive sh -ec \
        "apt-get $wait -q update && apt-get $wait -q ${line#apt-get }" >&2
    packages=
}

# What must be there before cargo can build anything.
rust() {
    have cargo && return 0
    say "cargo is not installed. Install Rust's stable toolchain (1.95 or later) with"
    say "rustup, as https://rustup.rs says:"
    say "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    say "and run this again."
    exit 1
}

build() {
    command_from gcc gcc
    file_from /usr/include/stdio.h libc6-dev
    command_from make make
    command_from pkg-config pkg-config
    file_from /usr/include/zlib.h zlib1g-dev
    file_from /usr/include/gelf.h libelf-dev
    command_from m4 m4
    # Compiles libxdp's small programs, and brings the libclang of bindgen.
    command_from clang clang
}

net() {
    # Nobody else can use them: the tests and the demo go without.
    [ "$(id -u)" = 0 ] || return 0
    command_from ip iproute2
    command_from ping iputils-ping
    command_from ethtool ethtool
}

python() {
    command_from python3 python3
    # Debian has them in a package of their own.
    have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null || packages="$packages python3-venv"
}

lint() {
    if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
        rustup component add rustfmt clippy >&2
    fi
}

deny() {
    case "$(cargo deny --version 2>/dev/null || :)" in
    "cargo-deny $CARGO_DENY") ;;
    *)
        build
        apt_install
        cargo install cargo-deny --version "$CARGO_DENY" --locked >&2
        ;;
    esac
}

ebpf() {
    # Debian's rustc for the web browsers comes with the sources of core, and
    # with the same LLVM that llvm-22-dev is. The committed object was built
    # with them; `cargo xtask ebpf` says what else serves.
    for package in rustc-web rust-web-src llvm-22-dev; do
        installed "$package" || packages="$packages $package"
    done
    case "$(bpf-linker --version 2>/dev/null || :)" in
    "bpf-linker $BPF_LINKER"*) apt_install ;;
    *)
        build
        apt_install
        LLVM_PREFIX=/usr/lib/llvm-22 RUSTFLAGS='-L /usr/lib/llvm-22/lib' \
            cargo install bpf-linker --version "$BPF_LINKER" \
            --locked --no-default-features --features llvm-22 >&2
        ;;
    esac
}

gate() {
    command_from valgrind valgrind
}

loom() { :; }

miri() {
    if ! cargo "+$NIGHTLY" miri --version >/dev/null 2>&1; then
        rustup toolchain install "$NIGHTLY" --profile minimal \
            --component miri --component rust-src >&2
    fi
}

fuzz() {
    command_from g++ g++
}

for group in "$@"; do
    case "$group" in
    rust | build | net | python | lint | deny | ebpf | gate | loom | miri | fuzz) "$group" ;;
    nightly-name) printf '%s\n' "$NIGHTLY" ;;
    *)
        say "scripts/deps.sh: no group \"$group\""
        exit 2
        ;;
    esac
done
apt_install
