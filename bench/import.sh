#!/usr/bin/env bash
# How long an import of members takes on an optimised build, in the worst order of rows.
# usage: bench/import.sh [ROWS]
set -euo pipefail
cd "$(dirname "$0")/.."
export GRAPEVINE_IMPORT_ROWS=${1:-100000}
exec cargo test --release --test it import::many -- --nocapture
