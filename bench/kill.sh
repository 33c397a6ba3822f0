#!/usr/bin/env bash
# The kill -9 test at full size, on an optimised build: ten kills at random moments under 500 signed events a second.
# usage: bench/kill.sh [ROUNDS] [EVENTS_PER_SECOND]
set -euo pipefail
cd "$(dirname "$0")/.."
export GRAPEVINE_KILL_ROUNDS=${1:-10} GRAPEVINE_KILL_RATE=${2:-500}
exec cargo test --release --test it flows::kill -- --nocapture
