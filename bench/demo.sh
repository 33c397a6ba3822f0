#!/usr/bin/env bash
# How long the demo brand takes on an optimised build, from an empty database to the last reward.
# usage: bench/demo.sh [MEMBERS]
set -euo pipefail
cd "$(dirname "$0")/.."
export GRAPEVINE_DEMO_MEMBERS=${1:-10000}
exec cargo test --release --test it demo::it_shows -- --nocapture
