#!/bin/sh
# The fuzzer: libFuzzer on the targets of tests/fuzz. Plain cargo builds them,
# with the flags that cargo-fuzz would pass, on the stable toolchain.
#
#   sh scripts/fuzz.sh build             the targets, into target/deep
#   sh scripts/fuzz.sh run TARGET        fuzz it, from the committed corpus and what earlier runs found
#   sh scripts/fuzz.sh corpus TARGET     put what runs have found into the committed corpus, minimised
#
# FUZZ_SECONDS=60 is for how long; FUZZ_RUNS=N, executions instead.
set -eu
cd "$(dirname "$0")/.."

targets='parser core_vs_oracle packet_step'
deep=${CARGO_TARGET_DIR:-target}/deep
host=$(rustc -vV | sed -n 's/^host: //p')

coverage='--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4'
coverage="$coverage -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-pc-table"

build() {
    RUSTFLAGS=$coverage cargo build --locked --profile deep --target "$host" --target-dir "$deep" \
        --package xdpsar-fuzz --bins
}

# fuzzer TARGET ARGUMENT...: inputs are short, so that there are many a second;
# a machine that pauses for a minute has not hung.
fuzzer() {
    target=$1
    shift
    "$deep/$host/deep/$target" -max_len=256 -timeout=300 -report_slow_units=300 \
        -rss_limit_mb=1024 "$@"
}

run() {
    found=$deep/found/$1
    artifacts=tests/fuzz/artifacts/$1
    mkdir -p "$found" "$artifacts"
    if [ -n "${FUZZ_RUNS:-}" ]; then
        limit=-runs=$FUZZ_RUNS
    else
        limit=-max_total_time=${FUZZ_SECONDS:-60}
    fi
    # core_vs_oracle's inputs are operations, in which nothing is a magic number.
    [ "$1" = core_vs_oracle ] || dictionary=-dict=tests/fuzz/frames.dict
    fuzzer "$1" "$limit" ${dictionary:-} -print_final_stats=1 -artifact_prefix="$artifacts/" \
        "$found" "tests/fuzz/corpus/$1" && return 0
    printf '\n%s\n' "Once mended, reproduce with:" \
        "    cargo run -p xdpsar-fuzz --bin $1 -- $artifacts/FILE" \
        "and keep FILE as tests/fuzz/corpus/$1/regression-WHAT: make test replays it."
    return 1
}

corpus() {
    folder=tests/fuzz/corpus/$1
    seeds=$deep/seeds
    new=$deep/merged/$1
    rm -rf "$new"
    mkdir -p "$new" "$deep/found/$1" "$folder"
    cargo run --locked --quiet --package xdpsar-fuzz --example seeds -- "$seeds"
    # The smallest set that covers as much as all of them do.
    fuzzer "$1" -set_cover_merge=1 "$new" "$folder" "$seeds/$1" "$deep/found/$1"
    find "$folder" -type f ! -name 'regression-*' -delete
    # The longest do most; a hundred are enough to start from.
    for name in $(ls -S "$new" | head -n 100); do cp "$new/$name" "$folder"; done
    printf '%s: %s inputs, %s\n' "$folder" "$(find "$folder" -type f | wc -l)" \
        "$(du -sh --apparent-size "$folder" | cut -f 1)"
}

case "${1:-}:${2:-}" in
build:) build ;;
targets:) printf '%s\n' $targets ;;
run:?* | corpus:?*)
    case " $targets " in
    *" $2 "*) "$1" "$2" ;;
    *)
        printf 'scripts/fuzz.sh: no target "%s"; there are: %s\n' "$2" "$targets" >&2
        exit 2
        ;;
    esac
    ;;
*)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0" >&2
    exit 2
    ;;
esac
