#!/usr/bin/env bash
# Runs `cargo test --workspace` with these arguments, and lists the ten slowest tests at the end.
set -euo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
[[ " $* " == *" -- "* ]] || set -- "$@" --
# The harness tells times only where it may use what is not stable: the tests may, no build does.
cargo test --workspace --tests --config 'target."cfg(all())".runner = "env RUSTC_BOOTSTRAP=1"' \
    "$@" -Z unstable-options --report-time | tee "$log" || status=$?
echo "the slowest tests, in seconds:"
sed -nE 's/^test (.*) \.\.\. ok <([0-9.]+)s>$/\2 \1/p' "$log" | sort -rn | sed -n 1,10p
exit "${status:-0}"
