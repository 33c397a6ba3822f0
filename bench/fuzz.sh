#!/usr/bin/env bash
# Fuzzes what reads bytes before anyone is known to have sent them, one target after the other, each for so many seconds. An input that
# breaks something is kept under target/fuzz/artifacts, and the exit code is not 0. Needs a C++ compiler; installs cargo-fuzz.
# usage: bench/fuzz.sh [SECONDS] [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
shift || true
targets=${*:-verify parse}
out=${CARGO_TARGET_DIR:-target}/fuzz

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: installing with cargo: cargo-fuzz" >&2
    cargo install --locked cargo-fuzz >&2
fi
# Without a sanitizer, which needs a nightly compiler: the code is safe Rust, and what is looked for are panics and overflows.
for target in $targets; do
    mkdir -p "$out/corpus/$target" "$out/artifacts/$target"
    dictionary=()
    if [ -f "bench/fuzz/$target.dict" ]; then dictionary=("-dict=bench/fuzz/$target.dict"); fi
    cargo fuzz run --fuzz-dir bench/fuzz --target-dir "$out" --sanitizer none "$target" "$out/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$out/artifacts/$target/" ${dictionary[@]+"${dictionary[@]}"}
done
