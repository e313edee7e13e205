#!/bin/sh
# The proofs that take minutes, and a table of what they did.
#
#   sh scripts/check-deep.sh [loom] [miri] [fuzz]     all three by default
#
# FUZZ_SECONDS=60 per fuzz target; FUZZ_RUNS=N, executions instead.
# As many steps run at once as there are cores, the fuzz targets all at once:
# they take their time, however much gets done. Fails if a step fails.
set -eu
cd "$(dirname "$0")/.."

# Crates with models in `--lib loom`, and crates that miri runs.
loom='xdpsar-reassembly xdpsar-handoff xdpsar-dataplane'
miri='xdpsar-wire xdpsar-reassembly xdpsar-handoff xdpsar-dataplane'

out=${CARGO_TARGET_DIR:-target}/check-deep
deep=${CARGO_TARGET_DIR:-target}/deep

# AF_XDP yes, libbpf no: the token layer is all that is run of it.
features_of() {
    case "$1" in
    xdpsar-dataplane) printf '%s\n' --no-default-features --features xdp ;;
    esac
}

# Every interleaving with at most so many switches that nothing forced. With
# two, the longest model of the hand-off takes 35 s of processor time; with
# three, some had not ended after ten minutes on a busy machine.
preemptions_of() {
    case "$1" in
    xdpsar-handoff) echo 2 ;;
    *) echo 3 ;;
    esac
}

run_loom() {
    LOOM_MAX_PREEMPTIONS=${LOOM_MAX_PREEMPTIONS:-$(preemptions_of "$1")} RUSTFLAGS='--cfg loom' cargo test --locked --profile deep \
        --target "$(host)" --target-dir "$deep" --package "$1" $(features_of "$1") --lib loom
}

run_miri() {
    case "$1" in
    # The layers beside it are the kernel's business.
    xdpsar-dataplane) set -- "$1" --lib -- xdp:: ;;
    # Memory and allocations are not miri's to count.
    xdpsar-reassembly) set -- "$1" --lib --tests -- --skip resident --skip steady_state ;;
    *) set -- "$1" --lib --tests ;;
    esac
    package=$1
    shift
    cargo "+$(sh scripts/deps.sh nightly-name)" miri test --locked --package "$package" \
        $(features_of "$package") "$@"
}

run_fuzz() { sh scripts/fuzz.sh run "$1"; }

host() { rustc -vV | sed -n 's/^host: //p'; }

# What a step's log says it has done.
done_by() {
    case "$1" in
    fuzz) sed -n 's/^stat::number_of_executed_units: *//p' "$2" ;;
    *) sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$2" | awk '{ n += $1 } END { print n + 0 }' ;;
    esac
}

unit_of() {
    case "$1" in
    loom) echo models ;;
    miri) echo tests ;;
    fuzz) echo executions ;;
    esac
}

# One step: its log, and its row of the table.
step() {
    kind=${1%%:*}
    what=${1#*:}
    log=$out/$kind-$what.log
    start=$(date +%s)
    result=passed
    "run_$kind" "$what" >"$log" 2>&1 || result=FAILED
    count=$(done_by "$kind" "$log")
    # A filter that nothing matches proves nothing.
    [ "${count:-0}" -gt 0 ] || result=FAILED
    printf '%-5s %-18s %12s %-10s %5s s  %s\n' "$kind" "$what" "${count:-0}" "$(unit_of "$kind")" \
        $(($(date +%s) - start)) "$result" >"$out/$kind-$what.row"
    cat "$out/$kind-$what.row"
    [ $result = passed ] || {
        tail -n 60 "$log"
        printf '%s\n' "(all of it: $log)"
        return 1
    }
}

if [ "${1:-}" = --step ]; then
    step "$2"
    exit
fi

[ $# -gt 0 ] || set -- loom miri fuzz
steps=
for section in "$@"; do
    case "$section" in
    loom) for crate in $loom; do steps="$steps loom:$crate"; done ;;
    miri) for crate in $miri; do steps="$steps miri:$crate"; done ;;
    fuzz) for target in $(sh scripts/fuzz.sh targets); do steps="$steps fuzz:$target"; done ;;
    *)
        printf 'scripts/check-deep.sh: no section "%s": loom, miri, fuzz\n' "$section" >&2
        exit 2
        ;;
    esac
done
start=$(date +%s)
rm -rf "$out"
mkdir -p "$out"
case " $* " in *' fuzz '*) sh scripts/fuzz.sh build ;; esac

failed=0
# at_once HOW_MANY KIND...: the steps of those kinds.
at_once() {
    jobs=$1
    shift
    for kind in "$@"; do
        for name in $steps; do [ "${name%%:*}" != "$kind" ] || printf '%s\n' "$name"; done
    done | xargs -r -n 1 -P "$jobs" sh scripts/check-deep.sh --step || failed=1
}
at_once "$(nproc)" loom miri
at_once 3 fuzz

printf '\n=== check-deep: %s, in %s s\n' "$*" $(($(date +%s) - start))
for name in $steps; do cat "$out/${name%%:*}-${name#*:}.row"; done
exit $failed
